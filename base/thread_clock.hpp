#pragma once

#include "base/clock.hpp"

#include <ctime>

namespace sallyport::base {

/// The processor time of the thread that asks, for limits of work: while others have the processor it stands still. Its
/// moments are comparable with each other only, and on one thread.
class ThreadClock final : public Clock {
public:
    [[nodiscard]] Instant now() const noexcept override
    {
        std::timespec used{};
        (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
        return Instant{std::chrono::duration_cast<Duration>(std::chrono::seconds{used.tv_sec} +
                                                            std::chrono::nanoseconds{used.tv_nsec})};
    }
    [[nodiscard]] WallTime wall() const noexcept override { return std::chrono::system_clock::now(); }
};

} // namespace sallyport::base
