#include "pipeline/pipeline.hpp"

#include "asking.hpp"

#include <gtest/gtest.h>

namespace sallyport::pipeline::testing {
namespace {

using base::Transport;
using wire::EdnsOptionCode;
using wire::Rcode;
using wire::RrType;
using namespace std::chrono_literals;

TEST(Pipeline, AnswersFromALocalZoneAndKeepsTheSpelling)
{
    Gate gate;
    gate.serve("gate.test", {"www 60 A 192.0.2.1"});
    EXPECT_EQ(gate.ask(query_for("WwW.gAtE.tEsT.")), Intake::taken);
    const auto answer = gate.door.answer();
    EXPECT_EQ(answer.id(), 0x1234);
    EXPECT_EQ(answer.rcode(), Rcode::NOERROR);
    EXPECT_TRUE(answer.header().has(wire::flag::QR | wire::flag::AA | wire::flag::RD));
    EXPECT_EQ(answer.qname().to_name().to_text(), "WwW.gAtE.tEsT.");
    ASSERT_EQ(answer.answers().size(), 1U);
    EXPECT_EQ((*answer.answers().begin()).owner.to_name().to_text(), "WwW.gAtE.tEsT.");
    EXPECT_EQ(gate.door.ttl.seconds(), 60U);
    EXPECT_EQ(gate.door.tags, std::vector<std::uint64_t>{7});
    EXPECT_TRUE(gate.door.framed_matches);
}

TEST(Pipeline, MeetsResponsesAndScrapsWithSilence)
{
    Gate gate;
    EXPECT_EQ(gate.ask(query_for("a.test.", {.flags = wire::flag::QR})), Intake::ignored);
    EXPECT_EQ(gate.ask({1, 2, 3}), Intake::ignored);
    EXPECT_EQ(gate.ask(Octets(11)), Intake::ignored);
    EXPECT_EQ(gate.door.replies + gate.door.drops, 0);
    EXPECT_EQ(gate.pipeline.stats().ignored.get(), 3U);
}

TEST(Pipeline, NeverAnswersReflectionPorts)
{
    Gate gate;
    for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{7}, std::uint16_t{19}}) {
        gate.client.peer.port = port;
        EXPECT_EQ(gate.ask(query_for("a.test.")), Intake::ignored);
    }
    EXPECT_EQ(gate.door.replies, 0);
    gate.client.transport = Transport::tcp;
    EXPECT_EQ(gate.ask(query_for("a.test.")), Intake::taken);
    EXPECT_EQ(gate.door.replies, 1);
}

TEST(Pipeline, RefusesWhatItIsNotFor)
{
    struct Case {
        const char* why;
        QueryOptions options;
        Rcode rcode;
    };
    const Case cases[] = {
        {"UPDATE", {.flags = 5U << 11U}, Rcode::NOTIMP},
        {"NOTIFY", {.flags = 4U << 11U}, Rcode::NOTIMP},
        {"IQUERY", {.flags = 1U << 11U}, Rcode::NOTIMP},
        {"DSO", {.flags = 6U << 11U}, Rcode::NOTIMP},
        {"class ANY", {.qclass = wire::RrClass::ANY}, Rcode::FORMERR},
        {"class NONE", {.qclass = wire::RrClass::NONE}, Rcode::FORMERR},
        {"class HS", {.qclass = wire::RrClass::HS}, Rcode::REFUSED},
        {"class CH", {.qclass = wire::RrClass::CH}, Rcode::REFUSED},
        {"AXFR", {.qtype = RrType::AXFR}, Rcode::REFUSED},
        {"IXFR", {.qtype = RrType::IXFR}, Rcode::REFUSED},
        {"TKEY", {.qtype = RrType::TKEY}, Rcode::REFUSED},
        {"type OPT", {.qtype = RrType::OPT}, Rcode::FORMERR},
        {"type 0", {.qtype = RrType{0}}, Rcode::FORMERR},
        {"type NXNAME, which no record has", {.qtype = RrType{128}}, Rcode::FORMERR},
        {"EDNS version 1", {.edns = true, .version = 1}, Rcode::BADVERS},
        {"a name that is nowhere local", {}, Rcode::REFUSED},
    };
    for (const auto& c : cases) {
        for (const auto transport : {Transport::udp, Transport::dot, Transport::doh2, Transport::doq}) {
            Gate gate;
            gate.client.transport = transport;
            EXPECT_EQ(gate.ask(query_for("gate.test.", c.options)), Intake::taken) << c.why;
            EXPECT_EQ(gate.door.answer().rcode(), c.rcode) << c.why;
        }
    }
}

