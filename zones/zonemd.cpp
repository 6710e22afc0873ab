#include "zones/zonemd.hpp"

#include "dnssec/zonemd.hpp"

#include <algorithm>
#include <vector>

namespace sallyport::zones {

using dnssec::ZonemdView;
using wire::RrType;

namespace {

/// Every name that owns records, occluded ones and those of NSEC3 too, in canonical order.
std::vector<const Node*> names_in_order(const Zone& zone)
{
    std::vector<const Node*> names;
    names.reserve(zone.name_count());
    for (const Node& node : zone.nodes())
        if (node.set_count != 0) names.push_back(&node);
    std::sort(names.begin(), names.end(), [&zone](const Node* left, const Node* right) {
        return canonical_compare(zone.owner(*left), zone.owner(*right)) < 0;
    });
    return names;
}

/// The digest can not cover itself, nor what is signed after it was made (RFC 8976 §3.3.1).
bool is_left_out(const Zone& zone, const Node& node, const RrSet& set)
{
    if (&node != &zone.apex_node()) return false;
    return set.type == RrType::ZONEMD || (set.type == RrType::RRSIG && set.covered == RrType::ZONEMD);
}

std::vector<std::uint8_t> digest_of(const Zone& zone, std::uint8_t hash)
{
    dnssec::ZoneDigest digest{hash};
    std::vector<base::Bytes> rdatas;
    for (const Node* node : names_in_order(zone)) {
        // Sets stand by type, those of RRSIG by the type they cover, with which their RDATA begins.
        for (const RrSet& set : zone.sets(*node)) {
            if (is_left_out(zone, *node, set)) continue;
            rdatas.clear();
            for (const base::Bytes rdata : zone.rdata(set)) rdatas.push_back(rdata);
            digest.add(zone.owner(*node), set.type, wire::RrClass::IN, set.ttl, rdatas);
        }
    }
    return digest.finish();
}

std::uint32_t serial_of(const Zone& zone)
{
    constexpr std::size_t kFromEnd = 20;
    const base::Bytes soa = zone.first_rdata(zone.soa());
    return base::load_be32(soa, soa.size() - kFromEnd);
}

bool same_kind(const ZonemdView& left, const ZonemdView& right)
{
    return left.scheme == right.scheme && left.hash == right.hash;
}

/// Empty, or what is wrong with this one.
std::string find_fault(const Zone& zone, const ZonemdView& one, const std::vector<ZonemdView>& all)
{
    if (std::count_if(all.begin(), all.end(), [&](const ZonemdView& other) { return same_kind(one, other); }) != 1)
        return "two ZONEMD records have the same scheme and hash";
    if (one.serial != serial_of(zone))
        return "ZONEMD is of serial " + std::to_string(one.serial) + ", the zone of " + std::to_string(serial_of(zone));
    if (one.digest.size() != dnssec::zone_digest_size(one.hash)) return "the digest of ZONEMD is too short or too long";
    const auto digest = digest_of(zone, one.hash);
    if (digest.empty()) return "no digest can be made of the zone";
    return base::equal(digest, one.digest) ? "" : "the digest of ZONEMD is not that of the zone";
}

} // namespace

DigestCheck check_digest(const Zone& zone)
{
    const RrSet* const set = zone.find_set(zone.apex_node(), RrType::ZONEMD);
    if (set == nullptr) return {};
    std::vector<ZonemdView> all;
    for (const base::Bytes rdata : zone.rdata(*set))
        if (const auto view = dnssec::read_zonemd(rdata)) all.push_back(*view);
    DigestCheck check{DigestState::unknown, {}};
    for (const ZonemdView& one : all) {
        if (one.scheme != ZonemdView::kSimple || dnssec::zone_digest_size(one.hash) == 0) continue;
        std::string fault = find_fault(zone, one, all);
        if (fault.empty()) return {DigestState::good, {}};
        check = {DigestState::mismatch, std::move(fault)};
    }
    return check;
}

} // namespace sallyport::zones
