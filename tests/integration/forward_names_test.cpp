#include "forward_fixture.hpp"

namespace sallyport::forward_testing {
namespace {

/// A bootstrap server: says for every name what it is told.
struct Names {
    explicit Names(net::Worker& worker) : server(worker, [this](const Octets& query, bool) { return answer(query); }) {}

    std::vector<Octets> answer(const Octets& query) const
    {
        const auto view = wire::MessageView::parse(query);
        if (!view || silent) return {};
        Octets room(512);
        wire::MessageWriter writer{room, room.size()};
        (void)writer.begin_response(view->id(), view->header().flags, view->question_bytes(), 1);
        writer.set_flags(wire::flag::RA);
        for (const auto& one : addresses)
            if (view->qtype() == (one.is_v4() ? RrType::A : RrType::AAAA))
                (void)writer.record(wire::Section::answer, view->qname().to_name(), view->qtype(), wire::RrClass::IN,
                                    ttl, one.octets());
        return {octets_of(writer.message())};
    }

    bool silent = false;
    wire::Ttl ttl{1};
    std::vector<base::IpAddress> addresses{base::IpAddress::v4({127, 0, 0, 1})};
    Server server;
};

class ForwardNames : public Forward {
protected:
    ForwardNames()
    {
        options_.bootstrap = {upstream(names_.server.endpoint)};
        options_.bootstrap_limits.least_ttl = 1s;
        options_.limits.failures_to_open = 100;
    }

    static resolver::UpstreamOptions by_name(const Server& server, base::Transport transport = base::Transport::tcp)
    {
        auto made = upstream(server.endpoint, transport);
        made.host = "up.example";
        made.addresses.clear();
        return made;
    }
    static std::string addresses_of(const resolver::Resolver& resolver)
    {
        std::string all;
        resolver.each_upstream([&](const resolver::UpstreamReport& report) {
            for (const auto& one : report.addresses) all += one.to_string() + ' ';
        });
        return all;
    }

