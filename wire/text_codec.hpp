#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Encodings that presentation format is made of: numbers, escapes, hexadecimal, base32hex, base64, addresses, times.
namespace sallyport::wire {

using Octets = std::vector<std::uint8_t>;

/// Decimal digits only, the whole text, not over `limit`.
[[nodiscard]] std::optional<std::uint32_t> parse_decimal(std::string_view text, std::uint32_t limit) noexcept;
/// What `s`, `m`, `h`, `d` or `w` behind a number makes of it.
[[nodiscard]] std::optional<std::uint32_t> unit_seconds(char unit) noexcept;
/// Seconds, or with units: `1w2d3h4m5s`.
[[nodiscard]] std::optional<std::uint32_t> parse_seconds(std::string_view text) noexcept;
/// `20260131235959` or seconds since 1970 (RFC 4034 §3.2).
[[nodiscard]] std::optional<std::uint32_t> parse_time(std::string_view text) noexcept;
[[nodiscard]] std::string time_to_text(std::uint32_t seconds);

[[nodiscard]] std::optional<std::array<std::uint8_t, 4>> parse_ipv4(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::array<std::uint8_t, 16>> parse_ipv6(std::string_view text) noexcept;
void append_ipv4(std::string& text, base::Bytes address);
void append_ipv6(std::string& text, base::Bytes address);

/// Each appends what it decodes; false where the text is not of its alphabet, or not whole.
[[nodiscard]] bool decode_hex(std::string_view text, Octets& out);
[[nodiscard]] bool decode_base32hex(std::string_view text, Octets& out);
[[nodiscard]] bool decode_base64(std::string_view text, Octets& out);
void append_hex(std::string& text, base::Bytes octets);
void append_base32hex(std::string& text, base::Bytes octets); ///< lower case, no padding (RFC 5155 §3.3)
void append_base64(std::string& text, base::Bytes octets);

/// Undoes `\X` and `\DDD` (RFC 1035 §5.1). False for an escape that is none.
[[nodiscard]] bool decode_escapes(std::string_view text, Octets& out);
/// `"…"` with `\"`, `\\` and `\DDD`: printable ASCII only.
void append_quoted(std::string& text, base::Bytes octets);

} // namespace sallyport::wire