TEST(Pipeline, AnswersBadVersionsWithItsOwn)
{
    Gate gate;
    (void)gate.ask(query_for("gate.test.", {.edns = true, .version = 9}));
    ASSERT_NE(gate.door.answer().edns(), nullptr);
    EXPECT_EQ(gate.door.answer().edns()->version, 0);
}

TEST(Pipeline, QuestionCountMustBeOne)
{
    Gate gate;
    Octets two = query_for("gate.test.");
    two[5] = 2;
    two.insert(two.end(), two.begin() + 12, two.end());
    (void)gate.ask(two);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::FORMERR);
    Octets none(12);
    (void)gate.ask(none);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::FORMERR);
}

TEST(Pipeline, NoQuestionIsFineWithACookie)
{
    Gate gate;
    Octets buffer(512);
    wire::MessageWriter writer{buffer, buffer.size()};
    writer.begin(1, 0);
    ASSERT_TRUE(writer.begin_opt(1232, false));
    ASSERT_TRUE(writer.option(EdnsOptionCode::COOKIE, Octets(8, 1)));
    writer.end_opt();
    const auto message = writer.message();
    (void)gate.ask({message.begin(), message.end()});
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    EXPECT_EQ(option_of(gate.door.answer(), EdnsOptionCode::COOKIE)->size(), 24U);
}

TEST(Pipeline, WhatDoesNotParseIsFormerrOrTheDoorsBusiness)
{
    const Octets broken = [] {
        Octets octets = query_for("gate.test.");
        octets.pop_back();
        return octets;
    }();
    for (const auto transport : {Transport::udp, Transport::tcp, Transport::dot}) {
        Gate gate;
        gate.client.transport = transport;
        EXPECT_EQ(gate.ask(broken), Intake::taken);
        EXPECT_EQ(gate.door.answer().rcode(), Rcode::FORMERR);
        EXPECT_EQ(gate.door.answer().id(), 0x1234);
        EXPECT_EQ(gate.door.answer().header().question_count, 0);
    }
    for (const auto transport : {Transport::doh1, Transport::doh2, Transport::doh3, Transport::doq}) {
        Gate gate;
        gate.client.transport = transport;
        EXPECT_EQ(gate.ask(broken), Intake::malformed);
        EXPECT_EQ(gate.door.replies + gate.door.drops, 0);
    }
}

TEST(Pipeline, KeepaliveOptionIsAnErrorOnDoqOnly)
{
    const auto query = query_for("gate.test.", {.edns = true, .options = {{EdnsOptionCode::TCP_KEEPALIVE, {}}}});
    Gate gate;
    gate.client.transport = Transport::doq;
    EXPECT_EQ(gate.ask(query), Intake::malformed);
    gate.client.transport = Transport::dot;
    EXPECT_EQ(gate.ask(query), Intake::taken);
    // 10 s in units of 100 ms (RFC 7828 §3.1).
    EXPECT_EQ(option_of(gate.door.answer(), EdnsOptionCode::TCP_KEEPALIVE), (Octets{0, 100}));
    gate.client.transport = Transport::udp;
    EXPECT_EQ(gate.ask(query), Intake::taken);
    EXPECT_FALSE(option_of(gate.door.answer(), EdnsOptionCode::TCP_KEEPALIVE));
}

