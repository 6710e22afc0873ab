#include "cache/cache.hpp"

#include "cache/cache_parts.hpp"
#include "cache/entry_writer.hpp"
#include "cache/records.hpp"

#include <algorithm>
#include <bit>

namespace sallyport::cache {
namespace {

using std::chrono::seconds;

/// How long nobody else is told to ask anew (RFC 8767 §5: the failure recheck timer).
constexpr std::uint16_t kAskEvery = 30;

bool is_failure(const EntryHead& head) noexcept
{
    return head.rcode == static_cast<std::uint8_t>(wire::Rcode::SERVFAIL);
}

void read_ede(const std::uint8_t* entry, const EntryHead& head, Found& found) noexcept
{
    if ((head.flags & entry_flag::has_ede) == 0) return;
    const std::uint8_t* const at = entry + ede_offset(head);
    found.ede = static_cast<wire::ExtendedError>(base::load_be16({at, 2}, 0));
    found.ede_text_size = at[2];
    std::memcpy(found.ede_text.data(), at + 3, found.ede_text_size);
}

/// Whether this caller, and no other for a while, should ask anew.
bool takes_refresh(EntryHead& head, bool is_stale, std::int32_t left, Tick now, const ShardLimits& limits) noexcept
{
    const std::int32_t life = ticks_between(head.stored, head.expires);
    if (is_failure(head) || !(is_stale || (limits.prefetch && left <= life / 10))) return false;
    const auto second = static_cast<std::uint16_t>(now / kTicksPerSecond);
    const auto since = static_cast<std::uint16_t>(second - head.asked_at);
    if ((head.flags & entry_flag::asked) != 0 && since < kAskEvery) return false;
    head.flags |= entry_flag::asked;
    head.flags &= static_cast<std::uint16_t>(~entry_flag::unrenewed);
    head.asked_at = second;
    return true;
}

/// Whether a new try to renew it has just failed: so soon nobody needs to try again.
bool is_unrenewed(const EntryHead& head, Tick now) noexcept
{
    const auto second = static_cast<std::uint16_t>(now / kTicksPerSecond);
    return (head.flags & entry_flag::unrenewed) != 0 && static_cast<std::uint16_t>(second - head.asked_at) < kAskEvery;
}

void count_hit(ShardStats& stats, std::uint32_t age) noexcept
{
    stats.hits.add();
    stats.hit_ages[std::min<std::size_t>(static_cast<std::size_t>(std::bit_width(age)), kHitAges - 1)].add();
}

} // namespace

Cache::Cache(const Options& options) : parts_(std::make_unique<Parts>(options)) {}

Cache::~Cache() = default;

Found Cache::find(const Key& key, base::Instant now, wire::MessageWriter& answer, Stale stale) noexcept
{
    Found found;
    if (!parts_->enabled.load(std::memory_order_relaxed)) return found;
    const std::uint64_t hash = hash_of(key);
    parts_->shard_of(hash).prefetch(hash);
    const Tick tick = tick_of(now);
    std::unique_lock<std::mutex> held;
    Shard& shard = parts_->lock(hash, held);
    std::uint8_t* const entry = shard.find(hash, key);
    if (entry == nullptr || answer.size() != wire::kHeaderSize + key.qname->size() + kQuestionFields) {
        shard.stats.misses.add();
        return found;
    }

    EntryHead head = load_head(entry);
    const std::int32_t left = ticks_between(tick, head.expires);
    const bool is_stale = left <= 0;
    const bool is_past = is_stale && ((stale == Stale::no && !is_unrenewed(head, tick)) || shard.is_past(head, tick));
    // A failure is not given out past its time, nor to who would take anything that is better than one.
    if (is_past || (is_failure(head) && (is_stale || stale == Stale::allowed))) {
        shard.stats.misses.add();
        if (is_stale) shard.stats.expired.add();
        return found;
    }
    const auto age = static_cast<std::uint32_t>(std::max(ticks_between(head.stored, tick), 0)) / kTicksPerSecond;
    found.kind = is_stale ? Found::Kind::stale : Found::Kind::fresh;
    found.rcode = static_cast<wire::Rcode>(head.rcode);
    found.validation = validation_of(head);
    found.age = seconds{age};
    read_ede(entry, head, found);
    found.prefetch = takes_refresh(head, is_stale, left, tick, shard.limits());
    if (found.prefetch) shard.stats.prefetches.add();

    head.flags |= entry_flag::visited;
    if (head.hits != UINT16_MAX) ++head.hits;
    store_use(entry, head);
    count_hit(shard.stats, age);
    if (is_stale) shard.stats.stale_hits.add();
    const std::uint32_t stale_ttl = shard.limits().stale_ttl;
    const Ageing ageing = is_stale ? Ageing{0, stale_ttl, stale_ttl} : Ageing{age};
    const base::Bytes records{entry + records_offset(entry, head), head.records_size};
    // Past its time nobody knows whether the signatures still hold (RFC 4035 §5.3.3).
    const bool authentic = !is_stale && (head.flags & entry_flag::authentic) != 0;
    if (!append_records(answer, records, counts_of(head), ageing, found.rcode, authentic)) {
        shard.stats.truncated.add();
    }
    return found;
}

bool Cache::renewal_failed(const Key& key, base::Instant now) noexcept
{
    if (!parts_->enabled.load(std::memory_order_relaxed)) return false;
    const std::uint64_t hash = hash_of(key);
    const Tick tick = tick_of(now);
    std::unique_lock<std::mutex> held;
    Shard& shard = parts_->lock(hash, held);
    std::uint8_t* const entry = shard.find(hash, key);
    if (entry == nullptr) return false;
    EntryHead head = load_head(entry);
    if (is_failure(head) || shard.is_past(head, tick)) return false;
    head.flags |= entry_flag::asked | entry_flag::unrenewed;
    head.asked_at = static_cast<std::uint16_t>(tick / kTicksPerSecond);
    store_use(entry, head);
    return true;
}

bool Cache::store(const Key& key, const Prepared& prepared, const Notes& notes, base::Instant now) noexcept
{
    if (!parts_->enabled.load(std::memory_order_relaxed)) return false;
    const std::uint64_t hash = hash_of(key);
    const Tick tick = tick_of(now);
    const auto draft = draft_of(key, prepared, notes);
    std::unique_lock<std::mutex> held;
    Shard& shard = parts_->lock(hash, held);
    if (!draft || prepared.lifetime < seconds{1} || notes.validation == wire::ValidationState::bogus) {
        shard.stats.refused.add();
        return false;
    }
    const ShardLimits& limits = shard.limits();
    if (prepared.message.size() > (prepared.negative ? limits.max_negative_entry : limits.max_entry)) {
        shard.stats.too_large.add();
        return false;
    }
    if (prepared.rcode == wire::Rcode::SERVFAIL) {
        // A failure to refresh takes nothing away that can still be given out (RFC 8767 §4).
        const std::uint8_t* const old = shard.find(hash, key);
        if (old != nullptr && !is_failure(load_head(old)) && !shard.is_past(load_head(old), tick)) {
            shard.stats.refused.add();
            return false;
        }
    }
    std::uint8_t* const entry = shard.put(hash, key, draft->size, tick);
    if (entry == nullptr) {
        shard.stats.full.add();
        return false;
    }
    fill(entry, key, prepared, notes, *draft, tick);
    shard.stats.inserts.add();
    return true;
}

} // namespace sallyport::cache
