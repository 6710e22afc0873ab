#include "resolver/iterate/servers.hpp"

#include "base/hash.hpp"
#include "resolver/iterate/make_place.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

std::uint64_t lame_key(const base::IpAddress& address, const wire::Name& zone, wire::RrType qtype) noexcept
{
    return base::keyed_hash(address.octets()) ^
           ((zone.hash() + static_cast<std::uint16_t>(qtype)) * 0x9E37'79B9'7F4A'7C15ULL);
}

} // namespace

std::size_t Servers::Hash::operator()(const base::IpAddress& address) const noexcept
{
    return base::keyed_hash(address.octets());
}

Server& Servers::get(const base::IpAddress& address)
{
    if (const auto it = table_.find(address); it != table_.end()) {
        entries_.splice(entries_.begin(), entries_, it->second);
        return *it->second;
    }
    if (entries_.size() >= std::max(options_.max_servers_kept, 1U)) {
        table_.erase(entries_.back().address);
        entries_.pop_back();
    }
    entries_.emplace_front().address = address;
    table_.emplace(address, entries_.begin());
    return entries_.front();
}

const Server* Servers::find(const base::IpAddress& address) const
{
    const auto it = table_.find(address);
    return it == table_.end() ? nullptr : &*it->second;
}

void Servers::answered(const base::IpAddress& address, microseconds rtt)
{
    Server& server = get(address);
    rtt = std::max(rtt, microseconds{1});
    if (server.smoothed.count() == 0) {
        server.smoothed = rtt;
        server.variation = rtt / 2;
    } else {
        const microseconds off = std::chrono::abs(server.smoothed - rtt);
        server.variation = (3 * server.variation + off) / 4;
        server.smoothed = (7 * server.smoothed + rtt) / 8;
    }
    server.failures = 0;
    server.probing = false;
    server.paused_until = {};
}

void Servers::timed_out(const base::IpAddress& address, base::Instant now)
{
    Server& server = get(address);
    server.failures = std::min(server.failures + 1, 16U);
    server.probing = false;
    if (server.failures >= options_.failures_to_pause) server.paused_until = now + options_.pause;
}

milliseconds Servers::timeout(const base::IpAddress& address) const
{
    const Server* server = find(address);
    microseconds wait = options_.first_timeout;
    if (server != nullptr && server->smoothed.count() != 0) wait = server->smoothed + 4 * server->variation;
    wait = std::max<microseconds>(wait, options_.least_timeout);
    if (server != nullptr) wait *= 1U << std::min(server->failures, 6U);
    return std::chrono::ceil<milliseconds>(std::min<microseconds>(wait, options_.most_timeout));
}

microseconds Servers::cost(const Server* server) const
{
    if (server == nullptr) return options_.first_timeout;
    const microseconds base = server->smoothed.count() != 0 ? server->smoothed : microseconds{options_.first_timeout};
    return base * (1U << std::min(server->failures, 6U));
}

bool Servers::is_paused(const Server* server, base::Instant now) const
{
    if (server == nullptr || server->failures < options_.failures_to_pause) return false;
    // Past the pause one query at a time may find out whether it is back.
    return now < server->paused_until || server->probing;
}

void Servers::set_lame(const base::IpAddress& address, const wire::Name& zone, wire::RrType qtype, base::Instant now)
{
    const std::uint64_t key = lame_key(address, zone, qtype);
    make_place(lame_, options_.max_servers_kept, key, [&](const auto& entry) { return entry.second.until <= now; });
    lame_.insert_or_assign(key, Lame{address, zone, qtype, now + options_.lame_for});
}

bool Servers::is_lame(const base::IpAddress& address, const wire::Name& zone, wire::RrType qtype,
                      base::Instant now) const
{
    if (lame_.empty()) return false;
    const auto it = lame_.find(lame_key(address, zone, qtype));
    return it != lame_.end() && it->second.address == address && it->second.zone == zone && it->second.qtype == qtype &&
           now < it->second.until;
}

} // namespace sallyport::resolver::iterate
