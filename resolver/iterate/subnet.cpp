#include "resolver/iterate/subnet.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {
namespace {

constexpr std::uint16_t kIpv4 = 1; // address family numbers, as in RFC 7871 §6
constexpr std::uint16_t kIpv6 = 2;

} // namespace

SubnetData write_subnet(const base::Prefix& subnet, std::uint8_t scope) noexcept
{
    SubnetData data;
    const std::size_t octets = (subnet.length() + 7U) / 8U;
    base::store_be16(data.octets, 0, subnet.address().is_v4() ? kIpv4 : kIpv6);
    data.octets[2] = static_cast<std::uint8_t>(subnet.length());
    data.octets[3] = scope;
    std::copy_n(subnet.address().octets().begin(), octets, data.octets.begin() + 4);
    data.size = 4 + octets;
    return data;
}

bool may_be_told_of(const SubnetOptions& options, const wire::Name& qname) noexcept
{
    if (!options.servers.empty()) return true;
    return std::any_of(options.zones.begin(), options.zones.end(),
                       [&](const wire::Name& zone) { return qname.is_under(zone); });
}

bool may_tell(const SubnetOptions& options, const wire::Name& zone, const base::IpAddress& server) noexcept
{
    // Servers of the root and of top-level domains refer, and tailor nothing: told only where they are named
    // themselves.
    const bool refers = zone.label_count() <= 1;
    const bool allowed = std::any_of(options.zones.begin(), options.zones.end(), [&](const wire::Name& name) {
        return refers ? !name.is_root() && zone == name : zone.is_under(name);
    });
    return allowed || std::any_of(options.servers.begin(), options.servers.end(),
                                  [&](const base::Prefix& network) { return network.contains(server); });
}

bool is_tailored(wire::RrType qtype) noexcept
{
    return qtype != wire::RrType::DS && qtype != wire::RrType::DNSKEY && qtype != wire::RrType::NS &&
           qtype != wire::RrType::SOA;
}

base::Prefix cut_subnet(const SubnetOptions& options, const base::Prefix& subnet) noexcept
{
    const unsigned most = subnet.address().is_v4() ? options.ipv4_bits : options.ipv6_bits;
    const unsigned length = std::min(subnet.length(), most);
    return length == 0 ? base::Prefix{} : base::Prefix{subnet.address(), length};
}

base::Prefix subnet_of(const wire::ClientSubnet& option) noexcept
{
    if (option.source_prefix == 0) return {};
    std::array<std::uint8_t, 16> octets{};
    std::copy(option.address.begin(), option.address.end(), octets.begin());
    const base::Bytes address = base::Bytes{octets}.first(option.family == kIpv4 ? 4U : 16U);
    return {base::IpAddress::from_octets(address), option.source_prefix};
}

SubnetReply read_subnet_reply(const base::Prefix& told, const wire::EdnsView* edns) noexcept
{
    if (edns == nullptr || !edns->client_subnet) return {}; // §7.3: whoever says nothing tailors nothing
    const auto option = wire::read_client_subnet(*edns->client_subnet);
    if (!option || option->source_prefix != told.length()) return {false, 0};
    const base::Bytes asked = told.address().octets();
    const bool same = option->family == (told.address().is_v4() ? kIpv4 : kIpv6) &&
                      base::equal(option->address, asked.first(option->address.size()));
    if (!same) return {false, 0};
    // More than what was told cannot have been looked at: it counts for the network that was told.
    return {true, std::min(option->scope_prefix, option->source_prefix)};
}

} // namespace sallyport::resolver::iterate
