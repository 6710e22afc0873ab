#include "listeners/connection_limits.hpp"

#include "base/hash.hpp"

#include <algorithm>

namespace sallyport::listeners {
namespace {

std::uint32_t share(std::uint32_t number, unsigned workers) noexcept
{
    const std::uint32_t parts = std::max(1U, workers);
    return std::max(1U, number / parts + (number % parts != 0 ? 1U : 0U));
}

// An IPv4 address as it is, of IPv6 the first 56 bits; the last octet tells them apart.
std::uint64_t network_of(const base::IpAddress& address) noexcept
{
    const auto octets = address.octets();
    if (address.is_v4()) return (std::uint64_t{base::load_be32(octets, 0)} << 8U) | 4U;
    const std::uint64_t first = (std::uint64_t{base::load_be32(octets, 0)} << 32U) | base::load_be32(octets, 4);
    return (first & ~std::uint64_t{0xFF}) | 6U;
}

} // namespace

ConnectionLimits::ConnectionLimits(std::uint32_t in_all, std::uint32_t per_address, unsigned workers)
{
    set(in_all, per_address, workers);
}

void ConnectionLimits::set(std::uint32_t in_all, std::uint32_t per_address, unsigned workers) noexcept
{
    most_ = share(in_all, workers);
    most_of_address_ = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(std::max(1U, per_address), std::uint64_t{share(per_address, workers)} * 2));
}

std::size_t ConnectionLimits::KeyedHash::operator()(std::uint64_t network) const noexcept
{
    return base::keyed_hash({reinterpret_cast<const std::uint8_t*>(&network), sizeof network});
}

bool ConnectionLimits::add_address(const base::IpAddress& address)
{
    auto& count = networks_[network_of(address)];
    if (count >= most_of_address_) return false;
    ++count;
    return true;
}

void ConnectionLimits::remove_address(const base::IpAddress& address) noexcept
{
    const auto found = networks_.find(network_of(address));
    if (found != networks_.end() && --found->second == 0) networks_.erase(found);
}

} // namespace sallyport::listeners
