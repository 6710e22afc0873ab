#include "pipeline/client_subnets.hpp"

#include "pipeline/query.hpp"
#include "resolver/iterate/subnet.hpp"

namespace sallyport::pipeline {
namespace {

namespace iterate = resolver::iterate;
using wire::Rcode;

constexpr std::size_t kSubnetOptionHead = 4;

/// Addresses of one's own network, or shared by those of a provider (RFC 6598), say nothing to others but that.
bool says_something(const base::IpAddress& address) noexcept
{
    const base::Bytes octets = address.octets();
    const bool shared = address.is_v4() && octets[0] == 100 && (octets[1] & 0xC0U) == 64;
    const bool nowhere = address.is_v4() ? octets[0] == 0 || octets[0] >= 224 : octets[0] == 0 || octets[0] == 0xFF;
    return !shared && !nowhere && !address.is_local_network();
}

} // namespace

ClientSubnets::ClientSubnets(const ClientSubnetOptions& options)
    : options_(options), on_(iterate::tells_anybody(options.rules))
{
}

bool ClientSubnets::can_read(const wire::EdnsView* edns) const noexcept
{
    return !on_ || edns == nullptr || !edns->client_subnet || wire::read_client_subnet(*edns->client_subnet);
}

std::optional<base::Prefix> ClientSubnets::subnet_for(const Query& query, const wire::Name& name) const noexcept
{
    if (!on_ || !iterate::is_tailored(query.qtype) || !iterate::may_be_told_of(options_.rules, name))
        return std::nullopt;
    base::Prefix subnet{query.client.peer.address, 128};
    const auto* const edns = query.request.edns();
    if (edns != nullptr && edns->client_subnet) {
        const auto option = wire::read_client_subnet(*edns->client_subnet);
        if (!option || option->source_prefix == 0) return base::Prefix{};
        if (options_.from_clients) subnet = iterate::subnet_of(*option);
    }
    return says_something(subnet.address()) ? iterate::cut_subnet(options_.rules, subnet) : base::Prefix{};
}

std::size_t ClientSubnets::reserve(const wire::EdnsView& asked) const noexcept
{
    return on_ && asked.client_subnet ? kSubnetOptionHead + asked.client_subnet->size() : 0;
}

bool ClientSubnets::write(const Query& query, const wire::EdnsView& asked, wire::MessageWriter& answer) const noexcept
{
    if (!on_ || !asked.client_subnet) return true;
    const auto option = wire::read_client_subnet(*asked.client_subnet);
    if (!option) return true;
    std::uint8_t scope = query.subnet_scope.value_or(0);
    // Made for the network its address is in: of the one that it told of we know that it is within that at best.
    const bool elsewhere = scope != 0 && !options_.from_clients;
    // Where nothing was found for one network it may be for another.
    const auto searched = answer.rcode() == Rcode::SERVFAIL ? subnet_for(query, query.qname) : std::nullopt;
    if (elsewhere || (searched && searched->length() != 0)) scope = option->source_prefix;
    const auto data = iterate::write_subnet(iterate::subnet_of(*option), scope);
    // Of length 0 the family is the client's all the same.
    std::array<std::uint8_t, 20> octets = data.octets;
    base::store_be16(octets, 0, option->family);
    return answer.option(wire::EdnsOptionCode::CLIENT_SUBNET, base::Bytes{octets}.first(data.size));
}

} // namespace sallyport::pipeline
