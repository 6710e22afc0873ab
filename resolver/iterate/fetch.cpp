#include "resolver/iterate/fetch.hpp"

#include "wire/rdata.hpp"

#include <algorithm>

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

} // namespace

Fetch::Fetch(Engine::Parts& parts, Question question, BudgetPtr budget, unsigned depth,
             std::vector<base::IpAddress> avoid, bool whole_name, bool renews)
    : Job(parts, std::move(budget), depth),
      question_(std::move(question)),
      avoid_(std::move(avoid)),
      whole_name_(whole_name),
      renews_(renews)
{
    ++parts_.fetches_in_flight;
}

Fetch::~Fetch()
{
    if (token_ != 0) parts_.forget(token_);
    count_zone(false);
    if (!done_) --parts_.fetches_in_flight;
}

bool Fetch::waits_for(const Job& other, unsigned depth) const
{
    if (depth == 0) return true; // so deep that nobody needs to know
    return std::any_of(lookups_.begin(), lookups_.end(), [&](const std::shared_ptr<Fetch>& lookup) {
        return lookup.get() == &other || lookup->waits_for(other, depth - 1);
    });
}

void Fetch::run()
{
    if (done_) return;
    if (parts_.now() >= budget_->deadline) {
        ++parts_.stats.budget_time;
        return fail(ExtendedError::no_reachable_authority, "no answer in time", true);
    }
    switch (state_) {
    case State::begin:
    case State::priming: return begin();
    case State::select: return select();
    case State::waiting: return;
    }
}

// --- from zone cut to zone cut

DelegationPtr Fetch::closest_cut(const Name& name) const
{
    return parts_.delegations.closest(name, parts_.now(), skip_first_, renews_);
}

void Fetch::begin()
{
    // DS belongs to the parent's side of a cut (RFC 4035 §2.4).
    const bool at_parent = question_.qtype == RrType::DS && !question_.qname.is_root();
    const Name start = at_parent ? question_.qname.parent() : question_.qname;
    DelegationPtr closest = closest_cut(start);
    const bool asks_root = question_.qname.is_root() && question_.qtype == RrType::NS;
    if (closest->hints && parts_.options.prime && !asks_root && state_ == State::begin) {
        state_ = State::priming;
        ++parts_.stats.priming;
        const Question root{Name{}, RrType::NS, question_.qclass, false};
        if (auto lookup = parts_.fetch(root, shared_from_this(), budget_, depth_ + 1)) {
            if (!lookup->is_done()) {
                lookups_.push_back(std::move(lookup));
                return;
            }
        }
    }
    lookups_.clear();
    closest = closest_cut(start);
    while (!closest->fixed && !closest->zone.is_root() && leads_to_itself(*closest)) {
        closest = closest_cut(closest->zone.parent());
    }
    enter(std::move(closest));
}

/// Whether the cut's servers have no address but one that its own servers would have to tell: then its parent is asked.
bool Fetch::leads_to_itself(const Delegation& delegation) const
{
    const bool address = question_.qtype == RrType::A || question_.qtype == RrType::AAAA;
    if (depth_ < 2 || !address) return false; // a client's question: that addresses are missing will show
    for (const NameServer& server : delegation.servers) {
        if (!server.glue.empty() || !server.name.is_under(delegation.zone)) return false;
        for (const RrType type : {RrType::A, RrType::AAAA}) {
            const RrsetPtr set = parts_.store.find(server.name, type, wire::RrClass::IN, parts_.now());
            if (set && set->is_data()) return false;
        }
    }
    return true;
}

void Fetch::count_zone(bool add)
{
    if (add == counted_ || !zone_) return;
    counted_ = add;
    if (add) {
        ++parts_.fetches_by_zone[zone_->zone];
    } else if (const auto it = parts_.fetches_by_zone.find(zone_->zone);
               it != parts_.fetches_by_zone.end() && --it->second == 0) {
        parts_.fetches_by_zone.erase(it);
    }
}

