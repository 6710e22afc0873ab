#include "asking.hpp"
#include "pipeline/observer.hpp"
#include "pipeline/remote_stages.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace sallyport::pipeline {
namespace {

using testing::Gate;
using testing::Octets;
using testing::option_of;
using testing::query_for;
using wire::Rcode;
using wire::RrType;

/// A resolver that holds questions until the test answers them.
class FakeBackend final : public resolver::Backend {
public:
    resolver::Taken resolve(const resolver::Question& question, resolver::Waiter& waiter,
                            base::Instant) noexcept override
    {
        asked.push_back(question);
        if (taken == resolver::Taken::waiting) waiters.push_back(waiter);
        return taken;
    }
    void fetch(const resolver::Question& question, base::Instant) noexcept override { fetched.push_back(question); }
    void explain(const resolver::Question&, const resolver::Tell& tell) const override { tell("route", "to the fake"); }

    /// Answers everyone who waits.
    void tell(const resolver::Outcome& outcome, base::Instant now)
    {
        while (!waiters.empty()) {
            resolver::Waiter& waiter = waiters.front();
            waiters.pop_front();
            waiter.resolved(outcome, now);
        }
    }

    resolver::Taken taken = resolver::Taken::waiting;
    std::vector<resolver::Question> asked;
    std::vector<resolver::Question> fetched;
    boost::intrusive::list<
        resolver::Waiter,
        boost::intrusive::base_hook<boost::intrusive::list_base_hook<
            boost::intrusive::tag<resolver::Waiter>, boost::intrusive::link_mode<boost::intrusive::auto_unlink>>>,
        boost::intrusive::constant_time_size<false>>
        waiters;
};

/// A response as an upstream would send it, prepared.
class Upstream {
public:
    Upstream(const std::string& qname, RrType qtype, Rcode rcode,
             const std::vector<std::tuple<std::string, RrType, std::string>>& answers, const std::string& soa = {})
        : qname_(*wire::Name::from_text(qname)), room_(65'535)
    {
        wire::MessageWriter writer{buffer_, buffer_.size()};
        writer.begin(0x99, wire::flag::QR | wire::flag::RD | wire::flag::RA | wire::flag::AD);
        EXPECT_TRUE(writer.question(qname_, qtype, wire::RrClass::IN));
        for (const auto& [owner, type, text] : answers)
            EXPECT_TRUE(writer.record(wire::Section::answer, *wire::Name::from_text(owner), type, wire::RrClass::IN,
                                      wire::Ttl{300}, *wire::rdata_from_text(type, text, wire::Name{})));
        if (!soa.empty()) {
            EXPECT_TRUE(writer.record(wire::Section::authority, *wire::Name::from_text(soa), RrType::SOA,
                                      wire::RrClass::IN, wire::Ttl{300},
                                      *wire::rdata_from_text(RrType::SOA, "ns. host. 1 2 3 4 60", wire::Name{})));
        }
        writer.set_rcode(rcode);
        key_.qname = &qname_;
        key_.qtype = qtype;
        const auto view = wire::MessageView::parse(writer.message());
        prepared_ = cache::prepare(*view, key_, cache::Options{}, room_);
        EXPECT_TRUE(prepared_);
    }
    [[nodiscard]] resolver::Outcome outcome() const
    {
        resolver::Outcome outcome;
        outcome.answer = &*prepared_;
        outcome.upstream = "fake-1";
        return outcome;
    }
    void keep(cache::Cache& cache, base::Instant now) { EXPECT_TRUE(cache.store(key_, *prepared_, {}, now)); }

private:
    wire::Name qname_;
    std::array<std::uint8_t, 4096> buffer_{};
    std::vector<std::uint8_t> room_;
    cache::Key key_;
    std::optional<cache::Prepared> prepared_;
};

std::string text_of(const wire::RecordView& record, base::Bytes message)
{
    std::vector<std::uint8_t> rdata;
    EXPECT_TRUE(wire::decompress_rdata(message, record.rdata_offset, static_cast<std::uint16_t>(record.rdata.size()),
                                       record.type, rdata));
    return record.owner.to_name().to_text() + " " + wire::rdata_to_text(record.type, rdata);
}

struct Diary final : Observer {
    struct Entry {
        Source source;
        std::string upstream;
        std::string rule;
        Rcode rcode;
        bool answered;
        base::Duration took;
        std::uint64_t id;
    };
    void ended(const Query& query, base::Bytes answer, Rcode rcode, base::Duration took) noexcept override
    {
        entries.push_back({query.source, std::string{query.upstream}, std::string{query.rule}, rcode, !answer.empty(),
                           took, query.id});
    }
    std::vector<Entry> entries;
};

struct Steps final : Trace {
    void step(std::string_view stage, std::string_view decision, std::string_view why) override
    {
        lines.push_back(std::string{stage} + ": " + std::string{decision} + ": " + std::string{why});
    }
    [[nodiscard]] bool has(std::string_view start) const
    {
        return std::any_of(lines.begin(), lines.end(), [&](const auto& line) { return line.starts_with(start); });
    }
    std::vector<std::string> lines;
};

struct RemoteGate : Gate {
    explicit RemoteGate(bool with_cache = true) : cache(small())
    {
        services.cache = with_cache ? &cache : nullptr;
        services.resolver = &backend;
        services.observer = &diary;
        pipeline.set_services(services);
    }
    static cache::Options small()
    {
        cache::Options options;
        options.bytes = 4U << 20U;
        options.shards = 2;
        options.serve_stale = true;
        return options;
    }
    cache::Cache cache;
    FakeBackend backend;
    Diary diary;
    Services services;
};

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

/// A gate with a script.
struct ScriptGate : RemoteGate {
    explicit ScriptGate(const std::string& text)
    {
        const auto file =
            std::filesystem::temp_directory_path() / ("sallyport-script-" + std::to_string(::getpid()) + ".lua");
        std::ofstream{file} << text;
        lua::Options options;
        options.script = file.string();
        auto script = lua::Script::load(options);
        std::filesystem::remove(file);
        if (!script) {
            ADD_FAILURE() << script.error().to_string();
            return;
        }
        runtime = lua::Runtime::make(*script, clock, stats);
        services.script = runtime.get();
        pipeline.set_services(services);
    }
    lua::Stats stats;
    std::unique_ptr<lua::Runtime> runtime;
};

TEST(PipelineScript, DecidesBeforeZonesAndCacheAreAsked)
{
    ScriptGate gate{R"(
        on.query(function(q)
          if q.name:under("ads.example") then return q:block("an advertisement") end
          if q.name:under("corp.example") then return q:forward("corp") end
        end))"};
    gate.serve("ads.example", {"www A 192.0.2.1"});
    (void)gate.ask(query_for("www.ads.example.", {.edns = true}));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NXDOMAIN);
    const auto ede = option_of(gate.door.answer(), wire::EdnsOptionCode::EDE);
    ASSERT_TRUE(ede);
    EXPECT_EQ(base::load_be16(*ede, 0), 15U);
    EXPECT_EQ(gate.pipeline.stats().from_rule.get(), 1U);
    ASSERT_EQ(gate.diary.entries.size(), 1U);
    EXPECT_FALSE(gate.diary.entries[0].rule.empty());

