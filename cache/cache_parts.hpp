#pragma once

#include "cache/shard.hpp"

#include <atomic>
#include <memory>
#include <mutex>

namespace sallyport::cache {

/// Shards, and who finds the one that has a key.
struct Cache::Parts {
    explicit Parts(const Options& given);

    [[nodiscard]] unsigned active() const noexcept { return mask.load(std::memory_order_relaxed) + 1; }
    [[nodiscard]] Shard& shard_of(std::uint64_t hash) const noexcept
    {
        return shards[(hash >> 32U) & mask.load(std::memory_order_relaxed)];
    }
    /// The shard of `hash`, locked. The number of shards changes only while all of them are locked.
    [[nodiscard]] Shard& lock(std::uint64_t hash, std::unique_lock<std::mutex>& held) const noexcept
    {
        for (;;) {
            Shard& shard = shard_of(hash);
            held = std::unique_lock{shard.mutex};
            if (&shard == &shard_of(hash)) [[likely]]
                return shard;
            held.unlock();
        }
    }
    /// Visits the entries, a segment of a shard under its lock at a time: `visit(entry, head)` says which stay.
    template <class Visit, class After>
    void sweep(Visit&& visit, After&& after) const
    {
        for (unsigned i = 0; i < allocated; ++i) {
            for (std::size_t segment = 0;; ++segment) {
                {
                    const std::lock_guard held{shards[i].mutex};
                    if (!shards[i].each_in_segment(segment, visit)) break;
                }
                if (!after()) return;
            }
        }
    }
    template <class IsGone>
    std::uint64_t flush(IsGone&& is_gone) const
    {
        std::uint64_t gone = 0;
        for (unsigned i = 0; i < allocated; ++i) {
            bool more = true;
            for (std::size_t segment = 0; more; ++segment) {
                const std::lock_guard held{shards[i].mutex};
                const std::uint64_t before = gone;
                more = shards[i].each_in_segment(segment, [&](const std::uint8_t* entry, const EntryHead& head) {
                    const bool goes = is_gone(name_of(entry, head));
                    gone += goes ? 1 : 0;
                    return !goes;
                });
                shards[i].stats.flushed.add(gone - before);
            }
        }
        return gone;
    }
    void change_shards(unsigned active_then);

    std::mutex changing;              // held while limits change
    mutable std::mutex options_mutex; // held for a copy
    Options options;
    unsigned allocated;
    std::unique_ptr<Shard[]> shards;
    std::atomic<unsigned> mask{0};
    std::atomic<bool> enabled{true};
};

} // namespace sallyport::cache
