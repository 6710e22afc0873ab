#include "cache/rrset_store.hpp"

#include <algorithm>
#include <bit>
#include <mutex>
#include <utility>

namespace sallyport::cache {
namespace {

using wire::Name;
using wire::RrClass;
using wire::RrType;

// NXDOMAIN says something of every type: it stands under a type that is none.
constexpr RrType kNoType = RrsetStore::kNameError;
// The slot, its place in the table, and what the allocator and the shared pointer add to it and to the set.
constexpr std::size_t kSlotOctets = 136;
// Zone cuts may take so much beside the sets: one in so many parts of what these may.
constexpr std::uint64_t kCutsPart = 4;
// Buckets of a page: some twenty microseconds with the lock of a shard.
constexpr std::size_t kPage = 128;

RrType type_of(const Rrset& set) noexcept { return set.kind == RrsetKind::nxdomain ? kNoType : set.type; }

/// As it came, whatever was found out about it since.
RrsetPtr as_unchecked(const RrsetPtr& set)
{
    const bool is_judged = set->state != wire::ValidationState::unchecked;
    if (!is_judged && set->authority.empty()) return set;
    auto copy = std::make_shared<Rrset>(*set);
    copy->state = wire::ValidationState::unchecked;
    if (is_judged) {
        copy->ede.reset();
        copy->ede_text.clear();
    }
    for (RrsetPtr& beside : copy->authority) beside = as_unchecked(beside);
    return copy;
}

/// Out of a file: nobody's word, and no longer of use than what comes today.
void cut_down(Rrset& set, std::uint32_t least, std::uint32_t most, std::uint32_t most_beside, base::Instant now)
{
    set.state = wire::ValidationState::unchecked;
    set.ttl = wire::Ttl{std::min(std::max(set.ttl.seconds(), least), most)};
    set.expires = std::min(set.expires, now + std::chrono::seconds(set.ttl.seconds()));
    for (RrsetPtr& beside : set.authority) {
        auto copy = std::make_shared<Rrset>(*beside);
        cut_down(*copy, least, most_beside, most_beside, now);
        beside = std::move(copy);
    }
}

} // namespace

void RdataList::add(base::Bytes rdata)
{
    if (rdata.size() > 0xFFFF) return;
    // Most sets have one record: exactly its size, at once.
    if (octets_.empty()) octets_.reserve(2 + rdata.size());
    octets_.push_back(static_cast<std::uint8_t>(rdata.size() >> 8U));
    octets_.push_back(static_cast<std::uint8_t>(rdata.size() & 0xFFU));
    octets_.insert(octets_.end(), rdata.begin(), rdata.end());
    ++count_;
}

bool RdataList::contains(base::Bytes rdata) const noexcept
{
    for (auto it = begin(); it != end(); ++it) {
        if (base::equal(*it, rdata)) return true;
    }
    return false;
}

wire::Ttl Rrset::ttl_left(base::Instant now) const noexcept
{
    if (now >= expires) return wire::Ttl{0};
    // A record is given out for whole seconds; what is begun counts, so that a fresh set has the TTL it came with.
    const auto left = std::chrono::ceil<std::chrono::seconds>(expires - now).count();
    const wire::Ttl most{static_cast<std::uint32_t>(std::min<std::int64_t>(left, 0x7FFF'FFFF))};
    return ttl.seconds() == 0 ? ttl : most; // what came with 0 is given out with 0, see `RrsetStore::put`
}

std::size_t Rrset::octets() const noexcept
{
    std::size_t total = sizeof(Rrset) + records.memory() + signatures.memory() + ede_text.capacity() +
                        authority.capacity() * sizeof(RrsetPtr);
    for (const RrsetPtr& set : authority) total += set->octets();
    return total;
}

/// A hash table by owner, so that one search finds all that is known of a name, and an order by use.
struct RrsetStore::Shard {
    struct Slot {
        RrsetPtr set;
        std::uint64_t hash = 0;
        std::size_t octets = 0;
        std::uint32_t judged = 0; // of the store, when it came
        Slot* next = nullptr;     // of the same bucket
        Slot* newer = nullptr;
        Slot* older = nullptr;
    };

    explicit Shard(const std::atomic<std::uint32_t>& judged_) : judged(judged_), buckets(kLeastBuckets) {}
    ~Shard() { clear(); }
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;

    const std::atomic<std::uint32_t>& judged;
    mutable std::mutex lock;
    std::vector<Slot*> buckets; // a power of two
    Slot* newest = nullptr;     // the one used last
    Slot* oldest = nullptr;
    RrsetCounts counts;

    /// Null where it is not there.
    [[nodiscard]] Slot* find(std::uint64_t hash, const Name& owner, RrType type, RrClass rr_class)
    {
        for (Slot* slot = bucket(hash); slot != nullptr; slot = slot->next) {
            if (slot->hash == hash && is_of(*slot->set, owner, type, rr_class)) return current(slot);
        }
        return nullptr;
    }
    /// With its state forgotten where that was asked for since it came; null where nothing is left of it.
    Slot* current(Slot* slot)
    {
        const std::uint32_t now = judged.load(std::memory_order_acquire);
        if (slot->judged == now) return slot;
        if (slot->set->state == wire::ValidationState::bogus) {
            erase(slot);
            return nullptr;
        }
        slot->judged = now;
        slot->set = as_unchecked(slot->set);
        return slot;
    }
    void use(Slot* slot) noexcept
    {
        if (slot == newest) return;
        unlink(slot);
        link(slot);
    }
    void erase(Slot* slot)
    {
        Slot** at = &bucket(slot->hash);
        while (*at != slot) at = &(*at)->next;
        *at = slot->next;
        unlink(slot);
        counts.octets -= slot->octets;
        --counts.entries;
        delete slot;
    }
    void insert(std::uint64_t hash, RrsetPtr set, std::uint64_t limit, std::optional<std::uint32_t> judged_by = {})
    {
        if (counts.entries >= buckets.size()) grow();
        make_room_at(hash);
        const std::size_t octets = set->octets() + kSlotOctets;
        Slot*& head = bucket(hash);
        head = new Slot{std::move(set), hash, octets, judged_by.value_or(judged.load(std::memory_order_acquire)), head};
        link(head);
        counts.octets += octets;
        ++counts.entries;
        ++counts.stored;
        while (counts.octets > limit && newest != oldest) {
            erase(oldest);
            ++counts.evicted;
        }
    }
    void clear() noexcept
    {
        while (newest != nullptr) delete std::exchange(newest, newest->older);
        oldest = nullptr;
        std::fill(buckets.begin(), buckets.end(), nullptr);
        counts.entries = counts.octets = 0;
    }

    [[nodiscard]] Slot*& bucket(std::uint64_t hash) noexcept { return buckets[hash & (buckets.size() - 1)]; }
    /// One more type of this name would make another go.
    [[nodiscard]] bool is_full_at(std::uint64_t hash) noexcept
    {
        unsigned count = 0;
        for (const Slot* slot = bucket(hash); slot != nullptr; slot = slot->next) count += slot->hash == hash ? 1 : 0;
        return count >= kMostTypes;
    }

private:
    static constexpr std::size_t kLeastBuckets = 64;
    static constexpr unsigned kMostTypes = 100;

    /// So many types of one name are kept: who asks for all there are must not make the search long.
    void make_room_at(std::uint64_t hash)
    {
        unsigned count = 0;
        Slot* last = nullptr;
        for (Slot* slot = bucket(hash); slot != nullptr; slot = slot->next) {
            if (slot->hash != hash) continue;
            ++count;
            last = slot;
        }
        if (count < kMostTypes) return;
        erase(last);
        ++counts.evicted;
    }

    [[nodiscard]] static bool is_of(const Rrset& set, const Name& owner, RrType type, RrClass rr_class) noexcept
    {
        return type_of(set) == type && set.rr_class == rr_class && set.owner == owner;
    }
    void link(Slot* slot) noexcept
    {
        slot->newer = nullptr;
        slot->older = newest;
        (newest != nullptr ? newest->newer : oldest) = slot;
        newest = slot;
    }
    void unlink(Slot* slot) noexcept
    {
        (slot->newer != nullptr ? slot->newer->older : newest) = slot->older;
        (slot->older != nullptr ? slot->older->newer : oldest) = slot->newer;
    }
    void grow()
    {
        std::vector<Slot*> wider(2 * buckets.size());
        buckets.swap(wider);
        for (Slot* slot : wider) {
            while (slot != nullptr) {
                Slot* const next = slot->next;
                slot->next = std::exchange(bucket(slot->hash), slot);
                slot = next;
            }
        }
    }
};

RrsetStore::RrsetStore(const RrsetOptions& options) : options_(options), cuts_(options.bytes / kCutsPart)
{
    const unsigned shards = std::bit_ceil(std::clamp(options.shards, 1U, 4096U));
    for (unsigned i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>(judged_));
}

RrsetStore::~RrsetStore() = default;

RrsetStore::Shard& RrsetStore::shard_of(std::uint64_t hash) const noexcept
{
    return *shards_[(hash >> 48U) & (shards_.size() - 1)];
}

RrsetPtr RrsetStore::look(const Name& owner, RrType type, RrClass rr_class, base::Instant now, bool stale) const
{
    RrsetPtr found;
    look(owner, {&type, 1}, rr_class, now, stale, {&found, 1});
    return found;
}

void RrsetStore::look(const Name& owner, std::span<const RrType> types, RrClass rr_class, base::Instant now, bool stale,
                      std::span<RrsetPtr> found) const
{
    const std::uint64_t hash = owner.hash();
    Shard& shard = shard_of(hash);
    const auto grace = std::chrono::seconds(stale ? options_.stale_for : 0);
    const std::lock_guard guard(shard.lock);
    if (shard.bucket(hash) == nullptr) { // nothing of that name
        shard.counts.misses += types.size();
        return;
    }
    for (std::size_t i = 0; i < types.size(); ++i) {
        Shard::Slot* const slot = shard.find(hash, owner, types[i], rr_class);
        if (slot == nullptr || slot->set->expires + grace <= now) {
            ++shard.counts.misses;
            continue;
        }
        ++shard.counts.hits;
        shard.use(slot);
        found[i] = slot->set;
    }
}

void RrsetStore::find_all(const Name& owner, std::span<const RrType> types, RrClass rr_class, base::Instant now,
                          bool stale, std::span<RrsetPtr> found) const
{
    look(owner, types, rr_class, now, stale && options_.keep_stale, found);
}

RrsetPtr RrsetStore::find(const Name& owner, RrType type, RrClass rr_class, base::Instant now) const
{
    return look(owner, type, rr_class, now, false);
}

RrsetPtr RrsetStore::find_nxdomain(const Name& owner, RrClass rr_class, base::Instant now) const
{
    return look(owner, kNoType, rr_class, now, false);
}

RrsetPtr RrsetStore::find_stale(const Name& owner, RrType type, RrClass rr_class, base::Instant now) const
{
    return look(owner, type, rr_class, now, options_.keep_stale);
}

RrsetPtr RrsetStore::find_stale_nxdomain(const Name& owner, RrClass rr_class, base::Instant now) const
{
    return look(owner, kNoType, rr_class, now, options_.keep_stale);
}

void RrsetStore::cap(Rrset& set, base::Instant now) const
{
    const std::uint32_t most = set.is_data() ? options_.max_ttl : std::min(options_.max_negative_ttl, options_.max_ttl);
    const std::uint32_t seconds = std::min(std::max(set.ttl.seconds(), options_.min_ttl), most);
    set.ttl = wire::Ttl{seconds};
    set.expires = now + std::chrono::seconds(seconds);
    // A DNAME stands for many names: those that are asked for at one moment share it, though its TTL be 0. A moment is
    // the second that it came in and the next.
    if (seconds == 0 && set.is_data() && set.type == RrType::DNAME)
        set.expires = std::chrono::floor<std::chrono::seconds>(now) + std::chrono::seconds(2);
    // What stands beside it lives no longer, and has a time of its own only where it is judged.
    for (RrsetPtr& beside : set.authority) {
        if (beside->expires != base::Instant{}) continue;
        auto copy = std::make_shared<Rrset>(*beside);
        copy->ttl = wire::Ttl{std::min(std::max(copy->ttl.seconds(), options_.min_ttl), options_.max_ttl)};
        // An SOA beside a denial counts as long as the denial (RFC 2308 §3); proofs have a life of their own.
        if (!set.is_data() && copy->type == RrType::SOA) copy->ttl = std::min(copy->ttl, set.ttl);
        copy->expires = now + std::chrono::seconds(copy->ttl.seconds());
        beside = std::move(copy);
    }
}

RrsetPtr RrsetStore::put(Rrset set, base::Instant now, std::optional<std::uint32_t> judged_by)
{
    cap(set, now);
    const std::uint64_t hash = set.owner.hash();
    const std::size_t most = set.is_data() ? options_.max_octets : options_.max_negative_octets;
    const bool fits = set.octets() <= most + sizeof(Rrset) * (1 + set.authority.size());
    auto shared = std::make_shared<const Rrset>(std::move(set));
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    if (shared->network) return shared; // not for everybody
    if (!fits) {
        ++shard.counts.too_large;
        return shared;
    }
    Shard::Slot* const slot = shard.find(hash, shared->owner, type_of(*shared), shared->rr_class);
    if (slot != nullptr) {
        const Rrset& old = *slot->set;
        const bool counts = old.is_fresh(now) && old.state != wire::ValidationState::bogus;
        const bool proven = old.state == wire::ValidationState::secure && shared->state != old.state;
        if (counts && (old.rank > shared->rank || (proven && old.rank == shared->rank))) {
            ++shard.counts.outranked;
            // News of what was proven takes its place once it is proven itself: `replace`.
            return old.rank > shared->rank ? slot->set : shared;
        }
        shard.erase(slot);
    }
    shard.insert(hash, shared, options_.bytes / shards_.size(), judged_by);
    return shared;
}

RrsetPtr RrsetStore::replace(const RrsetPtr& before, Rrset set, base::Instant now,
                             std::optional<std::uint32_t> judged_by)
{
    const std::uint64_t hash = set.owner.hash();
    auto shared = std::make_shared<const Rrset>(std::move(set));
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    Shard::Slot* const slot = shard.find(hash, shared->owner, type_of(*shared), shared->rr_class);
    if (slot == nullptr || shared->network) return shared;
    const bool renews = shared->state == wire::ValidationState::secure && shared->state == slot->set->state &&
                        shared->rank >= slot->set->rank && shared->is_fresh(now);
    if (slot->set != before && !renews) return shared;
    shard.erase(slot);
    if (shared->is_fresh(now)) shard.insert(hash, shared, options_.bytes / shards_.size(), judged_by);
    return shared;
}

void RrsetStore::put_back(const RrsetPtr& worse, const RrsetPtr& older, std::optional<std::uint32_t> judged_by)
{
    const std::uint64_t hash = worse->owner.hash();
    const bool same =
        worse->owner == older->owner && type_of(*worse) == type_of(*older) && worse->rr_class == older->rr_class;
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    Shard::Slot* const slot = shard.find(hash, worse->owner, type_of(*worse), worse->rr_class);
    if (!same || slot == nullptr || slot->set != worse) return;
    shard.erase(slot);
    shard.insert(hash, older, options_.bytes / shards_.size(), judged_by);
}

void RrsetStore::erase(const Name& owner, RrType type, RrClass rr_class)
{
    const std::uint64_t hash = owner.hash();
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    if (Shard::Slot* const slot = shard.find(hash, owner, type, rr_class)) shard.erase(slot);
}

void RrsetStore::clear()
{
    for (const auto& shard : shards_) {
        const std::lock_guard guard(shard->lock);
        shard->clear();
    }
    cuts_.clear();
}

bool RrsetStore::bring_back(Rrset set, base::Instant now)
{
    const std::uint32_t most = set.is_data() ? options_.max_ttl : std::min(options_.max_negative_ttl, options_.max_ttl);
    cut_down(set, options_.min_ttl, most, options_.max_ttl, now);
    const auto grace = std::chrono::seconds(options_.keep_stale ? options_.stale_for : 0);
    const std::size_t limit = set.is_data() ? options_.max_octets : options_.max_negative_octets;
    if (set.network || set.expires + grace <= now || set.octets() > limit + sizeof(Rrset) * (1 + set.authority.size()))
        return false;
    const std::uint64_t hash = set.owner.hash();
    auto shared = std::make_shared<const Rrset>(std::move(set));
    Shard& shard = shard_of(hash);
    const std::uint64_t room = options_.bytes / shards_.size();
    const std::lock_guard guard(shard.lock);
    if (shard.find(hash, shared->owner, type_of(*shared), shared->rr_class) != nullptr) return false;
    if (shard.counts.octets + shared->octets() + kSlotOctets > room || shard.is_full_at(hash)) return false;
    shard.insert(hash, std::move(shared), room);
    return true;
}

std::optional<RrsetStore::Position> RrsetStore::page(Position from, std::vector<RrsetPtr>& sets) const
{
    if (from.shard >= shards_.size()) return std::nullopt;
    const Shard& shard = *shards_[from.shard];
    const std::lock_guard guard(shard.lock);
    // A table that has grown has twice the buckets: what stood further on still does.
    const std::size_t end = std::min(from.bucket + kPage, shard.buckets.size());
    for (std::size_t at = from.bucket; at < end; ++at)
        for (const Shard::Slot* slot = shard.buckets[at]; slot != nullptr; slot = slot->next) sets.push_back(slot->set);
    if (end < shard.buckets.size()) return Position{from.shard, end};
    return Position{from.shard + 1, 0};
}

void RrsetStore::forget_states() noexcept { judged_.fetch_add(1, std::memory_order_acq_rel); }

void RrsetStore::trust_by(std::uint64_t mark) noexcept
{
    // Under a lock, any: who finds the mark changed by another would go by states that he has not forgotten yet.
    const std::lock_guard guard(shards_.front()->lock);
    if (mark_.exchange(mark, std::memory_order_acq_rel) != mark) forget_states();
}

std::optional<std::uint32_t> RrsetStore::trusted_by(std::uint64_t mark) const noexcept
{
    // The number first: where the mark changes meanwhile it is one of before, and what it is given to is forgotten.
    const std::uint32_t number = judged_.load(std::memory_order_acquire);
    if (mark_.load(std::memory_order_acquire) != mark) return std::nullopt;
    return number;
}

RrsetCounts RrsetStore::counts() const
{
    RrsetCounts total;
    for (const auto& shard : shards_) {
        const std::lock_guard guard(shard->lock);
        total.entries += shard->counts.entries;
        total.octets += shard->counts.octets;
        total.hits += shard->counts.hits;
        total.misses += shard->counts.misses;
        total.stored += shard->counts.stored;
        total.outranked += shard->counts.outranked;
        total.evicted += shard->counts.evicted;
        total.too_large += shard->counts.too_large;
    }
    return total;
}

void RrsetStore::each(base::Instant now, const std::function<bool(const Rrset&)>& visit) const
{
    for (const auto& shard : shards_) {
        std::vector<RrsetPtr> sets;
        {
            const std::lock_guard guard(shard->lock);
            for (Shard::Slot* slot = shard->newest; slot != nullptr;) {
                Shard::Slot* const next = slot->older;
                const Shard::Slot* const kept = shard->current(slot);
                if (kept != nullptr && kept->set->is_fresh(now)) sets.push_back(kept->set);
                slot = next;
            }
        }
        for (const RrsetPtr& set : sets) {
            if (!visit(*set)) return;
        }
    }
}

} // namespace sallyport::cache
