#include "resolver/iterate/subnet_cache.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {
namespace {

using cache::Rrset;
using cache::RrsetPtr;
using wire::ValidationState;

// List node, map nodes and their share of the table.
constexpr std::uint64_t kEntryOctets = 256;

std::uint64_t octets_of(const Rrset& set) noexcept { return set.octets() + kEntryOctets; }

} // namespace

SubnetCache::Order::iterator SubnetCache::find_same(const Rrset& set)
{
    const auto found = table_.find(Key{set.owner, set.type, set.rr_class});
    if (found == table_.end()) return order_.end();
    const auto same = found->second.sets.find(*set.network);
    return same == found->second.sets.end() ? order_.end() : same->second;
}

void SubnetCache::erase(Order::iterator entry)
{
    const Rrset& set = **entry;
    octets_ -= octets_of(set);
    const auto found = table_.find(Key{set.owner, set.type, set.rr_class});
    Networks& networks = found->second;
    networks.sets.erase(*set.network);
    const auto length = networks.lengths.find(set.network->length());
    if (--length->second == 0) networks.lengths.erase(length);
    if (networks.sets.empty()) table_.erase(found);
    order_.erase(entry);
}

void SubnetCache::insert(const RrsetPtr& set)
{
    const std::uint64_t octets = octets_of(*set);
    if (octets > std::min<std::uint64_t>(lifetimes_.max_octets, options_.max_octets)) {
        ++stats_.subnets_too_large;
        return;
    }
    order_.push_front(set);
    Networks& networks = table_[Key{set->owner, set->type, set->rr_class}];
    networks.sets.emplace(*set->network, order_.begin());
    ++networks.lengths[set->network->length()];
    octets_ += octets;
    ++stats_.subnets_stored;
    while (order_.size() > std::max(options_.max_entries, 1U) || octets_ > options_.max_octets) {
        ++stats_.subnets_evicted;
        erase(std::prev(order_.end()));
    }
}

/// Networks do not overlap (§7.2.1): what is said of a whole one counts in the place of what was said of its parts.
void SubnetCache::erase_within(const Rrset& set)
{
    if (set.network->length() == 0) return; // of nobody's network, and within none
    const auto found = table_.find(Key{set.owner, set.type, set.rr_class});
    if (found == table_.end()) return;
    std::vector<Order::iterator> within;
    const auto& sets = found->second.sets;
    for (auto it = sets.lower_bound(*set.network); it != sets.end(); ++it) {
        if (!set.network->contains(it->first.address())) break;
        within.push_back(it->second);
    }
    for (const Order::iterator& entry : within) erase(entry);
}

RrsetPtr SubnetCache::put(RrsetPtr set, base::Instant now)
{
    const auto same = find_same(*set);
    const bool proven = same != order_.end() && (*same)->is_fresh(now) && (*same)->state == ValidationState::secure;
    if (proven && set->state != ValidationState::secure) return set; // `replace`, once it is proven itself
    if (same != order_.end()) erase(same);
    erase_within(*set);
    insert(set);
    return set;
}

RrsetPtr SubnetCache::replace(const RrsetPtr& before, RrsetPtr judged, base::Instant now)
{
    const auto same = find_same(*judged);
    if (same == order_.end()) return judged;
    const bool renews = judged->state == ValidationState::secure && (*same)->state == judged->state;
    if (*same != before && !renews) return judged;
    erase(same);
    if (judged->is_fresh(now)) insert(judged);
    return judged;
}

void SubnetCache::put_back(const RrsetPtr& older)
{
    const auto same = find_same(*older);
    if (same == order_.end() || (*same)->state != ValidationState::bogus) return;
    erase(same);
    insert(older);
}

bool SubnetCache::is_usable(const Rrset& set, base::Instant now, bool stale) const noexcept
{
    const bool keeps = stale && lifetimes_.keep_stale;
    return now < set.expires + std::chrono::seconds(keeps ? lifetimes_.stale_for : 0);
}

RrsetPtr SubnetCache::find(const wire::Name& owner, wire::RrType type, wire::RrClass rr_class,
                           const base::Prefix& subnet, base::Instant now, bool stale)
{
    const auto found = table_.find(Key{owner, type, rr_class});
    if (found == table_.end()) return nullptr;
    for (const auto& [length, count] : found->second.lengths) {
        // What was found out for those who are not told of is for them alone (§7.3.1), and nothing else is.
        if (length > subnet.length() || (length == 0) != (subnet.length() == 0)) continue;
        const auto it = found->second.sets.find(base::Prefix{subnet.address(), length});
        if (it == found->second.sets.end() || !is_usable(**it->second, now, stale)) continue;
        ++stats_.subnets_found;
        order_.splice(order_.begin(), order_, it->second);
        return *it->second;
    }
    return nullptr;
}

void SubnetCache::supersede(const wire::Name& owner, wire::RrType type, wire::RrClass rr_class)
{
    const auto found = table_.find(Key{owner, type, rr_class});
    if (found == table_.end()) return;
    std::vector<Order::iterator> gone;
    for (const auto& [network, entry] : found->second.sets)
        if (network.length() != 0) gone.push_back(entry);
    for (const Order::iterator& entry : gone) erase(entry);
}

void SubnetCache::clear()
{
    table_.clear();
    order_.clear();
    octets_ = 0;
}

} // namespace sallyport::resolver::iterate
