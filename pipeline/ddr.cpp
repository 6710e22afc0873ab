#include "pipeline/ddr.hpp"

#include <algorithm>
#include <set>

namespace sallyport::pipeline {
namespace {

using wire::Name;
using wire::RrClass;
using wire::RrType;
using wire::Section;
using wire::Ttl;

// SvcParamKeys (RFC 9460 §14.3.2, RFC 9461 §5); they stand in the record in ascending order.
enum class SvcKey : std::uint16_t { alpn = 1, port = 3, ipv4hint = 4, ipv6hint = 6, dohpath = 7 };

Name name_of(std::string_view text)
{
    const auto name = Name::from_text(text);
    return name ? name->lower() : Name{};
}

void put16(std::vector<std::uint8_t>& out, std::size_t value)
{
    out.push_back(static_cast<std::uint8_t>(value >> 8U));
    out.push_back(static_cast<std::uint8_t>(value & 0xFFU));
}

void put_param(std::vector<std::uint8_t>& out, SvcKey key, const std::vector<std::uint8_t>& value)
{
    if (value.empty()) return;
    put16(out, static_cast<std::size_t>(key));
    put16(out, value.size());
    out.insert(out.end(), value.begin(), value.end());
}

std::vector<std::uint8_t> alpn_value(const std::vector<std::string>& protocols)
{
    std::vector<std::uint8_t> value;
    for (const auto& protocol : protocols) {
        value.push_back(static_cast<std::uint8_t>(protocol.size()));
        value.insert(value.end(), protocol.begin(), protocol.end());
    }
    return value;
}

std::vector<std::uint8_t> hint_value(const std::vector<base::IpAddress>& addresses, bool v4)
{
    std::vector<std::uint8_t> value;
    for (const auto& address : addresses)
        if (address.is_v4() == v4) value.insert(value.end(), address.octets().begin(), address.octets().end());
    return value;
}

std::vector<std::uint8_t> svcb_rdata(const Designation& door, std::size_t priority, const Name& target)
{
    std::vector<std::uint8_t> rdata;
    put16(rdata, priority);
    rdata.insert(rdata.end(), target.wire().begin(), target.wire().end());
    put_param(rdata, SvcKey::alpn, alpn_value(door.alpn));
    std::vector<std::uint8_t> port;
    put16(port, door.port);
    put_param(rdata, SvcKey::port, port);
    put_param(rdata, SvcKey::ipv4hint, hint_value(door.addresses, true));
    put_param(rdata, SvcKey::ipv6hint, hint_value(door.addresses, false));
    put_param(rdata, SvcKey::dohpath, {door.doh_path.begin(), door.doh_path.end()});
    return rdata;
}

/// The SOA that RFC 6303 §3 gives to zones which exist only to be empty.
std::vector<std::uint8_t> empty_zone_soa(const Name& apex)
{
    std::vector<std::uint8_t> rdata(apex.wire().begin(), apex.wire().end());
    const Name contact = name_of("nobody.invalid.");
    rdata.insert(rdata.end(), contact.wire().begin(), contact.wire().end());
    for (const std::uint32_t field : {1U, 3600U, 1200U, 604800U, 10800U}) {
        put16(rdata, field >> 16U);
        put16(rdata, field & 0xFFFFU);
    }
    return rdata;
}

} // namespace

DesignationAnswers::DesignationAnswers(const DdrOptions& options)
    : resolver_arpa_(name_of("resolver.arpa.")),
      dns_resolver_arpa_(name_of("_dns.resolver.arpa.")),
      target_(name_of(options.target)),
      soa_(empty_zone_soa(resolver_arpa_)),
      ttl_(options.ttl)
{
    if (!options.enabled || target_.is_root()) return;
    std::size_t priority = 0;
    std::set<base::IpAddress> seen;
    for (const auto& door : options.designations) {
        svcb_.push_back(svcb_rdata(door, ++priority, target_));
        on_any_address_ = on_any_address_ || door.on_any_address;
        for (const auto& address : door.addresses) {
            if (!seen.insert(address).second) continue;
            auto& set = address.is_v4() ? addresses_.v4 : addresses_.v6;
            set.emplace_back(address.octets().begin(), address.octets().end());
        }
    }
    for (const auto& name : options.names)
        if (const auto own = name_of("_dns." + name); !own.is_root()) own_names_.push_back(own);
}

bool DesignationAnswers::answer(Query& query) const noexcept
{
    const bool special = query.qname.is_under(resolver_arpa_);
    const bool own = !special && query.qtype == RrType::SVCB && !svcb_.empty() &&
                     std::find(own_names_.begin(), own_names_.end(), query.qname) != own_names_.end();
    if (!special && !own) return false;
    query.answer->set_flags(wire::flag::AA);
    const bool designation = own || query.qname == dns_resolver_arpa_;
    if (designation && query.qtype == RrType::SVCB && !svcb_.empty()) {
        write_svcb(query);
        return true;
    }
    const bool exists = designation || query.qname == resolver_arpa_;
    if (!exists) query.answer->set_rcode(wire::Rcode::NXDOMAIN);
    write_negative(query, resolver_arpa_);
    return true;
}

void DesignationAnswers::write_svcb(Query& query) const noexcept
{
    for (const auto& rdata : svcb_) {
        if (query.answer->record(Section::answer, query.qname, RrType::SVCB, RrClass::IN, ttl_, rdata)) continue;
        query.answer->set_flags(wire::flag::TC);
        return;
    }
    write_addresses(query);
}

void DesignationAnswers::write_addresses(Query& query) const noexcept
{
    // RFC 9462 §4: the addresses spare the client a query; they may be left out, so a full message is no loss.
    const auto mark = query.answer->mark();
    const auto write = [&](RrType type, const std::vector<Rdata>& set) {
        return std::all_of(set.begin(), set.end(), [&](const Rdata& rdata) {
            return query.answer->record(Section::additional, target_, type, RrClass::IN, ttl_, rdata);
        });
    };
    bool fits = write(RrType::A, addresses_.v4) && write(RrType::AAAA, addresses_.v6);
    // A door on every address stands on the one that was asked, which the client can reach.
    const auto& asked = query.client.local.address;
    const auto octets = asked.octets();
    const auto& known = asked.is_v4() ? addresses_.v4 : addresses_.v6;
    const bool given = std::all_of(octets.begin(), octets.end(), [](auto octet) { return octet == 0; }) ||
                       std::any_of(known.begin(), known.end(), [&](const Rdata& r) { return base::equal(r, octets); });
    if (on_any_address_ && !given)
        fits = fits && query.answer->record(Section::additional, target_, asked.is_v4() ? RrType::A : RrType::AAAA,
                                            RrClass::IN, ttl_, octets);
    if (!fits) query.answer->rollback(mark);
}

void DesignationAnswers::write_negative(Query& query, const Name& apex) const noexcept
{
    if (!query.answer->record(Section::authority, apex, RrType::SOA, RrClass::IN, ttl_, soa_))
        query.answer->set_flags(wire::flag::TC);
}

} // namespace sallyport::pipeline
