#include "wire/rdata.hpp"

#include "wire/svc_params.hpp"

#include <algorithm>
#include <array>

namespace sallyport::wire {
namespace {

constexpr RrType kIsdn{20};

using enum RdataPart;
using Checked = base::Result<void, ParseError>;

template <RdataPart... Parts>
constexpr std::array<RdataPart, sizeof...(Parts)> kLayout{Parts...};

/// Octets of a part of fixed size, 0 for the others.
constexpr std::size_t fixed_size(RdataPart part) noexcept
{
    switch (part) {
    case octet1: return 1;
    case octet2: return 2;
    case octet4: return 4;
    case octet6: return 6;
    case octet8: return 8;
    case octet16: return 16;
    default: return 0;
    }
}

constexpr bool is_name(RdataPart part) noexcept { return part == name || part == compressible_name; }

/// Size of <character-string>s that must fill `rdata` to its end; at least one.
Checked check_texts(base::Bytes rdata) noexcept
{
    if (rdata.empty()) return ParseError::truncated;
    while (!rdata.empty()) {
        const std::size_t size = rdata[0] + std::size_t{1};
        if (rdata.size() < size) return ParseError::truncated;
        rdata = rdata.subspan(size);
    }
    return {};
}

/// Size of the part at the start of `rdata`, uncompressed.
base::Result<std::size_t, ParseError> measure_part(RdataPart part, base::Bytes rdata) noexcept
{
    switch (part) {
    case name:
    case compressible_name: return measure_name(rdata);
    case text:
        if (rdata.empty() || rdata.size() <= rdata[0]) return ParseError::truncated;
        return rdata[0] + std::size_t{1};
    case texts: {
        const auto checked = check_texts(rdata);
        if (!checked) return checked.error();
        return rdata.size();
    }
    case rest: return rdata.size();
    default:
        if (rdata.size() < fixed_size(part)) return ParseError::truncated;
        return fixed_size(part);
    }
}

/// Type bit maps (RFC 4034 §4.1.2): blocks in increasing order, none empty, none with zeros at its end.
Checked check_bitmap(base::Bytes bitmap) noexcept
{
    int window_before = -1;
    while (!bitmap.empty()) {
        if (bitmap.size() < 2) return ParseError::truncated;
        const int window = bitmap[0];
        const std::size_t size = bitmap[1];
        if (window <= window_before || size == 0 || size > 32) return ParseError::bad_rdata;
        if (bitmap.size() < 2 + size) return ParseError::truncated;
        if (bitmap[1 + size] == 0) return ParseError::bad_rdata;
        window_before = window;
        bitmap = bitmap.subspan(2 + size);
    }
    return {};
}

/// RFC 4025 §2: what the gateway is depends on its type.
Checked check_ipseckey(base::Bytes after_fields, std::uint8_t gateway_type) noexcept
{
    switch (gateway_type) {
    case 0: return {};
    case 1: return after_fields.size() < 4 ? Checked{ParseError::truncated} : Checked{};
    case 2: return after_fields.size() < 16 ? Checked{ParseError::truncated} : Checked{};
    case 3: {
        const auto gateway = measure_name(after_fields);
        return gateway ? Checked{} : Checked{gateway.error()};
    }
    default: return ParseError::bad_rdata;
    }
}

/// RFC 8005 §5: HIT and public key of the stated lengths, then rendezvous servers.
Checked check_hip(base::Bytes rdata) noexcept
{
    const std::size_t keys = std::size_t{rdata[0]} + base::load_be16(rdata, 2);
    if (rdata[0] == 0 || base::load_be16(rdata, 2) == 0) return ParseError::bad_rdata;
    if (rdata.size() < 4 + keys) return ParseError::truncated;
    base::Bytes servers = rdata.subspan(4 + keys);
    while (!servers.empty()) {
        const auto size = measure_name(servers);
        if (!size) return size.error();
        servers = servers.subspan(*size);
    }
    return {};
}

/// RFC 8659 §4.1: the tag is letters and digits, at least one.
Checked check_caa_tag(base::Bytes tag) noexcept
{
    const auto is_alphanumeric = [](std::uint8_t c) {
        return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z');
    };
    return !tag.empty() && std::all_of(tag.begin(), tag.end(), is_alphanumeric) ? Checked{} : ParseError::bad_rdata;
}

/// RFC 1183 §3.2: an address and perhaps a subaddress. Both are whole, as the layout says.
Checked check_isdn(base::Bytes rdata) noexcept
{
    const std::size_t address = rdata[0] + std::size_t{1};
    if (rdata.size() == address) return {};
    return rdata.size() == address + rdata[address] + 1 ? Checked{} : Checked{ParseError::bad_rdata};
}

/// What the layout alone does not say. `last` is the part that goes to the end.
Checked check_meaning(RrType type, base::Bytes rdata, base::Bytes last) noexcept
{
    if (type == kIsdn) return check_isdn(rdata);
    switch (type) {
    case RrType::NSEC:
    case RrType::CSYNC: return check_bitmap(last);
    case RrType::NSEC3: {
        const std::size_t salt = rdata[4];
        return rdata[5 + salt] == 0 ? Checked{ParseError::bad_rdata} : check_bitmap(last); // the hash is never empty
    }
    case RrType::IPSECKEY: return check_ipseckey(last, rdata[1]);
    case RrType::HIP: return check_hip(rdata);
    case RrType::SVCB:
    case RrType::HTTPS: return check_svc_params(last);
    case RrType::CAA: return check_caa_tag(rdata.subspan(2, rdata[1]));
    case RrType::ZONEMD: return last.size() < 12 ? Checked{ParseError::bad_rdata} : Checked{}; // RFC 8976 §2.2.4
    default: return {};
    }
}

/// Appends the name at `at` of a message, pointers followed; `end` bounds what stands before the first pointer.
/// Returns the offset just past it.
base::Result<std::size_t, ParseError> expand_name(base::Bytes message, std::size_t at, std::size_t end,
                                                  std::vector<std::uint8_t>& out)
{
    constexpr unsigned kMaxHops = 126;
    const std::size_t start = out.size();
    std::size_t segment = at;
    std::size_t after = 0;
    for (unsigned hops = 0;;) {
        if (at >= end) return ParseError::truncated;
        const unsigned octet = message[at];
        if (octet >= 0xC0) {
            if (end - at < 2) return ParseError::truncated;
            const std::size_t target = base::load_be16(message, at) & 0x3FFFU;
            if (target >= segment || target < kHeaderSize || ++hops > kMaxHops) return ParseError::bad_pointer;
            if (after == 0) after = at + 2;
            segment = at = target;
            continue;
        }
        if (octet > kMaxLabelSize) return ParseError::bad_label;
        if (end - at < octet + 1) return ParseError::truncated;
        if (out.size() - start + octet + 1 > kMaxNameSize) return ParseError::name_too_long;
        out.insert(out.end(), message.begin() + static_cast<std::ptrdiff_t>(at),
                   message.begin() + static_cast<std::ptrdiff_t>(at + octet + 1));
        at += octet + 1;
        if (octet == 0) return after != 0 ? after : at;
    }
}

Checked expand_rdata(base::Bytes message, std::size_t at, std::size_t end, RrType type, std::vector<std::uint8_t>& out)
{
    for (const RdataPart part : rdata_layout(type)) {
        if (is_name(part)) {
            const auto after = expand_name(message, at, end, out);
            if (!after) return after.error();
            at = *after;
            continue;
        }
        const base::Bytes left = message.subspan(at, end - at);
        const auto size = measure_part(part, left);
        if (!size) return size.error();
        out.insert(out.end(), left.begin(), left.begin() + static_cast<std::ptrdiff_t>(*size));
        at += *size;
    }
    // Of unknown types this is the whole; of known ones there must be nothing left, which `check_rdata` sees.
    out.insert(out.end(), message.begin() + static_cast<std::ptrdiff_t>(at),
               message.begin() + static_cast<std::ptrdiff_t>(end));
    return {};
}

/// Types that have no enumerator: obsolete ones, whose names may come compressed (RFC 3597 §4), and rare ones.
std::span<const RdataPart> rare_layout(std::uint16_t type) noexcept
{
    switch (type) {
    case 3:                                                        // MD
    case 4:                                                        // MF
    case 7:                                                        // MB
    case 8:                                                        // MG
    case 9: return kLayout<compressible_name>;                     // MR
    case 14: return kLayout<compressible_name, compressible_name>; // MINFO
    case 19: return kLayout<text>;                                 // X25
    case 20:                                                       // ISDN
    case 56:                                                       // NINFO
    case 99:                                                       // SPF
    case 258:                                                      // AVC
    case 261:                                                      // RESINFO
    case 262:                                                      // WALLET
    case 263: return kLayout<texts>;                               // CLA
    case 21:                                                       // RT
    case 107: return kLayout<octet2, name>;                        // LP
    case 23: return kLayout<name>;                                 // NSAP-PTR
    case 26: return kLayout<octet2, name, name>;                   // PX
    case 27: return kLayout<text, text, text>;                     // GPOS
    case 30: return kLayout<name, rest>;                           // NXT
    case 31:                                                       // EID
    case 32:                                                       // NIMLOC
    case 67:                                                       // HHIT
    case 68: return kLayout<rest>;                                 // BRID
    case 57:                                                       // RKEY
    case 32768: return kLayout<octet2, octet1, octet1, rest>;      // TA
    case 58: return kLayout<name, name>;                           // TALINK
    case 66: return kLayout<octet2, octet1, octet2, name>;         // DSYNC
    case 104:                                                      // NID
    case 106: return kLayout<octet2, octet8>;                      // L64
    case 105: return kLayout<octet2, octet4>;                      // L32
    default: return {};
    }
}

} // namespace

std::span<const RdataPart> rdata_layout(RrType type) noexcept
{
    switch (type) {
    case RrType::A: return kLayout<octet4>;
    case RrType::AAAA: return kLayout<octet16>;
    case RrType::NS:
    case RrType::CNAME:
    case RrType::PTR: return kLayout<compressible_name>;
    case RrType::SOA: return kLayout<compressible_name, compressible_name, octet4, octet4, octet4, octet4, octet4>;
    case RrType::HINFO: return kLayout<text, text>;
    case RrType::MX: return kLayout<octet2, compressible_name>;
    case RrType::TXT: return kLayout<texts>;
    case RrType::RP: return kLayout<name, name>;
    case RrType::AFSDB:
    case RrType::KX: return kLayout<octet2, name>;
    case RrType::SIG:
    case RrType::RRSIG: return kLayout<octet2, octet1, octet1, octet4, octet4, octet4, octet2, name, rest>;
    case RrType::KEY:
    case RrType::DNSKEY:
    case RrType::CDNSKEY:
    case RrType::DS:
    case RrType::CDS:
    case RrType::DLV: return kLayout<octet2, octet1, octet1, rest>;
    case RrType::LOC: return kLayout<octet1, octet1, octet1, octet1, octet4, octet4, octet4>;
    case RrType::SRV: return kLayout<octet2, octet2, octet2, name>;
    case RrType::NAPTR: return kLayout<octet2, octet2, text, text, text, name>;
    case RrType::CERT: return kLayout<octet2, octet2, octet1, rest>;
    case RrType::DNAME: return kLayout<name>;
    case RrType::SSHFP: return kLayout<octet1, octet1, rest>;
    case RrType::IPSECKEY:
    case RrType::TLSA:
    case RrType::SMIMEA: return kLayout<octet1, octet1, octet1, rest>;
    case RrType::NSEC: return kLayout<name, rest>;
    case RrType::NSEC3: return kLayout<octet1, octet1, octet2, text, text, rest>;
    case RrType::NSEC3PARAM: return kLayout<octet1, octet1, octet2, text>;
    case RrType::HIP: return kLayout<octet1, octet1, octet2, rest>;
    case RrType::DHCID:
    case RrType::OPENPGPKEY: return kLayout<rest>;
    case RrType::CSYNC: return kLayout<octet4, octet2, rest>;
    case RrType::ZONEMD: return kLayout<octet4, octet1, octet1, rest>;
    case RrType::SVCB:
    case RrType::HTTPS: return kLayout<octet2, name, rest>;
    case RrType::EUI48: return kLayout<octet6>;
    case RrType::EUI64: return kLayout<octet8>;
    case RrType::URI: return kLayout<octet2, octet2, rest>;
    case RrType::CAA: return kLayout<octet1, text, rest>;
    default: return rare_layout(static_cast<std::uint16_t>(type));
    }
}

base::Result<void, ParseError> check_rdata(RrType type, base::Bytes rdata) noexcept
{
    const auto layout = rdata_layout(type);
    if (rdata.size() > kMaxMessageSize) return ParseError::bad_rdata;
    if (layout.empty()) return {};
    base::Bytes left = rdata;
    base::Bytes last;
    for (const RdataPart part : layout) {
        const auto size = measure_part(part, left);
        if (!size) return size.error();
        last = left.first(*size);
        left = left.subspan(*size);
    }
    if (!left.empty()) return ParseError::bad_rdata;
    return check_meaning(type, rdata, last);
}

base::Result<Name, ParseError> target_name(RrType type, base::Bytes rdata) noexcept
{
    switch (type) {
    case RrType::NS:
    case RrType::CNAME:
    case RrType::PTR:
    case RrType::DNAME:
    case RrType::MX:
    case RrType::AFSDB:
    case RrType::KX:
    case RrType::SRV:
    case RrType::NAPTR:
    case RrType::SVCB:
    case RrType::HTTPS: break;
    default: return ParseError::bad_rdata;
    }
    for (const RdataPart part : rdata_layout(type)) {
        const auto size = measure_part(part, rdata);
        if (!size) return size.error();
        if (is_name(part)) return Name::from_wire(rdata.first(*size));
        rdata = rdata.subspan(*size);
    }
    return ParseError::bad_rdata;
}

base::Result<void, ParseError> decompress_rdata(base::Bytes message, std::uint16_t offset, std::uint16_t size,
                                                RrType type, std::vector<std::uint8_t>& out)
{
    const std::size_t end = std::size_t{offset} + size;
    if (end > message.size()) return ParseError::truncated;
    const std::size_t start = out.size();
    auto result = expand_rdata(message, offset, end, type, out);
    if (result) result = check_rdata(type, base::Bytes{out}.subspan(start));
    if (!result) out.resize(start);
    return result;
}

} // namespace sallyport::wire