void Fetch::enter(DelegationPtr delegation)
{
    count_zone(false);
    zone_ = std::move(delegation);
    const auto busy = parts_.fetches_by_zone.find(zone_->zone);
    if (!zone_->fixed && busy != parts_.fetches_by_zone.end() && busy->second >= parts_.options.max_fetches_per_zone) {
        ++parts_.stats.budget_zone_fetches;
        return fail(ExtendedError::other, "too many look-ups in " + zone_->zone.to_text());
    }
    count_zone(true);
    attempts_.clear();
    lookups_.clear();
    looked_up_.clear();
    other_names_.clear();
    empty_seen_ = false;
    failing_lookups_ = 0;
    own_names_used_ = false;
    parents_word_ = false;
    const unsigned labels = question_.qname.label_count();
    minimise_ =
        parts_.options.qname_minimisation && !whole_name_ && !zone_->forward && labels > zone_->zone.label_count() + 1;
    minimised_labels_ = zone_->zone.label_count() + 1;
    if (!minimise_) minimised_labels_ = labels;
    set_outgoing_name();
    select();
}

// --- which name is asked for (RFC 9156)

void Fetch::set_outgoing_name()
{
    const unsigned labels = question_.qname.label_count();
    if (!minimise_ || minimised_labels_ >= labels) {
        outgoing_ = question_.qname;
        outgoing_type_ = question_.qtype;
        return;
    }
    outgoing_ = question_.qname.parent(labels - minimised_labels_);
    outgoing_type_ = RrType::A;
}

bool Fetch::is_minimised() const
{
    return outgoing_type_ != question_.qtype || outgoing_.label_count() != question_.qname.label_count();
}

void Fetch::next_label()
{
    // §2.3: one label at a time at first, then so many that the limit is kept.
    constexpr unsigned kOneByOne = 4;
    const unsigned left = question_.qname.label_count() - minimised_labels_;
    const unsigned most = parts_.options.limits.minimisation_steps;
    ++minimisation_steps_;
    unsigned step = 1;
    if (minimisation_steps_ >= most) {
        step = left;
    } else if (minimisation_steps_ >= kOneByOne) {
        step = std::max(1U, (left + most - minimisation_steps_ - 1) / (most - minimisation_steps_));
    }
    minimised_labels_ += std::min(step, left);
    for (Attempt& attempt : attempts_) attempt.tries = attempt.tcp_tries = 0; // it is another question
    set_outgoing_name();
}

void Fetch::give_up_minimisation()
{
    ++parts_.stats.minimisation_fallbacks;
    minimise_ = false;
    for (Attempt& attempt : attempts_) attempt.out = false;
    set_outgoing_name();
}

// --- what came of it

void Fetch::no_reply(const Pending& query, bool timed_out)
{
    token_ = 0;
    if (done_) return;
    last_ede_ = ExtendedError::no_reachable_authority;
    last_trouble_ = "no reply from " + query.server.address.to_string() + " for " + zone_->zone.to_text();
    if (parts_.tell) parts_.say(timed_out ? "timeout" : "error", query.server.to_string());
    if (!timed_out && !query.tcp) attempt(query.server.address).out = true;
    select();
}

void Fetch::ask_over_tcp(const Pending& query)
{
    token_ = 0;
    if (done_) return;
    if (attempt(query.server.address).tcp_tries < parts_.options.limits.tcp_tries) return ask(query.server, true);
    attempt(query.server.address).out = true;
    select();
}

bool Fetch::retry_plain(const Response* response, wire::Rcode rcode, const Pending& query)
{
    // RFC 6891 §7: who does not know EDNS says FORMERR, some NOTIMP; who knows another version says BADVERS.
    const bool unknown = rcode == wire::Rcode::FORMERR || rcode == wire::Rcode::NOTIMP;
    if (!query.edns || !(unknown || rcode == wire::Rcode::BADVERS)) return false;
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
    token_ = 0;
    if (done_) return;
    if (message == nullptr) {
        ++parts_.stats.malformed;
        attempt(query.server.address).out = true;
        last_ede_ = ExtendedError::invalid_data;
        last_trouble_ = "malformed reply from " + query.server.address.to_string();
        return select();
    }
    if (message->header().has(wire::flag::TC) && query.tcp) return reply(query, nullptr); // nothing can be longer
    if (message->header().has(wire::flag::TC) &&
        attempt(query.server.address).tcp_tries < parts_.options.limits.tcp_tries) {
        ++parts_.stats.truncated;
        return ask(query.server, true);
    }
    auto response = read_response(*message, outgoing_type_);
    if (!response) {
        return reply(query, nullptr);
    }
    use(*response, query);
}

