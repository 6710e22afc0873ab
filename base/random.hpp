#pragma once

#include "base/bytes.hpp"

#include <cstdint>

/// Randomness is handed in, as time is.
namespace sallyport::base {

class RandomSource {
public:
    virtual ~RandomSource() = default;
    virtual void fill(MutableBytes bytes) noexcept = 0;

    [[nodiscard]] std::uint64_t number() noexcept
    {
        std::uint64_t value = 0;
        fill({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
        return value;
    }
};

/// The kernel's generator (getrandom), through a small buffer. One per thread.
class SystemRandom final : public RandomSource {
public:
    void fill(MutableBytes bytes) noexcept override;

private:
    std::uint8_t pool_[256] = {};
    std::size_t left_ = 0;
};

} // namespace sallyport::base
