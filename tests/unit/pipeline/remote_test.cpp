#include "remote_fixture.hpp"

namespace sallyport::pipeline {
namespace {

using testing::Gate;
using testing::option_of;
using testing::query_for;
using testing::RemoteGate;
using testing::Steps;
using testing::text_of;
using testing::Upstream;
using wire::Rcode;
using wire::RrType;

TEST(PipelineRemote, AMissWaitsAndIsAnsweredAsTheClientSpeltIt)
{
    RemoteGate gate;
    EXPECT_EQ(gate.ask(query_for("WWW.Example.")), Intake::taken);
    ASSERT_EQ(gate.backend.asked.size(), 1U);
    EXPECT_EQ(gate.backend.asked[0].qname.to_text(), "www.example.");
    EXPECT_EQ(gate.door.replies, 0);
    gate.clock.advance(std::chrono::milliseconds{20});
    Upstream upstream{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.0.2.7"}}};
    gate.backend.tell(upstream.outcome(), gate.clock.now());
    ASSERT_EQ(gate.door.replies, 1);
    const auto answer = gate.door.answer();
    EXPECT_EQ(answer.id(), 0x1234);
    EXPECT_EQ(answer.qname().to_name().to_text(), "WWW.Example.");
    EXPECT_TRUE(answer.header().has(wire::flag::RA | wire::flag::RD));
    EXPECT_FALSE(answer.header().has(wire::flag::AA));
    ASSERT_EQ(answer.answers().size(), 1U);
    EXPECT_EQ(text_of(*answer.answers().begin(), answer.bytes()), "WWW.Example. 192.0.2.7");
    ASSERT_EQ(gate.diary.entries.size(), 1U);
    EXPECT_EQ(gate.diary.entries[0].source, Source::upstream);
    EXPECT_EQ(gate.diary.entries[0].upstream, "fake-1");
    EXPECT_EQ(gate.diary.entries[0].took, std::chrono::milliseconds{20});
    EXPECT_EQ(gate.pipeline.stats().from_upstream.get(), 1U);
}

TEST(PipelineRemote, AuthenticDataIsToldOnlyToThoseWhoAsk)
{
    RemoteGate gate{false};
    Upstream upstream{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.0.2.7"}}};
    for (const std::uint16_t flags : {wire::flag::RD, static_cast<std::uint16_t>(wire::flag::RD | wire::flag::AD)}) {
        (void)gate.ask(query_for("www.example.", {.flags = flags}));
        gate.backend.tell(upstream.outcome(), gate.clock.now());
        EXPECT_EQ(gate.door.answer().header().has(wire::flag::AD), (flags & wire::flag::AD) != 0);
    }
}

TEST(PipelineRemote, AHitAsksNobody)
{
    RemoteGate gate;
    Upstream upstream{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.0.2.7"}}};
    upstream.keep(gate.cache, gate.clock.now());
    gate.clock.advance(std::chrono::seconds{100});
    (void)gate.ask(query_for("www.EXAMPLE."));
    ASSERT_EQ(gate.door.replies, 1);
    EXPECT_TRUE(gate.backend.asked.empty());
    EXPECT_EQ((*gate.door.answer().answers().begin()).ttl.seconds(), 200U);
    EXPECT_EQ(gate.door.ttl.seconds(), 200U);
    EXPECT_EQ(gate.diary.entries.at(0).source, Source::cache);
}

TEST(PipelineRemote, WhenNobodyAnswersTheClientHearsWhyAndAStaleAnswerIsBetter)
{
    RemoteGate gate;
    (void)gate.ask(query_for("www.example.", {.edns = true}));
    resolver::Outcome failed;
    failed.ede = wire::ExtendedError::no_reachable_authority;
    failed.ede_text = "no upstream answered";
    gate.backend.tell(failed, gate.clock.now());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    auto ede = option_of(gate.door.answer(), wire::EdnsOptionCode::EDE);
    ASSERT_TRUE(ede);
    EXPECT_EQ(base::load_be16(*ede, 0), 22U);
    EXPECT_EQ(gate.door.ttl.seconds(), 0U);

    Upstream upstream{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.0.2.7"}}};
    upstream.keep(gate.cache, gate.clock.now());
    gate.clock.advance(std::chrono::seconds{400});
    (void)gate.ask(query_for("www.example.", {.edns = true}));
    EXPECT_EQ(gate.backend.asked.size(), 2U);
    gate.backend.tell(failed, gate.clock.now());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    EXPECT_EQ((*gate.door.answer().answers().begin()).ttl.seconds(), 30U);
    ede = option_of(gate.door.answer(), wire::EdnsOptionCode::EDE);
    ASSERT_TRUE(ede);
    EXPECT_EQ(base::load_be16(*ede, 0), 3U);
    EXPECT_EQ(gate.diary.entries.back().source, Source::stale_cache);

    // What failed validation is not papered over with older data.
    gate.clock.advance(std::chrono::seconds{1});
    (void)gate.ask(query_for("www.example.", {.edns = true}));
    failed.validation = wire::ValidationState::bogus;
    failed.ede = wire::ExtendedError::dnssec_bogus;
    gate.backend.tell(failed, gate.clock.now());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
}

TEST(PipelineRemote, WhoDoesNotWantRecursionGetsNone)
{
    RemoteGate gate;
    (void)gate.ask(query_for("www.example.", {.flags = 0}));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED);
    EXPECT_TRUE(gate.backend.asked.empty());
}

TEST(PipelineRemote, AnyGetsOneSmallAnswer)
{
    RemoteGate gate;
    (void)gate.ask(query_for("www.example.", {.qtype = RrType::ANY}));
    ASSERT_EQ(gate.door.answer().answers().size(), 1U);
    EXPECT_EQ((*gate.door.answer().answers().begin()).type, RrType::HINFO);
    EXPECT_TRUE(gate.backend.asked.empty());
}

TEST(PipelineRemote, OverloadIsToldAtOnce)
{
    RemoteGate gate;
    gate.backend.taken = resolver::Taken::overloaded;
    (void)gate.ask(query_for("www.example."));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    EXPECT_EQ(gate.pipeline.stats().resolver_overloaded.get(), 1U);
    gate.backend.taken = resolver::Taken::no_route;
    (void)gate.ask(query_for("www.example."));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED);
}

TEST(PipelineRemote, AClientThatGoesIsNotTold)
{
    RemoteGate gate;
    (void)gate.ask(query_for("www.example."));
    gate.pipeline.abandon(gate.waiting);
    EXPECT_TRUE(gate.backend.waiters.empty());
}

TEST(PipelineRemote, ALocalAliasIsFollowedOutOfLocalData)
{
    RemoteGate gate;
    gate.serve("home.arpa", {"www CNAME www.example.", "other CNAME kept.example."});
    (void)gate.ask(query_for("www.home.arpa."));
    ASSERT_EQ(gate.backend.asked.size(), 1U);
    EXPECT_EQ(gate.backend.asked[0].qname.to_text(), "www.example.");
    // Someone else's answer is written to the worker's one buffer meanwhile.
    (void)gate.ask(query_for("nothing.home.arpa."));
    Upstream upstream{"www.example.",
                      RrType::A,
                      Rcode::NOERROR,
                      {{"www.example.", RrType::CNAME, "a.example."}, {"a.example.", RrType::A, "192.0.2.7"}}};
    gate.backend.tell(upstream.outcome(), gate.clock.now());
    const auto answer = gate.door.answer();
    ASSERT_EQ(answer.answers().size(), 3U);
    std::vector<std::string> lines;
    for (const auto& record : answer.answers()) lines.push_back(text_of(record, answer.bytes()));
    EXPECT_EQ(lines, (std::vector<std::string>{"www.home.arpa. www.example.", "www.example. a.example.",
                                               "a.example. 192.0.2.7"}));

    Upstream kept{"kept.example.", RrType::A, Rcode::NXDOMAIN, {}, "example."};
    kept.keep(gate.cache, gate.clock.now());
    (void)gate.ask(query_for("other.home.arpa."));
    EXPECT_EQ(gate.backend.asked.size(), 1U);
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NXDOMAIN);
    EXPECT_EQ(gate.door.answer().answers().size(), 1U);
    EXPECT_EQ(gate.door.answer().authorities().size(), 1U);
}

TEST(PipelineRemote, AChainWhoseZoneChangedMeanwhileIsWalkedAgain)
{
    RemoteGate gate;
    gate.serve("home.arpa", {"www CNAME www.example."});
    (void)gate.ask(query_for("www.home.arpa."));
    gate.serve("home.arpa", {"www A 192.0.2.99"});
    Upstream upstream{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.0.2.7"}}};
    gate.backend.tell(upstream.outcome(), gate.clock.now());
    const auto answer = gate.door.answer();
    ASSERT_EQ(answer.answers().size(), 1U);
    EXPECT_EQ(text_of(*answer.answers().begin(), answer.bytes()), "www.home.arpa. 192.0.2.99");
}

TEST(PipelineRemote, AChainThatLeadsElsewhereMeanwhileBeginsAnew)
{
    RemoteGate gate;
    gate.serve("home.arpa", {"www CNAME www.example."});
    (void)gate.ask(query_for("www.home.arpa."));
    gate.serve("home.arpa", {"www CNAME kept.example."});
    Upstream kept{"kept.example.", RrType::A, Rcode::NOERROR, {{"kept.example.", RrType::A, "192.0.2.8"}}};
    kept.keep(gate.cache, gate.clock.now());
    Upstream upstream{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.0.2.7"}}};
    gate.backend.tell(upstream.outcome(), gate.clock.now());
    const auto answer = gate.door.answer();
    std::vector<std::string> lines;
    for (const auto& record : answer.answers()) lines.push_back(text_of(record, answer.bytes()));
    EXPECT_EQ(lines, (std::vector<std::string>{"www.home.arpa. kept.example.", "kept.example. 192.0.2.8"}));
}

TEST(PipelineRemote, AFailureIsNoStaleAnswer)
{
    RemoteGate gate;
    (void)gate.ask(query_for("www.example.", {.edns = true}));
    // Another worker failed meanwhile, and left word of it.
    Upstream failure{"www.example.", RrType::A, Rcode::SERVFAIL, {}};
    failure.keep(gate.cache, gate.clock.now());
    resolver::Outcome failed;
    failed.ede = wire::ExtendedError::no_reachable_authority;
    gate.backend.tell(failed, gate.clock.now());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    const auto ede = option_of(gate.door.answer(), wire::EdnsOptionCode::EDE);
    ASSERT_TRUE(ede);
    EXPECT_EQ(base::load_be16(*ede, 0), 22U);
    EXPECT_EQ(gate.pipeline.stats().from_stale_cache.get(), 0U);
}

TEST(PipelineRemote, AStaleAnswerIsBetterThanAFailureThatWasTold)
{
    RemoteGate gate;
    Upstream upstream{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.0.2.7"}}};
    upstream.keep(gate.cache, gate.clock.now());
    gate.clock.advance(std::chrono::seconds{400});
    (void)gate.ask(query_for("www.example."));
    Upstream failure{"www.example.", RrType::A, Rcode::SERVFAIL, {}};
    gate.backend.tell(failure.outcome(), gate.clock.now());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    EXPECT_EQ(gate.diary.entries.back().source, Source::stale_cache);
    EXPECT_TRUE(gate.backend.fetched.empty()) << "it was asked just now";
    (void)gate.ask(query_for("other.example."));
    Upstream other{"other.example.", RrType::A, Rcode::SERVFAIL, {}};
    gate.backend.tell(other.outcome(), gate.clock.now());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    EXPECT_EQ(gate.diary.entries.back().source, Source::upstream);
}

TEST(PipelineRemote, TellsWhatEveryStageDecided)
{
    RemoteGate gate;
    Steps steps;
    const auto message = query_for("www.example.");
    (void)gate.pipeline.explain({message, gate.client, gate.door, 1, gate.waiting, gate.clock.now()}, steps);
    EXPECT_TRUE(steps.has("admission: goes on"));
    EXPECT_TRUE(steps.has("zones: goes on"));
    EXPECT_TRUE(steps.has("cache: goes on: not kept"));
    EXPECT_TRUE(steps.has("resolver: route: to the fake"));
    EXPECT_TRUE(steps.has("resolver: waits"));
    Upstream upstream{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.0.2.7"}}};
    gate.backend.tell(upstream.outcome(), gate.clock.now());
    EXPECT_TRUE(steps.has("resolver: answered: fake-1"));
    // The next query is nobody's business.
    const auto count = steps.lines.size();
    (void)gate.ask(message);
    EXPECT_EQ(steps.lines.size(), count);
}

TEST(PipelineRemote, ObserversHearOfEveryQueryOnce)
{
    RemoteGate gate;
    gate.serve("home.arpa", {"www A 192.0.2.1"});
    (void)gate.ask(query_for("www.home.arpa."));
    (void)gate.ask(query_for("www.home.arpa.", {.qclass = wire::RrClass::HS}));
    ASSERT_EQ(gate.diary.entries.size(), 2U);
    EXPECT_EQ(gate.diary.entries[0].source, Source::zone);
    EXPECT_TRUE(gate.diary.entries[0].answered);
    EXPECT_EQ(gate.diary.entries[1].rcode, Rcode::REFUSED);
    EXPECT_NE(gate.diary.entries[0].id, gate.diary.entries[1].id);
}

} // namespace
} // namespace sallyport::pipeline
