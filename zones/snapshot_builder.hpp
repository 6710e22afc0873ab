#pragma once

#include "zones/zone.hpp"
#include "zones/zones.hpp"

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
    std::uint64_t records = 0;

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
