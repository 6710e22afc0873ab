#pragma once

#include "base/clock.hpp"
#include "resolver/options.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace sallyport::resolver {

/// What a strategy may know of an upstream.
struct Candidate {
    bool open = false; ///< the circuit breaker keeps it out
    unsigned failures = 0;
    bool measured = false;
    base::Instant measured_at{};
    base::Duration smoothed_rtt{};
    std::uint64_t in_flight = 0; ///< queries that wait for it
};

/// Upstreams in the order in which they are asked.
struct Order {
    std::array<std::uint8_t, kMaxUpstreams> index{};
    std::uint8_t count = 0;
    std::uint8_t usable = 0; ///< so many at the front have a closed breaker
    std::uint8_t at_once = 1;
};

/// Orders the upstreams of a group. `turn` goes up by one with each question of the group. Those with an open breaker
/// stand at the end, the one with the fewest failures first: the last resort, not a reason to fail at once.
[[nodiscard]] Order choose(const GroupOptions& group, std::span<const Candidate> candidates,
                           std::uint64_t turn) noexcept;

/// How long a measure is believed before an upstream that is not asked is asked again to see how it is.
inline constexpr base::Duration kExploreEvery = std::chrono::seconds{10};

/// For `Strategy::fastest`: whom to ask beside the chosen one, only to learn how quick it is.
[[nodiscard]] std::optional<std::size_t> worth_exploring(std::span<const Candidate> candidates, std::size_t chosen,
                                                         base::Instant now) noexcept;

} // namespace sallyport::resolver
