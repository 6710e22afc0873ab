#include "zones/denial.hpp"

#include <algorithm>

namespace sallyport::zones {

namespace {

/// `*.<ancestor>`; the ancestor has room for it wherever a name below it was asked for.
class WildcardName {
public:
    explicit WildcardName(base::Bytes ancestor) noexcept : size_(ancestor.size() + 2)
    {
        octets_[0] = 1;
        octets_[1] = '*';
        std::memcpy(octets_.data() + 2, ancestor.data(), ancestor.size());
    }
    [[nodiscard]] base::Bytes bytes() const noexcept { return {octets_.data(), size_}; }

private:
    std::array<std::uint8_t, wire::kMaxNameSize + 2> octets_;
    std::size_t size_;
};

} // namespace

void Denial::add(const Zone& zone, const Node* node) noexcept
{
    if (node == nullptr || count_ == proofs_.size()) return;
    const auto known = proofs();
    if (std::any_of(known.begin(), known.end(), [node](const Proof& proof) { return proof.node == node; })) return;
    proofs_[count_++] = {&zone, node};
}

void Denial::cover(const Zone& zone, base::Bytes name) noexcept { add(zone, &zone.nsec_at_or_before(name)); }

void Denial::cover_nsec3(const Zone& zone, base::Bytes name) noexcept
{
    add(zone, &zone.nsec3_cover(nsec3_hash(zone.nsec3_parameters(), name)));
}

/// The closest encloser proof (RFC 5155 §7.2.1), beginning with the ancestor that is left without `strip` labels.
/// Opt-out leaves some empty non-terminals without NSEC3: then the closest provable encloser (§6) above stands for it.
base::Bytes Denial::prove_encloser(const Zone& zone, base::Bytes qname, const LabelOffsets& labels,
                                   unsigned strip) noexcept
{
    for (; strip <= labels.count() - zone.apex_labels(); ++strip) {
        const base::Bytes ancestor = qname.subspan(labels.without(strip));
        const Node* match = zone.nsec3_match(nsec3_hash(zone.nsec3_parameters(), ancestor));
        if (match == nullptr) continue;
        add(zone, match);
        cover_nsec3(zone, qname.subspan(labels.without(strip - 1)));
        return ancestor;
    }
    return zone.apex();
}

void Denial::name_error(const Zone& zone, base::Bytes qname, const LabelOffsets& labels, const Node& encloser) noexcept
{
    if (zone.has_nsec()) {
        cover(zone, qname);
        cover(zone, WildcardName{zone.owner(encloser)}.bytes());
    } else if (zone.has_nsec3()) {
        const auto proven = prove_encloser(zone, qname, labels, labels.count() - encloser.labels);
        cover_nsec3(zone, WildcardName{proven}.bytes());
    }
}

void Denial::no_data(const Zone& zone, const Node& node) noexcept
{
    const base::Bytes name = zone.owner(node);
    if (zone.has_nsec()) {
        // An empty non-terminal has no NSEC; the one before it names a descendant as next (RFC 4035 §3.1.3.2).
        cover(zone, name);
    } else if (zone.has_nsec3()) {
        const Node* match = zone.nsec3_match(nsec3_hash(zone.nsec3_parameters(), name));
        if (match != nullptr) return add(zone, match);
        if (node.labels > zone.apex_labels()) (void)prove_encloser(zone, name, LabelOffsets{name}, 1); // §7.2.4
    }
}

void Denial::wildcard_answer(const Zone& zone, base::Bytes qname, const LabelOffsets& labels,
                             const Node& encloser) noexcept
{
    if (zone.has_nsec()) {
        cover(zone, qname);
    } else if (zone.has_nsec3()) {
        cover_nsec3(zone, qname.subspan(labels.without(labels.count() - encloser.labels - 1U))); // §7.2.6
    }
}

void Denial::wildcard_no_data(const Zone& zone, base::Bytes qname, const LabelOffsets& labels, const Node& encloser,
                              const Node& wildcard) noexcept
{
    if (zone.has_nsec()) {
        cover(zone, qname);
        cover(zone, zone.owner(wildcard));
    } else if (zone.has_nsec3()) {
        (void)prove_encloser(zone, qname, labels, labels.count() - encloser.labels);
        add(zone, zone.nsec3_match(nsec3_hash(zone.nsec3_parameters(), zone.owner(wildcard)))); // §7.2.5
    }
}

} // namespace sallyport::zones
