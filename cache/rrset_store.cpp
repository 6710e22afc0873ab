#include "cache/rrset_store.hpp"

#include <algorithm>
#include <bit>
#include <list>
#include <mutex>
#include <unordered_map>

namespace sallyport::cache {
namespace {

using wire::Name;
using wire::RrClass;
using wire::RrType;

// NXDOMAIN says something of every type: it stands under a type that is none.
constexpr RrType kNoType{0};
constexpr std::size_t kSlotOctets = 160; // list, table and pointer, about

std::uint64_t hash_of(const Name& owner, RrType type, RrClass rr_class) noexcept
{
    const std::uint64_t tail =
        (std::uint64_t{static_cast<std::uint16_t>(type)} << 16U) | static_cast<std::uint16_t>(rr_class);
    return owner.hash() ^ (tail * 0x9E37'79B9'7F4A'7C15ULL);
}

RrType type_of(const Rrset& set) noexcept { return set.kind == RrsetKind::nxdomain ? kNoType : set.type; }

} // namespace

void RdataList::add(base::Bytes rdata)
{
    if (rdata.size() > 0xFFFF) return;
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
    return wire::Ttl{static_cast<std::uint32_t>(std::min<std::int64_t>(left, 0x7FFF'FFFF))};
}

std::size_t Rrset::octets() const noexcept
{
    std::size_t total = sizeof(Rrset) + records.octets() + signatures.octets() + ede_text.size();
    for (const RrsetPtr& set : authority) total += set->octets();
    return total;
}

struct RrsetStore::Shard {
    struct Slot {
        RrsetPtr set;
        std::uint64_t hash = 0;
        std::size_t octets = 0;
    };
    using Order = std::list<Slot>; // the one used last stands first

    mutable std::mutex lock;
    Order order;
    std::unordered_multimap<std::uint64_t, Order::iterator> table;
    RrsetCounts counts;

    [[nodiscard]] Order::iterator find(std::uint64_t hash, const Name& owner, RrType type, RrClass rr_class)
    {
        const auto [first, last] = table.equal_range(hash);
        for (auto it = first; it != last; ++it) {
            const Rrset& set = *it->second->set;
            if (type_of(set) == type && set.rr_class == rr_class && set.owner == owner) return it->second;
        }
        return order.end();
    }
    void erase(Order::iterator slot)
    {
        const auto [first, last] = table.equal_range(slot->hash);
        for (auto it = first; it != last; ++it) {
            if (it->second != slot) continue;
            table.erase(it);
            break;
        }
        counts.octets -= slot->octets;
        --counts.entries;
        order.erase(slot);
    }
    void insert(std::uint64_t hash, RrsetPtr set, std::uint64_t limit)
    {
        const std::size_t octets = set->octets() + kSlotOctets;
        order.push_front(Slot{std::move(set), hash, octets});
        table.emplace(hash, order.begin());
        counts.octets += octets;
        ++counts.entries;
        ++counts.stored;
        while (counts.octets > limit && order.size() > 1) {
            erase(std::prev(order.end()));
            ++counts.evicted;
        }
    }
};

RrsetStore::RrsetStore(const RrsetOptions& options) : options_(options)
{
    const unsigned shards = std::bit_ceil(std::clamp(options.shards, 1U, 4096U));
    for (unsigned i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>());
}

RrsetStore::~RrsetStore() = default;

RrsetStore::Shard& RrsetStore::shard_of(std::uint64_t hash) const noexcept
{
    return *shards_[(hash >> 48U) & (shards_.size() - 1)];
}

RrsetPtr RrsetStore::look(const Name& owner, RrType type, RrClass rr_class, base::Instant now, bool stale) const
{
    const std::uint64_t hash = hash_of(owner, type, rr_class);
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    const auto slot = shard.find(hash, owner, type, rr_class);
    const auto grace = std::chrono::seconds(stale ? options_.stale_for : 0);
    if (slot == shard.order.end() || slot->set->expires + grace <= now) {
        ++shard.counts.misses;
        return nullptr;
    }
    ++shard.counts.hits;
    shard.order.splice(shard.order.begin(), shard.order, slot);
    return slot->set;
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

RrsetPtr RrsetStore::put(Rrset set, base::Instant now)
{
    cap(set, now);
    const std::uint64_t hash = hash_of(set.owner, type_of(set), set.rr_class);
    const std::size_t most = set.is_data() ? options_.max_octets : options_.max_negative_octets;
    const bool fits = set.octets() <= most + sizeof(Rrset) * (1 + set.authority.size());
    auto shared = std::make_shared<const Rrset>(std::move(set));
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    if (!fits) {
        ++shard.counts.too_large;
        return shared;
    }
    const auto slot = shard.find(hash, shared->owner, type_of(*shared), shared->rr_class);
    if (slot != shard.order.end()) {
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
    shard.insert(hash, shared, options_.bytes / shards_.size());
    return shared;
}

RrsetPtr RrsetStore::replace(const RrsetPtr& before, Rrset set, base::Instant now)
{
    const std::uint64_t hash = hash_of(set.owner, type_of(set), set.rr_class);
    auto shared = std::make_shared<const Rrset>(std::move(set));
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    const auto slot = shard.find(hash, shared->owner, type_of(*shared), shared->rr_class);
    if (slot == shard.order.end()) return shared;
    const bool renews = shared->state == wire::ValidationState::secure && shared->state == slot->set->state &&
                        shared->rank >= slot->set->rank && shared->is_fresh(now);
    if (slot->set != before && !renews) return shared;
    shard.erase(slot);
    if (shared->is_fresh(now)) shard.insert(hash, shared, options_.bytes / shards_.size());
    return shared;
}

void RrsetStore::put_back(const RrsetPtr& worse, const RrsetPtr& older)
{
    const std::uint64_t hash = hash_of(worse->owner, type_of(*worse), worse->rr_class);
    const bool same = hash == hash_of(older->owner, type_of(*older), older->rr_class);
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    const auto slot = shard.find(hash, worse->owner, type_of(*worse), worse->rr_class);
    if (!same || slot == shard.order.end() || slot->set != worse) return;
    shard.erase(slot);
    shard.insert(hash, older, options_.bytes / shards_.size());
}

void RrsetStore::erase(const Name& owner, RrType type, RrClass rr_class)
{
    const std::uint64_t hash = hash_of(owner, type, rr_class);
    Shard& shard = shard_of(hash);
    const std::lock_guard guard(shard.lock);
    const auto slot = shard.find(hash, owner, type, rr_class);
    if (slot != shard.order.end()) shard.erase(slot);
}

void RrsetStore::clear()
{
    for (const auto& shard : shards_) {
        const std::lock_guard guard(shard->lock);
        shard->table.clear();
        shard->order.clear();
        shard->counts.entries = shard->counts.octets = 0;
    }
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
            for (const Shard::Slot& slot : shard->order) {
                if (slot.set->is_fresh(now)) sets.push_back(slot.set);
            }
        }
        for (const RrsetPtr& set : sets) {
            if (!visit(*set)) return;
        }
    }
}

} // namespace sallyport::cache
