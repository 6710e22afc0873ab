#include "resolver/iterate/response.hpp"

#include "wire/rdata.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {
namespace {

using cache::Rank;
using cache::Rrset;
using cache::RrsetKind;
using wire::Name;
using wire::RrType;

constexpr std::size_t kRrsigFixed = 18; // up to the signer's name (RFC 4034 §3.1)

/// Collects the records of one section.
class SectionReader {
public:
    SectionReader(std::vector<Rrset>& sets, Rank rank, wire::RrClass qclass, bool keep_signatures_as_data) noexcept
        : sets_(sets), rank_(rank), qclass_(qclass), signatures_as_data_(keep_signatures_as_data)
    {
    }

    [[nodiscard]] bool add(const wire::RecordView& record, base::Bytes message)
    {
        if (record.type == RrType::OPT || record.type == RrType::TSIG || wire::is_meta(record.type)) return true;
        // Of another class nobody asked.
        if (record.rr_class != qclass_ && qclass_ != wire::RrClass::ANY) return true;
        rdata_.clear();
        const auto read = wire::decompress_rdata(message, record.rdata_offset,
                                                 static_cast<std::uint16_t>(record.rdata.size()), record.type, rdata_);
        if (!read) {
            incomplete_ = true; // what does not fit its type is not there
            return true;
        }
        const Name owner = record.owner.to_name();
        const bool signature = record.type == RrType::RRSIG && rdata_.size() >= kRrsigFixed && !signatures_as_data_;
        const RrType type = signature ? RrType{base::load_be16(rdata_, 0)} : record.type;
        Rrset* set = find(owner, type, record);
        if (set == nullptr) return false;
        auto& list = signature ? set->signatures : set->records;
        if (list.contains(rdata_)) return true;
        if (list.size() >= kMaxRecordsInSet) return false;
        // One TTL for the whole set: the smallest (RFC 2181 §5.2).
        if (!signature) set->ttl = set->records.empty() ? record.ttl : std::min(set->ttl, record.ttl);
        list.add(rdata_);
        return true;
    }

    [[nodiscard]] bool is_incomplete() const noexcept { return incomplete_; }

private:
    Rrset* find(const Name& owner, RrType type, const wire::RecordView& record)
    {
        const std::uint64_t hash = owner.hash() ^ static_cast<std::uint16_t>(type);
        for (std::size_t i = sets_.size(); i-- > 0;) {
            if (hashes_[i] == hash && sets_[i].type == type && sets_[i].rr_class == record.rr_class &&
                sets_[i].owner == owner) {
                return &sets_[i];
            }
        }
        if (sets_.size() >= kMaxSetsInSection) return nullptr;
        Rrset& made = sets_.emplace_back();
        made.owner = owner;
        made.type = type;
        made.rr_class = record.rr_class;
        made.rank = rank_;
        hashes_.push_back(hash);
        return &made;
    }

