#include "pipeline/observer.hpp"
#include "pipeline/pipeline_parts.hpp"

#include <span>

/// Queries that wait for their answer: where they are kept, what ends their wait, and what limits it.
namespace sallyport::pipeline {
namespace {

using wire::ExtendedError;
using wire::Rcode;

constexpr std::size_t kQueriesAtOnce = 64;
constexpr std::size_t kKeptCapacity = 1024;

} // namespace

void Pipeline::keep(Query& query) noexcept
{
    query.answer = nullptr;       // it is lent to others from now on
    if (query.suspended_) return; // a later stage suspended it again: it has its copy
    // The door's buffer is about to be used again.
    const base::Bytes bytes = query.request.bytes();
    query.kept_.assign(bytes.begin(), bytes.end());
    query.request = *wire::MessageView::parse(query.kept_);
    query.suspended_ = true;
    query.owner_->push_back(query);
    parts_->waiting.add(query);
    ++stats_.suspended;
    stats_.in_flight.add();
    stats_.in_flight_octets.add(query.kept_.size());
}

void Pipeline::resume(Query& query, Step step, base::Instant now) noexcept
{
    // The worker's one answer buffer was lent to others meanwhile.
    if (query.answer == nullptr) restart_answer(query);
    // Cookies are made with the time of the answer, not of the arrival.
    (void)parts_->unix_time(now);
    parts_->set_now(now);
    switch (step) {
    case Step::next: return walk(query, query.stage_ + 1);
    case Step::answered: return deliver(query);
    case Step::drop: return discard(query);
    case Step::suspended: return;
    }
}

/// The start of a chain of aliases anew: it was written to a buffer that others have used since. `next`: it stands
/// there. `suspended`: the zones have changed, and it leads elsewhere.
Step Pipeline::write_chain(Query& query) noexcept
{
    const wire::Name rest = query.rest;
    query.chained = false;
    const Step step = parts_->zones.handle(query);
    if (step == Step::answered) return step;
    return step == Step::next && query.chained && query.rest == rest ? Step::next : Step::suspended;
}

void Pipeline::resolved(Query& query, const resolver::Outcome& outcome, base::Instant now) noexcept
{
    if (parts_->waiting.is_late(query, now)) {
        ++stats_.late_unanswered;
        return discard(query);
    }
    restart_answer(query);
    (void)parts_->unix_time(now);
    parts_->set_now(now);
    if (query.chained) {
        const Step step = write_chain(query);
        if (step == Step::answered) return deliver(query);
        if (step != Step::next) {
            restart_answer(query);
            query.chained = false;
            query.source = Source::none;
            query.rule = query.group = {};
            return walk(query, 0);
        }
    }
    parts_->resolve.write(query, outcome);
    if (query.trace != nullptr)
        query.trace->step("resolver", outcome.answer != nullptr ? "answered" : "failed",
                          outcome.upstream.empty() ? outcome.ede_text : outcome.upstream);
    deliver(query);
}

void Query::resolved(const resolver::Outcome& outcome, base::Instant now) noexcept
{
    pipeline_->resolved(*this, outcome, now);
}

// ---- time

std::optional<base::Instant> Pipeline::due() const noexcept { return parts_->waiting.due(); }

void Pipeline::expire(base::Instant now) noexcept
{
    while (Query* const query = parts_->waiting.next_impatient(now)) give_stale(*query, now);
    while (Query* const query = parts_->waiting.next_over(now)) give_up(*query, now);
    parts_->waiting.wind();
}

/// RFC 8767 §5: the client has waited long enough for something better. The search goes on, for those who come after.
void Pipeline::give_stale(Query& query, base::Instant now) noexcept
{
    if (parts_->services.cache == nullptr) return;
    const wire::Name rest = query.rest;
    const bool chained = query.chained;
    restart_answer(query);
    (void)parts_->unix_time(now);
    parts_->set_now(now);
    const bool stands = !chained || write_chain(query) == Step::next;
    if (stands && parts_->cache.answer_stale(query)) {
        ++stats_.stale_in_time;
        return deliver(query);
    }
    query.chained = chained;
    query.rest = rest;
    query.source = Source::none;
    query.answer = nullptr; // it goes on waiting
}

/// Whatever becomes of the question, this client has its answer now.
void Pipeline::give_up(Query& query, base::Instant now) noexcept
{
    ++stats_.waited_too_long;
    if (parts_->waiting.is_late(query, now)) {
        ++stats_.late_unanswered;
        return discard(query);
    }
    restart_answer(query);
    (void)parts_->unix_time(now);
    parts_->set_now(now);
    query.chained = false;
    query.answer->set_rcode(Rcode::SERVFAIL);
    query.ede = Query::Ede{ExtendedError::no_reachable_authority, "no answer in time"};
    query.uncacheable = true;
    deliver(query);
}

// ---- the pool

void Pipeline::abandon(QueryList& queries) noexcept
{
    while (!queries.empty()) {
        ++stats_.abandoned;
        release(queries.front());
    }
}

Query* Pipeline::take_query(std::size_t request_size) noexcept
{
    // It may have to wait, and be kept whole for that.
    if (request_size > kKeptCapacity && stats_.in_flight_octets.get() + request_size > parts_->in_flight_octets_limit) {
        ++stats_.in_flight_octets_full;
        return nullptr;
    }
    if (parts_->free == nullptr) {
        if (stats_.in_flight.get() >= parts_->in_flight_limit) {
            ++stats_.in_flight_full;
            return nullptr;
        }
        parts_->chunks.push_back(std::make_unique<Query[]>(kQueriesAtOnce));
        for (Query& fresh : std::span{parts_->chunks.back().get(), kQueriesAtOnce}) {
            fresh.next_free_ = parts_->free;
            parts_->free = &fresh;
        }
    }
    Query* const query = parts_->free;
    parts_->free = query->next_free_;
    return query;
}

/// Takes a query off the lists it waits in. Before its door hears: who hears may end the connection, and with it
/// abandon every query still listed, which must not give this one back a second time.
void Pipeline::detach(Query& query) noexcept
{
    if (!query.suspended_) return;
    query.suspended_ = false;
    parts_->waiting.remove(query);
    query.QueryHook::unlink();
    query.waiting.unlink();
    query.resolver::Waiter::unlink();
    stats_.in_flight.sub();
    stats_.in_flight_octets.sub(query.kept_.size());
}

void Pipeline::release(Query& query) noexcept
{
    detach(query);
    query.answer = nullptr;
    if (&query == &parts_->spare) return;
    // A long request is not what the next one will need: the pool keeps no more than a common one takes.
    if (query.kept_.capacity() > kKeptCapacity) std::vector<std::uint8_t>{}.swap(query.kept_);
    query.next_free_ = parts_->free;
    parts_->free = &query;
}

} // namespace sallyport::pipeline
