#include "cache/cuts.hpp"

namespace sallyport::cache {
namespace {

using wire::Name;

std::size_t octets_of(const Name& zone, const Cut& cut) noexcept
{
    // The table's node with its name, the order's, the cut's, and what the allocator adds.
    constexpr std::size_t kEntry = sizeof(Name) + sizeof(Cut) + 160;
    return kEntry + zone.size() + cut.servers.memory();
}

} // namespace

void CutServers::add(const Name& name, std::span<const base::IpAddress> glue)
{
    if (count_ == kMaxServers || octets_.size() + name.size() + 1 + 17 * kMaxAddresses > kMaxOctets) return;
    ++count_;
    octets_.insert(octets_.end(), name.wire().begin(), name.wire().end());
    glue = glue.first(std::min(glue.size(), kMaxAddresses));
    octets_.push_back(static_cast<std::uint8_t>(glue.size()));
    for (const base::IpAddress& address : glue) {
        const base::Bytes octets = address.octets();
        octets_.push_back(static_cast<std::uint8_t>(octets.size()));
        octets_.insert(octets_.end(), octets.begin(), octets.end());
    }
}

bool CutServers::read(base::Bytes octets, const Visit& visit)
{
    if (octets.size() > kMaxOctets) return false;
    std::array<base::IpAddress, kMaxAddresses> glue;
    for (std::size_t servers = 0; !octets.empty(); ++servers) {
        const auto size = wire::measure_name(octets);
        if (!size || servers == kMaxServers) return false;
        const auto name = Name::from_wire(octets.first(*size));
        octets = octets.subspan(*size);
        if (!name || octets.empty() || octets[0] > kMaxAddresses) return false;
        const std::size_t addresses = octets[0];
        octets = octets.subspan(1);
        for (std::size_t i = 0; i < addresses; ++i) {
            if (octets.empty() || (octets[0] != 4 && octets[0] != 16) || octets.size() <= octets[0]) return false;
            glue[i] = base::IpAddress::from_octets(octets.subspan(1, octets[0]));
            octets = octets.subspan(1U + octets[0]);
        }
        if (visit) visit(*name, std::span{glue}.first(addresses));
    }
    return true;
}

std::optional<CutServers> CutServers::from_octets(base::Bytes octets)
{
    CutServers made;
    made.octets_.reserve(octets.size());
    // As `add` would write it: an address has more than one spelling.
    const bool good =
        read(octets, [&](const Name& name, std::span<const base::IpAddress> glue) { made.add(name.lower(), glue); });
    if (!good || made.empty()) return std::nullopt;
    return made;
}

void Cuts::Shard::erase(const Name& zone)
{
    const auto it = entries.find(zone);
    if (it == entries.end()) return;
    order.erase(it->second.place);
    counts.octets -= it->second.octets;
    --counts.entries;
    entries.erase(it);
}

void Cuts::Shard::insert(const Name& zone, Cut&& cut, std::size_t octets)
{
    const auto it = entries.try_emplace(zone).first;
    it->second = {std::make_shared<const Cut>(std::move(cut)), order.insert(order.end(), &it->first), octets};
    counts.octets += octets;
    ++counts.entries;
}

void Cuts::put(const Name& zone, Cut cut)
{
    const std::size_t octets = octets_of(zone, cut);
    Shard& shard = shard_of(zone);
    const std::lock_guard guard(shard.lock);
    shard.erase(zone); // whatever becomes of the new one: what was known before does not count any more
    if (octets > limit_) return;
    cut.restored = false;
    shard.insert(zone, std::move(cut), octets);
    while (shard.counts.octets > limit_) {
        shard.erase(Name{*shard.order.front()});
        ++shard.counts.evicted;
    }
}

bool Cuts::put_back(const Name& zone, Cut cut, base::Instant now)
{
    if (cut.expires <= now) return false;
    const std::size_t octets = octets_of(zone, cut);
    const auto until = cut.expires.time_since_epoch().count();
    Shard& shard = shard_of(zone);
    {
        const std::lock_guard guard(shard.lock);
        if (shard.entries.contains(zone) || shard.counts.octets + octets > limit_) return false;
        cut.restored = true;
        shard.insert(zone, std::move(cut), octets);
    }
    auto seen = restored_until_.load(std::memory_order_relaxed);
    while (seen < until && !restored_until_.compare_exchange_weak(seen, until, std::memory_order_release)) {}
    return true;
}

CutPtr Cuts::find_restored(const Name& zone, base::Instant now) const
{
    if (now.time_since_epoch().count() >= restored_until_.load(std::memory_order_acquire)) return nullptr;
    const Shard& shard = shard_of(zone);
    const std::lock_guard guard(shard.lock);
    const auto it = shard.entries.find(zone);
    if (it == shard.entries.end() || !it->second.cut->restored || it->second.cut->expires <= now) return nullptr;
    return it->second.cut;
}

void Cuts::clear()
{
    for (Shard& shard : shards_) {
        const std::lock_guard guard(shard.lock);
        shard.entries.clear();
        shard.order.clear();
        shard.counts.entries = shard.counts.octets = 0;
    }
}

Cuts::Listed Cuts::list(unsigned shard) const
{
    Listed listed;
    const std::lock_guard guard(shards_[shard].lock);
    listed.reserve(shards_[shard].entries.size());
    for (const Name* zone : shards_[shard].order)
        listed.emplace_back(*zone, shards_[shard].entries.find(*zone)->second.cut);
    return listed;
}

CutCounts Cuts::counts() const
{
    CutCounts total;
    for (const Shard& shard : shards_) {
        const std::lock_guard guard(shard.lock);
        total.entries += shard.counts.entries;
        total.octets += shard.counts.octets;
        total.evicted += shard.counts.evicted;
    }
    return total;
}

} // namespace sallyport::cache
