#include "resolver/bootstrap_reply.hpp"

#include "wire/rdata.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace sallyport::resolver {
namespace {

using std::chrono::seconds;

std::size_t size_of_address(wire::RrType qtype) noexcept { return qtype == wire::RrType::A ? 4 : 16; }

bool is_of(const wire::RecordView& record, const wire::Name& owner, wire::RrType type) noexcept
{
    return record.type == type && record.rr_class == wire::RrClass::IN && record.owner.equals(owner);
}

/// Where the name leads to; nothing where it is no alias, or the record is broken.
std::optional<wire::Name> alias_of(const wire::MessageView& reply, const wire::Name& name, seconds& ttl)
{
    for (const wire::RecordView& record : reply.answers()) {
        if (!is_of(record, name, wire::RrType::CNAME)) continue;
        std::vector<std::uint8_t> plain;
        if (!wire::decompress_rdata(reply.bytes(), record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                    wire::RrType::CNAME, plain))
            return std::nullopt;
        const auto target = wire::target_name(wire::RrType::CNAME, plain);
        if (!target) return std::nullopt;
        ttl = std::min(ttl, seconds{record.ttl.seconds()});
        return target->lower();
    }
    return std::nullopt;
}

void take_addresses(const wire::MessageView& reply, const wire::Name& name, wire::RrType qtype, Finding& finding)
{
    for (const wire::RecordView& record : reply.answers()) {
        if (!is_of(record, name, qtype) || record.rdata.size() != size_of_address(qtype)) continue;
        const auto address = base::IpAddress::from_octets(record.rdata);
        if (address.is_v4() != (qtype == wire::RrType::A)) continue; // IPv4 written as IPv6 is no address of a host
        finding.kind = Finding::Kind::found;
        finding.addresses.push_back(address);
        finding.ttl = std::min(finding.ttl, seconds{record.ttl.seconds()});
    }
}

/// RFC 2308 §2: who says that there is nothing says it with the SOA of the zone.
bool says_nothing_is_there(const wire::MessageView& reply)
{
    if (reply.rcode() == wire::Rcode::NXDOMAIN) return true;
    for (const wire::RecordView& record : reply.authorities())
        if (record.type == wire::RrType::SOA) return true;
    return false;
}

} // namespace

AddressReply read_addresses(const wire::MessageView& reply, const wire::Name& qname, wire::RrType qtype,
                            unsigned aliases)
{
    AddressReply read;
    const wire::Rcode rcode = reply.rcode();
    if (rcode != wire::Rcode::NOERROR && rcode != wire::Rcode::NXDOMAIN) return read;
    Finding& finding = read.finding;
    finding.ttl = seconds::max();
    wire::Name at = qname;
    while (const auto next = alias_of(reply, at, finding.ttl)) {
        if (read.aliases == aliases) {
            read.too_many_aliases = true;
            return read;
        }
        ++read.aliases;
        at = *next;
    }
    take_addresses(reply, at, qtype, finding);
    if (finding.kind == Finding::Kind::found) return read;
    if (read.aliases > 0 && !says_nothing_is_there(reply))
        read.next = at;
    else
        finding.kind = Finding::Kind::none;
    return read;
}

bool is_nobody(const base::IpAddress& address) noexcept
{
    const base::Bytes octets = address.octets();
    if (std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; })) return true;
    // 0/8 is this host itself, 224/3 is multicast and what was never given to anybody.
    return address.is_v4() ? octets[0] == 0 || octets[0] >= 224 : octets[0] == 0xFF;
}

} // namespace sallyport::resolver
