#pragma once

#include <string_view>

/// Blanks in the fields of HTTP (RFC 9110 §5.6.3).
namespace sallyport::listeners {

[[nodiscard]] constexpr bool is_blank(char letter) noexcept { return letter == ' ' || letter == '\t'; }

/// `text` without the blanks around it.
[[nodiscard]] constexpr std::string_view trim(std::string_view text) noexcept
{
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

} // namespace sallyport::listeners
