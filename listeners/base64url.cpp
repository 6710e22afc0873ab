#include "listeners/base64url.hpp"

#include <array>
#include <cstdint>

namespace sallyport::listeners {

namespace {

constexpr std::uint8_t kNone = 0xFF;

constexpr std::array<std::uint8_t, 256> kValues = [] {
    std::array<std::uint8_t, 256> values{};
    values.fill(kNone);
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
        values[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
    }
    return values;
}();

std::uint32_t value(char letter) noexcept { return kValues[static_cast<std::uint8_t>(letter)]; }

bool decode_tail(std::string_view text, base::MutableBytes out) noexcept
{
    if (text.empty()) return true;
    const std::uint32_t first = value(text[0]);
    const std::uint32_t second = value(text[1]);
    const std::uint32_t third = text.size() == 3 ? value(text[2]) : 0;
    if (((first | second | third) & 0xC0U) != 0) return false;
    const std::uint32_t bits = (first << 18U) | (second << 12U) | (third << 6U);
    out[0] = static_cast<std::uint8_t>(bits >> 16U);
    if (text.size() == 2) return (bits & 0xFFFFU) == 0;
    out[1] = static_cast<std::uint8_t>(bits >> 8U);
    return (bits & 0xFFU) == 0;
}

} // namespace

std::string_view without_padding(std::string_view text) noexcept
{
    for (int i = 0; i < 2; ++i) {
        if (text.ends_with('=')) {
            text.remove_suffix(1);
        } else if (text.ends_with("%3D") || text.ends_with("%3d")) {
            text.remove_suffix(3);
        }
    }
    return text;
}

bool base64url_decode(std::string_view text, base::MutableBytes out) noexcept
{
    const auto size = base64url_decoded_size(text.size());
    if (!size || out.size() != *size) return false;
    std::size_t to = 0;
    std::size_t from = 0;
    std::uint32_t wrong = 0;
    for (; from + 4 <= text.size(); from += 4, to += 3) {
        const std::uint32_t a = value(text[from]);
        const std::uint32_t b = value(text[from + 1]);
        const std::uint32_t c = value(text[from + 2]);
        const std::uint32_t d = value(text[from + 3]);
        wrong |= (a | b | c | d) & 0xC0U;
        const std::uint32_t bits = (a << 18U) | (b << 12U) | (c << 6U) | d;
        out[to] = static_cast<std::uint8_t>(bits >> 16U);
        out[to + 1] = static_cast<std::uint8_t>(bits >> 8U);
        out[to + 2] = static_cast<std::uint8_t>(bits);
    }
    return wrong == 0 && decode_tail(text.substr(from), out.subspan(to));
}

} // namespace sallyport::listeners