    std::vector<Rrset>& sets_;
    bool incomplete_ = false;
    std::vector<std::uint64_t> hashes_;
    std::vector<std::uint8_t> rdata_;
    Rank rank_;
    wire::RrClass qclass_;
    bool signatures_as_data_;
};

bool read_section(wire::RecordRange records, const wire::MessageView& message, std::vector<Rrset>& sets, Rank rank,
                  bool signatures_as_data, bool& incomplete)
{
    // Errors may come without the question; then there are no answers either.
    const auto qclass = message.header().question_count == 0 ? wire::RrClass::IN : message.qclass();
    SectionReader reader(sets, rank, qclass, signatures_as_data);
    for (const wire::RecordView& record : records) {
        if (!reader.add(record, message.bytes())) return false;
    }
    incomplete = incomplete || reader.is_incomplete();
    return true;
}

/// Some servers put a signature in another section than what it covers.
void join_signatures(Response& response)
{
    std::vector<Rrset>* sections[] = {&response.answers, &response.authority, &response.additional};
    for (const std::vector<Rrset>* from : sections) {
        for (const Rrset& lonely : *from) {
            if (!lonely.records.empty()) continue;
            for (std::vector<Rrset>* to : sections) {
                const auto it = std::find_if(to->begin(), to->end(), [&](const Rrset& set) {
                    return !set.records.empty() && set.type == lonely.type && set.owner == lonely.owner;
                });
                if (it == to->end()) continue;
                for (const base::Bytes rdata : lonely.signatures) {
                    if (!it->signatures.contains(rdata) && it->signatures.size() < kMaxRecordsInSet) {
                        it->signatures.add(rdata);
                    }
                }
            }
        }
    }
    for (std::vector<Rrset>* sets : sections) {
        std::erase_if(*sets, [](const Rrset& set) { return set.records.empty(); });
    }
}

const Rrset* find_set(const std::vector<Rrset>& sets, const Name& owner, RrType type)
{
    const auto it = std::find_if(sets.begin(), sets.end(),
                                 [&](const Rrset& set) { return set.type == type && set.owner == owner; });
    return it == sets.end() ? nullptr : &*it;
}

const Rrset* find_dname(const std::vector<Rrset>& sets, const Name& qname)
{
    for (const Rrset& set : sets) {
        if (set.type == RrType::DNAME && qname.is_under(set.owner) && !(qname == set.owner)) return &set;
    }
    return nullptr;
}

/// Types that stand beside a CNAME (RFC 4034 §3, §4), and CNAME itself.
bool goes_with_alias(RrType qtype) noexcept
{
    return qtype == RrType::CNAME || qtype == RrType::RRSIG || qtype == RrType::NSEC || qtype == RrType::KEY ||
           qtype == RrType::SIG;
}

bool follows_aliases(RrType qtype) noexcept { return qtype != RrType::CNAME && qtype != RrType::ANY; }

/// Follows the aliases in the answer section; true where it ends at the set that was asked for.
bool ends_in_answer(const Response& response, const Asked& asked, bool& alias)
{
    Name name = asked.qname;
    alias = false;
    for (std::size_t hops = 0; hops <= response.answers.size(); ++hops) {
        if (find_set(response.answers, name, asked.qtype) != nullptr) return true;
        if (asked.qtype == RrType::ANY && std::any_of(response.answers.begin(), response.answers.end(),
                                                      [&](const Rrset& set) { return set.owner == name; })) {
            return true;
        }
        if (!follows_aliases(asked.qtype)) return false;
        if (const Rrset* cname = find_set(response.answers, name, RrType::CNAME)) {
            const auto target = alias_target(*cname);
            if (!target) return false;
            name = *target;
        } else if (const Rrset* dname = find_dname(response.answers, name)) {
            const auto target = wire::target_name(RrType::DNAME, *dname->records.begin());
            if (!target) return false;
            const auto made = name.substitute(dname->owner, *target);
            if (!made) {
                alias = true;
                return false;
            }
            name = *made;
        } else {
            return false;
        }
        alias = true;
    }
    return false;
}

bool is_denial(RrType type) noexcept { return type == RrType::NSEC || type == RrType::NSEC3; }

bool answers_recursively(const Response& response, const Asked& asked) noexcept
{
    return response.recursion_available && !response.authoritative && !asked.forward;
}

void cap_negative_ttl(Rrset& set, const Rrset& soa)
{
    // RFC 2308 §5: the smaller of the SOA's TTL and its MINIMUM, which stands last.
    const base::Bytes rdata = *soa.records.begin();
    if (rdata.size() < 4) return;
    const wire::Ttl minimum = wire::Ttl::from_wire(base::load_be32(rdata, rdata.size() - 4));
    set.ttl = std::min(soa.ttl, minimum);
}

std::vector<base::Endpoint> addresses_of(const std::vector<Rrset>& sets, const Name& name, const Options& options)
{
    std::vector<base::Endpoint> found;
    for (const RrType type : {RrType::A, RrType::AAAA}) {
        const Rrset* set = find_set(sets, name, type);
        if (set == nullptr) continue;
        for (const base::Bytes rdata : set->records) {
            if (rdata.size() != (type == RrType::A ? 4U : 16U)) continue;
            found.push_back({base::IpAddress::from_octets(rdata), options.port, 0});
        }
    }
    return found;
}

} // namespace

std::optional<Response> read_response(const wire::MessageView& message, RrType qtype)
{
    Response response;
    response.rcode = message.rcode();
    response.authoritative = message.header().has(wire::flag::AA);
    response.truncated = message.header().has(wire::flag::TC);
    response.recursion_available = message.header().has(wire::flag::RA);
    response.edns = message.edns() != nullptr;
    const bool aa = response.authoritative;
    const bool raw = qtype == RrType::RRSIG;
    bool& incomplete = response.incomplete;
    if (!read_section(message.answers(), message, response.answers, aa ? Rank::answer_auth : Rank::answer, raw,
                      incomplete) ||
        !read_section(message.authorities(), message, response.authority, aa ? Rank::authority_auth : Rank::referral,
                      false, incomplete) ||
        !read_section(message.additionals(), message, response.additional, Rank::additional, false, incomplete)) {
        return std::nullopt;
    }
    join_signatures(response);
    return response;
}