    (void)gate.ask(query_for("www.corp.example."));
    ASSERT_EQ(gate.backend.asked.size(), 1U);
    EXPECT_EQ(gate.backend.asked[0].group, "corp");
}

TEST(PipelineScript, AGroupThatIsNotThereIsTold)
{
    ScriptGate gate{R"(on.query(function(q) return q:forward("crop") end))"};
    gate.backend.taken = resolver::Taken::no_route;
    gate.serve("home.arpa", {"www CNAME www.example.", "here A 192.0.2.1"});
    std::uint64_t told = 0;
    for (const char* const name : {"www.example.", "www.home.arpa."}) {
        (void)gate.ask(query_for(name, {.edns = true}));
        EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL) << name;
        const auto ede = option_of(gate.door.answer(), wire::EdnsOptionCode::EDE);
        ASSERT_TRUE(ede) << name;
        EXPECT_NE(std::string(ede->begin() + 2, ede->end()).find("group of upstreams"), std::string::npos);
        EXPECT_EQ(gate.pipeline.stats().unknown_group.get(), ++told);
        EXPECT_EQ(gate.door.ttl.seconds(), 0U);
    }
    (void)gate.ask(query_for("here.home.arpa."));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    gate.services.resolver = nullptr;
    gate.pipeline.set_services(gate.services);
    (void)gate.ask(query_for("www.example."));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::SERVFAIL);
    EXPECT_EQ(gate.pipeline.stats().unknown_group.get(), told + 1);
}

