#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "cache/cuts.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// Record sets by name and type, below the answers of `cache.hpp`: what the resolver found out, with how far it may be
/// believed. Delegations do not stand here, but apart (`Cuts`): a child cannot prolong what its parent said of it.
namespace sallyport::cache {

/// RDATA of several records one behind the other; uncompressed wire format.
class RdataList {
public:
    class Iterator {
    public:
        using difference_type = std::ptrdiff_t;
        using value_type = base::Bytes;
        Iterator() = default;
        explicit Iterator(base::Bytes rest) noexcept : rest_(rest) {}
        base::Bytes operator*() const noexcept { return rest_.subspan(2, base::load_be16(rest_, 0)); }
        Iterator& operator++() noexcept
        {
            rest_ = rest_.subspan(2U + base::load_be16(rest_, 0));
            return *this;
        }
        void operator++(int) noexcept { ++*this; }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) noexcept { return it.rest_.empty(); }

    private:
        base::Bytes rest_;
    };

    /// At most 65,535 octets; longer ones are not added.
    void add(base::Bytes rdata);
    [[nodiscard]] bool contains(base::Bytes rdata) const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] std::size_t octets() const noexcept { return octets_.size(); }
    [[nodiscard]] std::size_t memory() const noexcept { return octets_.capacity(); }
    [[nodiscard]] Iterator begin() const noexcept { return Iterator{octets_}; }
    [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }
    friend bool operator==(const RdataList&, const RdataList&) = default;

private:
    std::vector<std::uint8_t> octets_;
    std::size_t count_ = 0;
};

/// How far data may be trusted by where it stood (RFC 2181 §5.4.1), the least first.
enum class Rank : std::uint8_t {
    additional,     ///< beside an answer
    referral,       ///< authority and glue of a referral
    answer,         ///< the answer section without AA
    authority_auth, ///< the authority section with AA
    answer_auth,    ///< the answer section with AA
};

/// What is known of a name and type.
enum class RrsetKind : std::uint8_t {
    data,
    nodata,   ///< the name is there, the type is not
    nxdomain, ///< the name is not there (RFC 2308 §2.1); stands for all types
};

struct Rrset;
using RrsetPtr = std::shared_ptr<const Rrset>;

/// A record set, or that there is none. Immutable once it is shared.
struct Rrset {
    wire::Name owner;
    wire::RrType type{};
    wire::RrClass rr_class = wire::RrClass::IN;
    RrsetKind kind = RrsetKind::data;
    Rank rank = Rank::additional;
    wire::ValidationState state = wire::ValidationState::unchecked;
    std::optional<wire::ExtendedError> ede{}; ///< why it is bogus, or insecure
    std::string ede_text{};
    wire::Ttl ttl; ///< as it came, within the caps
    base::Instant expires{};
    RdataList records;
    RdataList signatures;            ///< RDATA of the RRSIGs over it
    std::vector<RrsetPtr> authority; ///< SOA and proofs of a negative one, proofs of one made from a wildcard
    wire::Name zone;                 ///< whose servers said so
    /// It counts for the clients of this network alone (RFC 7871): no `RrsetStore` keeps it.
    std::optional<base::Prefix> network{};

    [[nodiscard]] bool is_data() const noexcept { return kind == RrsetKind::data; }
    [[nodiscard]] bool is_fresh(base::Instant now) const noexcept { return now < expires; }
    [[nodiscard]] wire::Ttl ttl_left(base::Instant now) const noexcept;
    /// Memory held, what stands beside it included.
    [[nodiscard]] std::size_t octets() const noexcept;
};

struct RrsetOptions {
    std::uint64_t bytes = 64ULL << 20U; ///< everything kept; 64 KiB to 1 TiB
    std::uint32_t min_ttl = 0;          ///< seconds
    std::uint32_t max_ttl = 86'400;
    std::uint32_t max_negative_ttl = 3600;
    std::uint32_t max_octets = 65'536;        ///< of one set
    std::uint32_t max_negative_octets = 8192; ///< of one that says there is nothing
    std::uint32_t stale_for = 86'400;         ///< seconds past its time that a set is kept where that is asked for
    bool keep_stale = false;
    unsigned shards = 16; ///< a power of two
};

struct RrsetCounts {
    std::uint64_t entries = 0, octets = 0, hits = 0, misses = 0, stored = 0, outranked = 0, evicted = 0, too_large = 0;
};

/// Shared by workers; every call from any thread. A shard's lock is held for one search and a pointer.
class RrsetStore {
public:
    explicit RrsetStore(const RrsetOptions& options);
    ~RrsetStore();
    RrsetStore(const RrsetStore&) = delete;
    RrsetStore& operator=(const RrsetStore&) = delete;

