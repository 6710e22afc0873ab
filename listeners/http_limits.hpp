#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace sallyport::listeners {

/// A budget that refills: `burst` at first, `per_second` after.
class TokenBucket {
public:
    TokenBucket(std::uint32_t burst, std::uint32_t per_second, base::Instant now) noexcept
        : burst_(std::uint64_t{burst} * kUnit), per_second_(per_second), level_(burst_), last_(now)
    {
    }

    /// Takes one token; false: spent.
    [[nodiscard]] bool take(base::Instant now) noexcept;

private:
    static constexpr std::uint64_t kUnit = 1'000'000; // a token in millionths, so that refilling loses nothing

    std::uint64_t burst_;
    std::uint64_t per_second_;
    std::uint64_t level_;
    base::Instant last_;
};

/// Octets held in a resource that all workers share. Any thread.
class ByteBudget {
public:
    explicit ByteBudget(std::size_t limit) noexcept : limit_(limit) {}
    ByteBudget(const ByteBudget&) = delete;
    ByteBudget& operator=(const ByteBudget&) = delete;

    [[nodiscard]] bool take(std::size_t octets) noexcept;
    void give_back(std::size_t octets) noexcept;
    void set_limit(std::size_t limit) noexcept { limit_.store(limit, std::memory_order_relaxed); }
    [[nodiscard]] std::size_t held() const noexcept { return held_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::size_t> limit_;
    std::atomic<std::size_t> held_{0};
};

/// Octets that HTTP/1.1, HTTP/2 and HTTP/3 hold for their peers, over all workers. Any thread.
struct HttpBudget {
    /// `limit` is HttpLimits::answers_in_all; unfinished bodies have as much of their own.
    explicit HttpBudget(std::size_t limit) noexcept : answers(limit), bodies(limit) {}
    void set_limit(std::size_t limit) noexcept
    {
        answers.set_limit(limit);
        bodies.set_limit(limit);
    }
    ByteBudget answers; ///< answers that wait for a peer to read
    ByteBudget bodies;  ///< request bodies not complete, but for what fits the request itself
};

} // namespace sallyport::listeners
