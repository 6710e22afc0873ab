#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

/// Octets and how numbers stand in them. Everything the network hands us is a `Bytes`.
namespace sallyport::base {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

/// Reads a 16-bit number in network order. The caller has checked that two octets stand at `offset`.
[[nodiscard]] constexpr std::uint16_t load_be16(Bytes bytes, std::size_t offset) noexcept
{
    return static_cast<std::uint16_t>((unsigned{bytes[offset]} << 8U) | bytes[offset + 1]);
}

/// Reads a 32-bit number in network order. The caller has checked that four octets stand at `offset`.
[[nodiscard]] constexpr std::uint32_t load_be32(Bytes bytes, std::size_t offset) noexcept
{
    return (std::uint32_t{load_be16(bytes, offset)} << 16U) | load_be16(bytes, offset + 2);
}

constexpr void store_be16(MutableBytes bytes, std::size_t offset, std::uint16_t value) noexcept
{
    bytes[offset] = static_cast<std::uint8_t>(value >> 8U);
    bytes[offset + 1] = static_cast<std::uint8_t>(value & 0xFFU);
}

constexpr void store_be32(MutableBytes bytes, std::size_t offset, std::uint32_t value) noexcept
{
    store_be16(bytes, offset, static_cast<std::uint16_t>(value >> 16U));
    store_be16(bytes, offset + 2, static_cast<std::uint16_t>(value & 0xFFFFU));
}

/// The octets of a text, borrowed.
[[nodiscard]] inline Bytes as_bytes(std::string_view text) noexcept
{
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

/// The same octets as text, borrowed. Says nothing about their encoding.
[[nodiscard]] inline std::string_view as_text(Bytes bytes) noexcept
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline bool equal(Bytes left, Bytes right) noexcept
{
    return left.size() == right.size() && (left.empty() || std::memcmp(left.data(), right.data(), left.size()) == 0);
}

} // namespace sallyport::base
