#include "resolver/crowd_zone.hpp"
#include "resolver/resolver_parts.hpp"
#include "wire/message_writer.hpp"

#include <algorithm>
#include <array>

namespace sallyport::resolver {
namespace {

// What another worker may take beyond the budget to tell.
constexpr base::Duration kGrace = std::chrono::milliseconds{300};
// RFC 9520 §3.2: a failure to reach anybody is remembered for at least a second.
constexpr base::Duration kUnreachableFor = std::chrono::seconds{1};
constexpr base::Duration kLeastBudget = std::chrono::milliseconds{500};
// Where there are too many questions, one that had this long makes room for a new one.
constexpr base::Duration kFlightHadItsChance = std::chrono::milliseconds{200};

cache::Key cache_key(const FlightKey& key) noexcept
{
    cache::Key made;
    made.qname = &key.inquiry.qname;
    made.qtype = key.inquiry.qtype;
    made.qclass = key.inquiry.qclass;
    made.dnssec_ok = key.inquiry.dnssec_ok;
    made.checking_disabled = key.inquiry.checking_disabled;
    made.partition = key.partition;
    return made;
}

Outcome outcome_of(const FlightResult& result) noexcept
{
    Outcome outcome;
    outcome.answer = result.has_answer ? &result.answer : nullptr;
    outcome.validation = result.validation;
    outcome.ede = result.ede;
    outcome.ede_text = result.ede_text;
    outcome.upstream = result.upstream;
    outcome.subnet_scope = result.subnet_scope;
    return outcome;
}

std::shared_ptr<const FlightResult> copy_of(const FlightResult& result)
{
    auto copy = std::make_shared<FlightResult>(result);
    copy->answer.message = copy->message;
    return copy;
}

} // namespace

FlightKey flight_key(const Question& question) noexcept
{
    FlightKey key;
    key.inquiry = {question.qname, question.qtype, question.qclass, question.dnssec_ok, question.checking_disabled,
                   question.subnet};
    key.partition = partition_of(question.group);
    return key;
}

std::shared_ptr<Group> Resolver::Parts::named_group(std::string_view name) const
{
    const auto named = table ? table->routes.find_group(name) : std::nullopt;
    return named ? table->groups[*named] : nullptr;
}

std::shared_ptr<Group> Resolver::Parts::group_for(const Question& question) const
{
    if (!table || around.options->mode == Mode::off) return nullptr;
    if (!question.group.empty()) return named_group(question.group);
    if (recurses(question)) return nullptr; // the engine knows the routes, and validates
    const auto match = table->routes.find(question.qname, question.qtype);
    // Where we recurse, names without a route of their own go to nobody's group.
    if (match && match->zone.empty() && around.options->mode == Mode::recurse) return nullptr;
    return match ? table->groups[match->group] : nullptr;
}

/// Names that nobody answers would keep out all others for as long as the budget is: the oldest gives way.
bool Resolver::Parts::make_room(base::Instant now)
{
    if (by_age.empty() || !make_way(by_age.front(), now)) return false;
    stats.gave_way.add();
    return true;
}

/// Lets go of one that has had its chance.
bool Resolver::Parts::make_way(Pending& oldest, base::Instant now)
{
    const bool about_to_move = oldest.WorkHook::is_linked();
    if (about_to_move || now - oldest.began < kFlightHadItsChance) return false;
    oldest.timer.cancel();
    leaving.push_back(take(oldest)); // who waits hears at the end of this wake-up, not from within `resolve`
    worker.flush_later(flush);
    return true;
}

void Resolver::Parts::give_way(Pending& gone, base::Instant now)
{
    stats.failed.add();
    FlightResult result;
    result.ede = wire::ExtendedError::no_reachable_authority;
    result.ede_text = "no answer yet, and too many questions wait";
    if (gone.resolution || gone.recursing) {
        const auto copy = copy_of(result);
        for (const auto& follower : shared.end(gone.key, gone.flight))
            Mailbox::send(follower, gone.key, gone.flight, copy);
    }
    tell(gone, result, now);
}

/// Where a question that is forwarded counts: the zone of its route, or what may be registered. Where the engine asks
/// name servers it counts by itself.
std::optional<wire::Name> Resolver::Parts::zone_of(const Question& question) const
{
    if (!question.group.empty()) return crowd_zone(question.qname);
    const auto match = table ? table->routes.find(question.qname, question.qtype) : std::nullopt;
    if (!match || (match->zone.empty() && around.options->mode == Mode::recurse)) return std::nullopt;
    if (match->zone.empty()) return crowd_zone(question.qname);
    const auto zone = wire::Name::from_text(match->zone);
    return zone ? std::optional{zone->lower()} : std::nullopt;
}

/// Above the limit of a zone the oldest gives way; where all are young, up to a quarter of what there is goes to it.
bool Resolver::Parts::may_crowd(const wire::Name& zone, base::Instant now)
{
    const auto found = crowds.find(zone);
    const Limits& limits = around.options->limits;
    if (found == crowds.end() || found->second.count < limits.per_zone) return true;
    if (make_way(found->second.members.front(), now)) {
        stats.zone_gave_way.add();
        return true;
    }
    if (found->second.count < std::max(limits.per_zone, limits.in_flight / 4)) return true;
    stats.zone_full.add();
    return false;
}

bool Resolver::Parts::may_take(const Limits& limits, base::Instant now)
{
    if (pending_.size() >= limits.in_flight && !make_room(now)) {
        stats.in_flight_full.add();
        return false;
    }
    if (stats.in_flight_octets.get() + kOctets > limits.in_flight_octets) {
        stats.octets_full.add();
        return false;
    }
    return true;
}

Taken Resolver::Parts::join(Pending& pending, Waiter* waiter)
{
    if (waiter == nullptr) return Taken::waiting;
    const std::uint32_t most = around.options->limits.waiters;
    // Those who left are counted off when it matters.
    if (pending.joined >= most) pending.joined = static_cast<std::uint32_t>(pending.waiters.size());
    if (pending.joined >= most) {
        stats.waiters_full.add();
        return Taken::overloaded;
    }
    pending.waiters.push_back(*waiter);
    ++pending.joined;
    return Taken::waiting;
}

Taken Resolver::Parts::resolve(const Question& question, Waiter* waiter, base::Instant now)
{
    stats.questions.add();
    if (stopped) return Taken::overloaded;
    const FlightKey key = flight_key(question);
    if (const auto found = pending_.find(key); found != pending_.end()) {
        stats.joined.add();
        return join(*found->second, waiter);
    }
    auto group = group_for(question);
    if ((!group || group->upstreams.empty()) && !recurses(question)) {
        stats.no_route.add();
        return Taken::no_route;
    }
    const auto zone = zone_of(question);
    if (zone && !may_crowd(*zone, now)) return Taken::overloaded;
    if (!may_take(around.options->limits, now)) return Taken::overloaded;
    auto made = std::make_unique<Pending>(*this, key, std::move(group), now);
    Pending& pending = *made;
    pending_.emplace(key, std::move(made));
    stats.in_flight.set(pending_.size());
    stats.in_flight_octets.add(kOctets);
    starting.push_back(pending);
    by_age.push_back(pending);
    if (zone) {
        pending.zone = *zone;
        Crowd& crowd = crowds[*zone];
        crowd.members.push_back(pending);
        ++crowd.count;
    }
    worker.flush_later(flush);
    return join(pending, waiter);
}

void Resolver::Parts::work(base::Instant now) noexcept
{
    while (!starting.empty() || !done.empty() || !leaving.empty()) {
        if (!leaving.empty()) {
            const auto gone = std::move(leaving.back());
            leaving.pop_back();
            give_way(*gone, now);
            continue;
        }
        if (!starting.empty()) {
            Pending& next = starting.front();
            starting.pop_front();
            begin(next, now);
            continue;
        }
        Pending& next = done.front();
        done.pop_front();
        deliver(next, now);
    }
}

void Resolver::Parts::begin(Pending& pending, base::Instant now)
{
    const auto joined = shared.join(pending.key, mailbox);
    pending.flight = joined.flight;
    Limits limits = around.options->limits;
    if (!pending.group) limits.budget = std::max(limits.budget, recursion.patience());
    if (!joined.is_owner) {
        stats.joined_elsewhere.add();
        worker.arm(pending.timer, std::max(pending.began + limits.budget, now) + kGrace);
        return;
    }
    stats.asked.add();
    pending.timer.cancel();
    if (!pending.group) {
        begin_recursion(pending);
        return;
    }
    // One that was taken over has used up some of its clients' patience.
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(pending.began + limits.budget - now);
    limits.budget = std::max(left, std::chrono::duration_cast<std::chrono::milliseconds>(kLeastBudget));
    limits.budget = std::min(limits.budget, around.options->limits.budget);
    pending.resolution =
        std::make_unique<Resolution>(static_cast<ResolutionUser&>(*this), worker, pending.group, pending.key, limits,
                                     cache != nullptr ? cache->options() : cache::Options{});
    pending.resolution->start(now);
}

void Resolver::Parts::resolution_ended(Resolution& ended, base::Instant) noexcept
{
    const auto found = pending_.find(ended.key());
    if (found == pending_.end() || found->second->resolution.get() != &ended) return;
    done.push_back(*found->second);
    worker.flush_later(flush);
}

std::unique_ptr<Resolver::Parts::Pending> Resolver::Parts::take(Pending& pending)
{
    const auto found = pending_.find(pending.key);
    auto owned = std::move(found->second);
    owned->AgeHook::unlink();
    if (owned->ZoneHook::is_linked()) {
        owned->ZoneHook::unlink();
        const auto crowd = crowds.find(owned->zone);
        if (crowd != crowds.end() && --crowd->second.count == 0) crowds.erase(crowd);
    }
    pending_.erase(found);
    stats.in_flight.set(pending_.size());
    stats.in_flight_octets.sub(kOctets);
    return owned;
}

void Resolver::Parts::deliver(Pending& pending, base::Instant now)
{
    const auto owned = take(pending);
    const FlightResult& result = owned->recursing ? owned->found : owned->resolution->result();
    const bool failure = owned->recursing ? !result.has_answer : owned->resolution->is_failure();
    if (!failure) {
        stats.answered.add();
        keep(owned->key, result, now);
    } else {
        (result.has_answer ? stats.servfail : stats.failed).add();
    }
    const auto followers = shared.end(owned->key, owned->flight);
    if (!followers.empty()) {
        const auto copy = copy_of(result);
        for (const auto& follower : followers) Mailbox::send(follower, owned->key, owned->flight, copy);
    }
    tell(*owned, result, now);
    if (failure) keep_failure(owned->key, result, now);
}

void Resolver::Parts::tell(Pending& pending, const FlightResult& result, base::Instant now)
{
    const Outcome outcome = outcome_of(result);
    while (!pending.waiters.empty()) {
        Waiter& waiter = pending.waiters.front();
        pending.waiters.pop_front();
        waiter.resolved(outcome, now);
    }
}

void Resolver::Parts::keep(const FlightKey& key, const FlightResult& result, base::Instant now)
{
    if (cache == nullptr || result.answer.lifetime <= base::Duration::zero()) return;
    // Not for everybody: the engine keeps it for whom it is (RFC 7871 §7.3.1).
    if (result.subnet_scope && key.inquiry.subnet) return;
    cache::Notes notes;
    notes.validation = result.validation;
    notes.ede = result.ede;
    notes.ede_text = result.ede_text;
    (void)cache->store(cache_key(key), result.answer, notes, now);
}

/// RFC 9520: who has just failed is not asked again at once for the same. The cache keeps what may still be given out.
void Resolver::Parts::keep_failure(const FlightKey& key, const FlightResult& result, base::Instant now)
{
    if (cache == nullptr || key.inquiry.subnet) return;
    // What is past its time does not stand in for bogus data.
    const bool bogus = result.validation == wire::ValidationState::bogus;
    if (!bogus && cache->renewal_failed(cache_key(key), now)) return;
    std::array<std::uint8_t, kQueryRoom> room;
    wire::MessageWriter writer{room, room.size()};
    writer.begin(0, wire::flag::QR | wire::flag::RD | wire::flag::RA);
    if (!writer.question(key.inquiry.qname, key.inquiry.qtype, key.inquiry.qclass)) return;
    writer.set_rcode(wire::Rcode::SERVFAIL);
    cache::Prepared failure;
    failure.message = writer.message();
    failure.rcode = wire::Rcode::SERVFAIL;
    failure.lifetime = result.has_answer ? base::Duration{cache->options().failure_ttl} : kUnreachableFor;
    cache::Notes notes;
    notes.ede = result.ede;
    notes.ede_text = result.ede_text;
    (void)cache->store(cache_key(key), failure, notes, now);
}

void Resolver::Parts::follower_expired(Pending& pending, base::Instant now)
{
    stats.expired.add();
    FlightResult result;
    result.ede = wire::ExtendedError::no_reachable_authority;
    result.ede_text = "no upstream answered in time";
    const auto owned = take(pending);
    tell(*owned, result, now);
}

void Resolver::Parts::heard(const FlightKey& key, std::uint64_t flight, const FlightResult& result)
{
    const auto found = pending_.find(key);
    if (found == pending_.end() || found->second->resolution || found->second->recursing ||
        found->second->flight != flight)
        return;
    Pending& pending = *found->second;
    if (result.abandoned) {
        stats.taken_over.add();
        pending.flight = 0;
        starting.push_back(pending);
        worker.flush_later(this->flush);
        return;
    }
    const auto owned = take(pending);
    (result.has_answer ? stats.answered : stats.failed).add();
    tell(*owned, result, worker.now());
}

} // namespace sallyport::resolver