void Fetch::use(Response& response, const Pending& query)
{
    const Asked asked{outgoing_, outgoing_type_, zone_->zone, zone_->forward || asked_recursively_ == 1};
    const ReplyKind kind = classify(response, asked);
    result_.server = query.server.address;
    if (parts_.tell) {
        constexpr const char* kWords[] = {"answer", "no data",         "no name", "referral",
                                          "lame",   "lame, recursive", "useless"};
        parts_.say("reply", query.server.to_string() + ' ' + wire::to_string(response.rcode) + ' ' +
                                kWords[static_cast<std::size_t>(kind)]);
    }
    if (kind == ReplyKind::answer || kind == ReplyKind::no_data) note_own_servers(response);
    switch (kind) {
    case ReplyKind::referral: return use_referral(response, asked);
    case ReplyKind::answer:
        if (!is_minimised()) return use_answer(response, asked);
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
        give_up_minimisation();
        return select();
    case ReplyKind::lame:
    case ReplyKind::lame_recursive:
    case ReplyKind::useless: break;
    }
    if (retry_plain(&response, response.rcode, query)) return;
    Attempt& how = attempt(query.server.address);
    how.out = true;
    last_ede_ = ExtendedError::no_reachable_authority;
    last_trouble_ = query.server.address.to_string() + " said " + wire::to_string(response.rcode) + " for " +
                    outgoing_.to_text() + ' ' + wire::to_string(outgoing_type_);
    if (kind == ReplyKind::lame_recursive) how.recursive_lame = true;
    if (kind != ReplyKind::useless) {
        ++parts_.stats.lame;
        last_trouble_ = query.server.address.to_string() + " does not serve " + zone_->zone.to_text();
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
    if (chain.empty()) {
        result_.rcode = wire::Rcode::YXDOMAIN;
        for (const Rrset& set : response.answers) {
            // Of names above the zone that was asked its servers know nothing.
            if (set.type == RrType::DNAME && asked.qname.is_under(set.owner) && set.owner.is_under(asked.zone)) {
                Rrset dname = set;
                dname.zone = asked.zone;
                result_.more.push_back(parts_.store.put(std::move(dname), parts_.now()));
            }
        }
        return succeed();
    }
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
            set.authority.front() = parts_.store.put(*set.authority.front(), parts_.now());
        }
        RrsetPtr kept = parts_.store.put(std::move(set), parts_.now());
        if (!result_.set) {
            result_.set = std::move(kept);
        } else {
            result_.more.push_back(std::move(kept));
        }
    }
    succeed();
}

void Fetch::use_denial(Response& response, const Asked& asked, RrsetKind kind)
{
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

void Fetch::succeed()
{
    --parts_.fetches_in_flight;
    count_zone(false);
    lookups_.clear();
    finish();
}

void Fetch::fail(ExtendedError ede, std::string text, bool spent)
{
    if (done_) return;
    if (parts_.tell) parts_.say("fail", question_.qname.to_text() + ' ' + text);
    result_.set = nullptr;
    result_.ede = ede;
    result_.text = std::move(text);
    result_.spent = spent;
    // A limit of whoever asked says nothing of the name, nor does that all servers but those avoided are silent.
    if (!spent && avoid_.empty()) {
        parts_.remember_failure({question_.qname, question_.qtype, question_.qclass}, ede, result_.text,
                                parts_.options.failure_ttl);
    }
    succeed();
}

} // namespace sallyport::resolver::iterate
