#include "wire/types.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <stdexcept>

namespace sallyport::wire {
namespace {

template <class Value>
struct Mnemonic {
    Value value;
    std::string_view text;
};

// What zones hold most stands first: the search is linear.
constexpr Mnemonic<RrType> kTypes[] = {
    {RrType::A, "A"},
    {RrType::AAAA, "AAAA"},
    {RrType::NS, "NS"},
    {RrType::CNAME, "CNAME"},
    {RrType::PTR, "PTR"},
    {RrType::MX, "MX"},
    {RrType::TXT, "TXT"},
    {RrType::SOA, "SOA"},
    {RrType::RRSIG, "RRSIG"},
    {RrType::NSEC3, "NSEC3"},
    {RrType::NSEC, "NSEC"},
    {RrType::DS, "DS"},
    {RrType::SRV, "SRV"},
    {RrType::HTTPS, "HTTPS"},
    {RrType::SVCB, "SVCB"},
    {RrType::CAA, "CAA"},
    {RrType::TLSA, "TLSA"},
    {RrType::DNSKEY, "DNSKEY"},
    {RrType::DNAME, "DNAME"},
    {RrType::HINFO, "HINFO"},
    {RrType::RP, "RP"},
    {RrType::AFSDB, "AFSDB"},
    {RrType::SIG, "SIG"},
    {RrType::KEY, "KEY"},
    {RrType::LOC, "LOC"},
    {RrType::NAPTR, "NAPTR"},
    {RrType::KX, "KX"},
    {RrType::CERT, "CERT"},
    {RrType::OPT, "OPT"},
    {RrType::SSHFP, "SSHFP"},
    {RrType::IPSECKEY, "IPSECKEY"},
    {RrType::DHCID, "DHCID"},
    {RrType::NSEC3PARAM, "NSEC3PARAM"},
    {RrType::SMIMEA, "SMIMEA"},
    {RrType::HIP, "HIP"},
    {RrType::CDS, "CDS"},
    {RrType::CDNSKEY, "CDNSKEY"},
    {RrType::OPENPGPKEY, "OPENPGPKEY"},
    {RrType::CSYNC, "CSYNC"},
    {RrType::ZONEMD, "ZONEMD"},
    {RrType::EUI48, "EUI48"},
    {RrType::EUI64, "EUI64"},
    {RrType::TKEY, "TKEY"},
    {RrType::TSIG, "TSIG"},
    {RrType::IXFR, "IXFR"},
    {RrType::AXFR, "AXFR"},
    {RrType::MAILB, "MAILB"},
    {RrType::MAILA, "MAILA"},
    {RrType::ANY, "ANY"},
    {RrType::URI, "URI"},
    {RrType::DLV, "DLV"},
    // Nothing here asks for these by name, so they have no enumerator; zones and type bit maps spell them all the same.
    {RrType{3}, "MD"},
    {RrType{4}, "MF"},
    {RrType{7}, "MB"},
    {RrType{8}, "MG"},
    {RrType{9}, "MR"},
    {RrType{10}, "NULL"},
    {RrType{11}, "WKS"},
    {RrType{14}, "MINFO"},
    {RrType{19}, "X25"},
    {RrType{20}, "ISDN"},
    {RrType{21}, "RT"},
    {RrType{22}, "NSAP"},
    {RrType{23}, "NSAP-PTR"},
    {RrType{26}, "PX"},
    {RrType{27}, "GPOS"},
    {RrType{30}, "NXT"},
    {RrType{31}, "EID"},
    {RrType{32}, "NIMLOC"},
    {RrType{34}, "ATMA"},
    {RrType{38}, "A6"},
    {RrType{40}, "SINK"},
    {RrType{42}, "APL"},
    {RrType{56}, "NINFO"},
    {RrType{57}, "RKEY"},
    {RrType{58}, "TALINK"},
    {RrType{66}, "DSYNC"},
    {RrType{67}, "HHIT"},
    {RrType{68}, "BRID"},
    {RrType{99}, "SPF"},
    {RrType{100}, "UINFO"},
    {RrType{101}, "UID"},
    {RrType{102}, "GID"},
    {RrType{103}, "UNSPEC"},
    {RrType{104}, "NID"},
    {RrType{105}, "L32"},
    {RrType{106}, "L64"},
    {RrType{107}, "LP"},
    {RrType{128}, "NXNAME"},
    {RrType{258}, "AVC"},
    {RrType{259}, "DOA"},
    {RrType{260}, "AMTRELAY"},
    {RrType{261}, "RESINFO"},
    {RrType{262}, "WALLET"},
    {RrType{263}, "CLA"},
    {RrType{264}, "IPN"},
    {RrType{32768}, "TA"},
};

constexpr Mnemonic<RrClass> kClasses[] = {
    {RrClass::IN, "IN"}, {RrClass::CH, "CH"}, {RrClass::HS, "HS"}, {RrClass::NONE, "NONE"}, {RrClass::ANY, "ANY"},
};

constexpr Mnemonic<Rcode> kRcodes[] = {
    {Rcode::NOERROR, "NOERROR"},   {Rcode::FORMERR, "FORMERR"},     {Rcode::SERVFAIL, "SERVFAIL"},
    {Rcode::NXDOMAIN, "NXDOMAIN"}, {Rcode::NOTIMP, "NOTIMP"},       {Rcode::REFUSED, "REFUSED"},
    {Rcode::YXDOMAIN, "YXDOMAIN"}, {Rcode::YXRRSET, "YXRRSET"},     {Rcode::NXRRSET, "NXRRSET"},
    {Rcode::NOTAUTH, "NOTAUTH"},   {Rcode::NOTZONE, "NOTZONE"},     {Rcode::DSOTYPENI, "DSOTYPENI"},
    {Rcode::BADVERS, "BADVERS"},   {Rcode::BADCOOKIE, "BADCOOKIE"},
};

// The registry's own words, indexed by INFO-CODE.
constexpr std::string_view kExtendedErrors[] = {
    "Other Error",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDOMAIN Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
    "Signature Expired before Valid",
    "Too Early",
    "Unsupported NSEC3 Iterations Value",
    "Unable to conform to policy",
    "Synthesized",
    "Invalid Query Type",
};

constexpr std::string_view kParseErrors[] = {
    "truncated",  "bad_pointer", "bad_label",      "name_too_long", "pointer_budget", "bad_opt",
    "bad_option", "bad_count",   "trailing_bytes", "bad_text",      "bad_rdata",
};

constexpr char upper(char letter) noexcept
{
    return letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - ('a' - 'A')) : letter;
}

bool is_mnemonic(std::string_view text, std::string_view mnemonic) noexcept
{
    return text.size() == mnemonic.size() &&
           std::equal(text.begin(), text.end(), mnemonic.begin(), [](char a, char b) { return upper(a) == b; });
}

template <class Value>
std::optional<Value> find_value(std::span<const Mnemonic<Value>> table, std::string_view text) noexcept
{
    for (const auto& entry : table) {
        if (is_mnemonic(text, entry.text)) return entry.value;
    }
    return std::nullopt;
}

template <class Value>
std::string_view find_text(std::span<const Mnemonic<Value>> table, Value value) noexcept
{
    for (const auto& entry : table) {
        if (entry.value == value) return entry.text;
    }
    return {};
}

/// The number behind `prefix`: `TYPE65280`, `CLASS32` (RFC 3597 §5).
std::optional<std::uint16_t> generic_number(std::string_view text, std::string_view prefix) noexcept
{
    if (text.size() <= prefix.size() || !is_mnemonic(text.substr(0, prefix.size()), prefix)) return std::nullopt;
    std::uint16_t number = 0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + prefix.size(), end, number);
    if (error != std::errc{} || rest != end) return std::nullopt;
    return number;
}

} // namespace

