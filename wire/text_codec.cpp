#include "wire/text_codec.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <chrono>
#include <limits>

namespace sallyport::wire {
namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Value of each character in an alphabet, -1 for those outside it.
using Alphabet = std::array<std::int8_t, 256>;

constexpr Alphabet make_alphabet(std::string_view digits, bool any_case) noexcept
{
    Alphabet values{};
    values.fill(-1);
    for (std::size_t i = 0; i < digits.size(); ++i) {
        const char c = digits[i];
        values[static_cast<unsigned char>(c)] = static_cast<std::int8_t>(i);
        if (any_case && c >= 'a' && c <= 'z')
            values[static_cast<unsigned char>(c - 'a' + 'A')] = static_cast<std::int8_t>(i);
    }
    return values;
}

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kUpperHexDigits = "0123456789ABCDEF";
constexpr std::string_view kBase32HexDigits = "0123456789abcdefghijklmnopqrstuv";
constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr Alphabet kHex = make_alphabet(kHexDigits, true);
constexpr Alphabet kBase32Hex = make_alphabet(kBase32HexDigits, true);
constexpr Alphabet kBase64 = make_alphabet(kBase64Digits, false);

/// Decodes digits of `bits` bits each. Bits left over must be zero and fewer than a digit.
bool decode_digits(std::string_view text, const Alphabet& alphabet, unsigned bits, Octets& out)
{
    std::uint32_t held = 0;
    unsigned count = 0;
    for (const char c : text) {
        const std::int8_t value = alphabet[static_cast<unsigned char>(c)];
        if (value < 0) return false;
        held = (held << bits) | static_cast<std::uint8_t>(value);
        count += bits;
        if (count >= 8) {
            count -= 8;
            out.push_back(static_cast<std::uint8_t>((held >> count) & 0xFFU));
        }
    }
    return count < bits && (held & ((1U << count) - 1U)) == 0;
}

void encode_digits(std::string& text, base::Bytes octets, std::string_view digits, unsigned bits)
{
    std::uint32_t held = 0;
    unsigned count = 0;
    const std::uint32_t mask = (1U << bits) - 1U;
    for (const std::uint8_t octet : octets) {
        held = (held << 8U) | octet;
        for (count += 8; count >= bits; count -= bits) text += digits[(held >> (count - bits)) & mask];
    }
    if (count > 0) text += digits[(held << (bits - count)) & mask];
}

} // namespace

std::optional<std::uint32_t> parse_decimal(std::string_view text, std::uint32_t limit) noexcept
{
    std::uint32_t value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || rest != end || value > limit) return std::nullopt;
    return value;
}

std::optional<std::uint32_t> unit_seconds(char unit) noexcept
{
    switch (unit) {
    case 's':
    case 'S': return 1;
    case 'm':
    case 'M': return 60;
    case 'h':
    case 'H': return 3600;
    case 'd':
    case 'D': return 86400;
    case 'w':
    case 'W': return 604800;
    default: return std::nullopt;
    }
}

std::optional<std::uint32_t> parse_seconds(std::string_view text) noexcept
{
    constexpr std::uint32_t kMax = std::numeric_limits<std::uint32_t>::max();
    if (const auto plain = parse_decimal(text, kMax)) return plain;
    std::uint64_t total = 0;
    while (!text.empty()) {
        std::size_t digits = 0;
        while (digits < text.size() && is_digit(text[digits])) ++digits;
        const auto number = parse_decimal(text.substr(0, digits), kMax);
        const auto unit = digits < text.size() ? unit_seconds(text[digits]) : std::nullopt;
        if (!number || !unit) return std::nullopt;
        total += std::uint64_t{*number} * *unit;
        if (total > kMax) return std::nullopt;
        text.remove_prefix(digits + 1);
    }
    return static_cast<std::uint32_t>(total);
}

std::optional<std::uint32_t> parse_time(std::string_view text) noexcept
{
    constexpr std::uint32_t kMax = std::numeric_limits<std::uint32_t>::max();
    if (text.size() != 14) return parse_decimal(text, kMax);
    const auto field = [&](std::size_t at, std::size_t size) { return parse_decimal(text.substr(at, size), 9999); };
    const auto year = field(0, 4);
    const auto month = field(4, 2);
    const auto day = field(6, 2);
    const auto hour = field(8, 2);
    const auto minute = field(10, 2);
    const auto second = field(12, 2);
    if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
    if (*year < 1970 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(*year)}, std::chrono::month{*month},
                                           std::chrono::day{*day}};
    if (!date.ok()) return std::nullopt;
    const auto days = std::chrono::sys_days{date}.time_since_epoch().count();
    const std::int64_t seconds = std::int64_t{days} * 86400 + *hour * 3600 + *minute * 60 + *second;
    if (seconds > kMax) return std::nullopt;
    return static_cast<std::uint32_t>(seconds);
}

