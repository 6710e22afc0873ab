#pragma once

#include "base/counter.hpp"
#include "cache/cache.hpp"
#include "cache/entry.hpp"
#include "cache/table.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

namespace sallyport::cache {

inline constexpr std::size_t kHitAges = 21; ///< under 1 s, 2 s, 4 s, … 2^19 s, and the rest

struct ShardStats {
    base::Counter hits, stale_hits, misses, expired, inserts, replaced, evicted, evicted_expired, second_chances;
    base::Counter refused, too_large, full, flushed, prefetches, truncated;
    base::Counter entries, bytes, segments;
    std::array<base::Counter, kHitAges> hit_ages;
};

/// What a shard needs to know of the options.
struct ShardLimits {
    std::uint64_t bytes = 0;
    std::uint32_t max_entry = 0;
    std::uint32_t max_negative_entry = 0;
    std::uint32_t stale_ttl = 0; ///< seconds
    std::int32_t stale_for = 0;  ///< ticks; 0 where stale answers are not given out
    bool prefetch = false;
};

/// One part of the cache, with a lock of its own: whoever calls anything but `prefetch` holds `mutex`.
///
/// Entries lie one behind the other in segments, and segments stand in the order they were filled. Where room is
/// needed, the clock's hand passes over the oldest segment: entries that were asked for since it last came stay, moved
/// together; the others go; and the segment is filled up anew (CLOCK, that is FIFO with second chance). So there are no
/// free lists and no fragments, and an entry costs its octets and eight for the table.
class alignas(64) Shard {
public:
    Shard() = default;
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    std::mutex mutex;

    /// Takes new limits: entries stay as far as they fit. False where the system has no memory for the table.
    bool configure(const ShardLimits& limits) noexcept;
    [[nodiscard]] const ShardLimits& limits() const noexcept { return limits_; }

    /// Fetches what a search will read first. Without the lock.
    void prefetch(std::uint64_t hash) const noexcept;
    /// The entry of `key`; null where there is none. Valid while the lock is held and nothing is put.
    [[nodiscard]] std::uint8_t* find(std::uint64_t hash, const Key& key) const noexcept;
    /// An entry to be filled by the caller, of `size` octets, its head's `units` set and `visited` where it replaces
    /// one that was; in the table already. Null where there is no room.
    [[nodiscard]] std::uint8_t* put(std::uint64_t hash, const Key& key, std::size_t size, Tick now) noexcept;

    [[nodiscard]] bool is_past(const EntryHead& head, Tick now) const noexcept
    {
        return ticks_between(head.expires, now) >= limits_.stale_for;
    }

    /// Visits what lives in segment `index`: `visit(entry, head)` returns whether it shall stay. False past the last.
    template <class Visit>
    bool each_in_segment(std::size_t index, Visit&& visit)
    {
        if (index >= segments_.size()) return false;
        Segment& segment = segments_[index];
        for (std::uint32_t at = 0; at < segment.used;) {
            std::uint8_t* const entry = segment.pages.data() + at;
            const EntryHead head = load_head(entry);
            at += head.units * static_cast<std::uint32_t>(kUnit);
            if ((head.flags & entry_flag::dead) == 0 && !visit(entry, head)) remove(index, entry, head);
        }
        release_if_empty(static_cast<std::uint32_t>(index));
        return true;
    }
    /// The segments in use, the oldest first.
    void list_segments(std::vector<std::uint32_t>& out) const;
    /// Copies what lies in segment `index` to `room`, of `kSegmentSize` octets; returns how many. False past the last.
    [[nodiscard]] bool copy_segment(std::size_t index, std::uint8_t* room, std::uint32_t& size) const noexcept;
    void clear() noexcept;
    /// Out of use: holds nothing, not even a table.
    void retire() noexcept;

    ShardStats stats;

private:
    static constexpr std::uint32_t kNone = UINT32_MAX;
    static constexpr unsigned kOffsetBits = 14;

    struct Segment {
        Pages pages;
        std::uint32_t used = 0; ///< octets
        std::uint32_t live = 0; ///< entries
        std::uint32_t older = kNone;
        std::uint32_t newer = kNone;
    };

    [[nodiscard]] static std::uint32_t reference(std::uint32_t segment, std::size_t offset) noexcept
    {
        return ((segment + 1) << kOffsetBits) | static_cast<std::uint32_t>(offset / kUnit);
    }
    [[nodiscard]] std::uint8_t* entry_at(std::uint32_t ref) const noexcept
    {
        const std::size_t offset = (ref & ((1U << kOffsetBits) - 1)) * kUnit;
        return segments_[(ref >> kOffsetBits) - 1].pages.data() + offset;
    }

    bool resize_table(std::uint64_t slots) noexcept;
    void remove(std::size_t segment, std::uint8_t* entry, EntryHead head) noexcept;
    void release_if_empty(std::uint32_t index) noexcept;
    void free_segment(std::uint32_t index) noexcept;
    void unlink(std::uint32_t index) noexcept;
    void link_newest(std::uint32_t index) noexcept;
    [[nodiscard]] bool take_segment() noexcept;
    [[nodiscard]] std::uint32_t room_in(std::uint32_t index) const noexcept;
    void sweep(std::uint32_t index, std::uint32_t keep, Tick now) noexcept;
    [[nodiscard]] bool make_room(std::uint32_t size, Tick now) noexcept;
    void drop_oldest() noexcept;
    [[nodiscard]] std::uint8_t* reuse(std::uint64_t hash, const Key& key, std::size_t size, bool& visited) noexcept;
    void count_bytes() noexcept;

    ShardLimits limits_;
    Table table_;
    std::atomic<const std::uint64_t*> table_at_{nullptr}; // for `prefetch`
    std::atomic<std::uint64_t> table_slots_{0};
    std::uint64_t max_entries_ = 0;
    std::uint64_t entries_ = 0;
    std::vector<Segment> segments_;
    std::vector<std::uint32_t> free_; // segments that hold nothing, not even memory
    std::uint64_t max_segments_ = 0;
    std::uint64_t in_use_ = 0;
    std::uint32_t oldest_ = kNone;
    std::uint32_t newest_ = kNone; // the one that is filled
};

/// The least a shard can work with: a table and a few segments.
inline constexpr std::uint64_t kLeastShard = 512U << 10U;
/// The most it can have references for.
inline constexpr std::uint64_t kMostShard = 16ULL << 30U;
/// Octets that one entry may have at most, head and name included.
inline constexpr std::size_t kSegmentSize = 68U << 10U;

} // namespace sallyport::cache
