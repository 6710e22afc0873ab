#pragma once

#include "cache/rrset_store.hpp"
#include "dnssec/denial.hpp"
#include "wire/name.hpp"

#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

namespace sallyport::resolver::iterate {

/// Validated NSEC and NSEC3 sets by zone in canonical order: to answer from proofs that are there (RFC 8198). Bounded;
/// where it is full, a zone goes.
class Denials {
public:
    static constexpr std::size_t kMaxSets = 20'000;
    static constexpr std::size_t kMaxOctets = 4096; ///< of one set; larger ones are not kept
    static constexpr unsigned kMaxHashes = 32;      ///< for one question: it is meant to be quicker than asking

    void add(const cache::RrsetPtr& set, const wire::Name& zone);
    /// Proof that the name or type is not there, made of sets that are fresh and the zone's SOA; null without one.
    /// The proof is secure; a negative answer made of an opt-out span is not made (RFC 8198 §5.4).
    [[nodiscard]] cache::RrsetPtr prove(const wire::Name& qname, wire::RrType qtype, const cache::RrsetStore& store,
                                        base::Instant now) const;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    struct NameHash {
        std::size_t operator()(const wire::Name& name) const noexcept { return name.hash(); }
    };
    struct Zone {
        std::map<wire::Name, cache::RrsetPtr> nsec;
        std::map<wire::Name, cache::RrsetPtr> nsec3; ///< one set of parameters: the newest
    };
    std::unordered_map<wire::Name, Zone, NameHash> zones_;
    std::size_t size_ = 0;

    [[nodiscard]] std::vector<cache::RrsetPtr> gather(const Zone& zone, const wire::Name& apex, const wire::Name& qname,
                                                      base::Instant now) const;
};

} // namespace sallyport::resolver::iterate
