#include "resolver/iterate/fetch.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {

using wire::ExtendedError;
using wire::Name;
using wire::RrType;

Fetch::Fetch(Engine::Parts& parts, Question question, BudgetPtr budget, unsigned depth,
             std::vector<base::IpAddress> avoid, bool whole_name, bool renews)
    : Job(parts, std::move(budget), depth),
      question_(std::move(question)),
      avoid_(std::move(avoid)),
      whole_name_(whole_name),
      renews_(renews)
{
    in_flight_.join(parts_.fetches_in_flight, parts_.now());
}

Fetch::~Fetch()
{
    if (token_ != 0) parts_.forget(token_);
    leave_all();
}

bool Fetch::waits_for(const Job& other, unsigned depth) const
{
    if (depth == 0) return true; // so deep that nobody needs to know
    // Zones that serve each other make a dense web: each look-up is looked at once, or the search would never end.
    if (searched_ == parts_.search) return false;
    searched_ = parts_.search;
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

void Fetch::enter(DelegationPtr delegation)
{
    in_zone_.leave();
    zone_ = std::move(delegation);
    if (!join_zone()) return;
    attempts_.clear();
    lookups_.clear();
    looked_up_.clear();
    other_names_.clear();
    empty_seen_ = false;
    failing_lookups_ = 0;
    own_names_used_ = false;
    parents_word_ = false;
    begin_minimisation();
    select();
}

void Fetch::succeed()
{
    leave_all();
    lookups_.clear();
    finish();
}

void Fetch::fail(ExtendedError ede, std::string text, bool spent)
{
    if (done_) return;
    // A limit of whoever asked says nothing of the name, nor does that all servers but those avoided are silent.
    if (!spent && avoid_.empty()) {
        parts_.remember_failure({question_.qname, question_.qtype, question_.qclass, question_.subnet}, ede, text,
                                parts_.options.failure_ttl);
    }
    end_without(ede, std::move(text), spent);
}

void Fetch::end_without(ExtendedError ede, std::string text, bool spent)
{
    tell_failure(text);
    result_.set = nullptr;
    result_.ede = ede;
    result_.text = std::move(text);
    result_.spent = spent;
    result_.silence = silence_;
    succeed();
}

} // namespace sallyport::resolver::iterate
