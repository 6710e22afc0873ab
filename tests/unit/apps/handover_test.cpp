#include "apps/handover.hpp"
#include "resolver/shared.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;

struct OneLane {
    base::SystemClock clock;
    Loaded loaded;
    cache::Options cache_options;
    cache::Cache cache{(cache_options.bytes = 1U << 20U, cache_options)};
    resolver::Shared resolutions;
    Lane lane{0, Common{clock, cache, resolutions}, loaded};
};

TEST(Handover, WorkRunsOnTheLanesThread)
{
    OneLane one;
    std::thread::id lane_thread, ran_on;
    one.lane.thread = std::thread([&] {
        lane_thread = std::this_thread::get_id();
        one.lane.worker.run();
    });
    EXPECT_TRUE(run_on(one.lane, [&] { ran_on = std::this_thread::get_id(); }, 60s));
    one.lane.worker.stop();
    one.lane.thread.join();
    EXPECT_EQ(ran_on, lane_thread);
}

TEST(Handover, WorkThatWasGivenUpDoesNotRunLater)
{
    OneLane one; // whose thread does not run
    bool ran = false;
    EXPECT_FALSE(run_on(one.lane, [&] { ran = true; }, 0ms));
    one.lane.worker.run_for(1ms);
    EXPECT_FALSE(ran);
}

} // namespace
} // namespace sallyport::apps
