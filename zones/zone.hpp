#pragma once

#include "base/bytes.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"
#include "zones/canonical.hpp"
#include "zones/nsec3.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace sallyport::zones {

/// One name of a zone. Names that have no data but names below them (empty non-terminals) are nodes too, so that
/// the nearest existing ancestor of a name is its closest encloser (RFC 4592 §3.3.1).
struct Node {
    enum Flag : std::uint8_t {
        cut = 1,            ///< NS below the apex: a delegation
        dname = 2,          ///< names below are redirected (RFC 6672)
        occluded = 4,       ///< below a cut or DNAME: glue at most, never an answer
        wildcard_child = 8, ///< `*.<this name>` exists
        denial = 16,        ///< owner of NSEC3 only: no name of the zone (RFC 5155 §7.2.8)
    };
    std::uint32_t name = 0; ///< octets in the name store
    std::uint32_t parent = UINT32_MAX;
    std::uint32_t first_set = 0;
    std::uint16_t set_count = 0;
    std::uint8_t flags = 0;
    std::uint8_t labels = 0;

    [[nodiscard]] bool has(std::uint8_t bits) const noexcept { return (flags & bits) != 0; }
};

/// Records of one owner and type. RRSIGs are sets by the type they cover, linked from the set they sign.
struct RrSet {
    static constexpr std::uint32_t kNone = UINT32_MAX;

    wire::RrType type{};
    wire::RrType covered{}; ///< for RRSIG
    wire::Ttl ttl;
    std::uint32_t rdata = 0; ///< in the data store: a length of two octets, then RDATA, for each record
    std::uint32_t count = 0;
    std::uint32_t signatures = kNone; ///< the RRSIG set that covers this one
};

/// The RDATA of a set, one after the other.
class RdataRange {
public:
    class Iterator {
    public:
        Iterator(const std::uint8_t* at, std::uint32_t left) noexcept : at_(at), left_(left) {}
        base::Bytes operator*() const noexcept { return {at_ + 2, size()}; }
        Iterator& operator++() noexcept
        {
            at_ += 2 + size();
            --left_;
            return *this;
        }
        bool operator==(const Iterator& other) const noexcept { return left_ == other.left_; }

    private:
        [[nodiscard]] std::size_t size() const noexcept { return (std::size_t{at_[0]} << 8U) | at_[1]; }
        const std::uint8_t* at_;
        std::uint32_t left_;
    };

    RdataRange(const std::uint8_t* first, std::uint32_t count) noexcept : first_(first), count_(count) {}
    [[nodiscard]] Iterator begin() const noexcept { return {first_, count_}; }
    [[nodiscard]] Iterator end() const noexcept { return {nullptr, 0}; }

private:
    const std::uint8_t* first_;
    std::uint32_t count_;
};

enum class Match : std::uint8_t {
    exact,      ///< `node` is the name
    wildcard,   ///< `node` is the source of synthesis (RFC 4592 §3.3.2) below `closest_encloser`
    dname,      ///< `node` is an ancestor with DNAME
    delegation, ///< `node` is the cut at or above the name
    none,       ///< the name does not exist; `closest_encloser` is its nearest ancestor that does
};

struct Lookup {
    Match match = Match::none;
    const Node* node = nullptr;
    const Node* closest_encloser = nullptr;
};

/// One zone, immutable once built: names and RDATA in two flat stores, found through one hash table. A look-up hashes
/// at most one name a label, follows parents by number, allocates nothing. Safe to read from any thread.
class Zone {
public:
    Zone() = default;
    Zone(const Zone&) = delete;
    Zone& operator=(const Zone&) = delete;

    [[nodiscard]] base::Bytes apex() const noexcept { return owner(nodes_.front()); }
    [[nodiscard]] unsigned apex_labels() const noexcept { return nodes_.front().labels; }
    [[nodiscard]] const Node& apex_node() const noexcept { return nodes_.front(); }

    /// Exactly this lower-case name, occluded or not; null where it does not exist.
    [[nodiscard]] const Node* find(base::Bytes lower_name) const noexcept;
    /// RFC 1034 §4.3.2 step 3: what the zone, which must be an ancestor of `lower_name` or it itself, has for it.
    [[nodiscard]] Lookup look_up(base::Bytes lower_name, const LabelOffsets& labels) const noexcept;
    /// The existing node next above the name; never the name itself.
    [[nodiscard]] const Node& closest_encloser(base::Bytes lower_name, const LabelOffsets& labels) const noexcept;
    /// `*.<node>`, where it exists.
    [[nodiscard]] const Node* wildcard_below(const Node& node) const noexcept;

