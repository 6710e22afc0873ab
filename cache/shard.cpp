#include "cache/shard.hpp"

#include <algorithm>
#include <cassert>

namespace sallyport::cache {
namespace {

/// Octets of the limit that one slot of the table is for: an entry of one address has about 64 octets.
constexpr std::uint64_t kBytesPerSlot = 72;
/// Of 16 slots at most so many are taken.
constexpr std::uint64_t kFullSixteenths = 14;
/// So many segments are looked at for entries that may go before some must that should not.
constexpr unsigned kSecondChances = 4;

constexpr std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }

std::uint16_t units_of(std::size_t size) noexcept { return static_cast<std::uint16_t>((size + kUnit - 1) / kUnit); }

} // namespace

bool Shard::configure(const ShardLimits& limits) noexcept
{
    const std::uint64_t bytes = std::clamp(limits.bytes, kLeastShard, kMostShard);
    const std::uint64_t slots = bytes / kBytesPerSlot;
    const std::uint64_t fixed = sizeof(Shard) + Table::bytes_for(slots);
    const std::uint64_t each = kSegmentSize + sizeof(Segment) + sizeof(std::uint32_t);
    max_segments_ = (bytes - fixed) / each;
    while (in_use_ > max_segments_) drop_oldest();
    limits_ = limits;
    segments_.reserve(max_segments_);
    free_.reserve(max_segments_);
    if (table_.slots() != slots && !resize_table(slots)) return false;
    count_bytes();
    return true;
}

bool Shard::resize_table(std::uint64_t slots) noexcept
{
    Table table{slots};
    if (!table) return false;
    max_entries_ = slots * kFullSixteenths / 16;
    while (entries_ > max_entries_) drop_oldest();
    std::swap(table_, table);
    table_at_.store(table_.home_of(0), std::memory_order_relaxed);
    table_slots_.store(slots, std::memory_order_relaxed);
    for (std::uint32_t index = 0; index < segments_.size(); ++index) {
        Segment& segment = segments_[index];
        for (std::uint32_t at = 0; at < segment.used;) {
            std::uint8_t* const entry = segment.pages.data() + at;
            EntryHead head = load_head(entry);
            const std::uint32_t offset = at;
            at += head.units * static_cast<std::uint32_t>(kUnit);
            if ((head.flags & entry_flag::dead) != 0) continue;
            if (table_.insert(tag_of(hash_of_entry(entry, head)), reference(index, offset))) continue;
            head.flags |= entry_flag::dead;
            store_head(entry, head);
            --segment.live;
            --entries_;
        }
    }
    return true;
}

void Shard::prefetch(std::uint64_t hash) const noexcept
{
    const std::uint64_t slots = table_slots_.load(std::memory_order_relaxed);
    const std::uint64_t* const at = table_at_.load(std::memory_order_relaxed);
    // Where the table has just been replaced this fetches nothing of use, and does no harm.
    __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(at) +
                                                     ((tag_of(hash) * slots) >> 32U) * sizeof(std::uint64_t)));
}

std::uint8_t* Shard::find(std::uint64_t hash, const Key& key) const noexcept
{
    const std::uint16_t flags = key_flags(key);
    std::uint8_t* found = nullptr;
    const auto is_it = [&](std::uint32_t ref) {
        std::uint8_t* const entry = entry_at(ref);
        __builtin_prefetch(entry + 64); // most entries lie on two lines
        if (!is_entry_of(entry, key, flags)) return false;
        found = entry;
        return true;
    };
    static_cast<void>(table_.find(tag_of(hash), is_it));
    return found;
}

