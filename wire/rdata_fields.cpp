#include "wire/rdata_fields.hpp"

#include <array>

namespace sallyport::wire {
namespace {

template <TextField... Fields>
constexpr std::array<TextField, sizeof...(Fields)> kFields{Fields...};

/// Types that have no enumerator: obsolete and rare ones.
std::span<const TextField> rare_fields(std::uint16_t type) noexcept
{
    using enum TextField;
    switch (type) {
    case 3:                                                             // MD
    case 4:                                                             // MF
    case 7:                                                             // MB
    case 8:                                                             // MG
    case 9:                                                             // MR
    case 23: return kFields<name>;                                      // NSAP-PTR
    case 14:                                                            // MINFO
    case 58: return kFields<name, name>;                                // TALINK
    case 19: return kFields<string>;                                    // X25
    case 20:                                                            // ISDN
    case 56:                                                            // NINFO
    case 99:                                                            // SPF
    case 258:                                                           // AVC
    case 261:                                                           // RESINFO
    case 262:                                                           // WALLET
    case 263: return kFields<strings>;                                  // CLA
    case 21:                                                            // RT
    case 107: return kFields<number16, name>;                           // LP
    case 26: return kFields<number16, name, name>;                      // PX
    case 27: return kFields<string, string, string>;                    // GPOS
    case 31:                                                            // EID
    case 32: return kFields<hex_rest>;                                  // NIMLOC
    case 67:                                                            // HHIT
    case 68: return kFields<base64_rest>;                               // BRID
    case 57: return kFields<number16, number8, algorithm, base64_rest>; // RKEY
    case 66: return kFields<rr_type, number8, number16, name>;          // DSYNC
    case 104:                                                           // NID
    case 106: return kFields<number16, locator64>;                      // L64
    case 105: return kFields<number16, ipv4>;                           // L32
    case 32768: return kFields<number16, algorithm, number8, hex_rest>; // TA
    default: return {};
    }
}

} // namespace

std::span<const TextField> text_fields(RrType type) noexcept
{
    using enum TextField;
    switch (type) {
    case RrType::A: return kFields<ipv4>;
    case RrType::AAAA: return kFields<ipv6>;
    case RrType::NS:
    case RrType::CNAME:
    case RrType::PTR:
    case RrType::DNAME: return kFields<name>;
    case RrType::SOA: return kFields<name, name, number32, seconds, seconds, seconds, seconds>;
    case RrType::HINFO: return kFields<string, string>;
    case RrType::MX:
    case RrType::AFSDB:
    case RrType::KX: return kFields<number16, name>;
    case RrType::TXT: return kFields<strings>;
    case RrType::RP: return kFields<name, name>;
    case RrType::SIG:
    case RrType::RRSIG: return kFields<rr_type, algorithm, number8, seconds, time, time, number16, name, base64_rest>;
    case RrType::KEY:
    case RrType::DNSKEY:
    case RrType::CDNSKEY: return kFields<number16, number8, algorithm, base64_rest>;
    case RrType::DS:
    case RrType::CDS:
    case RrType::DLV: return kFields<number16, algorithm, number8, hex_rest>;
    case RrType::SRV: return kFields<number16, number16, number16, name>;
    case RrType::NAPTR: return kFields<number16, number16, string, string, string, name>;
    case RrType::CERT: return kFields<certificate_type, number16, algorithm, base64_rest>;
    case RrType::SSHFP: return kFields<number8, number8, hex_rest>;
    case RrType::TLSA:
    case RrType::SMIMEA: return kFields<number8, number8, number8, hex_rest>;
    case RrType::IPSECKEY: return kFields<number8, number8, number8, gateway, base64_or_none>;
    case RrType::HIP: return kFields<host_identity>;
    case RrType::NSEC: return kFields<name, types>;
    case RrType::NSEC3: return kFields<number8, number8, number16, salt, hashed_name, types>;
    case RrType::NSEC3PARAM: return kFields<number8, number8, number16, salt>;
    case RrType::DHCID:
    case RrType::OPENPGPKEY: return kFields<base64_rest>;
    case RrType::CSYNC: return kFields<number32, number16, types>;
    case RrType::ZONEMD: return kFields<number32, number8, number8, hex_rest>;
    case RrType::SVCB:
    case RrType::HTTPS: return kFields<number16, name, svc_params>;
    case RrType::EUI48: return kFields<eui48>;
    case RrType::EUI64: return kFields<eui64>;
    case RrType::URI: return kFields<number16, number16, quoted_rest>;
    case RrType::CAA: return kFields<number8, bare_string, quoted_rest>;
    default: return rare_fields(static_cast<std::uint16_t>(type));
    }
}

bool is_text_by_ldns(RrType type) noexcept { return type == RrType::LOC; }

} // namespace sallyport::wire
