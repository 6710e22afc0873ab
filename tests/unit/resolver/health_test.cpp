#include "resolver/health.hpp"
#include "resolver/patience.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver {
namespace {

constexpr base::Instant kStart{std::chrono::hours{1}};

Health opened(const Limits& limits)
{
    Health health;
    for (unsigned i = 0; i < limits.failures_to_open; ++i) (void)health.failed(kStart, limits);
    return health;
}

TEST(Health, OpensAfterFailuresInARowOnly)
{
    const Limits limits;
    Health health;
    for (int i = 0; i < 20; ++i) {
        for (unsigned j = 1; j < limits.failures_to_open; ++j) EXPECT_FALSE(health.failed(kStart, limits));
        health.answered(5ms, kStart);
    }
    EXPECT_FALSE(health.is_open());
    for (unsigned j = 1; j < limits.failures_to_open; ++j) EXPECT_FALSE(health.failed(kStart, limits));
    EXPECT_TRUE(health.failed(kStart, limits));
    EXPECT_TRUE(health.is_open());
    EXPECT_FALSE(health.failed(kStart, limits)) << "opened once";
}

TEST(Health, ProbesAfterFiveTenTwentyFortySixtySeconds)
{
    const Limits limits;
    Health health = opened(limits);
    base::Instant now = kStart;
    for (const auto pause : {5s, 10s, 20s, 40s, 60s, 60s}) {
        EXPECT_EQ(health.next_probe() - now, pause);
        now = health.next_probe();
        health.probe_started();
        EXPECT_TRUE(health.is_probing());
        health.probe_failed(now, limits);
        EXPECT_FALSE(health.is_probing());
    }
}

TEST(Health, AnyAnswerClosesAndForgets)
{
    const Limits limits;
    Health health = opened(limits);
    health.probe_started();
    health.probe_failed(health.next_probe(), limits);
    health.answered(5ms, kStart + 15s);
    EXPECT_FALSE(health.is_open());
    EXPECT_EQ(health.failures_in_a_row(), 0U);
    for (unsigned i = 0; i < limits.failures_to_open; ++i) (void)health.failed(kStart + 20s, limits);
    EXPECT_EQ(health.next_probe(), kStart + 25s) << "from five seconds again";
}

TEST(Health, RefusalsMeasureButDoNotClose)
{
    const Limits limits;
    Health health = opened(limits);
    health.measured(5ms, kStart);
    EXPECT_TRUE(health.is_open());
    EXPECT_EQ(health.smoothed_rtt(), 5ms);
}

TEST(Health, TheTimeoutFollowsTheRoundTripTime)
{
    const Limits limits;
    Health health;
    EXPECT_EQ(health.timeout(limits), limits.first_timeout);
    for (int i = 0; i < 50; ++i) health.answered(2ms, kStart);
    EXPECT_EQ(health.timeout(limits), 250ms) << "what it must look up itself takes longer";
    for (int i = 0; i < 50; ++i) health.answered(600ms, kStart);
    EXPECT_GT(health.timeout(limits), 600ms);
    for (int i = 0; i < 50; ++i) health.answered(10s, kStart);
    EXPECT_EQ(health.timeout(limits), 1500ms);
}

TEST(Health, SilenceMakesItSlow)
{
    const Limits limits;
    Health health;
    health.answered(10ms, kStart);
    (void)health.timed_out(800ms, kStart + 800ms, limits);
    EXPECT_GT(health.smoothed_rtt(), 80ms);
    EXPECT_EQ(health.failures_in_a_row(), 1U);
    EXPECT_EQ(health.timeout(limits), 250ms) << "a lost datagram says nothing of how long an answer takes";
}

TEST(Health, LossAmongAnswersIsNoFailure)
{
    const Limits limits;
    Health health;
    health.answered(10ms, kStart);
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(health.timed_out(250ms, kStart + 100ms, limits));
    EXPECT_EQ(health.failures_in_a_row(), 0U);
    EXPECT_GT(health.smoothed_rtt(), 80ms) << "slow all the same";
    for (unsigned i = 1; i < limits.failures_to_open; ++i)
        EXPECT_FALSE(health.timed_out(250ms, kStart + 300ms, limits));
    EXPECT_TRUE(health.timed_out(250ms, kStart + 300ms, limits));
}

TEST(Health, AProbeAheadOfItsTimeDoesNotPutOffTheNext)
{
    const Limits limits;
    Health health = opened(limits);
    health.probe_started();
    health.probe_failed(kStart + 1s, limits);
    EXPECT_FALSE(health.is_probing());
    EXPECT_EQ(health.next_probe(), kStart + 5s);
}

TEST(Health, BeingOutrunIsNoFailureAndNoMeasure)
{
    Health health;
    health.outrun(30ms);
    EXPECT_EQ(health.smoothed_rtt(), 30ms);
    EXPECT_EQ(health.failures_in_a_row(), 0U);
    health.outrun(10ms);
    EXPECT_EQ(health.smoothed_rtt(), 30ms);
    EXPECT_EQ(health.measured_at(), base::Instant{});
}

TEST(Patience, SpendsOneBudget)
{
    Limits limits;
    limits.tries = 2;
    Patience patience{limits, kStart, false};
    EXPECT_EQ(patience.deadline(), kStart + limits.budget);
    EXPECT_TRUE(patience.may_try(kStart));
    patience.tried();
    patience.tried();
    EXPECT_FALSE(patience.may_try(kStart));
    EXPECT_FALSE(patience.is_over(kStart + limits.budget - 1ms));
    EXPECT_TRUE(patience.is_over(kStart + limits.budget));
}

TEST(Patience, IsShorterWhereThereIsLittleHope)
{
    const Limits limits;
    EXPECT_EQ((Patience{limits, kStart, true}.deadline()), kStart + limits.budget / 2);
}

TEST(Patience, EachRoundWaitsLongerButNotBeyondTheDeadline)
{
    const Limits limits;
    const Patience patience{limits, kStart, false};
    EXPECT_EQ(patience.until(300ms, 0, kStart), kStart + 300ms);
    EXPECT_EQ(patience.until(300ms, 1, kStart), kStart + 600ms);
    EXPECT_EQ(patience.until(300ms, 9, kStart), patience.deadline());
    EXPECT_EQ(patience.pause(0, kStart), kStart);
    EXPECT_EQ(patience.pause(1, kStart), kStart + 100ms);
    EXPECT_EQ(patience.pause(2, kStart), kStart + 200ms);
}

} // namespace
} // namespace sallyport::resolver
