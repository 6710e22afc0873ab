#pragma once

#include "base/bytes.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

/// base64url (RFC 4648 §5) as DoH uses it: without padding (RFC 8484 §6).
namespace sallyport::listeners {

/// The text without the padding that some clients leave on it: at most two `=` or `%3D` at its end.
[[nodiscard]] std::string_view without_padding(std::string_view text) noexcept;

/// Octets that `size` letters decode to; nothing: no text has this length.
[[nodiscard]] constexpr std::optional<std::size_t> base64url_decoded_size(std::size_t size) noexcept
{
    if (size % 4 == 1) return std::nullopt;
    return size / 4 * 3 + (size % 4 == 0 ? 0 : size % 4 - 1);
}

/// Decodes `text` into `out`, which has exactly the decoded size. False: letters outside of the alphabet, or bits that
/// stand for nothing and are not zero (RFC 4648 §3.5), so that a message has one spelling.
[[nodiscard]] bool base64url_decode(std::string_view text, base::MutableBytes out) noexcept;

} // namespace sallyport::listeners
