#include "pipeline/verdicts.hpp"

#include <array>

namespace sallyport::pipeline {
namespace {

using policy::Verdict;
using wire::ExtendedError;
using wire::Rcode;
using wire::RrType;

/// EDNS Extended Errors are cut where they do not fit; a reason of a script is told to people, not a novel.
std::string_view told(const std::string& reason, std::string_view otherwise) noexcept
{
    return reason.empty() ? otherwise : std::string_view{reason}.substr(0, 128);
}

void write_address(Query& query, const base::IpAddress& address, wire::Ttl ttl) noexcept
{
    const RrType type = address.is_v4() ? RrType::A : RrType::AAAA;
    if (query.qtype != type && query.qtype != RrType::ANY) return;
    if (!query.answer->record(wire::Section::answer, query.qname, type, query.qclass, ttl, address.octets()))
        query.answer->set_flags(wire::flag::TC);
}

/// Lets resolvers and stubs remember the "no" for a while (RFC 2308 §5).
void write_soa(Query& query, wire::Ttl ttl) noexcept
{
    // MNAME localhost., RNAME nobody.invalid., serial 1, refresh 3600, retry 600, expire 86400, minimum below.
    std::array<std::uint8_t, 47> rdata{9,   'l', 'o', 'c',  'a',  'l', 'h', 'o',  's',  't', 0,   6,    'n', 'o', 'b',
                                       'o', 'd', 'y', 7,    'i',  'n', 'v', 'a',  'l',  'i', 'd', 0,    0,   0,   0,
                                       1,   0,   0,   0x0E, 0x10, 0,   0,   0x02, 0x58, 0,   1,   0x51, 0x80};
    base::store_be32(rdata, 43, ttl.seconds());
    (void)query.answer->record(wire::Section::authority, query.qname, RrType::SOA, query.qclass, ttl, rdata);
}

void write_block(const BlockOptions& block, Query& query) noexcept
{
    const wire::Ttl ttl{block.ttl};
    switch (block.kind) {
    case BlockOptions::Kind::nxdomain:
        query.answer->set_rcode(Rcode::NXDOMAIN);
        write_soa(query, ttl);
        break;
    case BlockOptions::Kind::nodata: write_soa(query, ttl); break;
    case BlockOptions::Kind::refused: query.answer->set_rcode(Rcode::REFUSED); break;
    case BlockOptions::Kind::zero_address: {
        static const base::IpAddress kUnspecified4 = *base::IpAddress::parse("0.0.0.0");
        static const base::IpAddress kUnspecified6 = *base::IpAddress::parse("::");
        write_address(query, kUnspecified4, ttl);
        write_address(query, kUnspecified6, ttl);
        break;
    }
    case BlockOptions::Kind::address:
        for (const auto& address : block.addresses) write_address(query, address, ttl);
        break;
    }
}

void write_records(const Verdict& verdict, Query& query) noexcept
{
    query.answer->set_rcode(verdict.rcode);
    const auto mark = query.answer->mark();
    for (const auto& record : verdict.records) {
        if (query.answer->record(wire::Section::answer, query.qname, record.type, query.qclass, record.ttl,
                                 record.rdata))
            continue;
        query.answer->rollback(mark);
        query.answer->set_flags(wire::flag::TC);
        return;
    }
}

/// As scripts call it. An alias of a local zone with what others know behind it is theirs.
std::string_view source_of(const Query& query) noexcept
{
    switch (query.source) {
    case Source::zone: return "zone";
    case Source::cache: return "cache";
    case Source::stale_cache: return "stale";
    case Source::upstream: return "upstream";
    case Source::pipeline: return "gateway";
    case Source::rule:
    case Source::none: break;
    }
    return {};
}

Step refuse(Query& query, ExtendedError code, std::string_view text) noexcept
{
    query.answer->set_rcode(Rcode::REFUSED);
    query.ede = Query::Ede{code, text};
    return Step::answered;
}

} // namespace

policy::Facts facts_of(const Query& query, base::Instant now, base::WallTime wall) noexcept
{
    policy::Facts facts;
    facts.qname = &query.qname;
    facts.qtype = query.qtype;
    facts.qclass = query.qclass;
    facts.dnssec_ok = query.dnssec_ok;
    facts.checking_disabled = query.request.header().has(wire::flag::CD);
    facts.client = query.client.peer;
    facts.local = query.client.local;
    facts.transport = query.client.transport;
    facts.server_name = query.client.server_name;
    facts.path = query.client.path;
    facts.certificate_name = query.client.certificate_name;
    facts.request_id = query.id;
    facts.source = source_of(query);
    facts.now = now;
    facts.wall = wall;
    return facts;
}

std::string_view Texts::keep(std::unordered_set<std::string>& texts, const std::string& text)
{
    if (const auto found = texts.find(text); found != texts.end()) return *found;
    return texts.size() < kMost ? std::string_view{*texts.insert(text).first} : std::string_view{};
}

Step apply(const Verdict& verdict, const BlockOptions& block, Texts& texts, Query& query) noexcept
{
    if (verdict.action == Verdict::Action::proceed) return Step::next;
    query.rule = texts.rule(verdict.rule);
    if (verdict.action == Verdict::Action::forward) {
        query.group = texts.group(verdict.group);
        if (!query.group.empty()) return Step::next;
        query.source = Source::rule;
        query.answer->set_rcode(Rcode::SERVFAIL);
        query.ede = Query::Ede{ExtendedError::other, "too many groups were named"};
        return Step::answered;
    }
    query.source = Source::rule;
    switch (verdict.action) {
    case Verdict::Action::block:
        write_block(block, query);
        query.ede = Query::Ede{ExtendedError::blocked, told(verdict.reason, "blocked by policy")};
        return Step::answered;
    case Verdict::Action::answer:
        write_records(verdict, query);
        if (!verdict.reason.empty()) query.ede = Query::Ede{ExtendedError::forged_answer, told(verdict.reason, {})};
        return Step::answered;
    case Verdict::Action::drop:
        // Whoever holds a stream open waits for an answer on it, and what comes after waits too.
        if (base::is_datagram(query.client.transport)) return Step::drop;
        return refuse(query, ExtendedError::prohibited, told(verdict.reason, "dropped by policy"));
    default: return refuse(query, ExtendedError::prohibited, told(verdict.reason, "refused by policy"));
    }
}

} // namespace sallyport::pipeline
