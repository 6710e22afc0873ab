#include "resolver/encrypted_servers.hpp"

#include "base/bytes.hpp"
#include "resolver/iterate/make_place.hpp"

#include <string_view>

namespace sallyport::resolver {

std::size_t EncryptedServers::Hash::operator()(const base::IpAddress& address) const noexcept
{
    return std::hash<std::string_view>{}(base::as_text(address.octets()));
}

bool EncryptedServers::speaks(const base::IpAddress& server, base::Instant now) const noexcept
{
    const auto found = servers_.find(server);
    return found != servers_.end() && found->second.status == Status::good &&
           now < found->second.when + options_.persistence;
}

void EncryptedServers::set(Server& server, Status status, base::Instant now) noexcept
{
    if (server.status == Status::good) --speaking_;
    if (server.status == Status::trying) --trying_;
    if (status == Status::good) ++speaking_;
    if (status == Status::trying) ++trying_;
    server.status = status;
    server.when = now;
}

/// What would be tried again anyway goes; where nothing would, nothing new is tried.
bool EncryptedServers::make_room(base::Instant now)
{
    if (servers_.size() < options_.servers) return true;
    const auto first = static_cast<std::size_t>(now.time_since_epoch().count());
    iterate::take_out_some(servers_, first, [&](const auto& entry) {
        const Server& server = entry.second;
        const auto life = server.status == Status::good ? options_.persistence : options_.damping;
        if (now < server.when + life) return false;
        if (server.status == Status::good) --speaking_;
        if (server.status == Status::trying) --trying_;
        return true;
    });
    return servers_.size() < options_.servers;
}

bool EncryptedServers::begin_probe(const base::IpAddress& server, base::Instant now)
{
    const auto found = servers_.find(server);
    if (found != servers_.end()) {
        const auto life = found->second.status == Status::good ? options_.persistence : options_.damping;
        if (now < found->second.when + life) return false;
        if (trying_ >= options_.probes) return false;
        set(found->second, Status::trying, now);
        return true;
    }
    if (trying_ >= options_.probes || !make_room(now)) return false;
    servers_.emplace(server, Server{Status::trying, 0, now});
    ++trying_;
    return true;
}

void EncryptedServers::opened(const base::IpAddress& server, base::Instant now)
{
    if (const auto found = servers_.find(server); found != servers_.end()) set(found->second, Status::good, now);
}

void EncryptedServers::answered(const base::IpAddress& server, base::Instant now)
{
    const auto found = servers_.find(server);
    if (found == servers_.end()) return;
    set(found->second, Status::good, now);
    found->second.unanswered = 0;
}

void EncryptedServers::unanswered(const base::IpAddress& server, base::Instant now)
{
    const auto found = servers_.find(server);
    if (found != servers_.end() && ++found->second.unanswered >= kUnanswered) failed(server, now);
}

void EncryptedServers::failed(const base::IpAddress& server, base::Instant now)
{
    const auto found = servers_.find(server);
    if (found == servers_.end()) return;
    set(found->second, Status::bad, now);
    found->second.unanswered = 0;
}

} // namespace sallyport::resolver
