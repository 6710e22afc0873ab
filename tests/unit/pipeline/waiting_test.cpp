#include "asking.hpp"
#include "pipeline/pipeline.hpp"

#include <gtest/gtest.h>

namespace sallyport::pipeline {
namespace {

using namespace std::chrono_literals;
using testing::Gate;
using testing::option_of;
using testing::query_for;
using wire::ExtendedError;
using wire::Rcode;
using wire::RrType;

/// A resolver that answers when it is told to.
class Slow final : public resolver::Backend {
public:
    resolver::Taken resolve(const resolver::Question&, resolver::Waiter& waiter, base::Instant) noexcept override
    {
        ++asked;
        waiters.add(waiter);
        return resolver::Taken::waiting;
    }
    void fetch(const resolver::Question&, base::Instant) noexcept override { ++fetched; }
    void explain(const resolver::Question&, const resolver::Tell&) const override {}

    void fail(base::Instant now)
    {
        resolver::Outcome outcome;
        outcome.ede = ExtendedError::no_reachable_authority;
        waiters.tell(outcome, now);
    }

    unsigned asked = 0;
    unsigned fetched = 0;
    testing::Waiters waiters;
};

struct Bell final : Alarm {
    void set(base::Instant given) noexcept override { when = given; }
    std::optional<base::Instant> when;
};

Options small()
{
    Options options;
    options.waiting.per_client = 3;
    options.waiting.late_from = 1;
    options.rate_limit.errors_per_second = 1000;
    return options;
}

struct WaitingGate : Gate {
    WaitingGate() : Gate(small()), cache(stale())
    {
        Services services;
        services.resolver = &slow;
        services.cache = &cache;
        services.alarm = &bell;
        pipeline.set_services(services);
    }
    ~WaitingGate() { pipeline.abandon(waiting); }

