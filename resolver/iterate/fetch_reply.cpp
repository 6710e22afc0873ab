#include "resolver/iterate/fetch.hpp"

#include "wire/rdata.hpp"

#include <algorithm>

/// What came of the query that a look-up sent, and what of it is kept.
namespace sallyport::resolver::iterate {

using cache::Rrset;
using cache::RrsetKind;
using wire::ExtendedError;
using wire::Name;
using wire::RrType;

namespace {

bool has_signed_proof(const Response& response)
{
    return std::any_of(response.authority.begin(), response.authority.end(), [](const Rrset& set) {
        return (set.type == RrType::NSEC || set.type == RrType::NSEC3) && !set.signatures.empty();
    });
}

std::string source_of(const Pending& query)
{
    return query.group ? "group " + query.group->group : query.server.address.to_string();
}

} // namespace

void Fetch::no_reply(const Pending& query, bool timed_out)
{
    query_ended();
    if (done_) return;
    last_ede_ = ExtendedError::no_reachable_authority;
    silence_ = true;
    last_trouble_ = "no reply from " + source_of(query) + " for " + zone_->zone.to_text();
    tell(Event::Kind::no_reply, query, timed_out ? "timeout" : "error");
    if (!timed_out && !query.tcp) attempt(query.server.address).out = true;
    select();
    if (timed_out && !done_) tell_slow();
}

void Fetch::ask_over_tcp(const Pending& query)
{
    query_ended();
    if (done_) return;
    tell(Event::Kind::reply, query, "misfit");
    if (attempt(query.server.address).tcp_tries < parts_.options.limits.tcp_tries) return ask(query.server, true);
    attempt(query.server.address).out = true;
    select();
}

bool Fetch::retry_plain(const Response* response, wire::Rcode rcode, const Pending& query)
{
    // RFC 6891 §7: who does not know EDNS says FORMERR, some NOTIMP; who knows another version says BADVERS.
    const bool unknown = rcode == wire::Rcode::FORMERR || rcode == wire::Rcode::NOTIMP;
    if (query.group || !query.edns || !(unknown || rcode == wire::Rcode::BADVERS)) return false;
    Attempt& how = attempt(query.server.address);
    if (how.plain) return false;
    how.plain = true;
    if (unknown && (response == nullptr || !response->edns))
        parts_.servers.get(query.server.address).plain_until = parts_.now() + parts_.options.lame_for;
    ++parts_.stats.retries_without_edns;
    ask(query.server, query.tcp);
    return true;
}

void Fetch::reply(const Pending& query, const wire::MessageView* message)
{
    query_ended();
    if (done_) return;
    silence_ = false;
    if (message == nullptr) {
        ++parts_.stats.malformed;
        tell(Event::Kind::reply, query, "malformed");
        attempt(query.server.address).out = true;
        last_ede_ = ExtendedError::invalid_data;
        last_trouble_ = "malformed reply from " + source_of(query) + " for " + zone_->zone.to_text();
        return select();
    }
    if (!take_subnet(query, *message)) return;
    if (message->header().has(wire::flag::TC) && query.tcp) return reply(query, nullptr); // nothing can be longer
    if (message->header().has(wire::flag::TC)) {
        // Half an answer is none: what was cut off may be what counts, and forged fragments end here.
        if (attempt(query.server.address).tcp_tries >= parts_.options.limits.tcp_tries) return reply(query, nullptr);
        ++parts_.stats.truncated;
        tell(Event::Kind::reply, query, "truncated", nullptr, nullptr, message->bytes().size());
        return ask(query.server, true);
    }
    auto response = read_response(*message, outgoing_type_);
    if (!response) {
        return reply(query, nullptr);
    }
    response->octets = message->bytes().size();
    use(*response, query);
}

void Fetch::use(Response& response, const Pending& query)
{
    const Asked asked{outgoing_, outgoing_type_, zone_->zone, zone_->forward || asked_recursively_ == 1};
    const ReplyKind kind = classify(response, asked);
    result_.server = query.server.address;
    if (parts_.is_watched(*budget_)) tell_reply(query, response, kind);
    if (kind == ReplyKind::answer || kind == ReplyKind::no_data) note_own_servers(response);
    if (kind == ReplyKind::answer || kind == ReplyKind::no_data || kind == ReplyKind::no_name) note_untold(query);
    switch (kind) {
    case ReplyKind::referral: return use_referral(response, asked);
    case ReplyKind::answer:
        if (!is_minimised()) return use_answer(response, asked);
        note_no_cut(response);
        next_label();
        return select();
    case ReplyKind::no_data:
        if (!is_minimised() && !empty_seen_ && response.authority.empty() && !zone_->forward) {
            // Nothing at all: some middle boxes answer so. Somebody else may know more.
            empty_seen_ = true;
            attempt(query.server.address).out = true;
            attempt(query.server.address).empty = true;
            return select();
        }
        if (!is_minimised()) return use_denial(response, asked, RrsetKind::nodata);
        note_no_cut(response);
        next_label();
        return select();
    case ReplyKind::no_name:
        if (!is_minimised()) return use_denial(response, asked, RrsetKind::nxdomain);
        if (parts_.is_anchored(outgoing_) && has_signed_proof(response)) {
            // What is proven absent has nothing below (RFC 8020); whoever asked checks the proof.
            return use_denial(response, asked, RrsetKind::nxdomain);
        }
        // Many servers say NXDOMAIN for names with nothing but children (RFC 9156 §2.3).
        if (parts_.options.qname_minimisation_strict) {
            outgoing_ = question_.qname;
            return use_denial(response, {question_.qname, question_.qtype, asked.zone, false}, RrsetKind::nxdomain);
        }
        note_no_cut(response);
        give_up_minimisation();
        return select();
    case ReplyKind::lame:
    case ReplyKind::lame_recursive:
    case ReplyKind::useless: break;
    }
    if (retry_untold(response.rcode, query) || retry_plain(&response, response.rcode, query)) return;
    Attempt& how = attempt(query.server.address);
    how.out = true;
    last_ede_ = ExtendedError::no_reachable_authority;
    last_trouble_ = source_of(query) + " said " + wire::to_string(response.rcode) + " for " + outgoing_.to_text() +
                    ' ' + wire::to_string(outgoing_type_);
    if (kind == ReplyKind::lame_recursive) how.recursive_lame = true;
    if (kind != ReplyKind::useless) {
        ++parts_.stats.lame;
        last_trouble_ = source_of(query) + " does not serve " + zone_->zone.to_text();
        if (!is_minimised() && !zone_->fixed && kind == ReplyKind::lame && response.rcode == wire::Rcode::NOERROR) {
            parts_.servers.set_lame(query.server.address, zone_->zone, question_.qtype, parts_.now());
        }
    }
    if (is_minimised()) give_up_minimisation();
    select();
}

void Fetch::remove_private(std::vector<Rrset>& chain)
{
    const Options& options = parts_.options;
    if (options.private_addresses.empty()) return;
    for (Rrset& set : chain) {
        if (std::any_of(options.private_domains.begin(), options.private_domains.end(),
                        [&](const Name& domain) { return set.owner.is_under(domain); })) {
            continue;
        }
        cache::RdataList kept;
        for (const base::Bytes rdata : set.records) {
            if (!holds_address(set.type, rdata, options.private_addresses)) kept.add(rdata);
        }
        if (kept.size() != set.records.size()) set.signatures = {};
        set.records = kept;
    }
}

void Fetch::use_answer(Response& response, const Asked& asked)
{
    auto chain = take_answer(response, asked, parts_.stats);
    if (chain.empty()) return use_long_name(response, asked);
    if (question_.qname.is_root() && question_.qtype == RrType::NS && zone_->fixed && !zone_->forward) {
        use_root(response, chain.front());
    }
    remove_private(chain);
    keep_cut_of_forwarder(response);
    if (response.incomplete) {
        chain.front().ede = ExtendedError::other;
        chain.front().ede_text = "records that do not fit their type were left out";
    }
    for (Rrset& set : chain) {
        if (set.records.empty()) {
            set.kind = RrsetKind::nodata;
            set.ttl = wire::Ttl{0};
        }
        if (!set.authority.empty() && set.authority.front()->type == RrType::DNAME) {
            set.authority.front() = keep(*set.authority.front());
        }
        RrsetPtr kept = keep(std::move(set));
        if (!result_.set) {
            result_.set = std::move(kept);
        } else {
            result_.more.push_back(std::move(kept));
        }
    }
    succeed();
}

/// The DNAME says it; whoever asked checks that it may be believed.
void Fetch::use_long_name(const Response& response, const Asked& asked)
{
    const Rrset* const found = find_long_dname(response, asked);
    if (found == nullptr) { // of names above the zone that was asked its servers know nothing
        attempt(result_.server).out = true;
        last_ede_ = ExtendedError::invalid_data;
        last_trouble_ = "what was said of " + asked.qname.to_text() + " does not answer the question";
        return select();
    }
    Rrset dname = *found;
    dname.zone = asked.zone;
    result_.rcode = wire::Rcode::YXDOMAIN;
    result_.more.push_back(keep(std::move(dname)));
    succeed();
}

void Fetch::use_denial(Response& response, const Asked& asked, RrsetKind kind)
{
    // RFC 7871 §7.4: that there is nothing counts for everybody, whatever scope a server gives it.
    result_.set = parts_.store.put(take_denial(response, asked, kind), parts_.now());
    for (const RrsetPtr& set : result_.set->authority) {
        if (set->type != RrType::SOA) continue;
        Rrset soa = *set;
        soa.rank = cache::Rank::referral; // not as an answer, for its TTL is that of a denial
        parts_.store.put(std::move(soa), parts_.now());
    }
    succeed();
}

void Fetch::use_referral(Response& response, const Asked& asked)
{
    if (++referrals_ > parts_.options.limits.referrals) {
        ++parts_.stats.budget_referrals;
        return fail(ExtendedError::no_reachable_authority, "too many referrals");
    }
    ++parts_.stats.referrals;
    Referral referral = take_referral(response, asked, parts_.options, parts_.stats);
    const base::Instant now = parts_.now();
    auto delegation = std::make_shared<Delegation>(std::move(referral.delegation));
    const auto ttl = std::min(referral.ttl.seconds(), parts_.store.options().max_ttl);
    delegation->ttl = wire::Ttl{ttl};
    delegation->expires = now + std::chrono::seconds(ttl);
    // Nor longer than the cut above it: when that is taken back, all below goes with it.
    if (!zone_->fixed && zone_->expires != base::Instant{})
        delegation->expires = std::min(delegation->expires, zone_->expires);
    if (referral.ds) {
        parts_.store.put(std::move(*referral.ds), now);
    } else if (!referral.denials.empty()) {
        keep_no_ds(delegation->zone, wire::Ttl{ttl}, referral.denials);
    }
    // What is configured stays: a referral into a stub zone leads to the servers that the operator named.
    const DelegationPtr fixed = parts_.delegations.find(delegation->zone, now, skip_first_);
    if (fixed && fixed->fixed) return enter(fixed);
    parts_.delegations.put(delegation);
    enter(std::move(delegation));
}

/// A referral without DS and with a proof of that; whoever needs it checks it.
void Fetch::keep_no_ds(const Name& cut, wire::Ttl ttl, const std::vector<Rrset>& denials)
{
    Rrset none;
    none.owner = cut;
    none.type = RrType::DS;
    none.kind = RrsetKind::nodata;
    none.rank = cache::Rank::referral;
    none.zone = zone_->zone;
    none.ttl = ttl;
    for (const Rrset& set : denials) {
        none.ttl = std::min(none.ttl, set.ttl);
        none.authority.push_back(std::make_shared<Rrset>(set));
    }
    parts_.store.put(std::move(none), parts_.now());
}

/// A forwarder may give an alias and, beside it, the referral to where it leads, with the proof that there is no DS.
void Fetch::keep_cut_of_forwarder(const Response& response)
{
    if (!zone_->forward || !has_signed_proof(response)) return;
    const auto servers = std::find_if(response.authority.begin(), response.authority.end(),
                                      [](const Rrset& set) { return set.type == RrType::NS; });
    if (servers == response.authority.end() || !servers->signatures.empty()) return;
    if (servers->owner.is_root() || !servers->owner.is_under(zone_->zone) || !parts_.is_anchored(servers->owner))
        return;
    std::vector<Rrset> denials;
    for (const Rrset& set : response.authority) {
        if (set.type == RrType::NSEC || set.type == RrType::NSEC3) denials.push_back(set);
    }
    keep_no_ds(servers->owner, servers->ttl, denials);
}

/// RFC 8109 §3.3: the root's servers by the root's own word, kept in the place of the hints.
void Fetch::use_root(const Response& response, const Rrset& set)
{
    auto root = std::make_shared<Delegation>();
    for (const base::Bytes rdata : set.records) {
        const auto name = wire::target_name(RrType::NS, rdata);
        if (!name || root->servers.size() >= parts_.options.limits.servers) continue;
        root->servers.push_back({name->lower(), find_glue(response, *name, parts_.options)});
    }
    const bool reachable = std::any_of(root->servers.begin(), root->servers.end(),
                                       [](const NameServer& server) { return !server.glue.empty(); });
    if (!reachable || !parts_.options.prime) return;
    root->expires = parts_.now() + std::chrono::seconds(std::min(set.ttl.seconds(), parts_.store.options().max_ttl));
    parts_.delegations.put_primed(std::move(root));
}

} // namespace sallyport::resolver::iterate
