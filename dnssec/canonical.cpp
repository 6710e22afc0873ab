#include "dnssec/canonical.hpp"

#include "wire/rdata.hpp"

#include <algorithm>
#include <cstring>

namespace sallyport::dnssec {

namespace {

/// Lower-cases the names that stand in RDATA of a checked layout.
void lower_names(std::span<const wire::RdataPart> layout, base::MutableBytes rdata) noexcept
{
    using enum wire::RdataPart;
    std::size_t at = 0;
    for (const wire::RdataPart part : layout) {
        switch (part) {
        case octet1: at += 1; break;
        case octet2: at += 2; break;
        case octet4: at += 4; break;
        case octet6: at += 6; break;
        case octet8: at += 8; break;
        case octet16: at += 16; break;
        case text: at += rdata[at] + std::size_t{1}; break;
        case name:
        case compressible_name: {
            const auto size = wire::measure_name(rdata.subspan(at));
            if (!size) return;
            wire::lower_copy(rdata.data() + at, rdata.data() + at, *size);
            at += *size;
            break;
        }
        case texts:
        case rest: return; // no name comes after these
        }
    }
}

/// Left-justified unsigned octets, a missing octet before any (RFC 4034 §6.3).
[[nodiscard]] bool before(base::Bytes left, base::Bytes right) noexcept
{
    const std::size_t common = std::min(left.size(), right.size());
    const int order = common == 0 ? 0 : std::memcmp(left.data(), right.data(), common);
    return order != 0 ? order < 0 : left.size() < right.size();
}

void append(std::vector<std::uint8_t>& out, base::Bytes octets) { out.insert(out.end(), octets.begin(), octets.end()); }

void append_be16(std::vector<std::uint8_t>& out, std::uint16_t value)
{
    out.push_back(static_cast<std::uint8_t>(value >> 8U));
    out.push_back(static_cast<std::uint8_t>(value & 0xFFU));
}

} // namespace

bool has_canonical_names(wire::RrType type) noexcept
{
    switch (static_cast<unsigned>(type)) {
    case 2:  // NS
    case 3:  // MD
    case 4:  // MF
    case 5:  // CNAME
    case 6:  // SOA
    case 7:  // MB
    case 8:  // MG
    case 9:  // MR
    case 12: // PTR
    case 14: // MINFO
    case 15: // MX
    case 17: // RP
    case 18: // AFSDB
    case 21: // RT
    case 24: // SIG
    case 26: // PX
    case 33: // SRV
    case 35: // NAPTR
    case 36: // KX
    case 39: // DNAME
    case 46: // RRSIG
        return true;
    default: return false;
    }
}

unsigned signed_labels(const wire::Name& owner) noexcept
{
    const unsigned labels = owner.label_count();
    return owner.is_wildcard() ? labels - 1 : labels;
}

bool CanonicalRrset::set(wire::RrType type, std::span<const base::Bytes> rdatas)
{
    sorted_.assign(rdatas.begin(), rdatas.end());
    lowered_.clear();
    if (has_canonical_names(type)) {
        std::size_t total = 0;
        for (const base::Bytes rdata : rdatas) {
            // Other types go in as they stand, so a fault in them is the zone owner's business.
            if (!wire::check_rdata(type, rdata)) return false;
            total += rdata.size();
        }
        lowered_.reserve(total); // views into it are taken below
        const auto layout = wire::rdata_layout(type);
        for (base::Bytes& rdata : sorted_) {
            const std::size_t at = lowered_.size();
            append(lowered_, rdata);
            lower_names(layout, {lowered_.data() + at, rdata.size()});
            rdata = {lowered_.data() + at, rdata.size()};
        }
    }
    std::sort(sorted_.begin(), sorted_.end(), before);
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end(), base::equal), sorted_.end());
    return true;
}

void CanonicalRrset::write_signed_data(const RrsigView& signature, const wire::Name& owner, wire::RrType type,
                                       wire::RrClass rr_class, std::vector<std::uint8_t>& out) const
{
    const wire::Name signer = signature.signer.lower();
    const wire::Name lower_owner = owner.lower();
    std::size_t total = signature.fields.size() + signer.size();
    for (const base::Bytes rdata : sorted_) total += lower_owner.size() + 10 + rdata.size();
    out.clear();
    out.reserve(total);
    append(out, signature.fields);
    append(out, signer.wire());
    for (const base::Bytes rdata : sorted_) {
        append(out, lower_owner.wire());
        append_be16(out, static_cast<std::uint16_t>(type));
        append_be16(out, static_cast<std::uint16_t>(rr_class));
        append_be16(out, static_cast<std::uint16_t>(signature.original_ttl >> 16U));
        append_be16(out, static_cast<std::uint16_t>(signature.original_ttl & 0xFFFFU));
        append_be16(out, static_cast<std::uint16_t>(rdata.size()));
        append(out, rdata);
    }
}

} // namespace sallyport::dnssec