TEST(PipelineScript, KnowsLocalDataFromTheWordOfOthers)
{
    ScriptGate gate{R"(
        on.answer(function(q, a)
          if a.source ~= "zone" and a:any_address_in("private") then return q:refuse("rebinding by " .. a.source) end
        end))"};
    gate.serve("home.arpa", {"nas A 192.168.1.2", "www CNAME www.example."});
    (void)gate.ask(query_for("nas.home.arpa."));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    Upstream bad{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.168.1.1"}}};
    const auto refused = [&](const char* name, const std::string& reason) {
        const auto message = query_for(name, {.edns = true});
        (void)gate.ask(message);
        gate.backend.tell(bad.outcome(), gate.clock.now());
        EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED) << name;
        EXPECT_EQ(gate.door.answer().answers().size(), 0U);
        const auto ede = option_of(gate.door.answer(), wire::EdnsOptionCode::EDE);
        EXPECT_TRUE(ede && std::string(ede->begin() + 2, ede->end()) == reason) << name;
    };
    refused("www.example.", "rebinding by upstream");
    refused("www.home.arpa.", "rebinding by upstream");
    bad.keep(gate.cache, gate.clock.now());
    refused("www.example.", "rebinding by cache");
    refused("www.home.arpa.", "rebinding by cache");
    // And past its time.
    gate.clock.advance(std::chrono::seconds{400});
    (void)gate.ask(query_for("www.example."));
    gate.backend.tell({}, gate.clock.now());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED);
}

TEST(PipelineScript, AGroupHasAPartitionOfTheCache)
{
    ScriptGate gate{R"(on.query(function(q) if q.type == "TXT" then return q:forward("corp") end end))"};
    Upstream upstream{"www.example.", RrType::TXT, Rcode::NOERROR, {{"www.example.", RrType::TXT, "usual"}}};
    upstream.keep(gate.cache, gate.clock.now());
    (void)gate.ask(query_for("www.example.", {.qtype = RrType::TXT}));
    EXPECT_EQ(gate.backend.asked.size(), 1U) << "the answer of the usual way is not the group's";
}

TEST(PipelineScript, JudgesEveryAnswerCachedOnesToo)
{
    ScriptGate gate{R"(
        on.answer(function(q, a)
          if a:any_address_in("private") then return q:refuse("rebinding") end
        end))"};
    Upstream bad{"www.example.", RrType::A, Rcode::NOERROR, {{"www.example.", RrType::A, "192.168.1.1"}}};
    Upstream good{"good.example.", RrType::A, Rcode::NOERROR, {{"good.example.", RrType::A, "198.51.100.1"}}};
    (void)gate.ask(query_for("www.example."));
    gate.backend.tell(bad.outcome(), gate.clock.now());
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED);
    EXPECT_EQ(gate.door.answer().answers().size(), 0U);
    bad.keep(gate.cache, gate.clock.now());
    (void)gate.ask(query_for("www.example."));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::REFUSED);
    good.keep(gate.cache, gate.clock.now());
    (void)gate.ask(query_for("good.example."));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    EXPECT_EQ(gate.door.answer().answers().size(), 1U);
}

TEST(PipelineScript, AnErrorNeverLosesAQuery)
{
    ScriptGate gate{R"(
        on.query(function(q) local nothing = nil; return nothing.field end)
        on.answer(function(q, a) while true do end end))"};
    gate.serve("home.arpa", {"www A 192.0.2.1"});
    (void)gate.ask(query_for("www.home.arpa."));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    EXPECT_EQ(gate.door.answer().answers().size(), 1U);
    EXPECT_GE(gate.stats.errors.get(), 1U);
}

struct Ruled : Gate {
    /// The answer to a query for `name` that a rule decides with `verdict`.
    Step decide(const policy::Verdict& verdict, const BlockOptions& block, RrType qtype = RrType::A,
                base::Transport transport = base::Transport::udp)
    {
        message = query_for("ads.example.", {.qtype = qtype});
        query.request = *wire::MessageView::parse(message);
        query.qname = *wire::Name::from_text("ads.example.");
        query.qtype = qtype;
        query.qclass = wire::RrClass::IN;
        query.client = client;
        query.client.transport = transport;
        query.answer = &writer;
        query.ede.reset();
        writer.reset(512);
        EXPECT_TRUE(writer.begin_response(1, 0, query.request.question_bytes(), 1));
        return apply(verdict, block, texts, query);
    }
    [[nodiscard]] wire::MessageView written() { return *wire::MessageView::parse(writer.message()); }

