#include "resolver/iterate/resolution.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {

using cache::Rrset;
using cache::RrsetKind;
using wire::ExtendedError;
using wire::Name;
using wire::Rcode;
using wire::RrType;
using wire::ValidationState;

Resolution::Resolution(Engine::Parts& parts, Question question, BudgetPtr budget, Done done, std::uint64_t number,
                       bool refresh)
    : Job(parts, std::move(budget), 0),
      question_(std::move(question)),
      tell_(std::move(done)),
      number_(number),
      current_(question_.qname),
      refresh_(refresh),
      renews_(refresh)
{
    answer_.rcode = Rcode::NOERROR;
}

bool Resolution::waits_for(const Job& other, unsigned depth) const
{
    if (depth == 0) return true;
    return (fetch_ && (fetch_.get() == &other || fetch_->waits_for(other, depth - 1))) ||
           (judge_ && judge_->waits_for(other, depth));
}

void Resolution::run()
{
    Next next = Next::go_on;
    while (next == Next::go_on && !done_) {
        switch (phase_) {
        case Phase::look: next = look(); break;
        case Phase::fetched: next = take_fetched(); break;
        case Phase::judge: next = judge(); break;
        }
    }
}

std::optional<Answer> Resolution::known_only()
{
    known_only_ = true;
    std::optional<Answer> known;
    tell_ = [&known](const Answer& answer) { known = answer; };
    run();
    return known;
}

Question Resolution::current_question() const { return question_of(current_, question_.checking_disabled); }

Question Resolution::question_of(const Name& name, bool checking_disabled) const
{
    return {name, question_.qtype, question_.qclass, checking_disabled,
            parts_.subnet_for(name, question_.qtype, question_.subnet)};
}

Key Resolution::key_of(const Name& name) const
{
    return {name, question_.qtype, question_.qclass, parts_.subnet_for(name, question_.qtype, question_.subnet)};
}

/// The longest scope counts for the whole chain.
void Resolution::note_scope(const Rrset& set, Answer& answer)
{
    if (!set.network) return;
    const auto bits = static_cast<std::uint8_t>(set.network->length());
    answer.subnet_scope = std::max(answer.subnet_scope.value_or(0), bits);
}

bool Resolution::needs_judge(const Rrset& set) const
{
    // Signatures are not signed themselves (RFC 4035 §2.2).
    return set.state == ValidationState::unchecked && set.type != RrType::RRSIG && parts_.validates() &&
           !question_.checking_disabled && question_.qclass == wire::RrClass::IN;
}

/// A set that answers the current name: out of the replies to this question, or known.
RrsetPtr Resolution::find()
{
    for (const RrsetPtr& set : carried_) {
        const bool fits = set->type == question_.qtype || set->type == RrType::CNAME;
        if (fits && set->is_data() && set->owner == current_) return set;
    }
    if (refresh_) return nullptr;
    RrsetPtr known = parts_.find_known(current_question(), cache::Rank::answer, false);
    return known && renews_ && !asked_here_ && has_grown_old(*known) ? nullptr : known;
}

Resolution::Next Resolution::look()
{
    const RrsetPtr set = question_.qtype == RrType::ANY ? nullptr : find();
    if (set) {
        const bool unchecked = needs_judge(*set);
        if (unchecked && known_only_) {
            done_ = true;
            return Next::wait;
        }
        if (unchecked) {
            judge_ = std::make_unique<Judge>(parts_, set);
            phase_ = Phase::judge;
            return Next::go_on;
        }
        return accept(set);
    }
    if (known_only_) {
        done_ = true;
        return Next::wait;
    }
    if (const Failure* failure = parts_.find_failure(key_of(current_))) {
        ++parts_.stats.cached_failures;
        fail(failure->ede, failure->text);
        return Next::wait;
    }
    refresh_ = false;
    asked_ = asked_here_ = true;
    if (parts_.options.serve_stale && !bogus_) {
        before_ = parts_.find_known(current_question(), cache::Rank::answer, true);
        before_by_ = parts_.anchors_set;
    }
    phase_ = Phase::fetched;
    fetch_ = parts_.fetch(current_question(), shared_from_this(), budget_, depth_ + 1, avoid_, whole_name_, renews_);
    if (!fetch_) {
        fail(ExtendedError::other, current_.to_text() + ": too many questions in work");
        return Next::wait;
    }
    if (parts_.options.serve_stale && parts_.options.stale_client_timeout == 0ms && tell_)
        static_cast<void>(give_stale());
    return fetch_->is_done() ? Next::go_on : Next::wait;
}