TEST(Pipeline, StrangersAreRefusedWithAReasonOrMetBySilence)
{
    Gate gate;
    gate.client.peer = *base::Endpoint::parse("203.0.113.5:4000");
    (void)gate.ask(query_for("gate.test.", {.edns = true}));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED);
    const auto ede = option_of(gate.door.answer(), EdnsOptionCode::EDE);
    ASSERT_TRUE(ede);
    EXPECT_EQ(base::load_be16(*ede, 0), static_cast<std::uint16_t>(wire::ExtendedError::prohibited));

    Options options;
    options.access.silent = true;
    Gate silent{options};
    silent.client.peer = gate.client.peer;
    (void)silent.ask(query_for("gate.test."));
    EXPECT_EQ(silent.door.replies, 0);
    EXPECT_EQ(silent.door.drops, 1);
    EXPECT_EQ(silent.pipeline.stats().denied.get(), 1U);
}

TEST(Pipeline, OverTheRateLimitUdpGetsTruncationAndOthersRefusal)
{
    Options options;
    options.rate_limit.per_second = 1;
    options.rate_limit.burst = 2;
    Gate gate{options};
    gate.serve("gate.test", {"@ A 192.0.2.1"});
    const auto query = query_for("gate.test.");
    for (int i = 0; i < 2; ++i) {
        (void)gate.ask(query);
        EXPECT_EQ(gate.door.answer().answers().size(), 1U);
    }
    (void)gate.ask(query);
    EXPECT_TRUE(gate.door.answer().header().has(wire::flag::TC));
    EXPECT_EQ(gate.door.answer().answers().size(), 0U);
    EXPECT_LE(gate.door.message.size(), query.size()) << "nothing to reflect with";
    gate.client.transport = Transport::dot;
    (void)gate.ask(query);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED);
    EXPECT_EQ(gate.pipeline.stats().rate_limited.get(), 2U);
}

TEST(Pipeline, ErrorsOverUdpAreHeldBackByTheirLimit)
{
    Options options;
    options.rate_limit.errors_per_second = 5;
    Gate gate{options};
    for (int i = 0; i < 20; ++i) (void)gate.ask(query_for("nowhere.example."));
    EXPECT_EQ(gate.door.replies, 5);
    EXPECT_EQ(gate.door.drops, 15);
    EXPECT_EQ(gate.pipeline.stats().errors_unanswered.get(), 15U);
    gate.client.transport = Transport::tcp;
    (void)gate.ask(query_for("nowhere.example."));
    EXPECT_EQ(gate.door.replies, 6) << "a connection proves its address";
}

