#include "resolver/encrypted_servers.hpp"

#include "base/bytes.hpp"
#include "resolver/iterate/make_place.hpp"

#include <algorithm>
#include <string_view>

namespace sallyport::resolver {

std::size_t EncryptedServers::Hash::operator()(const base::IpAddress& address) const noexcept
{
    return std::hash<std::string_view>{}(base::as_text(address.octets()));
}

/// Whether what is known of it is too old to go by: it would be tried anew.
bool EncryptedServers::is_over(const Contact& contact, base::Instant now) const noexcept
{
    if (contact.status == Status::unknown) return true;
    return now >= contact.when + (contact.status == Status::good ? options_.persistence : options_.damping);
}

const EncryptedServers::Contact* EncryptedServers::find(const base::IpAddress& server, Encryption which) const noexcept
{
    const auto found = servers_.find(server);
    return found == servers_.end() ? nullptr : &found->second.contacts[index_of(which)];
}

bool EncryptedServers::speaks(const base::IpAddress& server, Encryption which, base::Instant now) const noexcept
{
    const Contact* const contact = find(server, which);
    return contact != nullptr && is_good(*contact, now);
}

std::optional<Encryption> EncryptedServers::choose(const base::IpAddress& server, base::Instant now) const noexcept
{
    const auto found = servers_.find(server);
    if (found == servers_.end()) return std::nullopt;
    const Contact& tls = found->second.contacts[index_of(Encryption::tls)];
    const Contact& quic = found->second.contacts[index_of(Encryption::quic)];
    if (!is_good(quic, now)) return is_good(tls, now) ? std::optional{Encryption::tls} : std::nullopt;
    if (!is_good(tls, now)) return Encryption::quic;
    return quic.unanswered <= tls.unanswered ? Encryption::quic : Encryption::tls;
}

void EncryptedServers::count(const Server& server, bool add) noexcept
{
    const auto change = [add](std::size_t& number) { number = add ? number + 1 : number - 1; };
    bool any = false;
    for (const Encryption which : kAllEncryptions) {
        const Status status = server.contacts[index_of(which)].status;
        if (status == Status::trying) change(trying_);
        if (status != Status::good) continue;
        change(speaking_[index_of(which)]);
        any = true;
    }
    if (any) change(speaking_any_);
}

void EncryptedServers::set(Server& server, Encryption which, Status status, base::Instant now) noexcept
{
    count(server, false);
    Contact& contact = server.contacts[index_of(which)];
    contact.status = status;
    contact.when = now;
    if (status != Status::good) {
        contact.unanswered = 0;
        contact.has_answered = false;
    }
    count(server, true);
}

/// What would be tried again anyway goes; where nothing would, nothing new is tried.
bool EncryptedServers::make_room(base::Instant now)
{
    if (servers_.size() < options_.servers) return true;
    const auto first = static_cast<std::size_t>(now.time_since_epoch().count());
    iterate::take_out_some(servers_, first, [&](const auto& entry) {
        const auto& contacts = entry.second.contacts;
        if (!std::all_of(contacts.begin(), contacts.end(), [&](const Contact& one) { return is_over(one, now); }))
            return false;
        count(entry.second, false);
        return true;
    });
    return servers_.size() < options_.servers;
}

EncryptedServers::Probe EncryptedServers::begin_probe(const base::IpAddress& server, Encryption which,
                                                      base::Instant now)
{
    const Contact* const known = find(server, which);
    if (known != nullptr && !is_over(*known, now)) return Probe::needless;
    if (trying_ >= options_.probes || (known == nullptr && !make_room(now))) return Probe::full;
    set(servers_[server], which, Status::trying, now);
    return Probe::begun;
}

void EncryptedServers::opened(const base::IpAddress& server, Encryption which, base::Instant now)
{
    if (const auto found = servers_.find(server); found != servers_.end()) set(found->second, which, Status::good, now);
}

void EncryptedServers::answered(const base::IpAddress& server, Encryption which, base::Instant now)
{
    const auto found = servers_.find(server);
    if (found == servers_.end()) return;
    set(found->second, which, Status::good, now);
    Contact& contact = found->second.contacts[index_of(which)];
    contact.unanswered = 0;
    contact.has_answered = true;
}

void EncryptedServers::unanswered(const base::IpAddress& server, Encryption which, base::Instant now)
{
    const auto found = servers_.find(server);
    if (found == servers_.end()) return;
    auto& contacts = found->second.contacts;
    Contact& contact = contacts[index_of(which)];
    ++contact.unanswered;
    if (contact.has_answered) {
        if (contact.unanswered >= kUnanswered) set(found->second, which, Status::bad, now);
        return;
    }
    const auto only_opened = [](const Contact& one) { return one.status == Status::good && !one.has_answered; };
    unsigned together = 0;
    for (const Contact& one : contacts) together += only_opened(one) ? one.unanswered : 0;
    if (together < kUnansweredAtFirst) return;
    for (const Encryption each : kAllEncryptions)
        if (only_opened(contacts[index_of(each)])) set(found->second, each, Status::bad, now);
}

void EncryptedServers::kept_waiting(const base::IpAddress& server, Encryption which) noexcept
{
    const auto found = servers_.find(server);
    if (found == servers_.end()) return;
    unsigned& unanswered = found->second.contacts[index_of(which)].unanswered;
    unanswered = std::max(unanswered, 1U);
}

void EncryptedServers::broken_off(const base::IpAddress& server, Encryption which) noexcept
{
    const auto found = servers_.find(server);
    if (found == servers_.end() || found->second.contacts[index_of(which)].status != Status::trying) return;
    set(found->second, which, Status::unknown, {});
}

void EncryptedServers::failed(const base::IpAddress& server, Encryption which, base::Instant now)
{
    if (const auto found = servers_.find(server); found != servers_.end()) set(found->second, which, Status::bad, now);
}

} // namespace sallyport::resolver
