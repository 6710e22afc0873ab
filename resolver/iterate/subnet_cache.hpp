#pragma once

#include "base/clock.hpp"
#include "cache/rrset_store.hpp"
#include "resolver/iterate/options.hpp"
#include "resolver/iterate/stats.hpp"

#include <functional>
#include <list>
#include <map>
#include <unordered_map>

namespace sallyport::resolver::iterate {

/// Record sets that count for the clients of one network (RFC 7871 §7.3.1), by name, type and network; those of length
/// 0 for clients of whom nothing is told. Bounded: the one unused longest goes.
class SubnetCache {
public:
    /// Borrowed, all of them.
    SubnetCache(const SubnetOptions& options, const cache::RrsetOptions& lifetimes, Stats& stats)
        : options_(options), lifetimes_(lifetimes), stats_(stats)
    {
    }
    SubnetCache(const SubnetCache&) = delete;
    SubnetCache& operator=(const SubnetCache&) = delete;

    /// Keeps a set that has its `network`, and hands it back. What is not judged does not replace what is proven.
    cache::RrsetPtr put(cache::RrsetPtr set, base::Instant now);
    /// Puts what was judged in the place of `before`, where that is still there, or of what it renews.
    cache::RrsetPtr replace(const cache::RrsetPtr& before, cache::RrsetPtr judged, base::Instant now);
    /// Puts an older set in the place of a bogus one.
    void put_back(const cache::RrsetPtr& older);

    /// The set of the smallest network that holds the whole subnet (§7.3.2); null without one. `stale`: past its time,
    /// too.
    [[nodiscard]] cache::RrsetPtr find(const wire::Name& owner, wire::RrType type, wire::RrClass rr_class,
                                       const base::Prefix& subnet, base::Instant now, bool stale);
    /// What was said of networks counts no more: since then it was said of all. Of those who are not told of, it does.
    void supersede(const wire::Name& owner, wire::RrType type, wire::RrClass rr_class);
    void clear();

    [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }
    [[nodiscard]] std::uint64_t octets() const noexcept { return octets_; }

private:
    struct Key {
        wire::Name owner;
        wire::RrType type{};
        wire::RrClass rr_class{};
        bool operator==(const Key&) const = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const noexcept
        {
            return key.owner.hash() ^ (static_cast<std::size_t>(key.type) * 0x9E37'79B9'7F4A'7C15ULL);
        }
    };
    using Order = std::list<cache::RrsetPtr>; // the one used last stands first
    /// By family first: the parts of a network stand next to each other.
    struct ByFamily {
        bool operator()(const base::Prefix& left, const base::Prefix& right) const noexcept
        {
            const bool v4 = left.address().is_v4();
            return v4 == right.address().is_v4() ? left < right : v4;
        }
    };
    struct Networks {
        std::map<base::Prefix, Order::iterator, ByFamily> sets;
        std::map<unsigned, unsigned, std::greater<>> lengths; ///< how many of each, the longest first
    };
    using Table = std::unordered_map<Key, Networks, KeyHash>;

    [[nodiscard]] Order::iterator find_same(const cache::Rrset& set);
    void insert(const cache::RrsetPtr& set);
    void erase(Order::iterator entry);
    void erase_within(const cache::Rrset& set);
    [[nodiscard]] bool is_usable(const cache::Rrset& set, base::Instant now, bool stale) const noexcept;

    const SubnetOptions& options_;
    const cache::RrsetOptions& lifetimes_;
    Stats& stats_;
    Order order_;
    Table table_;
    std::uint64_t octets_ = 0;
};

} // namespace sallyport::resolver::iterate
