#include "tests/unit/resolver/iterate_world.hpp"

#include "resolver/iterate/no_cuts.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrType;

/// Root at 192.0.2.1; example. and other. are served at 192.0.2.2, the second one at 192.0.2.3, too. Nobody but the
/// root says anything.
class IterateCrowd : public ::testing::Test {
protected:
    void begin(Options options)
    {
        world_.emplace(std::move(options));
        world_->servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
            if (sent.qname.is_under(name("example."))) return referral("example.", "ns.example.", "192.0.2.2");
            Reply both = referral("other.", "ns.other.", "192.0.2.2");
            both.additional("ns.other.", RrType::A, "192.0.2.3");
            return both;
        };
    }
    void ask(const std::string& qname)
    {
        world_->start(qname, RrType::A, [this](const Answer& answer) { told_.push_back(answer); });
    }
    const Stats& stats() { return world_->engine.stats(); }

    std::optional<World> world_;
    std::vector<Answer> told_;
};

TEST_F(IterateCrowd, TheOldestOfAZoneGivesWayOnceItHasHadItsChance)
{
    Options options = plain_options();
    options.max_fetches_per_zone = 3;
    begin(options);
    for (const char* qname : {"a.example.", "b.example.", "c.example."}) ask(qname);
    world_->clock.advance(100ms);
    ask("d.example."); // too early for anybody to go
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_EQ(told_.front().ede, wire::ExtendedError::other);
    EXPECT_EQ(stats().budget_zone_fetches.get(), 1U);
    world_->clock.advance(100ms);
    ask("e.example.");
    ASSERT_EQ(told_.size(), 2U); // who waited for the oldest hears at once
    EXPECT_EQ(told_.back().rcode, Rcode::SERVFAIL);
    EXPECT_EQ(told_.back().ede, wire::ExtendedError::network_error);
    EXPECT_EQ(stats().gave_way.get(), 1U);
    EXPECT_EQ(world_->engine.in_flight(), 3U);
    EXPECT_TRUE(world_->asked("192.0.2.2", "e.example."));
    // Nothing is held against the name that gave way: there is a place for it once another had its chance.
    ask("a.example.");
    EXPECT_EQ(stats().cached_failures.get(), 0U);
    EXPECT_EQ(stats().gave_way.get(), 2U);
}

TEST_F(IterateCrowd, OtherServersAreAskedWhereOneHasTooManyQueries)
{
    Options options = plain_options();
    options.max_fetches_per_server = 2;
    begin(options);
    ask("a.example.");
    ask("b.example.");
    for (const char* qname : {"a.other.", "b.other."}) ask(qname);
    EXPECT_TRUE(told_.empty());
    EXPECT_TRUE(world_->asked("192.0.2.3", "a.other."));
    EXPECT_TRUE(world_->asked("192.0.2.3", "b.other."));
    ask("c.example."); // its only server is taken
    ASSERT_EQ(told_.size(), 1U);
    EXPECT_EQ(told_.front().rcode, Rcode::SERVFAIL);
    EXPECT_EQ(stats().budget_server_fetches.get(), 1U);
    EXPECT_FALSE(world_->asked("192.0.2.2", "c.example."));
    world_->clock.advance(200ms);
    ask("d.example.");
    EXPECT_EQ(told_.size(), 2U);
    EXPECT_EQ(stats().gave_way.get(), 1U);
    EXPECT_TRUE(world_->asked("192.0.2.2", "d.example."));
}

TEST_F(IterateCrowd, TheOldestOfTheWorkerGivesWay)
{
    Options options = plain_options();
    options.max_fetches = 4;
    begin(options);
    for (int i = 0; i < 4; ++i) ask("n" + std::to_string(i) + ".example.");
    world_->clock.advance(250ms);
    for (int i = 4; i < 8; ++i) ask("n" + std::to_string(i) + ".example.");
    EXPECT_EQ(told_.size(), 4U);
    EXPECT_EQ(stats().gave_way.get(), 4U);
    EXPECT_EQ(stats().budget_fetches.get(), 0U);
    EXPECT_EQ(world_->engine.in_flight(), 4U);
    ask("late.example.");
    EXPECT_EQ(stats().budget_fetches.get(), 1U);
}

