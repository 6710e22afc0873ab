#include "zones/snapshot_builder.hpp"

#include <algorithm>

namespace sallyport::zones {

Snapshot::Snapshot() : index_(std::make_unique<Index>()) {}
Snapshot::~Snapshot() = default;

const Zone* Snapshot::Index::find_apex(base::Bytes lower_name) const noexcept
{
    const std::uint32_t hash = short_hash(lower_name);
    const std::size_t mask = table.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
        const Slot& slot = table[at];
        if (slot.zone == UINT32_MAX) return nullptr;
        if (slot.hash == hash && base::equal(zones[slot.zone]->apex(), lower_name)) return zones[slot.zone].get();
    }
}

const Zone* Snapshot::find(const wire::Name& lower_name) const noexcept
{
    if (index_->zones.empty()) return nullptr;
    if (!may_have(lower_name)) return nullptr;
    const base::Bytes name = lower_name.wire();
    const LabelOffsets labels{name};
    // No apex has more labels than the longest: a name of 127 labels costs no more than that one.
    unsigned strip = labels.count() > index_->most_labels ? labels.count() - index_->most_labels : 0;
    for (; strip <= labels.count(); ++strip) {
        if (!index_->depths[labels.count() - strip]) continue;
        if (const Zone* zone = index_->find_apex(name.subspan(labels.without(strip)))) return zone;
    }
    return nullptr;
}

bool Snapshot::may_have(const wire::Name& lower_name) const noexcept
{
    return lower_name.is_root() || index_->may_have(lower_name.wire());
}

void Snapshot::Index::note_end(base::Bytes apex) noexcept
{
    if (apex.size() == 1) return ends.fill(UINT64_MAX); // the root: every name is below it
    const unsigned bit = end_of(apex);
    ends[bit / 64] |= std::uint64_t{1} << (bit % 64);
}

std::size_t Snapshot::zone_count() const noexcept { return index_->zones.size() - index_->special; }
std::uint64_t Snapshot::record_count() const noexcept { return index_->records; }

std::uint64_t Snapshot::memory_bytes() const noexcept
{
    std::uint64_t total = sizeof *this + sizeof *index_ + index_->table.capacity() * sizeof(Index::Slot) +
                          index_->zones.capacity() * sizeof(void*);
    for (const auto& zone : index_->zones) total += zone->memory_bytes();
    return total;
}

SnapshotBuilder::SnapshotBuilder() : snapshot_(std::make_shared<Snapshot>()) {}
SnapshotBuilder::~SnapshotBuilder() = default;

void SnapshotBuilder::insert(std::uint32_t hash, std::uint32_t zone)
{
    auto& table = snapshot_->index_->table;
    const std::size_t mask = table.size() - 1;
    std::size_t at = hash & mask;
    while (table[at].zone != UINT32_MAX) at = (at + 1) & mask;
    table[at] = {hash, zone};
}

bool SnapshotBuilder::add(std::unique_ptr<const Zone> zone)
{
    auto& index = *snapshot_->index_;
    if (index.find_apex(zone->apex()) != nullptr) return false;
    const auto number = static_cast<std::uint32_t>(index.zones.size());
    index.most_labels = std::max(index.most_labels, zone->apex_labels());
    index.note_end(zone->apex());
    index.depths.set(zone->apex_labels());
    if (zone->special_rfc() == 0)
        index.records += zone->record_count();
    else
        ++index.special;
    const std::uint32_t hash = short_hash(zone->apex());
    index.zones.push_back(std::move(zone));
    if (index.zones.size() * 2 > index.table.size()) {
        std::vector<Snapshot::Index::Slot> old(index.table.size() * 2);
        old.swap(index.table);
        for (const auto& slot : old) {
            if (slot.zone != UINT32_MAX) insert(slot.hash, slot.zone);
        }
    }
    insert(hash, number);
    return true;
}

std::shared_ptr<const Snapshot> SnapshotBuilder::finish() { return std::move(snapshot_); }

} // namespace sallyport::zones