Resolution::Next Resolution::take_fetched()
{
    if (!fetch_->is_done()) return Next::wait;
    const Fetched& fetched = fetch_->result();
    if (fetched.spent && fetch_->budget() != budget_ && !budget_->spent && parts_.now() < budget_->deadline) {
        // Someone else began it and used his means up; ours are still there.
        phase_ = Phase::look;
        return Next::go_on;
    }
    if (fetched.rcode == Rcode::YXDOMAIN) {
        answer_.rcode = Rcode::YXDOMAIN;
        // The DNAME that says so must be believed, too.
        const RrsetPtr dname = fetched.more.front();
        if (!needs_judge(*dname)) return accept(dname);
        judge_ = std::make_unique<Judge>(parts_, dname);
        phase_ = Phase::judge;
        return Next::go_on;
    }
    if (!fetched.set && bogus_) {
        fail(bogus_->ede, bogus_->ede_text); // nobody else knows better: the first reason counts
        return Next::wait;
    }
    if (!fetched.set) {
        fail(fetched.ede, fetched.text);
        return Next::wait;
    }
    carried_ = fetched.more;
    if (question_.qtype == RrType::ANY && fetched.set->is_data() && fetched.set->type != RrType::CNAME) {
        any_ = fetched.more;
        std::reverse(any_.begin(), any_.end());
    }
    if (needs_judge(*fetched.set)) {
        judge_ = std::make_unique<Judge>(parts_, fetched.set);
        phase_ = Phase::judge;
        return Next::go_on;
    }
    return accept(fetched.set);
}

Resolution::Next Resolution::judge()
{
    switch (judge_->step(shared_from_this(), budget_, depth_)) {
    case Progress::waiting: return Next::wait;
    case Progress::turn: parts_.wake_next_turn(shared_from_this()); return Next::wait;
    case Progress::done: break;
    }
    const RrsetPtr set = judge_->result();
    const bool spent = judge_->is_spent();
    if (parts_.is_watched(*budget_)) tell_judged(*set);
    judge_.reset();
    if (!set->is_data() && !(set->owner == current_) && set->state != ValidationState::secure && !spent) {
        // That a name above is not there is believed of those alone who prove it.
        whole_name_ = refresh_ = true;
        phase_ = Phase::look;
        return Next::go_on;
    }
    if (set->state == ValidationState::bogus && !spent && again_elsewhere(set)) {
        phase_ = Phase::look;
        return Next::go_on;
    }
    return accept(set);
}

void Resolution::tell_judged(const Rrset& set) const
{
    Event event;
    event.kind = Event::Kind::judged;
    event.name = &set.owner;
    event.type = set.type;
    event.set = &set;
    event.state = set.state;
    event.ede = set.ede;
    event.text = set.ede_text;
    if (const auto& verdict = judge_->verdict()) {
        event.key_tag = verdict->key_tag;
        event.algorithm = verdict->algorithm;
    }
    parts_.say(*budget_, event);
}

/// Bogus data may be one server's fault alone: the same question to others of the zone.
bool Resolution::again_elsewhere(const RrsetPtr& judged)
{
    if (!fetch_ || !(judged->owner == current_) || restarts_ >= parts_.options.limits.validation_restarts) return false;
    ++restarts_;
    const base::IpAddress& server = fetch_->result().server;
    if (std::find(avoid_.begin(), avoid_.end(), server) != avoid_.end()) return false;
    avoid_.push_back(server);
    bogus_ = judged;
    refresh_ = true;
    carried_.clear();
    return true;
}