std::uint8_t* Shard::put(std::uint64_t hash, const Key& key, std::size_t size, Tick now) noexcept
{
    assert(size <= kSegmentSize);
    bool visited = false;
    if (std::uint8_t* const entry = reuse(hash, key, size, visited)) return entry;
    while (entries_ >= max_entries_) {
        const std::uint64_t before = entries_;
        if (!make_room(kSegmentSize / 2, now) || entries_ == before) drop_oldest();
    }
    const std::uint16_t units = units_of(size);
    const auto room = static_cast<std::uint32_t>(units * kUnit);
    if ((newest_ == kNone || room_in(newest_) < room) && !take_segment() && !make_room(room, now)) return nullptr;

    Segment& segment = segments_[newest_];
    if (!table_.insert(tag_of(hash), reference(newest_, segment.used))) return nullptr;
    std::uint8_t* const entry = segment.pages.data() + segment.used;
    EntryHead head;
    head.units = units;
    head.flags = visited ? entry_flag::visited : 0;
    store_head(entry, head);
    segment.used += room;
    ++segment.live;
    ++entries_;
    count_bytes();
    return entry;
}

/// An answer that comes anew mostly fits where it stood before. Where it does not, the old one goes.
std::uint8_t* Shard::reuse(std::uint64_t hash, const Key& key, std::size_t size, bool& visited) noexcept
{
    const std::uint16_t flags = key_flags(key);
    const std::uint32_t ref =
        table_.find(tag_of(hash), [&](std::uint32_t at) { return is_entry_of(entry_at(at), key, flags); });
    if (ref == 0) return nullptr;
    stats.replaced.add();
    std::uint8_t* const entry = entry_at(ref);
    EntryHead head = load_head(entry);
    visited = (head.flags & entry_flag::visited) != 0;
    const std::uint16_t units = units_of(size);
    if (units <= head.units && head.units <= 2 * units) {
        head.flags = visited ? entry_flag::visited : 0;
        store_head(entry, head);
        return entry;
    }
    const std::uint32_t segment = (ref >> kOffsetBits) - 1;
    remove(segment, entry, head);
    release_if_empty(segment);
    return nullptr;
}

void Shard::remove(std::size_t segment, std::uint8_t* entry, EntryHead head) noexcept
{
    const auto offset = static_cast<std::size_t>(entry - segments_[segment].pages.data());
    table_.erase(tag_of(hash_of_entry(entry, head)), reference(static_cast<std::uint32_t>(segment), offset));
    head.flags |= entry_flag::dead;
    store_head(entry, head);
    --segments_[segment].live;
    stats.entries.set(--entries_);
}

std::uint32_t Shard::room_in(std::uint32_t index) const noexcept
{
    return static_cast<std::uint32_t>(kSegmentSize) - segments_[index].used;
}

void Shard::release_if_empty(std::uint32_t index) noexcept
{
    Segment& segment = segments_[index];
    if (segment.live != 0 || segment.used == 0) return;
    unlink(index);
    free_segment(index);
    --in_use_;
    count_bytes();
}

/// The memory goes back, the addresses stay: to unmap here and there would break up the map of the process.
void Shard::free_segment(std::uint32_t index) noexcept
{
    segments_[index].pages.discard();
    segments_[index].used = segments_[index].live = 0;
    free_.push_back(index);
}

void Shard::unlink(std::uint32_t index) noexcept
{
    Segment& segment = segments_[index];
    (segment.older == kNone ? oldest_ : segments_[segment.older].newer) = segment.newer;
    (segment.newer == kNone ? newest_ : segments_[segment.newer].older) = segment.older;
    segment.older = segment.newer = kNone;
}

void Shard::link_newest(std::uint32_t index) noexcept
{
    segments_[index].older = newest_;
    (newest_ == kNone ? oldest_ : segments_[newest_].newer) = index;
    newest_ = index;
}

/// A segment more to be filled; false where the limit or the system has none.
bool Shard::take_segment() noexcept
{
    if (in_use_ >= max_segments_) return false;
    if (free_.empty()) {
        Pages pages{kSegmentSize};
        if (!pages) return false;
        free_.push_back(static_cast<std::uint32_t>(segments_.size()));
        segments_.emplace_back().pages = std::move(pages); // within what was reserved
    }
    link_newest(free_.back());
    free_.pop_back();
    ++in_use_;
    return true;
}