    Names names_{worker_};
};

TEST_F(ForwardNames, QuestionsWaitForTheAddress)
{
    Server server{worker_};
    group(Strategy::fastest, {by_name(server)});
    names_.silent = true;
    open();
    Client client;
    EXPECT_EQ(ask(client, "a.example."), Taken::waiting);
    run(50ms);
    EXPECT_EQ(client.heard, 0U);
    EXPECT_EQ(shared_.addresses().missing(), std::vector<std::string>{"up.example"});
    names_.silent = false;
    EXPECT_TRUE(until([&] { return client.heard > 0; }));
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(client.heard, 1U);
    EXPECT_TRUE(shared_.addresses().missing().empty());
}

TEST_F(ForwardNames, WithoutAnyAddressTheBudgetEndsIt)
{
    Server server{worker_};
    group(Strategy::fastest, {by_name(server)});
    names_.silent = true;
    options_.limits.budget = 300ms;
    open();
    const Client client = resolve("a.example.");
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede, wire::ExtendedError::no_reachable_authority);
    EXPECT_EQ(client.ede_text, "no address of an upstream is known yet");
    EXPECT_EQ(upstream_counter("upstream_failures_total", "group=\"default\""), 0U) << "it is not its fault";
}

TEST_F(ForwardNames, EveryWorkerHearsOfOneLookUp)
{
    Server server{worker_};
    group(Strategy::fastest, {by_name(server)});
    open();
    other_ = std::make_unique<net::Worker>(1, clock_);
    resolver::Resolver second{*other_, shared_, nullptr};
    second.reconfigure(std::make_shared<const resolver::Options>(options_));
    EXPECT_TRUE(until([&] { return addresses_of(second) == "127.0.0.1 "; }));
    EXPECT_EQ(addresses_of(*resolver_), "127.0.0.1 ");
    EXPECT_EQ(names_.server.udp_queries.size(), 2U) << "A and AAAA";
    second.reconfigure(std::make_shared<const resolver::Options>(options_));
    EXPECT_EQ(addresses_of(second), "127.0.0.1 ") << "a reload keeps it";
    // One that comes later finds what is known.
    resolver::Resolver third{*other_, shared_, nullptr};
    third.reconfigure(std::make_shared<const resolver::Options>(options_));
    EXPECT_EQ(addresses_of(third), "127.0.0.1 ");
    second.stop();
    third.stop();
}

TEST_F(ForwardNames, WhatIsInFlightAtAnAddressThatGoesIsAnsweredThere)
{
    Server server{worker_};
    group(Strategy::fastest, {by_name(server)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    server.delay = 1500ms;
    Client client;
    EXPECT_EQ(ask(client, "b.example."), Taken::waiting);
    run(20ms);
    names_.addresses = {base::IpAddress::v4({127, 0, 0, 9})}; // where nobody listens
    EXPECT_TRUE(until([&] { return addresses_of(*resolver_) == "127.0.0.9 "; }));
    EXPECT_EQ(client.heard, 0U);
    EXPECT_GE(server.open_connections(), 1U);
    EXPECT_TRUE(until([&] { return client.heard > 0; }));
    EXPECT_TRUE(client.answered);
    EXPECT_TRUE(until([&] { return server.open_connections() == 0; }, 2s)) << "long before it would be idle";
}

TEST_F(ForwardNames, AConnectionToAnAddressThatWentEndsWhenNobodyWaitsThereAnyMore)
{
    Server server{worker_};
    const auto answers = server.handler;
    server.handler = [&](const Octets& query, bool tcp) {
        const auto view = wire::MessageView::parse(query);
        const bool lost = view && view->qname().to_name() == *wire::Name::from_text("lost.example.");
        return lost ? std::vector<Octets>{} : answers(query, tcp);
    };
    group(Strategy::fastest, {by_name(server)});
    options_.limits.tries = 1;
    options_.limits.budget = 3s;
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    Client lost;
    EXPECT_EQ(ask(lost, "lost.example."), Taken::waiting);
    run(20ms);
    EXPECT_TRUE(resolve("b.example.").answered) << "so that the connection is not in doubt";
    names_.addresses = {base::IpAddress::v4({127, 0, 0, 9})}; // where nobody listens
    EXPECT_TRUE(until([&] { return lost.heard > 0; }));
    EXPECT_FALSE(lost.answered);
    EXPECT_EQ(addresses_of(*resolver_), "127.0.0.9 ");
    EXPECT_TRUE(until([&] { return server.open_connections() == 0; }, 2s)) << "long before it would be idle";
}

TEST_F(ForwardNames, AnUpstreamMadeAnewCountsWhatIsKnown)
{
    Server server{worker_};
    names_.ttl = wire::Ttl{86'400};
    group(Strategy::fastest, {by_name(server)});
    open();
    EXPECT_TRUE(until([&] { return upstream_counter("upstream_addresses") == 1; }));
    options_.groups[0].upstreams[0].name = "of another name";
    open();
    EXPECT_EQ(upstream_counter("upstream_addresses"), 1U);
    EXPECT_TRUE(resolve("a.example.").answered);
}

TEST_F(ForwardNames, WhoStaysAwayIsLookedUpAgainUntilItIsFound)
{
    Server server{worker_};
    group(Strategy::fastest, {by_name(server)});
    names_.ttl = wire::Ttl{86'400};
    names_.addresses = {base::IpAddress::v4({127, 0, 0, 9})}; // where nobody listens
    options_.limits.failures_to_open = 1;
    options_.limits.backoff_first = 100ms;
    options_.limits.backoff_most = 200ms;
    open();
    EXPECT_FALSE(resolve("a.example.").answered);
    // The name is looked up when it fails, and says the same still.
    EXPECT_TRUE(until([&] { return upstream_counter("upstream_look_ups_total") >= 2; }));
    names_.addresses = {base::IpAddress::v4({127, 0, 0, 1})};
    EXPECT_TRUE(until([&] { return addresses_of(*resolver_) == "127.0.0.1 "; }));
}

TEST_F(ForwardNames, ThoseThatFailAtOnceLeaveAnAddressOnce)
{
    Server server{worker_};
    group(Strategy::fastest, {by_name(server, base::Transport::udp)});
    names_.addresses = {base::IpAddress::v4({127, 0, 0, 9}), base::IpAddress::v4({127, 0, 0, 1})};
    open();
    EXPECT_TRUE(until([&] { return !addresses_of(*resolver_).empty(); }));
    std::array<Client, 2> clients;
    EXPECT_EQ(ask(clients[0], "a.example."), Taken::waiting);
    EXPECT_EQ(ask(clients[1], "b.example."), Taken::waiting);
    EXPECT_TRUE(until([&] { return clients[0].heard + clients[1].heard == 2; }));
    EXPECT_TRUE(clients[0].answered);
    EXPECT_TRUE(clients[1].answered);
    EXPECT_EQ(upstream_counter("upstream_failures_total", "group=\"default\""), 2U) << "one each";
}

} // namespace
} // namespace sallyport::forward_testing
