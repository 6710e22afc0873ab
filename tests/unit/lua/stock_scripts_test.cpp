#include "running.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sallyport::lua {
namespace {

using Action = policy::Verdict::Action;

std::filesystem::path folder() { return std::filesystem::path{SALLYPORT_SOURCE_DIR} / "lua" / "scripts"; }

std::string text_of(const std::string& name)
{
    std::ifstream stream{folder() / name};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

TEST(StockScripts, AreGood)
{
    unsigned scripts = 0;
    for (const auto& entry : std::filesystem::directory_iterator{folder()}) {
        Options options;
        options.script = entry.path();
        const auto script = Script::load(options);
        EXPECT_TRUE(script) << (script ? "" : script.error().to_string());
        ++scripts;
    }
    EXPECT_GE(scripts, 2U);
}

TEST(StockScripts, FamilyKeepsItsRules)
{
    ::setenv("TZ", "UTC", 1);
    Running run{text_of("family.lua")};
    ASSERT_NE(run.runtime, nullptr) << run.error.message;
    EXPECT_EQ(run.ask("x.doubleclick.net").action, Action::block);
    EXPECT_EQ(run.ask("git.corp.example").group, "corp");
    EXPECT_EQ(run.ask("printer.home.arpa").records.size(), 1U);
    run.facts.wall = base::WallTime{std::chrono::hours{23}};
    EXPECT_EQ(run.ask("www.example.com").action, Action::proceed);
    run.facts.server_name = "kids.gate.test";
    EXPECT_EQ(run.ask("www.example.com").reason, "bedtime");
    EXPECT_EQ(run.ask("en.wikipedia.org").action, Action::proceed);
    EXPECT_EQ(run.stats.errors.get(), 0U);
}

TEST(StockScripts, DefaultAnswersCanaries)
{
    Running run{text_of("default.lua")};
    ASSERT_NE(run.runtime, nullptr) << run.error.message;
    EXPECT_EQ(run.ask("use-application-dns.net").rcode, wire::Rcode::NXDOMAIN);
    EXPECT_EQ(run.ask("www.example.com").action, Action::proceed);
    EXPECT_TRUE(run.runtime->has_answer_hook());
}

TEST(StockScripts, DefaultLetsOnlyLocalZonesLeadIntoTheLocalNetwork)
{
    Running run{text_of("default.lua")};
    ASSERT_NE(run.runtime, nullptr) << run.error.message;
    const auto judged = [&](const char* qname, std::string_view source, std::vector<std::uint8_t> address) {
        std::array<std::uint8_t, 512> octets{};
        wire::MessageWriter writer{octets, octets.size()};
        writer.begin(7, wire::flag::QR);
        run.name = *wire::Name::from_text(qname);
        EXPECT_TRUE(writer.question(run.name, wire::RrType::A, wire::RrClass::IN));
        EXPECT_TRUE(
            writer.record(wire::Section::answer, run.name, wire::RrType::A, wire::RrClass::IN, wire::Ttl{60}, address));
        run.facts.source = source;
        run.runtime->on_answer(run.facts, *wire::MessageView::parse(writer.message()), run.verdict);
        return run.verdict.action;
    };
    EXPECT_EQ(judged("nas.example", "zone", {192, 168, 1, 2}), Action::proceed);
    for (const char* const source : {"upstream", "cache", "stale"})
        EXPECT_EQ(judged("nas.example", source, {192, 168, 1, 2}), Action::refuse) << source;
    EXPECT_EQ(judged("nas.home.arpa", "upstream", {192, 168, 1, 2}), Action::proceed);
    EXPECT_EQ(judged("www.example", "upstream", {8, 8, 8, 8}), Action::proceed);
    EXPECT_EQ(run.stats.errors.get(), 0U);
}

} // namespace
} // namespace sallyport::lua