/// Passes the clock's hand over a segment. At most `keep` octets stay.
void Shard::sweep(std::uint32_t index, std::uint32_t keep, Tick now) noexcept
{
    Segment& segment = segments_[index];
    std::uint8_t* const data = segment.pages.data();
    std::uint32_t to = 0;
    for (std::uint32_t at = 0; at < segment.used;) {
        EntryHead head = load_head(data + at);
        const std::uint32_t size = head.units * static_cast<std::uint32_t>(kUnit);
        const std::uint32_t from = at;
        at += size;
        if ((head.flags & entry_flag::dead) != 0) continue;
        const bool past = is_past(head, now);
        if (past || (head.flags & entry_flag::visited) == 0 || to + size > keep) {
            (past ? stats.evicted_expired : stats.evicted).add();
            remove(index, data + from, head);
            continue;
        }
        head.flags &= static_cast<std::uint16_t>(~entry_flag::visited);
        store_head(data + from, head);
        stats.second_chances.add();
        if (to != from) {
            const std::uint32_t tag = tag_of(hash_of_entry(data + from, head));
            table_.replace(tag, reference(index, from), reference(index, to));
            std::memmove(data + to, data + from, size);
        }
        to += size;
    }
    segment.used = to;
}

/// Leaves `size` octets of room in the newest segment, at the cost of what nobody asks for.
bool Shard::make_room(std::uint32_t size, Tick now) noexcept
{
    for (unsigned chance = 0; oldest_ != kNone; ++chance) {
        const std::uint32_t index = oldest_;
        const auto whole = static_cast<std::uint32_t>(kSegmentSize);
        sweep(index, chance < kSecondChances ? whole : std::min(whole / 2, whole - size), now);
        unlink(index);
        link_newest(index);
        if (room_in(index) >= size) return true;
    }
    return false;
}

void Shard::list_segments(std::vector<std::uint32_t>& out) const
{
    out.clear();
    out.reserve(in_use_);
    for (std::uint32_t index = oldest_; index != kNone; index = segments_[index].newer) out.push_back(index);
}

bool Shard::copy_segment(std::size_t index, std::uint8_t* room, std::uint32_t& size) const noexcept
{
    if (index >= segments_.size()) return false;
    size = segments_[index].used;
    if (size > 0) std::memcpy(room, segments_[index].pages.data(), size);
    return true;
}

void Shard::drop_oldest() noexcept
{
    if (oldest_ == kNone) return;
    const std::uint32_t index = oldest_;
    const std::uint64_t before = entries_;
    Segment& segment = segments_[index];
    for (std::uint32_t at = 0; at < segment.used;) {
        std::uint8_t* const entry = segment.pages.data() + at;
        const EntryHead head = load_head(entry);
        at += head.units * static_cast<std::uint32_t>(kUnit);
        if ((head.flags & entry_flag::dead) == 0) remove(index, entry, head);
    }
    stats.evicted.add(before - entries_);
    if (segment.used == 0) segment.used = static_cast<std::uint32_t>(kUnit); // so that it goes as an emptied one does
    release_if_empty(index);
}

void Shard::clear() noexcept
{
    stats.flushed.add(entries_);
    while (oldest_ != kNone) {
        const std::uint32_t index = oldest_;
        unlink(index);
        free_segment(index);
    }
    table_.clear();
    in_use_ = entries_ = 0;
    count_bytes();
}

void Shard::retire() noexcept
{
    clear();
    table_ = Table{};
    table_slots_.store(0, std::memory_order_relaxed);
    table_at_.store(nullptr, std::memory_order_relaxed);
    segments_ = std::vector<Segment>{};
    free_ = std::vector<std::uint32_t>{};
    stats.bytes.set(0);
}

void Shard::count_bytes() noexcept
{
    stats.entries.set(entries_);
    stats.segments.set(in_use_);
    stats.bytes.set(sizeof(Shard) + table_.bytes() + in_use_ * kSegmentSize +
                    segments_.size() * (sizeof(Segment) + sizeof(std::uint32_t)));
}

} // namespace sallyport::cache
