#pragma once

#include "cache/rrset_store.hpp"
#include "dnssec/denial.hpp"
#include "wire/name.hpp"

#include <list>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

namespace sallyport::resolver::iterate {

/// Validated NSEC and NSEC3 sets by zone in canonical order: to answer from proofs that are there (RFC 8198). Bounded;
/// where it is full, the set goes that was heard of longest ago.
class Denials {
public:
    static constexpr std::size_t kMaxSets = 20'000;
    static constexpr std::size_t kMaxOctets = 4096; ///< of one set; larger ones are not kept
    static constexpr unsigned kMaxHashes = 32;      ///< for one question: it is meant to be quicker than asking

    /// `until`: the end of the SOA that came beside it, beyond which it says nothing of other names (RFC 9077 §3.4).
    void add(const cache::RrsetPtr& set, const wire::Name& zone, base::Instant until = base::Instant::max());
    /// An answer that needs no asking, secure; null without one. Negative (RFC 8198 §5.1, §5.2): made of proofs that
    /// are fresh and the zone's SOA. Positive (§5.3): made of a proven wildcard and the proof that nothing closer to
    /// the name is there. Nothing is made of an opt-out span (§5.4).
    [[nodiscard]] cache::RrsetPtr prove(const wire::Name& qname, wire::RrType qtype, const cache::RrsetStore& store,
                                        base::Instant now) const;
    [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

private:
    struct NameHash {
        std::size_t operator()(const wire::Name& name) const noexcept { return name.hash(); }
    };
    struct Place;
    using Order = std::list<Place>; // the one heard of longest ago stands first
    struct Kept {
        cache::RrsetPtr set;
        base::Instant until{};
        Order::iterator place{};
        [[nodiscard]] bool is_fresh(base::Instant now) const noexcept { return now < until && set->is_fresh(now); }
    };
    struct Zone {
        std::map<wire::Name, Kept> nsec;
        std::map<dnssec::Nsec3Hash, Kept> nsec3; ///< one set of parameters: the newest
        [[nodiscard]] bool empty() const noexcept { return nsec.empty() && nsec3.empty(); }
    };
    using Zones = std::unordered_map<wire::Name, Zone, NameHash>;
    /// Where a set stands. Neither table moves what it holds.
    struct Place {
        Zones::value_type* zone = nullptr;
        bool hashed = false;
        std::map<wire::Name, Kept>::iterator nsec{};
        std::map<dnssec::Nsec3Hash, Kept>::iterator nsec3{};
    };
    class Search;

    void erase_oldest();
    void begin_other_chain(Zone& zone);

    Zones zones_;
    Order order_;
};

} // namespace sallyport::resolver::iterate
