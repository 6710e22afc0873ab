#include "base/thread_clock.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace sallyport::base {
namespace {

TEST(ThreadClock, GoesOnWhileTheThreadWorks)
{
    const ThreadClock clock;
    const Instant began = clock.now();
    while (clock.now() - began < std::chrono::milliseconds{2}) {}
    EXPECT_GE(clock.now() - began, std::chrono::milliseconds{2});
}

TEST(ThreadClock, StandsStillWhileOthersWork)
{
    const ThreadClock clock;
    const Instant began = clock.now();
    std::thread other{[] {
        const ThreadClock its;
        const Instant first = its.now();
        while (its.now() - first < std::chrono::milliseconds{200}) {}
    }};
    other.join(); // sleeps
    EXPECT_LT(clock.now() - began, std::chrono::milliseconds{100});
}

} // namespace
} // namespace sallyport::base