TEST_F(IterateCrowd, PlacesAreFreeAgainWhenLookupsEnd)
{
    Options options = plain_options();
    options.max_fetches_per_zone = options.max_fetches_per_server = 2;
    begin(options);
    world_->servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        return Reply{}.answer(sent.qname.to_text(), sent.qtype, "198.51.100.7");
    };
    for (int i = 0; i < 20; ++i) ask("n" + std::to_string(i) + ".example.");
    ASSERT_EQ(told_.size(), 20U);
    for (const Answer& answer : told_) EXPECT_EQ(answer.rcode, Rcode::NOERROR);
    EXPECT_EQ(world_->engine.in_flight(), 0U);
    EXPECT_EQ(stats().gave_way.get(), 0U);
}

TEST(IterateMinimisation, WhatIsBelowANameWithoutCutIsAskedForAtOnce)
{
    Options options = plain_options();
    options.qname_minimisation = true;
    World world(options);
    world.servers[address("192.0.2.1")] = [](const Sent&) -> std::optional<Reply> {
        return referral("example.", "ns.example.", "192.0.2.2");
    };
    world.servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname.label_count() < 4) return no_data("example.");
        return Reply{}.answer(sent.qname.to_text(), RrType::A, "198.51.100.7");
    };
    EXPECT_EQ(world.ask("a.b.c.example.").answers.size(), 1U);
    const auto asked = [&](const char* qname) { return world.asked("192.0.2.2", qname); };
    EXPECT_TRUE(asked("c.example.") && asked("b.c.example.") && asked("a.b.c.example."));
    world.log.clear();
    EXPECT_EQ(world.ask("z.b.c.example.").answers.size(), 1U);
    ASSERT_EQ(world.log.size(), 1U);
    EXPECT_EQ(world.log.front().qname, name("z.b.c.example."));
    EXPECT_EQ(world.engine.stats().minimised_spared.get(), 2U);
    world.log.clear();
    EXPECT_EQ(world.ask("a.x.c.example.").answers.size(), 1U); // of x nothing is known yet
    EXPECT_EQ(world.log.size(), 2U);
    EXPECT_FALSE(world.log.empty() || world.log.front().qname == name("a.x.c.example."));
    world.log.clear();
    world.clock.advance(61s); // as long as the denial lives
    EXPECT_EQ(world.ask("y.b.c.example.").answers.size(), 1U);
    EXPECT_EQ(world.log.size(), 3U);
}

TEST(IterateMinimisation, ACutThatAppearsIsFollowedAllTheSame)
{
    Options options = plain_options();
    options.qname_minimisation = true;
    World world(options);
    bool cut = false;
    world.servers[address("192.0.2.1")] = [&cut](const Sent& sent) -> std::optional<Reply> {
        if (cut) return referral("b.example.", "ns.b.example.", "192.0.2.2");
        if (sent.qname.label_count() < 3) return no_data(".");
        return Reply{}.answer(sent.qname.to_text(), RrType::A, "198.51.100.1");
    };
    world.servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        return Reply{}.answer(sent.qname.to_text(), RrType::A, "198.51.100.2");
    };
    EXPECT_EQ(world.ask("a.b.example.").answers.size(), 1U);
    cut = true;
    const Answer answer = world.ask("c.b.example.");
    ASSERT_EQ(answer.answers.size(), 1U);
    EXPECT_EQ((*answer.answers.front()->records.begin())[3], 2);
}

TEST(IterateMinimisation, NamesWithoutCutAreBounded)
{
    Options options = plain_options();
    options.qname_minimisation = true;
    options.max_no_cuts = 16;
    NoCuts known(options);
    const base::Instant now{1h};
    for (int i = 0; i < 100; ++i)
        known.put(name("n" + std::to_string(i) + ".example."), name("example."), now + 60s, now);
    EXPECT_EQ(known.size(), 16U);
    EXPECT_EQ(known.labels_above(name("a.n99.example."), name("example."), now), 2U);
    EXPECT_EQ(known.labels_above(name("a.n99.example."), name("example."), now + 60s), 1U);
    EXPECT_EQ(known.labels_above(name("a.n99.example."), wire::Name{}, now), 0U); // of another zone nothing is known
}

} // namespace
} // namespace sallyport::resolver::iterate::test
