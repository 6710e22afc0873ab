#include "resolver/loops.hpp"

#include <ifaddrs.h>

#include <algorithm>
#include <utility>

namespace sallyport::resolver {
namespace {

bool is_wildcard(const base::IpAddress& address) noexcept
{
    const base::Bytes octets = address.octets();
    return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; });
}

bool same_socket(base::Transport left, base::Transport right) noexcept
{
    const auto datagrams = [](base::Transport one) {
        return one == base::Transport::udp || one == base::Transport::doq || one == base::Transport::doh3;
    };
    return datagrams(left) == datagrams(right);
}

bool is_ours(const base::IpAddress& address, const OwnAddress& own, std::span<const base::IpAddress> local) noexcept
{
    if (own.endpoint.address == address) return true;
    // A door on :: is on no IPv4 address, and the other way round.
    if (own.endpoint.address.is_v4() != address.is_v4()) return false;
    // Whoever asks 0.0.0.0 or :: asks this machine.
    if (is_wildcard(address)) return is_wildcard(own.endpoint.address) || own.endpoint.address.is_loopback();
    if (!is_wildcard(own.endpoint.address)) return false;
    return address.is_loopback() || std::find(local.begin(), local.end(), address) != local.end();
}

} // namespace

bool is_own_door(const base::IpAddress& address, std::uint16_t port, base::Transport transport,
                 std::span<const OwnAddress> own, std::span<const base::IpAddress> local) noexcept
{
    return std::any_of(own.begin(), own.end(), [&](const OwnAddress& one) {
        return one.endpoint.port == port && same_socket(one.transport, transport) && is_ours(address, one, local);
    });
}

bool check_loops(const Options& options, std::span<const OwnAddress> own, std::span<const base::IpAddress> local,
                 base::Problems& problems)
{
    bool good = true;
    const auto check = [&](const UpstreamOptions& upstream, const std::string& what) {
        for (const base::IpAddress& address : upstream.addresses) {
            if (!is_own_door(address, upstream.port, upstream.transport, own, local)) continue;
            good = false;
            const std::string where = base::Endpoint{address, upstream.port, 0}.to_string();
            std::string why = "the ";
            why.append(what).append(" '").append(upstream.name).append("' (").append(where);
            why.append(") is this gateway itself: it would ask itself for ever; expected another server");
            problems.push_back({base::ErrorCode::conflict, std::move(why), upstream.position});
        }
    };
    for (const GroupOptions& group : options.groups)
        for (const UpstreamOptions& upstream : group.upstreams) check(upstream, "upstream");
    for (const UpstreamOptions& server : options.bootstrap) check(server, "bootstrap server");
    return good;
}

std::vector<base::IpAddress> local_addresses()
{
    std::vector<base::IpAddress> found;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return found;
    for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr) continue;
        const int family = one->ifa_addr->sa_family;
        if (family == AF_INET || family == AF_INET6)
            found.push_back(base::Endpoint::from_sockaddr(one->ifa_addr).address);
    }
    ::freeifaddrs(list);
    return found;
}

} // namespace sallyport::resolver
