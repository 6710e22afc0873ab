#include "forward_fixture.hpp"

// Connections to upstreams: shared, limited, closed by either side.

namespace sallyport::forward_testing {
namespace {

TEST_F(Forward, LimitsOfConnections)
{
    Server mute{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    options_.limits.connections = 2;
    options_.limits.pipeline = 3;
    options_.limits.budget = 500ms;
    options_.limits.tries = 1;
    group(Strategy::ordered, {upstream(mute.endpoint, base::Transport::tcp)});
    open();
    std::deque<Client> clients(8);
    for (int i = 0; i < 8; ++i)
        ASSERT_EQ(ask(clients[static_cast<std::size_t>(i)], "n" + std::to_string(i) + ".example."), Taken::waiting);
    run(50ms);
    EXPECT_EQ(mute.accepted, 2U);
    EXPECT_EQ(mute.tcp_queries.size(), 6U);
    EXPECT_EQ(upstream_counter("upstream_busy_total"), 2U);
    ASSERT_TRUE(until([&] { return clients[0].heard > 0 && clients[7].heard > 0; }));
}

TEST_F(Forward, TcpIsPipelinedAndAnsweredOutOfOrder)
{
    std::vector<Octets> held;
    Server server{worker_, [&](const Octets& query, bool) {
                      held.push_back(query);
                      std::vector<Octets> out;
                      if (held.size() == 3)
                          for (auto it = held.rbegin(); it != held.rend(); ++it) out.push_back(answer_to(*it));
                      return out;
                  }};
    options_.limits.first_timeout = 800ms;
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    std::deque<Client> clients(3);
    for (std::size_t i = 0; i < 3; ++i) ask(clients[i], "n" + std::to_string(i) + ".example.");
    ASSERT_TRUE(until([&] { return clients[0].heard + clients[1].heard + clients[2].heard == 3; }));
    for (const auto& client : clients) EXPECT_TRUE(client.answered);
    EXPECT_EQ(server.accepted, 1U);
}

TEST_F(Forward, AConnectionThatEndsTakesNoQueryWithIt)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    // It closes just when the next query is on its way.
    Client client;
    server.close_connections();
    ask(client, "b.example.");
    ASSERT_TRUE(until([&] { return client.heard > 0; }));
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(upstream_counter("upstream_failures_total"), 0U);
}

TEST_F(Forward, AConnectionThatEndsMakesRoomForTheNext)
{
    Server server{worker_};
    options_.limits.connections = 1;
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    Client client;
    server.close_connections();
    ask(client, "b.example.");
    ASSERT_TRUE(until([&] { return client.heard > 0; }));
    EXPECT_TRUE(client.answered) << client.ede_text;
    EXPECT_EQ(upstream_counter("upstream_busy_total"), 0U);
}

TEST_F(Forward, QueriesThatAreNeverAnsweredDoNotFillAConnection)
{
    Server server{worker_, [](const Octets& query, bool) {
                      if (wire::lower(query[13]) == 'x') return std::vector<Octets>{};
                      return std::vector<Octets>{answer_to(query)};
                  }};
    options_.limits.connections = 1;
    options_.limits.pipeline = 8;
    options_.limits.budget = 200ms;
    options_.limits.tries = 1;
    options_.limits.failures_to_open = 1000;
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    for (int round = 0; round < 3; ++round) {
        std::deque<Client> lost(3);
        for (std::size_t i = 0; i < lost.size(); ++i)
            ask(lost[i], "x" + std::to_string(i) + "-" + std::to_string(round) + ".example.");
        Client found;
        ask(found, "a" + std::to_string(round) + ".example.");
        ASSERT_TRUE(until([&] { return found.heard > 0 && lost[0].heard + lost[1].heard + lost[2].heard == 3; }));
        EXPECT_TRUE(found.answered) << found.ede_text;
    }
    EXPECT_EQ(upstream_counter("upstream_busy_total"), 0U);
    EXPECT_GT(server.accepted, 1U);
}

TEST_F(Forward, AServerThatClosesEveryConnectionIsAFailure)
{
    Server server{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    server.close_after_query = true;
    Server good{worker_};
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp), upstream(good.endpoint)});
    open();
    const auto began = clock_.now();
    EXPECT_TRUE(resolve("a.example.").answered);
    EXPECT_LT(clock_.now() - began, 90ms) << "not by waiting";
    EXPECT_GE(upstream_counter("upstream_failures_total"), 1U);
}

TEST_F(Forward, GarbageOverTcpIsTakenToTheNext)
{
    Server server{worker_, [](const Octets& query, bool) {
                      Octets broken = answer_to(query);
                      broken.resize(20);
                      return std::vector<Octets>{broken};
                  }};
    Server good{worker_};
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp), upstream(good.endpoint)});
    open();
    EXPECT_EQ(resolve("a.example.").upstream, options_.groups[0].upstreams[1].name);
}

TEST_F(Forward, UnchangedUpstreamsKeepTheirConnections)
{
    Server server{worker_};
    Server other{worker_};
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    resolve("a.example.");
    options_.groups[0].upstreams[0].position.line = 7;
    options_.groups[0].upstreams.push_back(upstream(other.endpoint));
    open();
    resolve("b.example.");
    EXPECT_EQ(server.accepted, 1U);
    // One that goes away ends its connections.
    options_.groups[0].upstreams.erase(options_.groups[0].upstreams.begin());
    open();
    EXPECT_TRUE(until([&] { return server.open_connections() == 0; }));
    EXPECT_EQ(resolve("c.example.").upstream, options_.groups[0].upstreams[0].name);
}

TEST_F(Forward, IdleConnectionsAreClosed)
{
    Server server{worker_};
    options_.limits.idle = 100ms;
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    resolve("a.example.");
    EXPECT_EQ(server.open_connections(), 1U);
    EXPECT_TRUE(until([&] { return server.open_connections() == 0; }, 2s));
    resolve("b.example.");
    EXPECT_EQ(upstream_counter("upstream_failures_total"), 0U);
}

TEST_F(Forward, SeveralAddressesAreTriedInTurn)
{
    Server server{worker_};
    auto two = upstream(server.endpoint, base::Transport::tcp);
    two.addresses = {base::IpAddress::v4({127, 0, 0, 9}), server.endpoint.address}; // nobody listens on the first
    group(Strategy::ordered, {two});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
}

} // namespace
} // namespace sallyport::forward_testing