ReplyKind classify(const Response& response, const Asked& asked)
{
    if (response.rcode != wire::Rcode::NOERROR && response.rcode != wire::Rcode::NXDOMAIN &&
        response.rcode != wire::Rcode::YXDOMAIN) {
        return response.rcode == wire::Rcode::REFUSED || response.rcode == wire::Rcode::NOTAUTH ? ReplyKind::lame
                                                                                                : ReplyKind::useless;
    }
    bool alias = false;
    const bool answered = ends_in_answer(response, asked, alias);
    if (answered || alias) {
        // It ends at a name that is too long; what it says up to there counts, and is followed.
        if (response.rcode == wire::Rcode::YXDOMAIN && answered) return ReplyKind::useless;
        return answers_recursively(response, asked) ? ReplyKind::lame_recursive : ReplyKind::answer;
    }
    if (response.rcode == wire::Rcode::NXDOMAIN) {
        return answers_recursively(response, asked) ? ReplyKind::lame_recursive : ReplyKind::no_name;
    }
    if (response.rcode == wire::Rcode::YXDOMAIN) return ReplyKind::useless;
    for (const Rrset& set : response.authority) {
        if (set.type == RrType::SOA && asked.qname.is_under(set.owner) && set.owner.is_under(asked.zone)) {
            return answers_recursively(response, asked) ? ReplyKind::lame_recursive : ReplyKind::no_data;
        }
    }
    if (asked.forward) return ReplyKind::no_data;
    for (const Rrset& set : response.authority) {
        if (set.type != RrType::NS || !asked.qname.is_under(set.owner)) continue;
        if (set.owner == asked.zone) {
            if (response.authoritative) return ReplyKind::no_data;
            return answers_recursively(response, asked) ? ReplyKind::lame_recursive : ReplyKind::lame;
        }
        // Upwards, or sideways: whoever says so does not serve the zone.
        if (!set.owner.is_under(asked.zone)) return ReplyKind::lame;
        if (asked.qtype == RrType::DS && set.owner == asked.qname) return ReplyKind::no_data;
        return ReplyKind::referral;
    }
    return answers_recursively(response, asked) ? ReplyKind::lame_recursive : ReplyKind::no_data;
}

std::vector<Rrset> take_answer(Response& response, const Asked& asked, Stats& stats)
{
    std::vector<Rrset> chain;
    std::vector<cache::RrsetPtr> proofs;
    for (const Rrset& set : response.authority) {
        if (is_denial(set.type) && set.owner.is_under(asked.zone)) proofs.push_back(std::make_shared<Rrset>(set));
    }
    const auto keep = [&](const Rrset& set) {
        chain.push_back(set);
        chain.back().zone = asked.zone;
        if (is_from_wildcard(set)) chain.back().authority = proofs;
    };
    Name name = asked.qname;
    for (std::size_t hops = 0; hops <= response.answers.size(); ++hops) {
        // What stands outside the zone that was asked is nothing its servers can know of.
        if (!name.is_under(asked.zone)) break;
        if (asked.qtype == RrType::ANY) {
            for (const Rrset& set : response.answers) {
                if (set.owner == name) keep(set);
            }
            break;
        }
        const Rrset* dname = find_dname(response.answers, name);
        const bool made_here = asked.qtype == RrType::CNAME && dname != nullptr;
        const Rrset* cname = goes_with_alias(asked.qtype) ? nullptr : find_set(response.answers, name, RrType::CNAME);
        const Rrset* set = find_set(response.answers, name, asked.qtype);
        // Beside an alias there must be nothing else (RFC 2181 §10.1); of both the first counts, in the order sent.
        if (set != nullptr && !made_here && (cname == nullptr || set < cname)) {
            keep(*set);
            break;
        }
        if (!follows_aliases(asked.qtype) && !made_here) break;
        if (dname != nullptr && dname->owner.is_under(asked.zone)) {
            auto kept = std::make_shared<Rrset>(*dname);
            kept->zone = asked.zone;
            auto made = make_cname(kept, name);
            if (!made) break; // too long; behind an alias that is found out once it is asked for itself
            chain.push_back(std::move(*made));
            if (made_here) break;
        } else if (cname != nullptr) {
            keep(*cname);
        } else {
            break;
        }
        // Where an alias leads is asked for anew, unless the server is the one who resolves it.
        const auto target = alias_target(chain.back());
        if (!target || !asked.forward) break;
        name = *target;
    }
    if (response.answers.size() > chain.size()) stats.scrubbed.add(response.answers.size() - chain.size());
    return chain;
}

const Rrset* find_long_dname(const Response& response, const Asked& asked)
{
    const Rrset* const dname = find_dname(response.answers, asked.qname);
    if (dname == nullptr || !dname->owner.is_under(asked.zone)) return nullptr;
    const auto target = wire::target_name(RrType::DNAME, *dname->records.begin());
    return target && !asked.qname.substitute(dname->owner, *target) ? dname : nullptr;
}

