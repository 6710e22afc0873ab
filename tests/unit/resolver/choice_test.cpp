#include "resolver/choice.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::resolver {
namespace {

constexpr base::Instant kNow{std::chrono::hours{1}};

Candidate measured(base::Duration rtt) { return {false, 0, true, kNow, rtt, 0}; }
Candidate dead(unsigned failures) { return {true, failures, true, kNow, 1s, 0}; }

std::vector<int> order_of(Strategy strategy, const std::vector<Candidate>& candidates, std::uint64_t turn = 0)
{
    GroupOptions group;
    group.strategy = strategy;
    const Order order = choose(group, candidates, turn);
    return {order.index.begin(), order.index.begin() + order.count};
}

using Indexes = std::vector<int>;

TEST(Choice, OrderedKeepsTheOrder)
{
    EXPECT_EQ(order_of(Strategy::ordered, {measured(9ms), measured(1ms), measured(5ms)}, 7), (Indexes{0, 1, 2}));
}

TEST(Choice, OpenBreakersStandLastTheLeastBadFirst)
{
    const std::vector<Candidate> candidates{dead(9), measured(1ms), dead(5), measured(2ms)};
    for (const auto strategy : {Strategy::ordered, Strategy::fastest, Strategy::race})
        EXPECT_EQ(order_of(strategy, candidates), (Indexes{1, 3, 2, 0}));
    EXPECT_EQ(choose({}, candidates, 0).usable, 2);
}

TEST(Choice, WhereAllAreOpenAllAreStillThere)
{
    const Order order = choose({}, std::vector<Candidate>{dead(9), dead(5)}, 0);
    EXPECT_EQ(order.usable, 0);
    EXPECT_EQ(order.count, 2);
    EXPECT_EQ(order.index[0], 1);
}

TEST(Choice, FastestAsksTheQuickestAndTheUnknownOnlyBeside)
{
    const std::vector<Candidate> candidates{measured(9ms), {}, measured(1ms)};
    EXPECT_EQ(order_of(Strategy::fastest, candidates), (Indexes{2, 0, 1}));
    EXPECT_EQ(worth_exploring(candidates, 2, kNow), 1U);
}

TEST(Choice, WhereNoneIsKnownThoseThatComeAtOnceAreSpread)
{
    std::vector<Candidate> candidates(3);
    std::vector<int> asked(3);
    for (int i = 0; i < 30; ++i) {
        const int first = order_of(Strategy::fastest, candidates).front();
        ++asked[static_cast<std::size_t>(first)];
        ++candidates[static_cast<std::size_t>(first)].in_flight;
    }
    EXPECT_EQ(asked, (Indexes{10, 10, 10}));
    candidates[1].failures = 1;
    candidates[0].in_flight += 5;
    EXPECT_EQ(order_of(Strategy::fastest, candidates), (Indexes{2, 0, 1}));
}

TEST(Choice, RoundRobinRotatesTheUsable)
{
    const std::vector<Candidate> candidates{measured(1ms), dead(5), measured(1ms), measured(1ms)};
    EXPECT_EQ(order_of(Strategy::round_robin, candidates, 0), (Indexes{0, 2, 3, 1}));
    EXPECT_EQ(order_of(Strategy::round_robin, candidates, 1), (Indexes{2, 3, 0, 1}));
    EXPECT_EQ(order_of(Strategy::round_robin, candidates, 5), (Indexes{3, 0, 2, 1}));
}

TEST(Choice, ARaceHasTheQuickestAndOthersInTurn)
{
    const std::vector<Candidate> candidates{measured(9ms), measured(1ms), measured(5ms)};
    EXPECT_EQ(order_of(Strategy::race, candidates, 0), (Indexes{1, 2, 0}));
    EXPECT_EQ(order_of(Strategy::race, candidates, 1), (Indexes{1, 0, 2}));
    GroupOptions group;
    group.strategy = Strategy::race;
    group.race = 9;
    EXPECT_EQ(choose(group, candidates, 0).at_once, 3);
}

TEST(Choice, ExploresWhatWasNotMeasuredForAWhile)
{
    std::vector<Candidate> candidates{measured(1ms), measured(9ms)};
    EXPECT_FALSE(worth_exploring(candidates, 0, kNow + 9s));
    EXPECT_EQ(worth_exploring(candidates, 0, kNow + 11s), 1U);
    EXPECT_EQ(worth_exploring(candidates, 1, kNow + 11s), 0U);
    candidates[1].open = true;
    EXPECT_FALSE(worth_exploring(candidates, 0, kNow + 11s)) << "probes look after those";
    candidates.push_back({});
    EXPECT_EQ(worth_exploring(candidates, 0, kNow), 2U);
}

} // namespace
} // namespace sallyport::resolver
