#pragma once

#include "base/clock.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace sallyport::load {

/// Counts durations in buckets that are at most 1/32 of their value wide.
class Latency {
public:
    void add(base::Duration duration) noexcept
    {
        const auto nanoseconds = std::chrono::nanoseconds{duration}.count();
        ++buckets_[index(nanoseconds < 0 ? 0 : static_cast<std::uint64_t>(nanoseconds))];
        ++count_;
    }
    /// The duration that `share` (0 to 1) of all are not above.
    [[nodiscard]] std::chrono::nanoseconds quantile(double share) const noexcept
    {
        const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(count_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < buckets_.size(); ++i) {
            seen += buckets_[i];
            if (seen > rank || seen == count_) return std::chrono::nanoseconds{static_cast<std::int64_t>(value(i))};
        }
        return {};
    }

private:
    static constexpr unsigned kSubBits = 5;
    static constexpr std::uint64_t kSub = 1U << kSubBits;

    static std::size_t index(std::uint64_t n) noexcept
    {
        if (n < kSub) return n;
        const auto shift = static_cast<unsigned>(std::bit_width(n)) - kSubBits - 1;
        return (shift + 1) * kSub + ((n >> shift) - kSub);
    }
    static std::uint64_t value(std::size_t i) noexcept
    {
        if (i < kSub) return i;
        const std::size_t shift = i / kSub - 1;
        return (i % kSub + kSub) << shift;
    }

    std::array<std::uint64_t, 64 * kSub> buckets_{};
    std::uint64_t count_ = 0;
};

} // namespace sallyport::load