    Octets message;
    std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(4096);
    wire::MessageWriter writer{buffer, buffer.size()};
    Texts texts;
    Query query;
};

TEST(PipelineVerdicts, EachWayToBlock)
{
    Ruled ruled;
    policy::Verdict verdict;
    verdict.action = policy::Verdict::Action::block;
    verdict.rule = "script.lua:3";
    BlockOptions block;
    EXPECT_EQ(ruled.decide(verdict, block), Step::answered);
    EXPECT_EQ(ruled.written().rcode(), Rcode::NXDOMAIN);
    ASSERT_EQ(ruled.written().authorities().size(), 1U);
    const auto soa = *ruled.written().authorities().begin();
    std::vector<std::uint8_t> rdata;
    ASSERT_TRUE(wire::decompress_rdata(ruled.written().bytes(), soa.rdata_offset,
                                       static_cast<std::uint16_t>(soa.rdata.size()), soa.type, rdata));
    EXPECT_EQ(wire::rdata_to_text(RrType::SOA, rdata), "localhost. nobody.invalid. 1 3600 600 86400 60");
    EXPECT_EQ(ruled.query.rule, "script.lua:3");
    EXPECT_EQ(ruled.query.ede->code, wire::ExtendedError::blocked);

    block.kind = BlockOptions::Kind::zero_address;
    (void)ruled.decide(verdict, block);
    EXPECT_EQ(text_of(*ruled.written().answers().begin(), ruled.writer.message()), "ads.example. 0.0.0.0");
    (void)ruled.decide(verdict, block, RrType::AAAA);
    EXPECT_EQ(text_of(*ruled.written().answers().begin(), ruled.writer.message()), "ads.example. ::");
    (void)ruled.decide(verdict, block, RrType::TXT);
    EXPECT_EQ(ruled.written().answers().size(), 0U);
    EXPECT_EQ(ruled.written().rcode(), Rcode::NOERROR);

    block.kind = BlockOptions::Kind::address;
    block.addresses = {*base::IpAddress::parse("192.0.2.80"), *base::IpAddress::parse("2001:db8::80")};
    (void)ruled.decide(verdict, block);
    EXPECT_EQ(ruled.written().answers().size(), 1U);
    block.kind = BlockOptions::Kind::refused;
    (void)ruled.decide(verdict, block);
    EXPECT_EQ(ruled.written().rcode(), Rcode::REFUSED);
    block.kind = BlockOptions::Kind::nodata;
    (void)ruled.decide(verdict, block);
    EXPECT_EQ(ruled.written().rcode(), Rcode::NOERROR);
    EXPECT_EQ(ruled.written().authorities().size(), 1U);
}

TEST(PipelineVerdicts, DroppingIsForDatagramsOnly)
{
    Ruled ruled;
    policy::Verdict verdict;
    verdict.action = policy::Verdict::Action::drop;
    EXPECT_EQ(ruled.decide(verdict, {}), Step::drop);
    EXPECT_EQ(ruled.decide(verdict, {}, RrType::A, base::Transport::dot), Step::answered);
    EXPECT_EQ(ruled.written().rcode(), Rcode::REFUSED);
}

TEST(PipelineVerdicts, AnAnswerThatDoesNotFitIsTruncatedWhole)
{
    Ruled ruled;
    policy::Verdict verdict;
    verdict.action = policy::Verdict::Action::answer;
    for (int i = 0; i < 60; ++i)
        verdict.records.push_back({RrType::A, wire::Ttl{60}, {192, 0, 2, static_cast<std::uint8_t>(i)}});
    EXPECT_EQ(ruled.decide(verdict, {}), Step::answered);
    EXPECT_TRUE(ruled.written().header().has(wire::flag::TC));
    EXPECT_EQ(ruled.written().answers().size(), 0U);
}

TEST(PipelineVerdicts, NamesOfRulesAreKeptUpToALimit)
{
    Texts texts;
    const auto first = texts.group("corp");
    EXPECT_EQ(texts.group("corp").data(), first.data());
    for (std::size_t i = 1; i < Texts::kMost; ++i) EXPECT_FALSE(texts.group("g" + std::to_string(i)).empty());
    EXPECT_TRUE(texts.group("one too many").empty());
    EXPECT_EQ(texts.group("corp"), "corp");
    EXPECT_EQ(texts.rule("script.lua:1"), "script.lua:1") << "rules have room of their own";
}

} // namespace
} // namespace sallyport::pipeline