Rrset take_denial(Response& response, const Asked& asked, RrsetKind kind)
{
    Rrset denial;
    denial.owner = asked.qname;
    denial.type = asked.qtype;
    denial.kind = kind;
    denial.zone = asked.zone;
    denial.rank = response.authoritative ? Rank::answer_auth : Rank::answer;
    denial.ttl = wire::Ttl{0};
    for (Rrset& set : response.authority) {
        const bool soa = set.type == RrType::SOA && asked.qname.is_under(set.owner);
        if ((!soa && !is_denial(set.type)) || !set.owner.is_under(asked.zone)) continue;
        if (soa) cap_negative_ttl(denial, set);
        set.zone = asked.zone;
        denial.authority.push_back(std::make_shared<Rrset>(set));
    }
    return denial;
}

Referral take_referral(Response& response, const Asked& asked, const Options& options, Stats& stats)
{
    Referral referral;
    const Rrset* servers = nullptr;
    for (const Rrset& set : response.authority) {
        if (set.type == RrType::NS && asked.qname.is_under(set.owner) && set.owner.is_under(asked.zone) &&
            !(set.owner == asked.zone)) {
            servers = &set;
            break;
        }
    }
    if (servers == nullptr) return referral;
    referral.delegation.zone = servers->owner;
    referral.ttl = servers->ttl;
    for (const base::Bytes rdata : servers->records) {
        if (referral.delegation.servers.size() >= options.limits.servers) {
            ++stats.budget_servers;
            break;
        }
        const auto name = wire::target_name(RrType::NS, rdata);
        if (!name) continue;
        NameServer server{name->lower(), {}};
        if (server.name.is_under(asked.zone)) server.glue = find_glue(response, server.name, options);
        referral.delegation.servers.push_back(std::move(server));
    }
    for (Rrset& set : response.authority) {
        set.zone = asked.zone;
        if (set.type == RrType::DS && set.owner == servers->owner) referral.ds = set;
        if (is_denial(set.type) && set.owner.is_under(asked.zone)) referral.denials.push_back(set);
    }
    return referral;
}

std::vector<base::Endpoint> find_glue(const Response& response, const Name& name, const Options& options)
{
    auto found = addresses_of(response.additional, name, options);
    if (found.size() > options.limits.addresses) found.resize(options.limits.addresses);
    return found;
}

std::optional<Rrset> make_cname(const cache::RrsetPtr& dname, const Name& qname)
{
    const auto target = wire::target_name(RrType::DNAME, *dname->records.begin());
    if (!target) return std::nullopt;
    const auto made = qname.substitute(dname->owner, *target);
    if (!made) return std::nullopt;
    Rrset cname;
    cname.owner = qname;
    cname.type = RrType::CNAME;
    cname.rr_class = dname->rr_class;
    cname.rank = dname->rank;
    cname.state = dname->state;
    cname.ttl = dname->ttl;
    cname.expires = dname->expires;
    cname.zone = dname->zone;
    cname.records.add(made->wire());
    cname.authority.push_back(dname);
    return cname;
}

bool holds_address(RrType type, base::Bytes rdata, const std::vector<base::Prefix>& networks)
{
    const auto hit = [&](base::Bytes octets) {
        const auto address = base::IpAddress::from_octets(octets);
        return std::any_of(networks.begin(), networks.end(),
                           [&](const base::Prefix& network) { return network.contains(address); });
    };
    if (type == RrType::A || type == RrType::AAAA) return hit(rdata);
    if (type != RrType::SVCB && type != RrType::HTTPS) return false;
    if (rdata.size() < 3) return false;
    const auto name = wire::measure_name(rdata.subspan(2));
    if (!name) return false;
    for (base::Bytes rest = rdata.subspan(2 + *name); rest.size() >= 4;) {
        const std::uint16_t key = base::load_be16(rest, 0);
        const std::size_t size = base::load_be16(rest, 2);
        if (rest.size() - 4 < size) return false;
        const std::size_t each = key == 4 ? 4 : key == 6 ? 16 : 0; // ipv4hint, ipv6hint
        for (std::size_t at = 0; each != 0 && at + each <= size; at += each) {
            if (hit(rest.subspan(4 + at, each))) return true;
        }
        rest = rest.subspan(4 + size);
    }
    return false;
}

std::optional<Name> alias_target(const Rrset& set)
{
    // A name has one canonical name; where a server gives more, the first counts (RFC 2181 §10.1).
    const auto target = wire::target_name(RrType::CNAME, *set.records.begin());
    if (!target) return std::nullopt;
    return *target;
}

bool is_from_wildcard(const Rrset& set)
{
    for (const base::Bytes rdata : set.signatures) {
        const unsigned labels = set.owner.label_count() - (set.owner.is_wildcard() ? 1 : 0);
        if (rdata.size() >= kRrsigFixed && rdata[3] < labels) return true;
    }
    return false;
}

} // namespace sallyport::resolver::iterate
