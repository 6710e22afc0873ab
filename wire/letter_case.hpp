#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

/// Names without regard to case (RFC 4343), eight octets at a time.
///
/// Length octets (0 to 63) are no letters, so a whole wire-format name goes through as it stands.
namespace sallyport::wire {

/// One octet in lower case (ASCII only, RFC 4343 §3).
[[nodiscard]] constexpr std::uint8_t lower(std::uint8_t octet) noexcept
{
    return octet >= 'A' && octet <= 'Z' ? static_cast<std::uint8_t>(octet + ('a' - 'A')) : octet;
}

/// Eight octets in lower case.
[[nodiscard]] constexpr std::uint64_t lower_octets(std::uint64_t octets) noexcept
{
    constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101U;
    const std::uint64_t low_bits = octets & (kOnes * 0x7F);
    const std::uint64_t from_a = low_bits + kOnes * (0x80 - 'A');
    const std::uint64_t after_z = low_bits + kOnes * (0x7F - 'Z');
    const std::uint64_t letters = (from_a ^ after_z) & ~octets & (kOnes * 0x80);
    return octets | (letters >> 2U);
}

[[nodiscard]] inline std::uint64_t load_octets(const std::uint8_t* octets) noexcept
{
    std::uint64_t value;
    std::memcpy(&value, octets, sizeof value);
    return value;
}

/// Up to seven octets as one number, without reading past them. Equal octets give equal numbers.
[[nodiscard]] inline std::uint64_t load_short(const std::uint8_t* octets, std::size_t size) noexcept
{
    if (size >= 4) {
        std::uint32_t first;
        std::uint32_t last;
        std::memcpy(&first, octets, sizeof first);
        std::memcpy(&last, octets + size - sizeof last, sizeof last);
        return (std::uint64_t{last} << 32U) | first;
    }
    if (size == 0) return 0;
    return std::uint64_t{octets[0]} | (std::uint64_t{octets[size / 2]} << 8U) |
           (std::uint64_t{octets[size - 1]} << 16U);
}

/// Copies `size` octets in lower case; both may be the same place.
inline void lower_copy(std::uint8_t* to, const std::uint8_t* from, std::size_t size) noexcept
{
    if (size < 8) {
        for (std::size_t i = 0; i < size; ++i) to[i] = lower(from[i]);
        return;
    }
    const std::uint64_t tail = lower_octets(load_octets(from + size - 8));
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
        const std::uint64_t octets = lower_octets(load_octets(from + i));
        std::memcpy(to + i, &octets, sizeof octets);
    }
    std::memcpy(to + size - 8, &tail, sizeof tail);
}

[[nodiscard]] inline bool equal_ignoring_case(const std::uint8_t* left, const std::uint8_t* right,
                                              std::size_t size) noexcept
{
    if (size < 8) return lower_octets(load_short(left, size)) == lower_octets(load_short(right, size));
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
        if (lower_octets(load_octets(left + i)) != lower_octets(load_octets(right + i))) return false;
    }
    return lower_octets(load_octets(left + size - 8)) == lower_octets(load_octets(right + size - 8));
}

} // namespace sallyport::wire