TEST(Pipeline, CookiesAreGivenKnownAndRenewed)
{
    Gate gate;
    gate.clock.set_wall(base::WallTime{std::chrono::seconds{1'700'000'000}});
    gate.serve("gate.test", {"@ A 192.0.2.1"});
    const auto with = [](Octets cookie) {
        return query_for("gate.test.", {.edns = true, .options = {{EdnsOptionCode::COOKIE, std::move(cookie)}}});
    };
    (void)gate.ask(with(Octets(8, 5)));
    const Octets first = *option_of(gate.door.answer(), EdnsOptionCode::COOKIE);
    EXPECT_EQ(first.size(), 24U);
    EXPECT_EQ(gate.pipeline.stats().cookies_new.get(), 1U);

    (void)gate.ask(with(first));
    EXPECT_EQ(gate.pipeline.stats().cookies_valid.get(), 1U);
    EXPECT_EQ(*option_of(gate.door.answer(), EdnsOptionCode::COOKIE), first);

    gate.clock.advance(40min);
    (void)gate.ask(with(first));
    EXPECT_EQ(gate.pipeline.stats().cookies_valid.get(), 2U);
    EXPECT_NE(*option_of(gate.door.answer(), EdnsOptionCode::COOKIE), first) << "older than half an hour is renewed";

    gate.clock.advance(30min);
    (void)gate.ask(with(first));
    EXPECT_EQ(gate.pipeline.stats().cookies_new.get(), 2U) << "older than an hour is nothing";

    gate.client.peer = *base::Endpoint::parse("192.168.1.10:4000");
    gate.clock.advance(-70min);
    (void)gate.ask(with(first));
    EXPECT_EQ(gate.pipeline.stats().cookies_new.get(), 3U) << "another's cookie is nothing";
}

TEST(Pipeline, AnswersOverUdpNeverPassTheSizeAllowed)
{
    std::vector<std::string> records;
    for (int i = 0; i < 100; ++i) records.push_back("big 60 TXT \"" + std::string(200, 'x') + std::to_string(i) + "\"");
    Options options;
    Gate gate{options};
    gate.serve("gate.test", records);
    (void)gate.ask(query_for("big.gate.test.", {.qtype = RrType::TXT}));
    EXPECT_LE(gate.door.message.size(), 512U);
    EXPECT_TRUE(gate.door.answer().header().has(wire::flag::TC));
    (void)gate.ask(query_for("big.gate.test.", {.qtype = RrType::TXT, .edns = true, .udp_size = 65535}));
    EXPECT_LE(gate.door.message.size(), 1232U);
    EXPECT_TRUE(gate.door.answer().header().has(wire::flag::TC));
    EXPECT_NE(gate.door.answer().edns(), nullptr);
    gate.client.transport = Transport::tcp;
    (void)gate.ask(query_for("big.gate.test.", {.qtype = RrType::TXT, .edns = true}));
    EXPECT_GT(gate.door.message.size(), 20'000U);
    EXPECT_FALSE(gate.door.answer().header().has(wire::flag::TC));
    EXPECT_EQ(gate.door.answer().answers().size(), 100U);
    EXPECT_EQ(gate.pipeline.stats().truncated.get(), 2U);
}

TEST(Pipeline, PadsOnEncryptedDoorsOnly)
{
    Gate gate;
    gate.serve("gate.test", {"@ A 192.0.2.1"});
    for (const auto transport : {Transport::dot, Transport::doh1, Transport::doh2, Transport::doh3, Transport::doq}) {
        gate.client.transport = transport;
        (void)gate.ask(query_for("gate.test.", {.edns = true}));
        EXPECT_EQ(gate.door.message.size() % 468, 0U) << base::to_string(transport);
        (void)gate.ask(query_for("gate.test."));
        EXPECT_LT(gate.door.message.size(), 100U) << "no OPT, no padding";
    }
    for (const auto transport : {Transport::udp, Transport::tcp}) {
        gate.client.transport = transport;
        (void)gate.ask(query_for("gate.test.", {.edns = true}));
        EXPECT_FALSE(option_of(gate.door.answer(), EdnsOptionCode::PADDING));
    }
}

TEST(Pipeline, TellsItsNameToThoseWhoAsk)
{
    Options options;
    options.nsid = "gate-7";
    options.identity_names = true;
    Gate gate{options};
    (void)gate.ask(query_for("gate.test.", {.edns = true, .options = {{EdnsOptionCode::NSID, {}}}}));
    EXPECT_EQ(base::as_text(*option_of(gate.door.answer(), EdnsOptionCode::NSID)), "gate-7");
    (void)gate.ask(query_for("id.server.", {.qtype = RrType::TXT, .qclass = wire::RrClass::CH}));
    ASSERT_EQ(gate.door.answer().answers().size(), 1U);
    EXPECT_EQ(base::as_text((*gate.door.answer().answers().begin()).rdata), "\x06gate-7");
}

/// Holds every query until told.
class Holding final : public Stage {
public:
    Step handle(Query& query) noexcept override
    {
        held.push_back(query);
        return Step::suspended;
    }
    using Waiting = decltype(Query::waiting);
    boost::intrusive::list<Query, boost::intrusive::member_hook<Query, Waiting, &Query::waiting>,
                           boost::intrusive::constant_time_size<false>>
        held;
};

struct SuspendingGate : Gate {
    explicit SuspendingGate(const Options& options = {}) : Gate(options)
    {
        auto stage = std::make_unique<Holding>();
        holding = stage.get();
        pipeline.append_stage(std::move(stage));
    }
    Holding* holding;
};

TEST(Pipeline, ASuspendedQueryKeepsItsOwnCopyAndIsAnsweredLater)
{
    SuspendingGate gate;
    Octets message = query_for("Later.example.", {.edns = true});
    EXPECT_EQ(gate.ask(message, 42), Intake::taken);
    EXPECT_EQ(gate.door.replies, 0);
    EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 1U);
    std::fill(message.begin(), message.end(), std::uint8_t{0xFF}); // the door reads the next thing into its buffer
    (void)gate.ask(query_for("id.server.", {.qtype = RrType::TXT, .qclass = wire::RrClass::CH}),
                   1); // and others are answered

    Query& query = gate.holding->held.front();
    gate.holding->held.pop_front();
    gate.pipeline.resume(query, Step::next, gate.clock.now());
    const auto answer = gate.door.answer();
    EXPECT_EQ(answer.qname().to_name().to_text(), "Later.example.");
    EXPECT_EQ(answer.rcode(), Rcode::REFUSED);
    EXPECT_EQ(gate.door.tags.back(), 42U);
    EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 0U);
    EXPECT_TRUE(gate.waiting.empty());
}

TEST(Pipeline, AClientThatHangsUpTakesItsQueriesOutOfEveryList)
{
    SuspendingGate gate;
    for (int i = 0; i < 200; ++i) (void)gate.ask(query_for("wait.example."));
    EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 200U);
    gate.pipeline.abandon(gate.waiting);
    EXPECT_TRUE(gate.holding->held.empty());
    EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 0U);
    EXPECT_EQ(gate.pipeline.stats().abandoned.get(), 200U);
    EXPECT_EQ(gate.door.replies, 0);
}

