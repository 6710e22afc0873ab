#include "apps/control.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>

namespace sallyport::apps {
namespace {

TEST(Control, RunsWhatOthersAskOnItsOwnThread)
{
    Control control;
    std::thread::id ran_on;
    std::atomic<bool> done{false};
    std::thread other{[&] {
        EXPECT_TRUE(control.run([&] { ran_on = std::this_thread::get_id(); }));
        done = true;
    }};
    while (!done) control.run_pending();
    other.join();
    EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(Control, DoesNotWaitForItself)
{
    Control control;
    bool ran = false;
    EXPECT_TRUE(control.run([&] { ran = true; }));
    EXPECT_TRUE(ran);
}

TEST(Control, WhoAskedHearsWhatWentWrong)
{
    Control control;
    std::atomic<bool> done{false};
    std::thread other{[&] {
        EXPECT_THROW((void)control.run([] { throw std::runtime_error("no"); }), std::runtime_error);
        done = true;
    }};
    while (!done) control.run_pending();
    other.join();
}

TEST(Control, AtTheEndNobodyWaitsInVain)
{
    Control control;
    std::atomic<bool> asks{false};
    bool ran = false;
    std::thread other{[&] {
        asks = true;
        EXPECT_FALSE(control.run([&] { ran = true; }));
    }};
    while (!asks) std::this_thread::yield();
    control.close();
    other.join();
    EXPECT_FALSE(ran);
}

TEST(Control, TakesSoMuchAndNoMore)
{
    Control control;
    std::atomic<std::size_t> refused{0}, ran{0};
    std::vector<std::thread> others;
    for (std::size_t i = 0; i < Control::kMostWaiting + 10; ++i)
        others.emplace_back([&] {
            if (!control.run([&] { ++ran; })) ++refused;
        });
    while (refused < 10) std::this_thread::yield();
    while (ran < Control::kMostWaiting) control.run_pending();
    for (auto& other : others) other.join();
    EXPECT_EQ(refused, 10U);
}

} // namespace
} // namespace sallyport::apps
