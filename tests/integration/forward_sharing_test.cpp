#include "forward_fixture.hpp"

// Questions in flight: asked once for all who want to know, limited, and given up.

namespace sallyport::forward_testing {
namespace {

TEST_F(Forward, EqualQuestionsAreAskedOnce)
{
    Server server{worker_};
    server.delay = 50ms;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    std::deque<Client> clients(100);
    for (auto& client : clients) ASSERT_EQ(ask(client, "www.example."), Taken::waiting);
    clients.pop_back(); // one that hangs up
    ASSERT_TRUE(until([&] { return clients.back().heard > 0; }));
    for (const auto& client : clients) EXPECT_EQ(client.heard, 1U);
    EXPECT_EQ(server.udp_queries.size(), 1U);
    EXPECT_EQ(counter("resolver_joined_total"), 99U);
}

TEST_F(Forward, EqualQuestionsAreAskedOnceAcrossWorkers)
{
    Server server{worker_};
    server.delay = 50ms;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    other_ = std::make_unique<net::Worker>(1, clock_);
    resolver::Resolver elsewhere{*other_, shared_, &cache_};
    elsewhere.reconfigure(std::make_shared<const resolver::Options>(options_));
    Client here;
    Client there;
    ASSERT_EQ(ask(here, "www.example."), Taken::waiting);
    run(5ms);
    ASSERT_EQ(elsewhere.resolve(question("www.example."), there, other_->refresh_now()), Taken::waiting);
    ASSERT_TRUE(until([&] { return here.heard > 0 && there.heard > 0; }));
    EXPECT_EQ(server.udp_queries.size(), 1U);
    EXPECT_EQ(counter("resolver_joined_elsewhere_total", &elsewhere), 1U);
    EXPECT_EQ(here.message, there.message);
    EXPECT_EQ(there.upstream, here.upstream);
    EXPECT_EQ(shared_.in_flight(), 0U);
}

TEST_F(Forward, WhoWaitsForAWorkerThatStopsIsTakenOver)
{
    Server server{worker_};
    server.delay = 100ms;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    other_ = std::make_unique<net::Worker>(1, clock_);
    auto owner = std::make_unique<resolver::Resolver>(*other_, shared_, &cache_);
    owner->reconfigure(std::make_shared<const resolver::Options>(options_));
    Client there;
    Client here;
    ASSERT_EQ(owner->resolve(question("www.example."), there, other_->refresh_now()), Taken::waiting);
    run(10ms);
    ASSERT_EQ(ask(here, "www.example."), Taken::waiting);
    run(10ms);
    EXPECT_EQ(counter("resolver_joined_elsewhere_total"), 1U);
    owner.reset();
    ASSERT_TRUE(until([&] { return here.heard > 0; }));
    EXPECT_TRUE(here.answered);
    EXPECT_EQ(there.heard, 0U);
    EXPECT_EQ(counter("resolver_taken_over_total"), 1U);
    EXPECT_EQ(shared_.in_flight(), 0U);
}

TEST_F(Forward, LimitsOfQuestionsInFlight)
{
    Server mute{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    options_.limits.budget = 500ms;
    options_.limits.in_flight = 2;
    options_.limits.waiters = 2;
    group(Strategy::ordered, {upstream(mute.endpoint)});
    open();
    std::deque<Client> clients(6);
    EXPECT_EQ(ask(clients[0], "a.example."), Taken::waiting);
    EXPECT_EQ(ask(clients[1], "a.example."), Taken::waiting);
    EXPECT_EQ(ask(clients[2], "a.example."), Taken::overloaded);
    EXPECT_EQ(ask(clients[3], "b.example."), Taken::waiting);
    EXPECT_EQ(ask(clients[4], "c.example."), Taken::overloaded);
    EXPECT_EQ(counter("resolver_waiters_full_total"), 1U);
    EXPECT_EQ(counter("resolver_in_flight_full_total"), 1U);
    EXPECT_EQ(counter("resolver_in_flight"), 2U);
    ASSERT_TRUE(until([&] { return clients[0].heard > 0 && clients[3].heard > 0; }));
    EXPECT_EQ(counter("resolver_in_flight"), 0U);
    EXPECT_EQ(counter("resolver_in_flight_octets"), 0U);
    options_.limits.in_flight_octets = 1000;
    open();
    EXPECT_EQ(ask(clients[5], "d.example."), Taken::overloaded);
    EXPECT_EQ(counter("resolver_octets_full_total"), 1U);
}

TEST_F(Forward, TheOldestOfTooManyGivesWay)
{
    Server server{worker_, [](const Octets& query, bool) {
                      if (wire::lower(query[13]) == 'x') return std::vector<Octets>{};
                      return std::vector<Octets>{answer_to(query)};
                  }};
    options_.limits.in_flight = 3;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    std::deque<Client> silent(3);
    for (std::size_t i = 0; i < 3; ++i) ask(silent[i], "x" + std::to_string(i) + ".example.");
    Client early;
    EXPECT_EQ(ask(early, "a.example."), Taken::overloaded) << "they have not had their chance yet";
    run(250ms);
    Client late;
    EXPECT_EQ(ask(late, "b.example."), Taken::waiting);
    EXPECT_EQ(silent[0].heard, 0U) << "not from within";
    ASSERT_TRUE(until([&] { return late.heard > 0; }));
    EXPECT_TRUE(late.answered);
    EXPECT_EQ(silent[0].heard, 1U);
    EXPECT_FALSE(silent[0].answered);
    EXPECT_EQ(silent[1].heard + silent[2].heard, 0U);
    EXPECT_EQ(counter("resolver_gave_way_total"), 1U);
    EXPECT_EQ(shared_.in_flight(), 2U);
    EXPECT_EQ(ask(silent[0], "x0.example."), Taken::waiting) << "it may be asked again at once";
    resolver_->stop();
    EXPECT_EQ(shared_.in_flight(), 0U);
}

TEST_F(Forward, AWaiterMayAskAgainFromWithin)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    Client first;
    Client second;
    first.then = [&] { ask(second, "b.example."); };
    ask(first, "a.example.");
    ASSERT_TRUE(until([&] { return second.heard > 0; }));
}

TEST_F(Forward, StoppingLetsWaitersGoUnheard)
{
    Server mute{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    group(Strategy::ordered, {upstream(mute.endpoint)});
    open();
    Client client;
    ask(client, "a.example.");
    run(10ms);
    resolver_->stop();
    run(50ms);
    EXPECT_EQ(client.heard, 0U);
    EXPECT_FALSE(client.is_linked());
    EXPECT_EQ(ask(client, "b.example."), Taken::overloaded);
}

} // namespace
} // namespace sallyport::forward_testing
