#pragma once

#include "zones/zone.hpp"
#include "zones/zones.hpp"

#include <array>
#include <bitset>
#include <memory>
#include <vector>

namespace sallyport::zones {

/// The zones of a snapshot and the hash table over their apexes.
struct Snapshot::Index {
    struct Slot {
        std::uint32_t hash = 0;
        std::uint32_t zone = UINT32_MAX;
    };
    std::vector<std::unique_ptr<const Zone>> zones;
    std::vector<Slot> table{Slot{}, Slot{}}; // open addressing, a power of two, never full
    unsigned most_labels = 0;                // of an apex
    std::bitset<128> depths;                 // how many labels apexes have: ancestors of other depths need no search
    std::uint64_t records = 0;
    std::size_t special = 0;              ///< zones that nobody wrote; their records do not count
    std::array<std::uint64_t, 16> ends{}; ///< which ends of names there are: a bit for the last two octets of an apex

    /// Most names of the world end as none of ours does, and need no search.
    [[nodiscard]] bool may_have(base::Bytes lower_name) const noexcept
    {
        const unsigned bit = end_of(lower_name);
        return (ends[bit / 64] >> (bit % 64) & 1U) != 0;
    }
    void note_end(base::Bytes apex) noexcept;
    /// Of a name that is not the root.
    [[nodiscard]] static unsigned end_of(base::Bytes name) noexcept
    {
        return (unsigned{name[name.size() - 2]} * 37U + name[name.size() - 3]) % 1024U;
    }

    [[nodiscard]] const Zone* find_apex(base::Bytes lower_name) const noexcept;
};

/// Puts zones together into a snapshot. Control thread only.
class SnapshotBuilder {
public:
    SnapshotBuilder();
    ~SnapshotBuilder();
    SnapshotBuilder(const SnapshotBuilder&) = delete;
    SnapshotBuilder& operator=(const SnapshotBuilder&) = delete;

    /// False where a zone with this apex is there already; it is not taken then.
    bool add(std::unique_ptr<const Zone> zone);
    [[nodiscard]] std::shared_ptr<const Snapshot> finish();
    /// What was added so far, to look into.
    [[nodiscard]] const Snapshot& so_far() const noexcept { return *snapshot_; }

private:
    void insert(std::uint32_t hash, std::uint32_t zone);
    std::shared_ptr<Snapshot> snapshot_;
};

} // namespace sallyport::zones
