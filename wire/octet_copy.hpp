#pragma once

#include "wire/letter_case.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sallyport::wire {

/// Copies `size` octets between places that do not overlap. For names: where the compiler knows that a size is below
/// 256, it makes `rep movsq` of memcpy, which takes 30 ns to start; a name is copied in 3.
inline void copy_octets(std::uint8_t* to, const std::uint8_t* from, std::size_t size) noexcept
{
    if (size < 8) {
        for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
        return;
    }
    const std::uint64_t tail = load_octets(from + size - 8);
    for (std::size_t i = 0; i + 8 <= size; i += 8) {
        const std::uint64_t octets = load_octets(from + i);
        std::memcpy(to + i, &octets, sizeof octets);
    }
    std::memcpy(to + size - 8, &tail, sizeof tail);
}

} // namespace sallyport::wire
