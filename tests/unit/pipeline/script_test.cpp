#include "remote_fixture.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace sallyport::pipeline {
namespace {

using testing::Gate;
using testing::option_of;
using testing::query_for;
using testing::RemoteGate;
using testing::Steps;
using testing::Upstream;
using wire::Rcode;
using wire::RrType;

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

} // namespace
} // namespace sallyport::pipeline
