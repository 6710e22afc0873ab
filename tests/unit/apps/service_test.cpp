#include "apps/service.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;

TEST(Signals, EndingComesBeforeEverythingElse)
{
    sigset_t before;
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &before), 0);
    {
        Signals signals;
        EXPECT_EQ(signals.wait(0ms), 0);
        // To this thread alone: whichever others a test program has may not block them.
        for (const int number : {SIGHUP, SIGUSR1, SIGTERM}) ASSERT_EQ(::pthread_kill(::pthread_self(), number), 0);
        EXPECT_EQ(signals.wait(0ms), SIGTERM);
        EXPECT_EQ(signals.wait(0ms), SIGHUP);
        EXPECT_EQ(signals.wait(0ms), SIGUSR1);
        EXPECT_EQ(signals.wait(0ms), 0);
    }
    ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
}

} // namespace
} // namespace sallyport::apps
