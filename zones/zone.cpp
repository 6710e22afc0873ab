#include "zones/zone.hpp"

#include <algorithm>

namespace sallyport::zones {

std::uint32_t Zone::find_number(base::Bytes lower_name, std::uint32_t hash) const noexcept
{
    const std::size_t mask = table_.size() - 1;
    for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
        const Slot& slot = table_[at];
        if (slot.node == UINT32_MAX) return UINT32_MAX;
        if (slot.hash == hash && base::equal(owner(nodes_[slot.node]), lower_name)) return slot.node;
    }
}

const Node* Zone::find(base::Bytes lower_name) const noexcept
{
    const std::uint32_t number = find_number(lower_name, short_hash(lower_name));
    return number == UINT32_MAX ? nullptr : &nodes_[number];
}

const Node& Zone::topmost_cut(const Node& node) const noexcept
{
    const Node* at = &node;
    while (at->has(Node::occluded)) at = &nodes_[at->parent];
    return *at;
}

const Node& Zone::closest_encloser(base::Bytes lower_name, const LabelOffsets& labels) const noexcept
{
    // Nothing is deeper than the deepest name, so a name of 127 labels costs no more probes than the zone is deep.
    unsigned strip = labels.count() > deepest_ ? labels.count() - deepest_ : 1;
    for (; strip < labels.count() - apex_labels(); ++strip) {
        if (const Node* node = find(lower_name.subspan(labels.without(strip)))) return *node;
    }
    return apex_node();
}

const Node* Zone::wildcard_below(const Node& node) const noexcept
{
    if (!node.has(Node::wildcard_child)) return nullptr;
    std::array<std::uint8_t, 2 + wire::kMaxNameSize> octets;
    const base::Bytes base = owner(node);
    octets[0] = 1;
    octets[1] = '*';
    std::memcpy(octets.data() + 2, base.data(), base.size());
    return find({octets.data(), base.size() + 2});
}

Lookup Zone::look_up_below(const Node& encloser) const noexcept
{
    const Node& top = topmost_cut(encloser);
    if (top.has(Node::cut)) return {Match::delegation, &top, &top};
    if (top.has(Node::dname)) return {Match::dname, &top, &top};
    if (const Node* wildcard = wildcard_below(encloser)) return {Match::wildcard, wildcard, &encloser};
    return {Match::none, nullptr, &encloser};
}

Lookup Zone::look_up(base::Bytes lower_name, const LabelOffsets& labels) const noexcept
{
    const Node* exact = find(lower_name);
    if (exact == nullptr) return look_up_below(closest_encloser(lower_name, labels));
    if (exact->has(Node::occluded)) return look_up_below(*exact);
    return {exact->has(Node::cut) ? Match::delegation : Match::exact, exact, exact};
}

const RrSet* Zone::find_set(const Node& node, wire::RrType type) const noexcept
{
    // Nearly all names have a handful of types; a straight walk beats a search there.
    for (const RrSet& set : sets(node)) {
        if (set.type == type) return &set;
        if (set.type > type) break;
    }
    return nullptr;
}

const Node& Zone::nsec_at_or_before(base::Bytes lower_name) const noexcept
{
    const auto after = std::upper_bound(
        nsec_order_.begin(), nsec_order_.end(), lower_name,
        [this](base::Bytes name, std::uint32_t number) { return canonical_compare(name, owner(nodes_[number])) < 0; });
    // The apex is the least name of its zone; a chain that leaves it out is followed round.
    return nodes_[after == nsec_order_.begin() ? nsec_order_.back() : *std::prev(after)];
}

const Node* Zone::nsec3_match(const Nsec3Hash& hash) const noexcept
{
    const auto found = std::lower_bound(nsec3_order_.begin(), nsec3_order_.end(), hash,
                                        [](const Nsec3Entry& entry, const Nsec3Hash& key) { return entry.hash < key; });
    return found == nsec3_order_.end() || found->hash != hash ? nullptr : &nodes_[found->node];
}

const Node& Zone::nsec3_cover(const Nsec3Hash& hash) const noexcept
{
    const auto found = std::lower_bound(nsec3_order_.begin(), nsec3_order_.end(), hash,
                                        [](const Nsec3Entry& entry, const Nsec3Hash& key) { return entry.hash < key; });
    return nodes_[(found == nsec3_order_.begin() ? nsec3_order_.back() : *std::prev(found)).node];
}

std::uint64_t Zone::memory_bytes() const noexcept
{
    return sizeof *this + names_.capacity() + data_.capacity() + nodes_.capacity() * sizeof(Node) +
           sets_.capacity() * sizeof(RrSet) + table_.capacity() * sizeof(Slot) + nsec_order_.capacity() * 4 +
           nsec3_order_.capacity() * sizeof(Nsec3Entry);
}

} // namespace sallyport::zones
