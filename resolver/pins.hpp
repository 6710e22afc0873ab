#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sallyport::resolver {

/// The 32 octets of a pin: base64 of SHA-256 over the key (RFC 7858 §4.2). Nothing where it is anything else.
[[nodiscard]] inline std::optional<std::array<std::uint8_t, 32>> parse_pin(std::string_view text) noexcept
{
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::array<std::uint8_t, 32> pin{};
    if (text.size() != 44 || text.back() != '=') return std::nullopt;
    std::uint32_t bits = 0;
    unsigned held = 0;
    std::size_t at = 0;
    for (const char c : text.substr(0, 43)) {
        const auto digit = kDigits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = (bits << 6U) | static_cast<std::uint32_t>(digit);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        pin[at++] = static_cast<std::uint8_t>((bits >> held) & 0xFFU);
    }
    // 43 digits hold 258 bits: the last two are none of the pin's.
    return at == pin.size() && (bits & 3U) == 0 ? std::optional{pin} : std::nullopt;
}

} // namespace sallyport::resolver
