#include "forward_fixture.hpp"

// Which upstream is asked: in turn, in a race, by route, and what becomes of those that fail.

namespace sallyport::forward_testing {
namespace {

TEST_F(Forward, RefusalsAreTakenToTheNextUpstream)
{
    Server one{worker_,
               [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query, Rcode::SERVFAIL)}; }};
    Server two{worker_,
               [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query, Rcode::REFUSED)}; }};
    Server three{worker_};
    group(Strategy::ordered, {upstream(one.endpoint), upstream(two.endpoint), upstream(three.endpoint)});
    open();
    const Client client = resolve("www.example.");
    EXPECT_EQ(client.rcode, Rcode::NOERROR);
    EXPECT_EQ(client.upstream, options_.groups[0].upstreams[2].name);
    EXPECT_EQ(one.udp_queries.size(), 1U);
    EXPECT_EQ(two.udp_queries.size(), 1U);
}

TEST_F(Forward, ARefusalDoesNotCutShortTheWaitForASlowUpstream)
{
    Server one{worker_,
               [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query, Rcode::SERVFAIL)}; }};
    Server two{worker_};
    two.delay = 400ms; // four times as long as a try may take
    group(Strategy::ordered, {upstream(one.endpoint), upstream(two.endpoint)});
    open();
    const Client client = resolve("www.example.");
    EXPECT_EQ(client.rcode, Rcode::NOERROR);
    EXPECT_EQ(client.upstream, options_.groups[0].upstreams[1].name);
}

TEST_F(Forward, WhereEveryUpstreamFailsSoDoesTheAnswerAndIsKept)
{
    Server one{worker_,
               [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query, Rcode::SERVFAIL)}; }};
    group(Strategy::ordered, {upstream(one.endpoint)});
    open();
    const auto began = clock_.now();
    const Client client = resolve("www.example.");
    EXPECT_LT(clock_.now() - began, 1s);
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(client.rcode, Rcode::SERVFAIL);
    EXPECT_EQ(counter("resolver_servfail_total"), 1U);
    Octets room(4096);
    wire::MessageWriter writer{room, room.size()};
    const auto name = *wire::Name::from_text("www.example.");
    writer.begin(1, wire::flag::QR);
    (void)writer.question(name, RrType::A, wire::RrClass::IN);
    cache::Key key;
    key.qname = &name;
    key.qtype = RrType::A;
    const auto found = cache_.find(key, worker_.now(), writer);
    EXPECT_TRUE(found) << "RFC 9520";
    EXPECT_EQ(found.rcode, Rcode::SERVFAIL);
}

TEST_F(Forward, NobodyThereIsSaidWithinTheBudget)
{
    base::Endpoint closed;
    {
        Server gone{worker_};
        closed = gone.endpoint;
    }
    options_.limits.budget = 1s;
    group(Strategy::ordered, {upstream(closed), upstream(closed, base::Transport::tcp)});
    open();
    const auto began = clock_.now();
    const Client client = resolve("www.example.");
    EXPECT_LT(clock_.now() - began, 1500ms);
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede, wire::ExtendedError::no_reachable_authority);
    EXPECT_EQ(client.ede_text, "no upstream can be reached");
}

TEST_F(Forward, SilenceIsSaidWithinTheBudget)
{
    Server mute{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    options_.limits.budget = 1s;
    group(Strategy::ordered, {upstream(mute.endpoint)});
    open();
    const auto began = clock_.now();
    const Client client = resolve("www.example.");
    EXPECT_LT(clock_.now() - began, 1500ms);
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede_text, "no upstream answered in time");
    EXPECT_GT(mute.udp_queries.size(), 1U);
}

TEST_F(Forward, ADeadUpstreamIsPassedByAndProbed)
{
    bool alive = false;
    Server first{worker_, [&](const Octets& query, bool) {
                     return alive ? std::vector<Octets>{answer_to(query)} : std::vector<Octets>{};
                 }};
    Server second{worker_};
    options_.limits.failures_to_open = 3;
    options_.limits.backoff_first = 300ms;
    group(Strategy::ordered, {upstream(first.endpoint), upstream(second.endpoint)});
    open();
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(resolve("a" + std::to_string(i) + ".example.").answered);
    EXPECT_EQ(upstream_counter("upstream_breaker_opened_total"), 1U);
    EXPECT_EQ(upstream_counter("upstream_breaker_open"), 1U);
    run(20ms); // the first probe goes at once
    // Open: nobody waits for it any more.
    const auto before = first.udp_queries.size();
    const auto began = clock_.now();
    EXPECT_EQ(resolve("b.example.").upstream, options_.groups[0].upstreams[1].name);
    EXPECT_LT(clock_.now() - began, 80ms);
    EXPECT_EQ(first.udp_queries.size(), before);
    alive = true;
    ASSERT_TRUE(until([&] {
        bool open = false;
        resolver_->each_upstream([&](const resolver::UpstreamReport& report) {
            if (report.name == options_.groups[0].upstreams[0].name) open = report.open;
        });
        return open;
    }));
    EXPECT_GE(upstream_counter("upstream_probes_total"), 1U);
    EXPECT_EQ(upstream_counter("upstream_breaker_open"), 0U);
    EXPECT_EQ(resolve("c.example.").upstream, options_.groups[0].upstreams[0].name);
    std::uint64_t measured = 0;
    resolver_->each_upstream_latency([&](const std::string&, const base::Histogram& latency) {
        for (std::size_t i = 0; i < base::Histogram::kBuckets; ++i) measured += latency.count(i);
    });
    EXPECT_EQ(measured, upstream_counter("upstream_answers_total"));
}