std::string to_string(RrType type)
{
    const auto text = find_text<RrType>(kTypes, type);
    return text.empty() ? "TYPE" + std::to_string(static_cast<unsigned>(type)) : std::string{text};
}

std::string to_string(RrClass rr_class)
{
    const auto text = find_text<RrClass>(kClasses, rr_class);
    return text.empty() ? "CLASS" + std::to_string(static_cast<unsigned>(rr_class)) : std::string{text};
}

std::string to_string(Rcode rcode)
{
    const auto text = find_text<Rcode>(kRcodes, rcode);
    return text.empty() ? "RCODE" + std::to_string(static_cast<unsigned>(rcode)) : std::string{text};
}

std::string_view to_string(Opcode opcode)
{
    switch (opcode) {
    case Opcode::QUERY: return "QUERY";
    case Opcode::IQUERY: return "IQUERY";
    case Opcode::STATUS: return "STATUS";
    case Opcode::NOTIFY: return "NOTIFY";
    case Opcode::UPDATE: return "UPDATE";
    case Opcode::DSO: return "DSO";
    }
    return "RESERVED";
}

std::string_view to_string(ExtendedError code)
{
    const auto index = static_cast<std::size_t>(code);
    return index < std::size(kExtendedErrors) ? kExtendedErrors[index] : "Unassigned";
}

std::string_view to_string(ParseError error) { return kParseErrors[static_cast<std::size_t>(error)]; }

std::optional<RrType> parse_rr_type(std::string_view text)
{
    if (const auto known = find_value<RrType>(kTypes, text)) return known;
    if (const auto number = generic_number(text, "TYPE")) return static_cast<RrType>(*number);
    return std::nullopt;
}

std::optional<RrClass> parse_rr_class(std::string_view text)
{
    if (const auto known = find_value<RrClass>(kClasses, text)) return known;
    if (const auto number = generic_number(text, "CLASS")) return static_cast<RrClass>(*number);
    return std::nullopt;
}

void throw_exception_from_error(ParseError error, const boost::source_location&)
{
    throw std::runtime_error(std::string{to_string(error)});
}

} // namespace sallyport::wire
