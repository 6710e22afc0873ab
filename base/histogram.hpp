#pragma once

#include "base/clock.hpp"
#include "base/counter.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sallyport::base {

/// How long things took: counts in buckets whose bounds double, from 1 µs to 8.4 s. Written by one thread (its
/// worker's) and read by any. A record costs what two counters cost.
class Histogram {
public:
    /// Buckets with an upper bound; one more holds what took longer.
    static constexpr std::size_t kBounded = 24;
    static constexpr std::size_t kBuckets = kBounded + 1;

    void record(Duration took) noexcept
    {
        // The clock is monotonic; what is below zero is somebody's mistake and counts as nothing.
        const auto nanoseconds = took.count() > 0 ? static_cast<std::uint64_t>(took.count()) : 0;
        ++buckets_[bucket_of(nanoseconds)];
        sum_.add(nanoseconds);
    }

    /// How many fell into a bucket; not added up.
    [[nodiscard]] std::uint64_t count(std::size_t bucket) const noexcept { return buckets_[bucket].get(); }
    /// All that was recorded, together.
    [[nodiscard]] std::uint64_t sum_nanoseconds() const noexcept { return sum_.get(); }
    /// The largest duration that belongs to a bucket, in nanoseconds; not for the last one, which has none.
    [[nodiscard]] static constexpr std::uint64_t upper_nanoseconds(std::size_t bucket) noexcept
    {
        return std::uint64_t{1000} << bucket;
    }
    [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t nanoseconds) noexcept
    {
        // Bounds belong to the bucket below them, as Prometheus' `le` has it.
        const std::uint64_t beyond = nanoseconds == 0 ? 0 : (nanoseconds - 1) / 1000;
        const auto bucket = static_cast<std::size_t>(std::bit_width(beyond));
        return bucket < kBounded ? bucket : kBounded;
    }

private:
    std::array<Counter, kBuckets> buckets_;
    Counter sum_;
};

} // namespace sallyport::base
