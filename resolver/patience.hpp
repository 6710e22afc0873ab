#pragma once

#include "base/clock.hpp"
#include "resolver/options.hpp"

#include <algorithm>

namespace sallyport::resolver {

/// How often and how long one question is asked: one budget for all of it.
class Patience {
public:
    /// `hopeless`: every upstream is known not to answer. They are tried all the same, but not for long.
    Patience(const Limits& limits, base::Instant now, bool hopeless) noexcept
        : deadline_(now + (hopeless ? limits.budget / 2 : limits.budget)), tries_(limits.tries)
    {
    }

    [[nodiscard]] base::Instant deadline() const noexcept { return deadline_; }
    [[nodiscard]] bool is_over(base::Instant now) const noexcept { return now >= deadline_; }
    [[nodiscard]] bool may_try(base::Instant now) const noexcept { return tries_ > 0 && now < deadline_; }
    void tried() noexcept { tries_ -= tries_ > 0 ? 1U : 0U; }
    /// Until when to wait for a try before the next one begins: twice as long each time the same one is asked again.
    [[nodiscard]] base::Instant until(base::Duration timeout, unsigned round, base::Instant now) const noexcept
    {
        return std::min(deadline_, now + timeout * (1U << std::min(round, 4U)));
    }
    /// When all have failed at once (nobody listens, the network is down) a moment passes before they are asked again.
    [[nodiscard]] base::Instant pause(unsigned round, base::Instant now) const noexcept
    {
        return round == 0 ? now : now + kPause * (1U << std::min(round - 1, 4U));
    }

private:
    static constexpr base::Duration kPause = std::chrono::milliseconds{100};

    base::Instant deadline_;
    unsigned tries_;
};

} // namespace sallyport::resolver
