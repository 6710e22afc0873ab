#include "apps/watchdog.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;

/// Workers that come through when the test says so.
struct Workers {
    unsigned count = 2;
    std::vector<std::function<void()>> waiting;

    Watchdog::Ask ask()
    {
        return [this](const std::function<void()>& beat) {
            for (unsigned i = 0; i < count; ++i) waiting.push_back(beat);
            return count;
        };
    }
    void turn(std::size_t how_many)
    {
        for (; how_many > 0 && !waiting.empty(); --how_many) {
            waiting.front()();
            waiting.erase(waiting.begin());
        }
    }
};

class WatchdogTest : public ::testing::Test {
protected:
    void tick()
    {
        clock.advance(1s);
        watchdog.tick(clock.now(), ask);
    }

    base::ManualClock clock;
    Workers workers;
    Watchdog::Ask ask = workers.ask();
    int fed = 0;
    Watchdog watchdog{10s, [this] { ++fed; }};
};

TEST_F(WatchdogTest, FeedsOnceEveryWorkerCameThrough)
{
    tick();
    EXPECT_EQ(fed, 0) << "nothing is known before the first beat came back";
    workers.turn(2);
    tick();
    EXPECT_EQ(fed, 1);
    workers.turn(2);
    tick();
    EXPECT_EQ(fed, 2);
}

TEST_F(WatchdogTest, OneWorkerThatHangsIsEnough)
{
    tick();
    workers.turn(1);
    for (int i = 0; i < 30; ++i) tick();
    EXPECT_EQ(fed, 0);
    EXPECT_EQ(workers.waiting.size(), 1U) << "no beat is sent after one that waits: a hung worker's queue stays short";
    EXPECT_EQ(watchdog.silence(clock.now()), 30s);
}

TEST_F(WatchdogTest, GoesOnWhenTheWorkerDoes)
{
    tick();
    workers.turn(1);
    for (int i = 0; i < 15; ++i) tick();
    workers.turn(1);
    EXPECT_EQ(watchdog.silence(clock.now()), base::Duration::zero());
    tick();
    EXPECT_EQ(fed, 1);
}

TEST_F(WatchdogTest, ALateBeatOfAnOldRoundHarmsNothing)
{
    tick();
    auto late = workers.waiting;
    workers.turn(2);
    tick();
    for (const auto& beat : late) beat();
    workers.turn(1);
    tick();
    EXPECT_EQ(fed, 1) << "beats of the round before do not stand for this one's";
}

TEST_F(WatchdogTest, WithoutAServiceManagerNobodyIsFed)
{
    Watchdog alone{base::Duration::zero(), [this] { ++fed; }};
    for (int i = 0; i < 5; ++i) {
        alone.tick(clock.now(), ask);
        workers.turn(2);
    }
    EXPECT_EQ(fed, 0);
    EXPECT_EQ(alone.pause(), base::Duration{1s});
}

TEST_F(WatchdogTest, AShortIntervalAsksForShortPauses)
{
    EXPECT_EQ(watchdog.pause(), base::Duration{1s});
    EXPECT_EQ((Watchdog{2s, [] {}}.pause()), base::Duration{500ms});
}

} // namespace
} // namespace sallyport::apps
