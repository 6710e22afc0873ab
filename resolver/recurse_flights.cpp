#include "resolver/resolver_parts.hpp"

#include <utility>

/// Questions in flight that are answered by recursion.
namespace sallyport::resolver {

bool Resolver::Parts::recurses(const Question& question) const
{
    // CHAOS and the like have no root to begin at.
    return recursion.is_on() && needs_engine(*around.options) && question.group.empty() &&
           question.qclass == wire::RrClass::IN;
}

void Resolver::Parts::begin_recursion(Pending& pending)
{
    pending.recursing = true;
    if (!recursion.is_on()) { // switched off since it was asked
        recursed(pending.key, pending.flight, FlightResult{});
        return;
    }
    // It may be over before this returns, and `pending` then waits to be delivered.
    recursion.resolve(
        pending.key,
        [this, key = pending.key, flight = pending.flight](FlightResult result) {
            recursed(key, flight, std::move(result));
        },
        watched ? watcher_for(pending.key) : nullptr);
}

void Resolver::Parts::recursed(const FlightKey& key, std::uint64_t flight, FlightResult result)
{
    const auto found = pending_.find(key);
    if (found == pending_.end() || !found->second->recursing || found->second->flight != flight) return;
    Pending& pending = *found->second;
    pending.found = std::move(result);
    done.push_back(pending);
    worker.flush_later(flush);
}

} // namespace sallyport::resolver
