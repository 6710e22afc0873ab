#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "cache/cuts.hpp"
#include "resolver/iterate/options.hpp"
#include "wire/name.hpp"

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace sallyport::resolver::iterate {

/// A name server as its parent zone told of it.
struct NameServer {
    wire::Name name;
    std::vector<base::Endpoint> glue;
};

/// A zone cut as the parent's servers told of it, or as it is configured.
struct Delegation {
    wire::Name zone;
    std::vector<NameServer> servers;
    base::Instant expires{};
    wire::Ttl ttl;                     ///< from when it was heard to `expires`
    std::vector<wire::Name> own_names; ///< servers that the zone itself names and its parent does not
    bool fixed = false;                ///< configured: never expires
    bool forward = false;              ///< its servers recurse
    bool first = false;                ///< where they fail, go on without them
    bool tcp = false;
    bool hints = false; ///< the root before priming
    std::string group;  ///< of upstreams, in the place of servers
};
using DelegationPtr = std::shared_ptr<const Delegation>;

/// Zone cuts by name. Only parents write here, and each entry lives as long as the parent said at the last visit: what
/// a child says of itself prolongs nothing (ghost domains).
///
/// What is heard is told to `shared`, too, which outlives the process; what came from there is taken over when it is
/// asked for and nobody has heard of that cut since.
class Delegations {
public:
    Delegations(const Options& options, cache::Cuts& shared);

    /// The deepest cut at or above `name` that is known; the root's at least. `skip_first`: those that are only
    /// the first choice do not count.
    /// `renews`: nor does what is in the last tenth of its life.
    [[nodiscard]] DelegationPtr closest(const wire::Name& name, base::Instant now, bool skip_first = false,
                                        bool renews = false) const;
    [[nodiscard]] DelegationPtr find(const wire::Name& zone, base::Instant now, bool skip_first = false) const;
    void put(DelegationPtr delegation);
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    /// The root's servers, primed: they stand in the place of the hints until they expire.
    void put_primed(DelegationPtr root) { primed_ = std::move(root); }

private:
    struct NameHash {
        std::size_t operator()(const wire::Name& name) const noexcept { return name.hash(); }
    };
    void keep(DelegationPtr delegation) const;
    void erase(const wire::Name& zone) const;
    [[nodiscard]] DelegationPtr take_over(const wire::Name& zone, base::Instant now) const;

    const Options& options_;
    cache::Cuts& shared_;
    std::unordered_map<wire::Name, DelegationPtr, NameHash> fixed_;
    std::unordered_map<wire::Name, DelegationPtr, NameHash> forward_;
    // Looking something up may take it over.
    mutable std::list<DelegationPtr> entries_; // the one put last stands first
    mutable std::unordered_map<wire::Name, std::list<DelegationPtr>::iterator, NameHash> table_;
    DelegationPtr primed_;
};

} // namespace sallyport::resolver::iterate
