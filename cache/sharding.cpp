#include "cache/cache_parts.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <new>
#include <thread>
#include <vector>

namespace sallyport::cache {
namespace {

constexpr unsigned kMostShards = 4096;

/// Shards by processors, or as configured; never so few that one could not be referred into.
unsigned wanted_shards(const Options& options)
{
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    const unsigned asked = options.shards != 0 ? options.shards : 8 * cores;
    unsigned shards = std::bit_ceil(std::min(asked, kMostShards));
    while (options.bytes / shards > kMostShard) shards *= 2;
    return shards;
}

unsigned fitting_shards(const Options& options, unsigned most)
{
    unsigned shards = std::min(wanted_shards(options), most);
    while (shards > 1 && options.bytes / shards < kLeastShard) shards /= 2;
    return shards;
}

ShardLimits limits_of(const Options& options, unsigned shards)
{
    ShardLimits limits;
    limits.bytes = options.bytes / shards;
    limits.max_entry = options.max_entry;
    limits.max_negative_entry = options.max_negative_entry;
    limits.stale_ttl = static_cast<std::uint32_t>(options.stale_ttl.count());
    const auto stale_ticks = static_cast<std::int64_t>(options.stale_for.count()) * kTicksPerSecond;
    if (options.serve_stale) {
        limits.stale_for = static_cast<std::int32_t>(
            std::clamp<std::int64_t>(stale_ticks, 0, std::numeric_limits<std::int32_t>::max()));
    }
    limits.prefetch = options.prefetch;
    return limits;
}

} // namespace

Cache::Parts::Parts(const Options& given)
    : options(given), allocated(wanted_shards(given)), shards(new Shard[allocated])
{
    const unsigned active = fitting_shards(given, allocated);
    for (unsigned i = 0; i < active; ++i) {
        if (!shards[i].configure(limits_of(given, active))) throw std::bad_alloc{};
    }
    mask.store(active - 1, std::memory_order_relaxed);
    enabled.store(given.enabled, std::memory_order_relaxed);
}

void Cache::reconfigure(const Options& options)
{
    const std::lock_guard changing{parts_->changing};
    {
        const std::lock_guard held{parts_->options_mutex};
        parts_->options = options;
    }
    parts_->enabled.store(options.enabled, std::memory_order_relaxed);
    const unsigned active = fitting_shards(options, parts_->allocated);
    if (active != parts_->active()) {
        parts_->change_shards(active);
    } else {
        for (unsigned i = 0; i < active; ++i) {
            const std::lock_guard held{parts_->shards[i].mutex};
            // Where there is no memory for another table it goes on with the one it has.
            static_cast<void>(parts_->shards[i].configure(limits_of(options, active)));
        }
    }
    if (!options.enabled) flush_all();
}

void Cache::Parts::change_shards(unsigned active_then)
{
    std::vector<std::unique_lock<std::mutex>> held;
    held.reserve(allocated);
    for (unsigned i = 0; i < allocated; ++i) held.emplace_back(shards[i].mutex);
    const ShardLimits limits = limits_of(options, active_then);
    for (unsigned i = active_then; i < allocated; ++i) shards[i].retire();
    for (unsigned i = 0; i < active_then; ++i) {
        if (!shards[i].configure(limits) && i >= active()) throw std::bad_alloc{};
    }
    const unsigned mask_then = active_then - 1;
    for (unsigned i = 0; i < std::min(active(), active_then); ++i) {
        const auto stays = [&](const std::uint8_t* entry, const EntryHead& head) {
            return ((hash_of_entry(entry, head) >> 32U) & mask_then) == i;
        };
        for (std::size_t segment = 0; shards[i].each_in_segment(segment, stays);) ++segment;
    }
    mask.store(mask_then, std::memory_order_relaxed);
}

Options Cache::options() const
{
    const std::lock_guard held{parts_->options_mutex};
    return parts_->options;
}

} // namespace sallyport::cache