/// A door that ends its connection with the answer: "connection: close".
class ClosingDoor final : public ReplySink {
public:
    ClosingDoor(Pipeline& pipeline, QueryList& waiting) : pipeline_(pipeline), waiting_(waiting) {}
    void reply(const Reply&) noexcept override { pipeline_.abandon(waiting_); }
    void dropped(std::uint64_t) noexcept override { pipeline_.abandon(waiting_); }

private:
    Pipeline& pipeline_;
    QueryList& waiting_;
};

TEST(Pipeline, ADoorMayAbandonItsQueriesWhileOneIsAnswered)
{
    for (const Step how : {Step::next, Step::drop}) {
        SuspendingGate gate;
        ClosingDoor door{gate.pipeline, gate.waiting};
        for (int i = 0; i < 3; ++i)
            (void)gate.pipeline.receive(
                {query_for("wait.example."), gate.client, door, 0, gate.waiting, gate.clock.now()});
        gate.pipeline.resume(gate.holding->held.front(), how, gate.clock.now());
        EXPECT_TRUE(gate.waiting.empty());
        EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 0U);
        EXPECT_EQ(gate.pipeline.stats().abandoned.get(), 2U) << "the one that was answered is not abandoned";
        // A query given back twice would be handed out twice.
        for (int i = 0; i < 100; ++i) (void)gate.ask(query_for("wait.example."));
        EXPECT_EQ(gate.holding->held.size(), 100U);
        EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 100U);
    }
}

TEST(Pipeline, TooManyWaitingQueriesHearSoAtOnce)
{
    Options options;
    options.queries_in_flight = 100;
    SuspendingGate gate{options};
    for (int i = 0; i < 300; ++i) (void)gate.ask(query_for("wait.example."));
    EXPECT_LE(gate.pipeline.stats().in_flight.get(), 128U);
    EXPECT_GE(gate.pipeline.stats().in_flight_full.get(), 172U);
    EXPECT_EQ(static_cast<std::uint64_t>(gate.door.replies), gate.pipeline.stats().in_flight_full.get());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    gate.pipeline.abandon(gate.waiting);
    (void)gate.ask(query_for("wait.example."));
    EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 1U) << "room again";
}

