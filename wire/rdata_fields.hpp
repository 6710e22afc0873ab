#pragma once

#include "wire/types.hpp"

#include <cstdint>
#include <span>

/// How the fields of a type are spelled in presentation format: one table for reading and printing.
namespace sallyport::wire {

enum class TextField : std::uint8_t {
    number8,
    number16,
    number32,
    seconds,          ///< 32 bits; units are understood: `1h30m`
    time,             ///< 32 bits, `YYYYMMDDHHmmSS`
    rr_type,          ///< 16 bits, a mnemonic
    algorithm,        ///< 8 bits, a DNSSEC algorithm as number or mnemonic
    certificate_type, ///< 16 bits, RFC 4398 §2.1
    ipv4,
    ipv6,
    eui48,
    eui64,
    locator64, ///< 64 bits as four groups of hexadecimal digits (RFC 6742 §2.1.2)
    name,
    string,         ///< one <character-string>
    strings,        ///< one or more of them, to the end
    bare_string,    ///< a <character-string> printed without quotes: the tag of CAA
    quoted_rest,    ///< one string without a length, to the end
    hex_rest,       ///< hexadecimal to the end, blanks allowed
    base64_rest,    ///< base64 to the end, blanks allowed
    salt,           ///< hexadecimal with a length before it, `-` for none
    hashed_name,    ///< base32hex with a length before it
    types,          ///< type bit maps, to the end
    svc_params,     ///< to the end
    gateway,        ///< of IPSECKEY: `.`, an address or a name, as the second octet says (RFC 4025 §2.5)
    base64_or_none, ///< base64 to the end, which may be nothing
    host_identity,  ///< of HIP: all of it, for text has the fields in another order (RFC 8005 §6)
};

/// Empty for types that have no table: unknown ones and those that ldns reads.
[[nodiscard]] std::span<const TextField> text_fields(RrType type) noexcept;
/// Types whose text ldns reads and prints: LOC.
[[nodiscard]] bool is_text_by_ldns(RrType type) noexcept;

} // namespace sallyport::wire
