#include "policy/client_set.hpp"

#include "policy/access_list.hpp"

#include <algorithm>

namespace sallyport::policy {
namespace {

bool fits(std::string_view pattern, std::string_view name) noexcept
{
    if (name.empty()) return false;
    if (!pattern.starts_with("*.")) return pattern == name;
    return name.size() > pattern.size() - 1 && name.ends_with(pattern.substr(1));
}

bool any_fits(const std::vector<std::string>& patterns, std::string_view name) noexcept
{
    return std::any_of(patterns.begin(), patterns.end(), [&](const auto& pattern) { return fits(pattern, name); });
}

} // namespace

bool ClientSet::holds(const base::IpAddress& address) const noexcept { return any_contains(networks, address); }

bool ClientSet::holds(const Facts& facts) const noexcept
{
    return holds(facts.client.address) || any_fits(server_names, facts.server_name) ||
           any_fits(certificate_names, facts.certificate_name) || any_fits(paths, facts.path);
}

bool is_private(const base::IpAddress& address) noexcept
{
    if (address.is_local_network()) return true;
    const base::Bytes octets = address.octets();
    if (address.is_v4()) return octets[0] == 0 || (octets[0] == 100 && (octets[1] & 0xC0U) == 64);
    return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; });
}

} // namespace sallyport::policy