TEST(Pipeline, LongWaitingQueriesHaveABudgetOfOctets)
{
    Options options;
    options.queries_in_flight_octets = 10'000;
    SuspendingGate gate{options};
    const QueryOptions padded{.edns = true, .options = {{wire::EdnsOptionCode::PADDING, Octets(1500)}}};
    for (int i = 0; i < 20; ++i) (void)gate.ask(query_for("wait.example.", padded));
    EXPECT_LE(gate.pipeline.stats().in_flight_octets.get(), 10'000U);
    EXPECT_EQ(gate.pipeline.stats().in_flight.get() + gate.pipeline.stats().in_flight_octets_full.get(), 20U);
    EXPECT_GT(gate.pipeline.stats().in_flight_octets_full.get(), 10U);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    const auto long_ones = gate.pipeline.stats().in_flight.get();
    for (int i = 0; i < 50; ++i) (void)gate.ask(query_for("wait.example."));
    EXPECT_EQ(gate.pipeline.stats().in_flight.get(), long_ones + 50U) << "others do not suffer for it";
    gate.pipeline.abandon(gate.waiting);
    EXPECT_EQ(gate.pipeline.stats().in_flight_octets.get(), 0U);
}

TEST(Pipeline, ReconfiguringKeepsTheZonesAndTheCookies)
{
    Gate gate;
    gate.clock.set_wall(base::WallTime{std::chrono::seconds{1'700'000'000}});
    gate.serve("gate.test", {"@ A 192.0.2.1"});
    const auto with = [](Octets cookie) {
        return query_for("gate.test.", {.edns = true, .options = {{EdnsOptionCode::COOKIE, std::move(cookie)}}});
    };
    (void)gate.ask(with(Octets(8, 5)));
    const Octets cookie = *option_of(gate.door.answer(), EdnsOptionCode::COOKIE);
    Options changed;
    changed.nsid = "new";
    gate.pipeline.reconfigure(changed);
    (void)gate.ask(with(cookie));
    EXPECT_EQ(gate.pipeline.stats().cookies_valid.get(), 1U);
    EXPECT_EQ(gate.door.answer().answers().size(), 1U);
}

TEST(PipelineReload, IsNoFreshStartForWhoIsOverTheLimit)
{
    Options options;
    options.rate_limit.per_second = 1;
    options.rate_limit.burst = 2;
    Gate gate{options};
    gate.serve("home.arpa", {"www A 192.0.2.1"});
    const auto served = [&] {
        (void)gate.ask(query_for("www.home.arpa."));
        return !gate.door.answer().header().has(wire::flag::TC);
    };
    EXPECT_TRUE(served() && served());
    EXPECT_FALSE(served());
    options.nsid = "new";
    gate.pipeline.reconfigure(options);
    EXPECT_FALSE(served());
    options.rate_limit.burst = 3;
    gate.pipeline.reconfigure(options);
    EXPECT_TRUE(served()) << "another limit begins anew";
}

TEST(PipelineReload, IsNoFreshStartForErrors)
{
    Options options;
    options.rate_limit.errors_per_second = 2;
    Gate gate{options};
    const auto bad = [&] { (void)gate.ask(query_for("www.example.", {.qclass = wire::RrClass::ANY})); };
    for (int i = 0; i < 4; ++i) {
        bad();
        gate.pipeline.reconfigure(options);
    }
    EXPECT_EQ(gate.door.replies, 2);
    EXPECT_EQ(gate.door.drops, 2);
}

/// Holds every query.
class HoldingStage final : public Stage {
public:
    Step handle(Query& query) noexcept override
    {
        held = &query;
        return Step::suspended;
    }
    Query* held = nullptr;
};

TEST(PipelineSuspend, AQueryHeldTwiceIsAnsweredAnew)
{
    Gate gate;
    gate.serve("home.arpa", {"local A 192.0.2.1"});
    auto first = std::make_unique<HoldingStage>();
    auto second = std::make_unique<HoldingStage>();
    HoldingStage& one = *first;
    HoldingStage& two = *second;
    gate.pipeline.append_stage(std::move(first));
    gate.pipeline.append_stage(std::move(second));
    (void)gate.ask(query_for("www.example."));
    gate.pipeline.resume(*one.held, Step::next, gate.clock.now());
    ASSERT_NE(two.held, nullptr);
    // The worker's buffer is lent to someone else meanwhile.
    (void)gate.ask(query_for("local.home.arpa.", {.id = 9}));
    gate.pipeline.resume(*two.held, Step::next, gate.clock.now());
    EXPECT_EQ(gate.door.answer().id(), 0x1234);
    EXPECT_EQ(gate.door.answer().qname().to_name().to_text(), "www.example.");
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED);
    EXPECT_EQ(gate.door.answer().answers().size(), 0U);
    EXPECT_EQ(gate.pipeline.stats().in_flight.get(), 0U);
}

} // namespace
} // namespace sallyport::pipeline::testing
