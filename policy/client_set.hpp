#pragma once

#include "base/ip_address.hpp"
#include "policy/facts.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::policy {

/// Clients by what can be known of them: an address in one of the networks, or one of the names. Any one is enough.
struct ClientSet {
    std::vector<base::Prefix> networks;
    std::vector<std::string> server_names;      ///< TLS server name they ask for; `*.example` for all below
    std::vector<std::string> certificate_names; ///< of the certificate they show
    std::vector<std::string> paths;             ///< of the DoH request

    [[nodiscard]] bool holds(const base::IpAddress& address) const noexcept;
    [[nodiscard]] bool holds(const Facts& facts) const noexcept;
};

/// Addresses that no name on the Internet should lead to: loopback, private, link-local and unique-local networks,
/// the unspecified address and its network (RFC 6890), and carriers' own (RFC 6598). What rebinding aims at.
[[nodiscard]] bool is_private(const base::IpAddress& address) noexcept;

} // namespace sallyport::policy
