#pragma once

#include "base/ip_address.hpp"

#include <algorithm>
#include <span>

namespace sallyport::listeners {

/// In one of the networks, of proxies that are believed for instance.
[[nodiscard]] inline bool is_listed(std::span<const base::Prefix> networks, const base::IpAddress& address) noexcept
{
    return std::any_of(networks.begin(), networks.end(),
                       [&](const auto& network) { return network.contains(address); });
}

/// `0.0.0.0` or `::`: a socket that is bound to it hears at every address of the machine.
[[nodiscard]] inline bool is_wildcard(const base::IpAddress& address) noexcept
{
    const auto octets = address.octets();
    return std::all_of(octets.begin(), octets.end(), [](auto octet) { return octet == 0; });
}

} // namespace sallyport::listeners