    [[nodiscard]] base::Bytes owner(const Node& node) const noexcept
    {
        const std::uint8_t* at = names_.data() + node.name;
        return {at + 1, *at};
    }
    [[nodiscard]] const Node* parent(const Node& node) const noexcept
    {
        return node.parent == UINT32_MAX ? nullptr : &nodes_[node.parent];
    }
    [[nodiscard]] std::span<const RrSet> sets(const Node& node) const noexcept
    {
        return {sets_.data() + node.first_set, node.set_count};
    }
    /// Null where the node has none. For RRSIG the first of its sets.
    [[nodiscard]] const RrSet* find_set(const Node& node, wire::RrType type) const noexcept;
    [[nodiscard]] RdataRange rdata(const RrSet& set) const noexcept { return {data_.data() + set.rdata, set.count}; }
    [[nodiscard]] base::Bytes first_rdata(const RrSet& set) const noexcept { return *rdata(set).begin(); }
    /// The RRSIGs over a set; null where it is not signed.
    [[nodiscard]] const RrSet* signatures(const RrSet& set) const noexcept
    {
        return set.signatures == RrSet::kNone ? nullptr : &sets_[set.signatures];
    }

    [[nodiscard]] const RrSet& soa() const noexcept { return sets_[soa_]; }
    /// TTL of negative answers: the smaller of the SOA's own and its MINIMUM (RFC 2308 §5).
    [[nodiscard]] wire::Ttl negative_ttl() const noexcept { return negative_ttl_; }

    [[nodiscard]] bool has_nsec() const noexcept { return !nsec_order_.empty(); }
    [[nodiscard]] bool has_nsec3() const noexcept { return !nsec3_order_.empty(); }
    /// The NSEC owner that is the name or the last before it in canonical order.
    [[nodiscard]] const Node& nsec_at_or_before(base::Bytes lower_name) const noexcept;
    [[nodiscard]] const Nsec3Parameters& nsec3_parameters() const noexcept { return nsec3_parameters_; }
    /// The NSEC3 owner with this hash, or null.
    [[nodiscard]] const Node* nsec3_match(const Nsec3Hash& hash) const noexcept;
    /// The NSEC3 owner whose span covers this hash.
    [[nodiscard]] const Node& nsec3_cover(const Nsec3Hash& hash) const noexcept;

    /// The RFC that reserves the name, for zones that nobody wrote; 0 for all others.
    [[nodiscard]] std::uint16_t special_rfc() const noexcept { return special_rfc_; }
    /// The parent, which is not ours, delegates the name: DS is its to say (RFC 4035 §3.1.4.1).
    [[nodiscard]] bool is_delegated_elsewhere() const noexcept { return delegated_; }

    [[nodiscard]] std::uint64_t record_count() const noexcept { return records_; }
    [[nodiscard]] std::size_t name_count() const noexcept { return nodes_.size(); }
    [[nodiscard]] std::uint64_t memory_bytes() const noexcept;
    [[nodiscard]] std::span<const Node> nodes() const noexcept { return nodes_; }

private:
    friend class ZoneBuilder;
    friend class ZoneCheck;

    struct Slot {
        std::uint32_t hash = 0;
        std::uint32_t node = UINT32_MAX;
    };
    struct Nsec3Entry {
        Nsec3Hash hash{};
        std::uint32_t node = 0;
    };

    [[nodiscard]] std::uint32_t find_number(base::Bytes lower_name, std::uint32_t hash) const noexcept;
    [[nodiscard]] Lookup look_up_below(const Node& encloser) const noexcept;
    [[nodiscard]] const Node& topmost_cut(const Node& node) const noexcept;

    std::vector<std::uint8_t> names_; // a length, then the name, lower case
    std::vector<std::uint8_t> data_;
    std::vector<Node> nodes_;               // the apex first; parents before children
    std::vector<RrSet> sets_;               // by node; within it by type and covered type
    std::vector<Slot> table_;               // open addressing, a power of two
    std::vector<std::uint32_t> nsec_order_; // nodes with NSEC in canonical order
    std::vector<Nsec3Entry> nsec3_order_;
    Nsec3Parameters nsec3_parameters_;
    std::uint32_t soa_ = 0;
    unsigned deepest_ = 0; // labels of the longest name
    wire::Ttl negative_ttl_;
    std::uint64_t records_ = 0;
    std::uint16_t special_rfc_ = 0;
    bool delegated_ = false;
};

/// The 32 bits of a name's hash that zones keep.
[[nodiscard]] inline std::uint32_t short_hash(base::Bytes lower_name) noexcept
{
    const std::uint64_t hash = wire::hash_lower(lower_name);
    return static_cast<std::uint32_t>(hash ^ (hash >> 32U));
}

} // namespace sallyport::zones