    /// What is known and fresh; null otherwise. `nxdomain` is found under `find_nxdomain` alone.
    [[nodiscard]] RrsetPtr find(const wire::Name& owner, wire::RrType type, wire::RrClass rr_class,
                                base::Instant now) const;
    [[nodiscard]] RrsetPtr find_nxdomain(const wire::Name& owner, wire::RrClass rr_class, base::Instant now) const;
    /// In the place of a type, for `find_all`: that the name is not there.
    static constexpr wire::RrType kNameError{0};
    /// What is known of several types at one name, each as `find` has it, by one search; where nothing is, `found`
    /// stays as it is. `stale`: as `find_stale` has it.
    void find_all(const wire::Name& owner, std::span<const wire::RrType> types, wire::RrClass rr_class,
                  base::Instant now, bool stale, std::span<RrsetPtr> found) const;
    /// The same where it may be past its time.
    [[nodiscard]] RrsetPtr find_stale(const wire::Name& owner, wire::RrType type, wire::RrClass rr_class,
                                      base::Instant now) const;
    [[nodiscard]] RrsetPtr find_stale_nxdomain(const wire::Name& owner, wire::RrClass rr_class,
                                               base::Instant now) const;

    /// Keeps a set unless a better one is there (RFC 2181 §5.4.1: less trusted data never replaces more trusted), and
    /// hands out the one that counts from now on. TTLs are cut to the caps, which sets `expires`. A DNAME with TTL 0 is
    /// fresh to the end of the second after the one it came in: for all names that it stands for. What is not judged
    /// does not replace what is proven: it is handed back to be judged, and `replace` puts it there.
    /// `judged_by`: by what its state is, see `trusted_by`.
    RrsetPtr put(Rrset set, base::Instant now, std::optional<std::uint32_t> judged_by = {});
    /// Puts what was judged in the place of `before`, where that is still there, or of what it renews: proven data of
    /// no lower rank takes the place of what was proven before.
    RrsetPtr replace(const RrsetPtr& before, Rrset set, base::Instant now, std::optional<std::uint32_t> judged_by = {});
    /// Puts an older set, which may be past its time, in the place of `worse`, where that is still there.
    void put_back(const RrsetPtr& worse, const RrsetPtr& older, std::optional<std::uint32_t> judged_by = {});
    void erase(const wire::Name& owner, wire::RrType type, wire::RrClass rr_class);
    void clear();
    /// Keeps what was kept before and put down in a file, as nobody's word: unchecked, whatever it was. Its `expires`
    /// is cut to today's limits. False where something is there already, where it is past the time that it is kept for,
    /// and where there is no room without loss.
    bool bring_back(Rrset set, base::Instant now);
    /// What was believed is believed no more: all that is kept is unchecked from now on, and what was bogus is gone.
    void forget_states() noexcept;
    /// Something is trusted from now on that this mark stands for: where it was something else, states are forgotten.
    void trust_by(std::uint64_t mark) noexcept;
    /// The number that states have which are found out by trusting this; nothing where others have gone over to
    /// something else. A set that comes with a number of before is unchecked.
    [[nodiscard]] std::optional<std::uint32_t> trusted_by(std::uint64_t mark) const noexcept;

    /// Where a visit in pages goes on.
    struct Position {
        std::size_t shard = 0, bucket = 0;
    };
    /// Adds the sets of about a hundred slots to `sets`, fresh or not, as long as a lock may be held; returns where to
    /// go on, nothing at the end. Sets that come meanwhile may be visited twice or not at all.
    [[nodiscard]] std::optional<Position> page(Position from, std::vector<RrsetPtr>& sets) const;
    [[nodiscard]] Cuts& cuts() noexcept { return cuts_; }
    [[nodiscard]] const Cuts& cuts() const noexcept { return cuts_; }

    [[nodiscard]] RrsetCounts counts() const;
    [[nodiscard]] const RrsetOptions& options() const noexcept { return options_; }
    /// Visits fresh sets, a shard at a time; false from `visit` ends it.
    void each(base::Instant now, const std::function<bool(const Rrset&)>& visit) const;

private:
    struct Shard;
    RrsetOptions options_;
    std::atomic<std::uint32_t> judged_{0}; ///< how often states were forgotten
    std::atomic<std::uint64_t> mark_{0};   ///< of what is trusted
    std::vector<std::unique_ptr<Shard>> shards_;
    Cuts cuts_;

    [[nodiscard]] Shard& shard_of(std::uint64_t hash) const noexcept;
    [[nodiscard]] RrsetPtr look(const wire::Name& owner, wire::RrType type, wire::RrClass rr_class, base::Instant now,
                                bool stale) const;
    void look(const wire::Name& owner, std::span<const wire::RrType> types, wire::RrClass rr_class, base::Instant now,
              bool stale, std::span<RrsetPtr> found) const;
    void cap(Rrset& set, base::Instant now) const;
};

} // namespace sallyport::cache