Resolution::Next Resolution::accept(const RrsetPtr& set)
{
    if (set->state == ValidationState::bogus && !question_.checking_disabled && !parts_.options.permissive) {
        fail(set->ede ? set->ede : ExtendedError::dnssec_bogus, set->ede_text);
        return Next::wait;
    }
    grown_old_ = grown_old_ || has_grown_old(*set);
    add_proof_of_insecurity(*set);
    note_scope(*set, answer_);
    any_insecure_ = any_insecure_ || set->state == ValidationState::insecure || set->state == ValidationState::bogus;
    any_unchecked_ = any_unchecked_ || set->state == ValidationState::unchecked;
    if (set->ede && !answer_.ede) {
        answer_.ede = set->ede;
        answer_.ede_text = set->ede_text;
    }
    if (!set->is_data()) {
        if (set->kind == RrsetKind::nxdomain) answer_.rcode = Rcode::NXDOMAIN;
        for (const RrsetPtr& each : set->authority) answer_.authority.push_back(newest(each));
        end();
        return Next::wait;
    }
    if (set->type == RrType::CNAME && question_.qtype != RrType::CNAME) return follow(set);
    for (const RrsetPtr& each : set->authority) {
        (each->type == RrType::DNAME ? answer_.answers : answer_.authority).push_back(each);
    }
    answer_.answers.push_back(set);
    if (!any_.empty()) {
        const RrsetPtr next = any_.back();
        any_.pop_back();
        if (!needs_judge(*next)) return accept(next);
        judge_ = std::make_unique<Judge>(parts_, next);
        phase_ = Phase::judge;
        return Next::go_on;
    }
    end();
    return Next::wait;
}

bool Resolution::has_grown_old(const Rrset& set) const
{
    return set.ttl.seconds() != 0 && 10 * std::uint64_t{set.ttl_left(parts_.now()).seconds()} <= set.ttl.seconds();
}

/// An SOA as it was heard last: it may have been renewed by another denial since.
RrsetPtr Resolution::newest(const RrsetPtr& set) const
{
    if (set->type != RrType::SOA) return set;
    RrsetPtr kept = parts_.store.find(set->owner, set->type, set->rr_class, parts_.now());
    return kept && kept->is_data() && kept->rank == cache::Rank::referral && kept->state == set->state &&
                   kept->expires > set->expires
               ? kept
               : set;
}

Resolution::Next Resolution::follow(const RrsetPtr& alias)
{
    for (const RrsetPtr& each : alias->authority) {
        (each->type == RrType::DNAME ? answer_.answers : answer_.authority).push_back(each);
    }
    answer_.answers.push_back(alias);
    const auto target = alias_target(*alias);
    seen_.push_back(current_);
    if (!target || std::find(seen_.begin(), seen_.end(), *target) != seen_.end()) {
        ++parts_.stats.loops;
        fail(ExtendedError::other, "alias " + alias->owner.to_text() + " leads to itself");
        return Next::wait;
    }
    if (++aliases_ > parts_.options.limits.aliases) {
        ++parts_.stats.budget_aliases;
        fail(ExtendedError::other, current_.to_text() + ": too many aliases");
        return Next::wait;
    }
    current_ = *target;
    asked_here_ = false;
    avoid_.clear();
    restarts_ = 0;
    whole_name_ = false;
    bogus_.reset();
    fetch_.reset();
    phase_ = Phase::look;
    return Next::go_on;
}

void Resolution::timer(base::Instant now)
{
    if (done_) return;
    if (now < budget_->deadline) {
        // The client has waited long enough; the search goes on, for those who come after.
        if (tell_) static_cast<void>(give_stale());
        return;
    }
    ++parts_.stats.budget_time;
    fail(ExtendedError::no_reachable_authority, current_.to_text() + ": no answer in time");
}

} // namespace sallyport::resolver::iterate