std::string time_to_text(std::uint32_t seconds)
{
    const std::chrono::sys_days day{std::chrono::days{seconds / 86400}};
    const std::chrono::year_month_day date{day};
    const std::uint32_t rest = seconds % 86400;
    std::string text;
    const auto put = [&](unsigned value, unsigned scale) {
        for (; scale > 0; scale /= 10) text += static_cast<char>('0' + value / scale % 10);
    };
    put(static_cast<unsigned>(static_cast<int>(date.year())), 1000);
    put(static_cast<unsigned>(date.month()), 10);
    put(static_cast<unsigned>(date.day()), 10);
    put(rest / 3600, 10);
    put(rest / 60 % 60, 10);
    put(rest % 60, 10);
    return text;
}

std::optional<std::array<std::uint8_t, 4>> parse_ipv4(std::string_view text) noexcept
{
    std::array<std::uint8_t, 4> address{};
    std::size_t at = 0;
    for (std::size_t part = 0; part < 4; ++part) {
        const std::size_t start = at;
        unsigned value = 0;
        while (at < text.size() && at - start < 3 && is_digit(text[at])) {
            value = value * 10 + static_cast<unsigned>(text[at++] - '0');
        }
        if (at == start || value > 255) return std::nullopt;
        address[part] = static_cast<std::uint8_t>(value);
        if (part < 3 && (at >= text.size() || text[at++] != '.')) return std::nullopt;
    }
    if (at != text.size()) return std::nullopt;
    return address;
}

std::optional<std::array<std::uint8_t, 16>> parse_ipv6(std::string_view text) noexcept
{
    char buffer[INET6_ADDRSTRLEN] = {};
    if (text.size() >= sizeof buffer) return std::nullopt;
    text.copy(buffer, text.size());
    std::array<std::uint8_t, 16> address{};
    if (text.find('\0') != std::string_view::npos || inet_pton(AF_INET6, buffer, address.data()) != 1)
        return std::nullopt;
    return address;
}

void append_ipv4(std::string& text, base::Bytes address)
{
    for (std::size_t i = 0; i < 4; ++i) {
        if (i > 0) text += '.';
        text += std::to_string(unsigned{address[i]});
    }
}

void append_ipv6(std::string& text, base::Bytes address)
{
    char buffer[INET6_ADDRSTRLEN] = {};
    text += inet_ntop(AF_INET6, address.data(), buffer, sizeof buffer);
}

bool decode_hex(std::string_view text, Octets& out) { return decode_digits(text, kHex, 4, out); }

bool decode_base32hex(std::string_view text, Octets& out) { return decode_digits(text, kBase32Hex, 5, out); }

bool decode_base64(std::string_view text, Octets& out)
{
    if (text.size() % 4 != 0) return false;
    std::size_t size = text.size();
    while (size > 0 && text.size() - size < 2 && text[size - 1] == '=') --size;
    return decode_digits(text.substr(0, size), kBase64, 6, out);
}

void append_hex(std::string& text, base::Bytes octets) { encode_digits(text, octets, kUpperHexDigits, 4); }

void append_base32hex(std::string& text, base::Bytes octets) { encode_digits(text, octets, kBase32HexDigits, 5); }

void append_base64(std::string& text, base::Bytes octets)
{
    encode_digits(text, octets, kBase64Digits, 6);
    if (octets.size() % 3 == 1) text += "==";
    if (octets.size() % 3 == 2) text += '=';
}

bool decode_escapes(std::string_view text, Octets& out)
{
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '\\') {
            out.push_back(static_cast<std::uint8_t>(text[at]));
            continue;
        }
        if (++at == text.size()) return false;
        if (!is_digit(text[at])) {
            out.push_back(static_cast<std::uint8_t>(text[at]));
            continue;
        }
        if (text.size() - at < 3) return false;
        const auto value = parse_decimal(text.substr(at, 3), 255);
        if (!value) return false;
        out.push_back(static_cast<std::uint8_t>(*value));
        at += 2;
    }
    return true;
}

void append_quoted(std::string& text, base::Bytes octets)
{
    text += '"';
    for (const std::uint8_t octet : octets) {
        if (octet < 0x20 || octet >= 0x7F) {
            text += '\\';
            for (unsigned scale = 100; scale > 0; scale /= 10) text += static_cast<char>('0' + octet / scale % 10);
            continue;
        }
        if (octet == '"' || octet == '\\') text += '\\';
        text += static_cast<char>(octet);
    }
    text += '"';
}

} // namespace sallyport::wire