TEST_F(Forward, OneBadZoneDoesNotKeepAnUpstreamOut)
{
    Server first{worker_, [](const Octets& query, bool) {
                     const bool bad = wire::lower(query[13]) == 'x';
                     return std::vector<Octets>{answer_to(query, bad ? Rcode::SERVFAIL : Rcode::NOERROR)};
                 }};
    Server second{worker_};
    group(Strategy::ordered, {upstream(first.endpoint), upstream(second.endpoint)});
    open();
    EXPECT_TRUE(resolve("good.example.").answered);
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(resolve("x" + std::to_string(i) + ".bad.example.").answered);
    EXPECT_EQ(upstream_counter("upstream_breaker_opened_total"), 1U);
    // Far sooner than the back-off of 5 s.
    ASSERT_TRUE(until([&] { return upstream_counter("upstream_probes_total") > 0; }, 1s));
    run(50ms);
    EXPECT_EQ(resolve("better.example.").upstream, options_.groups[0].upstreams[0].name);
}

TEST_F(Forward, GarbageIsNotWaitedFor)
{
    Server bad{worker_, [](const Octets& query, bool tcp) {
                   Octets broken = answer_to(query);
                   broken[tcp ? 2 : 1] ^= 0xFFU; // the id, and over TCP the flags
                   return std::vector<Octets>{broken};
               }};
    group(Strategy::ordered, {upstream(bad.endpoint)});
    open();
    const auto began = clock_.now();
    EXPECT_FALSE(resolve("www.example.").answered);
    EXPECT_LT(clock_.now() - began, 1500ms) << "of a budget of 4 s";
}

TEST_F(Forward, WhenAllAreDeadTheLeastBadIsStillTried)
{
    bool alive = false;
    Server only{worker_, [&](const Octets& query, bool) {
                    return alive ? std::vector<Octets>{answer_to(query)} : std::vector<Octets>{};
                }};
    options_.limits.failures_to_open = 1;
    options_.limits.budget = 600ms;
    options_.limits.backoff_first = 60s;
    group(Strategy::ordered, {upstream(only.endpoint)});
    open();
    EXPECT_FALSE(resolve("a.example.").answered);
    EXPECT_EQ(upstream_counter("upstream_breaker_opened_total"), 1U);
    alive = true;
    EXPECT_TRUE(resolve("b.example.").answered);
}

TEST_F(Forward, TheRaceIsWonByTheFirstAndTheOthersAreCancelled)
{
    Server slow{worker_};
    slow.delay = 500ms;
    Server quick{worker_};
    auto& racers = group(Strategy::race, {upstream(slow.endpoint), upstream(quick.endpoint)});
    racers.race = 2;
    open();
    const auto began = clock_.now();
    const Client client = resolve("www.example.");
    EXPECT_LT(clock_.now() - began, 400ms);
    EXPECT_EQ(client.upstream, options_.groups[0].upstreams[1].name);
    run(20ms);
    EXPECT_EQ(upstream_counter("upstream_in_flight"), 0U);
}

TEST_F(Forward, TheFastestIsFound)
{
    Server slow{worker_};
    slow.delay = 60ms;
    Server quick{worker_};
    options_.limits.first_timeout = 800ms;
    group(Strategy::fastest, {upstream(slow.endpoint), upstream(quick.endpoint)});
    open();
    resolve("a.example.");
    run(150ms);
    resolve("b.example.");
    const auto before = slow.udp_queries.size();
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(resolve("c" + std::to_string(i) + ".example.").upstream, options_.groups[0].upstreams[1].name);
    EXPECT_EQ(slow.udp_queries.size(), before);
}

TEST_F(Forward, RoundRobinTakesTurns)
{
    Server one{worker_};
    Server two{worker_};
    group(Strategy::round_robin, {upstream(one.endpoint), upstream(two.endpoint)});
    open();
    for (int i = 0; i < 10; ++i) resolve("a" + std::to_string(i) + ".example.");
    EXPECT_EQ(one.udp_queries.size(), 5U);
    EXPECT_EQ(two.udp_queries.size(), 5U);
}

TEST_F(Forward, NamesGoWhereTheirRouteLeads)
{
    Server world{worker_};
    Server corp{worker_};
    group(Strategy::ordered, {upstream(world.endpoint)});
    group(Strategy::ordered, {upstream(corp.endpoint)}, "corp");
    options_.routes.push_back({{"corp.example"}, "corp", {}});
    open();
    resolve("www.corp.example.");
    EXPECT_EQ(corp.udp_queries.size(), 1U);
    resolve("www.example.");
    EXPECT_EQ(world.udp_queries.size(), 1U);
    auto chosen = question("other.example.");
    chosen.group = "corp";
    Client client;
    ASSERT_EQ(resolver_->resolve(chosen, client, worker_.refresh_now()), Taken::waiting);
    ASSERT_TRUE(until([&] { return client.heard > 0; }));
    EXPECT_EQ(corp.udp_queries.size(), 2U);
    chosen.group = "nobody";
    EXPECT_EQ(resolver_->resolve(chosen, client, worker_.refresh_now()), Taken::no_route);
    std::string told;
    resolver_->explain(question("www.corp.example."), [&](std::string_view what, std::string_view why) {
        told += std::string{what} + "|" + std::string{why} + "\n";
    });
    EXPECT_NE(told.find("group corp|route corp.example"), std::string::npos) << told;
}

} // namespace
} // namespace sallyport::forward_testing