    static cache::Options stale()
    {
        cache::Options options;
        options.bytes = 1U << 20U;
        options.serve_stale = true;
        return options;
    }
    /// An answer with a life of ten seconds.
    void keep(const std::string& qname)
    {
        const auto name = *wire::Name::from_text(qname);
        std::array<std::uint8_t, 512> buffer{};
        wire::MessageWriter writer{buffer, buffer.size()};
        writer.begin(0, wire::flag::QR | wire::flag::RA);
        EXPECT_TRUE(writer.question(name, RrType::A, wire::RrClass::IN));
        const std::array<std::uint8_t, 4> address{192, 0, 2, 7};
        EXPECT_TRUE(writer.record(wire::Section::answer, name, RrType::A, wire::RrClass::IN, wire::Ttl{10}, address));
        cache::Key key;
        key.qname = &name;
        key.qtype = RrType::A;
        std::vector<std::uint8_t> room(65'535);
        const auto prepared = cache::prepare(*wire::MessageView::parse(writer.message()), key, cache::Options{}, room);
        ASSERT_TRUE(prepared);
        ASSERT_TRUE(cache.store(key, *prepared, {}, clock.now()));
    }
    std::optional<std::uint16_t> ede() const
    {
        const auto option = option_of(door.answer(), wire::EdnsOptionCode::EDE);
        return option && option->size() >= 2 ? std::optional{base::load_be16(*option, 0)} : std::nullopt;
    }
    void pass(base::Duration time)
    {
        clock.advance(time);
        pipeline.expire(clock.now());
    }

    Slow slow;
    Bell bell;
    cache::Cache cache;
};

TEST(Waiting, TheClientGetsWhatIsStaleAfterAWhile)
{
    WaitingGate gate;
    gate.keep("www.example");
    gate.clock.advance(60s);
    gate.ask(query_for("www.example", {.edns = true}));
    EXPECT_EQ(gate.door.replies, 0);
    ASSERT_TRUE(gate.bell.when);
    EXPECT_EQ(*gate.bell.when, gate.clock.now() + 1800ms);
    gate.pass(1799ms);
    EXPECT_EQ(gate.door.replies, 0);
    gate.pass(1ms);
    ASSERT_EQ(gate.door.replies, 1);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    EXPECT_EQ(gate.ede(), 3);
    EXPECT_EQ(gate.door.ttl.seconds(), 30U);
    EXPECT_EQ(gate.pipeline.stats().stale_in_time.get(), 1U);
    EXPECT_TRUE(gate.slow.waiters.empty()); // the search goes on without it
}

TEST(Waiting, WhoHasNothingStaleWaitsOn)
{
    WaitingGate gate;
    gate.ask(query_for("www.example", {.edns = true}));
    gate.pass(2s);
    EXPECT_EQ(gate.door.replies, 0);
    gate.slow.fail(gate.clock.now());
    EXPECT_EQ(gate.door.replies, 1);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
}

TEST(Waiting, NobodyWaitsLongerThanTenSeconds)
{
    WaitingGate gate;
    gate.ask(query_for("www.example", {.edns = true}));
    gate.pass(2s);
    gate.pass(7999ms);
    EXPECT_EQ(gate.door.replies, 0);
    gate.pass(1ms);
    ASSERT_EQ(gate.door.replies, 1);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    EXPECT_EQ(gate.ede(), 22);
    EXPECT_EQ(gate.pipeline.stats().waited_too_long.get(), 1U);
    EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 0U);
}

TEST(Waiting, OneClientHasSoManyAtMost)
{
    WaitingGate gate;
    for (int i = 0; i < 3; ++i) gate.ask(query_for("n" + std::to_string(i) + ".example"));
    EXPECT_EQ(gate.door.replies, 0);
    gate.ask(query_for("n3.example", {.edns = true}));
    ASSERT_EQ(gate.door.replies, 1);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    EXPECT_EQ(gate.pipeline.stats().client_full.get(), 1U);
    // Others are served as ever.
    gate.client.peer = *base::Endpoint::parse("192.168.1.10:4000");
    gate.ask(query_for("n3.example"));
    EXPECT_EQ(gate.door.replies, 1);
    EXPECT_EQ(gate.slow.asked, 4U);
    // And so is this one once it has been answered.
    gate.client.peer = *base::Endpoint::parse("192.168.1.9:4000");
    gate.slow.fail(gate.clock.now());
    gate.ask(query_for("n5.example"));
    EXPECT_EQ(gate.slow.asked, 5U);
}

TEST(Waiting, AddressesOfOneSlash64AreOneClient)
{
    WaitingGate gate;
    for (int i = 0; i < 4; ++i) {
        gate.client.peer = *base::Endpoint::parse("[fd00::" + std::to_string(i + 1) + "]:4000");
        gate.ask(query_for("n" + std::to_string(i) + ".example"));
    }
    EXPECT_EQ(gate.pipeline.stats().client_full.get(), 1U);
    gate.client.peer = *base::Endpoint::parse("[fd00:0:0:1::1]:4000");
    gate.ask(query_for("other.example"));
    EXPECT_EQ(gate.pipeline.stats().client_full.get(), 1U);
}

TEST(Waiting, LateAnswersAreNotSentOverUdpWhereManyWait)
{
    WaitingGate gate;
    for (int i = 0; i < 3; ++i) gate.ask(query_for("n" + std::to_string(i) + ".example"));
    gate.pass(1901ms);
    gate.slow.fail(gate.clock.now());
    // The last one is no crowd any more.
    EXPECT_EQ(gate.door.drops, 2);
    EXPECT_EQ(gate.door.replies, 1);
    EXPECT_EQ(gate.pipeline.stats().late_unanswered.get(), 2U);
    // Over a connection nobody is sent what he did not ask for.
    gate.client.transport = base::Transport::tcp;
    for (int i = 0; i < 3; ++i) gate.ask(query_for("n" + std::to_string(i) + ".example"));
    gate.pass(1901ms);
    gate.slow.fail(gate.clock.now());
    EXPECT_EQ(gate.door.replies, 4);
}

TEST(Waiting, AfterAFailureWhatIsStaleIsGivenAtOnceForHalfAMinute)
{
    WaitingGate gate;
    gate.keep("www.example");
    gate.clock.advance(60s);
    const auto name = *wire::Name::from_text("www.example");
    cache::Key key;
    key.qname = &name;
    key.qtype = RrType::A;
    EXPECT_TRUE(gate.cache.renewal_failed(key, gate.clock.now()));
    gate.ask(query_for("www.example", {.edns = true}));
    ASSERT_EQ(gate.door.replies, 1);
    EXPECT_EQ(gate.ede(), 3);
    EXPECT_EQ(gate.slow.asked, 0U);
    EXPECT_EQ(gate.slow.fetched, 0U);
    gate.clock.advance(29s);
    gate.ask(query_for("www.example"));
    EXPECT_EQ(gate.slow.asked, 0U);
    gate.clock.advance(2s);
    gate.ask(query_for("www.example"));
    EXPECT_EQ(gate.slow.asked, 1U);
}

TEST(Waiting, NothingStaleOutlivesAChangeOfPolicy)
{
    WaitingGate gate;
    gate.keep("www.example");
    gate.clock.advance(60s);
    gate.pipeline.policy_changed(gate.clock.now());
    gate.ask(query_for("www.example", {.edns = true}));
    gate.pass(1800ms);
    EXPECT_EQ(gate.door.replies, 0);
    gate.slow.fail(gate.clock.now());
    ASSERT_EQ(gate.door.replies, 1);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    EXPECT_EQ(gate.door.answer().header().answer_count, 0U);
    EXPECT_EQ(gate.ede(), 22);
    // What was found out since may be given again.
    gate.keep("www.example");
    gate.clock.advance(60s);
    gate.ask(query_for("www.example", {.edns = true}));
    gate.pass(1800ms);
    EXPECT_EQ(gate.door.replies, 2);
    EXPECT_EQ(gate.ede(), 3);
}

TEST(Waiting, NobodyWaitsLongerThanHeMayForWhatIsStale)
{
    WaitingGate gate;
    Options options = small();
    options.waiting.longest = 500ms;
    gate.pipeline.reconfigure(options);
    gate.ask(query_for("www.example"));
    EXPECT_EQ(gate.pipeline.due(), std::optional{gate.clock.now() + 500ms});
    gate.pass(499ms);
    EXPECT_EQ(gate.door.replies + gate.door.drops, 0);
    gate.pass(1ms);
    EXPECT_EQ(gate.door.replies, 1);
}

TEST(Waiting, AClientThatGoesTakesItsQueriesWithIt)
{
    WaitingGate gate;
    gate.ask(query_for("www.example"));
    gate.pipeline.abandon(gate.waiting);
    EXPECT_FALSE(gate.pipeline.due());
    gate.pass(20s);
    EXPECT_EQ(gate.door.replies + gate.door.drops, 0);
    for (int i = 0; i < 3; ++i) gate.ask(query_for("n" + std::to_string(i) + ".example"));
    EXPECT_EQ(gate.pipeline.stats().client_full.get(), 0U);
}

} // namespace
} // namespace sallyport::pipeline
