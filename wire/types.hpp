#pragma once

#include <boost/assert/source_location.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// The vocabulary of the DNS: registry values under their IANA mnemonics, and the few states all modules speak of.
namespace sallyport::wire {

/// RR TYPEs (RFC 1035 §3.2.2 and the IANA registry). Any 16-bit value is valid; these have names.
enum class RrType : std::uint16_t {
    A = 1,
    NS = 2,
    CNAME = 5,
    SOA = 6,
    PTR = 12,
    HINFO = 13,
    MX = 15,
    TXT = 16,
    RP = 17,
    AFSDB = 18,
    SIG = 24,
    KEY = 25,
    AAAA = 28,
    LOC = 29,
    SRV = 33,
    NAPTR = 35,
    KX = 36,
    CERT = 37,
    DNAME = 39,
    OPT = 41,
    DS = 43,
    SSHFP = 44,
    IPSECKEY = 45,
    RRSIG = 46,
    NSEC = 47,
    DNSKEY = 48,
    DHCID = 49,
    NSEC3 = 50,
    NSEC3PARAM = 51,
    TLSA = 52,
    SMIMEA = 53,
    HIP = 55,
    CDS = 59,
    CDNSKEY = 60,
    OPENPGPKEY = 61,
    CSYNC = 62,
    ZONEMD = 63,
    SVCB = 64,
    HTTPS = 65,
    EUI48 = 108,
    EUI64 = 109,
    TKEY = 249,
    TSIG = 250,
    IXFR = 251,
    AXFR = 252,
    MAILB = 253,
    MAILA = 254,
    ANY = 255,
    URI = 256,
    CAA = 257,
    DLV = 32769,
};

enum class RrClass : std::uint16_t { IN = 1, CH = 3, HS = 4, NONE = 254, ANY = 255 };

enum class Opcode : std::uint8_t { QUERY = 0, IQUERY = 1, STATUS = 2, NOTIFY = 4, UPDATE = 5, DSO = 6 };

/// Response codes, the extended ones of EDNS included (12 bits).
enum class Rcode : std::uint16_t {
    NOERROR = 0,
    FORMERR = 1,
    SERVFAIL = 2,
    NXDOMAIN = 3,
    NOTIMP = 4,
    REFUSED = 5,
    YXDOMAIN = 6,
    YXRRSET = 7,
    NXRRSET = 8,
    NOTAUTH = 9,
    NOTZONE = 10,
    DSOTYPENI = 11,
    BADVERS = 16,
    BADCOOKIE = 23,
};

enum class EdnsOptionCode : std::uint16_t {
    NSID = 3,
    DAU = 5,
    DHU = 6,
    N3U = 7,
    CLIENT_SUBNET = 8,
    EXPIRE = 9,
    COOKIE = 10,
    TCP_KEEPALIVE = 11,
    PADDING = 12,
    CHAIN = 13,
    KEY_TAG = 14,
    EDE = 15,
    REPORT_CHANNEL = 18,
    ZONEVERSION = 19,
};

/// INFO-CODEs of Extended DNS Errors (RFC 8914 §4 and the registry).
enum class ExtendedError : std::uint16_t {
    other = 0,
    unsupported_dnskey_algorithm = 1,
    unsupported_ds_digest = 2,
    stale_answer = 3,
    forged_answer = 4,
    dnssec_indeterminate = 5,
    dnssec_bogus = 6,
    signature_expired = 7,
    signature_not_yet_valid = 8,
    dnskey_missing = 9,
    rrsigs_missing = 10,
    no_zone_key_bit_set = 11,
    nsec_missing = 12,
    cached_error = 13,
    not_ready = 14,
    blocked = 15,
    censored = 16,
    filtered = 17,
    prohibited = 18,
    stale_nxdomain_answer = 19,
    not_authoritative = 20,
    not_supported = 21,
    no_reachable_authority = 22,
    network_error = 23,
    invalid_data = 24,
    signature_expired_before_valid = 25,
    too_early = 26,
    unsupported_nsec3_iterations = 27,
    synthesized = 29,
    invalid_query_type = 30,
};

/// What DNSSEC says of data (RFC 4035 §4.3); `unchecked` where nobody has asked yet.
enum class ValidationState : std::uint8_t { unchecked, secure, insecure, bogus, indeterminate };

enum class Section : std::uint8_t { question, answer, authority, additional };

/// Header flags as they stand in the second 16-bit word (RFC 1035 §4.1.1, RFC 4035 §3.1.6, §3.2).
namespace flag {
inline constexpr std::uint16_t QR = 0x8000;
inline constexpr std::uint16_t AA = 0x0400;
inline constexpr std::uint16_t TC = 0x0200;
inline constexpr std::uint16_t RD = 0x0100;
inline constexpr std::uint16_t RA = 0x0080;
inline constexpr std::uint16_t AD = 0x0020;
inline constexpr std::uint16_t CD = 0x0010;
} // namespace flag

inline constexpr std::size_t kHeaderSize = 12;
inline constexpr std::size_t kMaxMessageSize = 65535;
inline constexpr std::size_t kMaxUdpWithoutEdns = 512;

/// Seconds that a record may be kept. From the wire the top bit counts as zero (RFC 2181 §8).
class Ttl {
public:
    constexpr Ttl() noexcept = default;
    constexpr explicit Ttl(std::uint32_t seconds) noexcept : seconds_(seconds) {}
    [[nodiscard]] static constexpr Ttl from_wire(std::uint32_t field) noexcept
    {
        return Ttl{(field & 0x8000'0000U) != 0 ? 0 : field};
    }
    [[nodiscard]] constexpr std::uint32_t seconds() const noexcept { return seconds_; }
    friend constexpr auto operator<=>(const Ttl&, const Ttl&) = default;

private:
    std::uint32_t seconds_ = 0;
};

/// Why bytes are not what they should be. Without text: nobody reads it but a counter.
enum class ParseError : std::uint8_t {
    truncated,      ///< a field runs past the end
    bad_pointer,    ///< forward or looping compression pointer (RFC 1035 §4.1.4)
    bad_label,      ///< label types 01 and 10, or a label over 63 octets
    name_too_long,  ///< over 255 octets
    pointer_budget, ///< too many hops over the whole message
    bad_opt,        ///< two OPT records, OPT outside the additional section or with an owner name
    bad_option,     ///< an EDNS option that runs past the OPT record, or one malformed in itself
    bad_count,      ///< counts that the sections do not hold
    trailing_bytes, ///< octets after the last record
    bad_text,       ///< presentation format that does not mean what it should
    bad_rdata,      ///< RDATA that does not fit its type
};

/// `AAAA`, `TYPE65280` (RFC 3597 §5).
[[nodiscard]] std::string to_string(RrType type);
[[nodiscard]] std::string to_string(RrClass rr_class);
[[nodiscard]] std::string to_string(Rcode rcode);
[[nodiscard]] std::string_view to_string(Opcode opcode);
[[nodiscard]] std::string_view to_string(ExtendedError code);
[[nodiscard]] std::string_view to_string(ParseError error);
/// Mnemonics in any case, `TYPE…`/`CLASS…` for the rest.
[[nodiscard]] std::optional<RrType> parse_rr_type(std::string_view text);
[[nodiscard]] std::optional<RrClass> parse_rr_class(std::string_view text);

/// Called by `Result::value()` on an error: only tools and tests do that.
[[noreturn]] void throw_exception_from_error(ParseError error, const boost::source_location& where);

/// QTYPEs and types that never are data of a zone: OPT, TSIG, TKEY and 128–255 (RFC 6895 §3.1), and 0.
[[nodiscard]] constexpr bool is_meta(RrType type) noexcept
{
    const auto value = static_cast<std::uint16_t>(type);
    return type == RrType::OPT || (value >= 128 && value <= 255) || value == 0;
}

} // namespace sallyport::wire
