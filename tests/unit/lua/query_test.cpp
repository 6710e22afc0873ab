#include "running.hpp"

#include <cstdlib>
#include <ctime>

namespace sallyport::lua {
namespace {

using Action = policy::Verdict::Action;

TEST(Query, ShowsItsFacts)
{
    EXPECT_EQ(evaluated("q.name"), "www.example.com");
    EXPECT_EQ(evaluated("q.type .. q.class"), "AIN");
    EXPECT_EQ(evaluated("q.client"), "192.0.2.7");
    EXPECT_EQ(evaluated("q.transport .. q.door"), "udpdo53");
    EXPECT_EQ(evaluated("q.server_name"), "nil");
    EXPECT_EQ(evaluated("q.path"), "nil");
    EXPECT_EQ(evaluated("q.dnssec_ok"), "false");
    EXPECT_EQ(evaluated("q.client:is_v4()"), "true");
    EXPECT_EQ(evaluated("'<' .. q.name .. '>' .. q.client"), "<www.example.com>192.0.2.7");

    Running run{query("q.type .. ' ' .. q.door .. ' ' .. q.server_name .. q.path .. ' ' .. q.id")};
    run.facts.qtype = wire::RrType{65280};
    run.facts.transport = base::Transport::doh3;
    run.facts.server_name = "gate.test";
    run.facts.path = "/dns-query";
    run.facts.request_id = 42;
    EXPECT_EQ(run.reason(), "TYPE65280 doh gate.test/dns-query 42");
}

TEST(Query, AFieldThatIsNotThereIsAnError)
{
    EXPECT_TRUE(fails("return q.nmae"));
    EXPECT_TRUE(fails("return q[1]"));
    EXPECT_TRUE(fails("return q:bolck()"));
}

TEST(Query, AVerdictThatFailsLeavesTheOneBeforeIt)
{
    Running whole{"on.query(function(q) q:refuse('before') pcall(q.answer, q, {{'A', 'nonsense'}}) end)"};
    EXPECT_EQ(whole.ask().action, Action::refuse);
    EXPECT_EQ(whole.verdict.reason, "before");
    Running none{"on.query(function(q) pcall(q.answer, q, {{'A', '192.0.2.1'}, {'A', 'nonsense'}}) end)"};
    EXPECT_EQ(none.ask().action, Action::proceed);
    EXPECT_TRUE(none.verdict.records.empty());
    Running later{"on.query(function(q) q:refuse('before') q:answer { 'A', '192.0.2.1' } end)"};
    EXPECT_EQ(later.ask().action, Action::answer);
    EXPECT_EQ(later.verdict.reason, "");
    EXPECT_EQ(later.verdict.records.size(), 1U);
}

TEST(Name, IsComparedLabelByLabel)
{
    EXPECT_EQ(evaluated("q.name:under('example.com')"), "true");
    EXPECT_EQ(evaluated("q.name:under('EXAMPLE.com.')"), "true");
    EXPECT_EQ(evaluated("q.name:under('www.example.com')"), "true");
    EXPECT_EQ(evaluated("q.name:under('ample.com')"), "false");
    EXPECT_EQ(evaluated("q.name:under('a.www.example.com')"), "false");
    EXPECT_EQ(evaluated("q.name:under('.')"), "true");
    EXPECT_EQ(evaluated("q.name:under('example.org', 'com')"), "true");
    EXPECT_EQ(evaluated("q.name:is('WWW.example.com')"), "true");
    EXPECT_EQ(evaluated("q.name:is('example.com')"), "false");
    EXPECT_EQ(evaluated("q.name == q.name"), "true");
    EXPECT_EQ(evaluated("table.concat(q.name:labels(), '|')"), "www|example|com");
    EXPECT_EQ(evaluated("tostring(q.name):match('^(%w+)%.')"), "www");
    EXPECT_TRUE(fails("return q.name:under('a..b')"));
    EXPECT_TRUE(fails("return q.name:under()"));
    Running root{query("tostring(q.name) .. #q.name:labels()")};
    root.name = wire::Name{};
    EXPECT_EQ(root.reason(), ".0");
}

TEST(Client, BelongsToNetworksAndNames)
{
    EXPECT_EQ(evaluated("q.client:among('192.0.2.0/24')"), "true");
    EXPECT_EQ(evaluated("q.client:among('10.0.0.0/8', '192.0.2.7')"), "true");
    EXPECT_EQ(evaluated("q.client:among('private')"), "false");
    EXPECT_TRUE(fails("return q.client:among('kids')"));
    EXPECT_TRUE(fails("return q.client:among({})"));
    EXPECT_TRUE(fails("return q.client:among()"));

    const std::string text = "local kids = clients {'10.0.7.0/24', 'fd00::/8', tls_name = {'Kids.gate.test', "
                             "'*.kids.gate.test'}, path = '/Kids'}\n" +
                             query("q.client:among(kids)");
    Running run{text};
    EXPECT_EQ(run.reason(), "false");
    run.facts.server_name = "kids.gate.test";
    EXPECT_EQ(run.reason(), "true");
    run.facts.server_name = "tablet.kids.gate.test";
    EXPECT_EQ(run.reason(), "true");
    run.facts.server_name = "notkids.gate.test";
    EXPECT_EQ(run.reason(), "false");
    run.facts.path = "/kids";
    EXPECT_EQ(run.reason(), "false");
    run.facts.path = "/Kids";
    EXPECT_EQ(run.reason(), "true");
    run.facts.path = {};
    run.facts.client.address = *base::IpAddress::parse("10.0.7.9");
    EXPECT_EQ(run.reason(), "true");
}

TEST(Client, SetsAreMadeWhileTheScriptIsRead)
{
    EXPECT_TRUE(fails("clients {'10.0.0.0/8'}"));
    EXPECT_TRUE(fails("domains {'example.com'}"));
    EXPECT_TRUE(fails("domains.load('x.txt')"));
    EXPECT_TRUE(fails("on.query(function() end)"));
    EXPECT_EQ(Running{"clients {'nonsense'}"}.error.position.line, 1U);
    EXPECT_EQ(Running{"clients {tls = 'x'}"}.runtime, nullptr);
    EXPECT_EQ(Running{"clients {1}"}.runtime, nullptr);
    EXPECT_EQ(Running{"clients {tls_name = {1}}"}.runtime, nullptr);
}

TEST(Domains, CoverNamesAndWhatIsBelow)
{
    const std::string sets = "local ads = domains {'example.com', '*.example.org', 'Ads.Example.NET'}\n";
    Running run{sets + query("ads:covers(q.name)")};
    EXPECT_EQ(run.reason(), "true");
    EXPECT_EQ(run.ask("example.com").reason, "true");
    EXPECT_EQ(run.ask("notexample.com").reason, "false");
    EXPECT_EQ(run.ask("example.org").reason, "false");
    EXPECT_EQ(run.ask("a.b.example.org").reason, "true");
    EXPECT_EQ(run.ask("x.ads.example.net").reason, "true");
    EXPECT_EQ(run.ask("example.net").reason, "false");
    Running text{sets + query("ads:covers('www.example.com') and not ads:covers('..') and #ads")};
    EXPECT_EQ(text.reason(), "3");
    EXPECT_EQ(Running{"domains {'exa mple'}"}.runtime, nullptr);
    EXPECT_EQ(Running{"domains {1}"}.runtime, nullptr);
    EXPECT_EQ(Running{"domains {'a\\nb'}"}.runtime, nullptr);
}

TEST(Domains, AreSharedByAllStates)
{
    Running run{"ads = domains {'example.com'}\n" + query("ads:covers(q.name)")};
    ASSERT_EQ(run.script->domain_sets().size(), 1U);
    const auto& set = run.script->domain_sets().begin()->second;
    const long before = set.use_count();
    auto other = Runtime::make(run.script, run.clock, run.stats);
    EXPECT_EQ(set.use_count(), before + 1);
}

TEST(Domains, AreReadBesideTheScriptOnly)
{
    for (const char* const file : {"/etc/passwd", "../x", "a/../../x", "..", "", "a/../b", "missing.txt"})
        EXPECT_EQ(Running{std::string("domains.load('") + file + "')"}.runtime, nullptr) << file;
}

TEST(Verdicts, SayWhatIsToBeDone)
{
    Running block{"on.query(function(q)\n  return q:block('ads\\nand more')\nend)"};
    EXPECT_EQ(block.ask().action, Action::block);
    EXPECT_EQ(block.verdict.reason, "ads and more");
    EXPECT_EQ(block.verdict.rule, "test.lua:2");
    EXPECT_EQ(block.stats.blocked.get(), 1U);

    Running forward{"on.query(function(q) return q:forward('corp') end)"};
    EXPECT_EQ(forward.ask().action, Action::forward);
    EXPECT_EQ(forward.verdict.group, "corp");

    Running drop{"on.query(function(q) q:block() q:drop() end)"};
    EXPECT_EQ(drop.ask().action, Action::drop);
    EXPECT_EQ(drop.stats.dropped.get(), 1U);
    EXPECT_EQ(drop.stats.blocked.get(), 0U);

    Running none{"on.query(function(q) end)"};
    EXPECT_EQ(none.ask().action, Action::proceed);
    EXPECT_TRUE(fails("q:forward('')"));
    EXPECT_TRUE(fails("q:forward(nil)"));
}

TEST(Verdicts, TheFirstFunctionThatDecidesEndsTheWalk)
{
    Running run{"on.query(function(q) if q.name:under('com') then return q:block('first') end end)\n"
                "on.query(function(q) return q:refuse('second') end)"};
    EXPECT_EQ(run.reason(), "first");
    EXPECT_EQ(run.ask("example.org").reason, "second");
}

TEST(Verdicts, AnswersAreRecords)
{
    Running run{
        "on.query(function(q) return q:answer{ {'A', '192.0.2.1', ttl = 5}, {'TXT', '\"a b\"'}, ttl = 9 } end)"};
    EXPECT_EQ(run.ask().action, Action::answer);
    ASSERT_EQ(run.verdict.records.size(), 2U);
    EXPECT_EQ(run.verdict.records[0].type, wire::RrType::A);
    EXPECT_EQ(run.verdict.records[0].rdata, (std::vector<std::uint8_t>{192, 0, 2, 1}));
    EXPECT_EQ(run.verdict.records[0].ttl, wire::Ttl{5});
    EXPECT_EQ(run.verdict.records[1].ttl, wire::Ttl{9});
    EXPECT_EQ(run.verdict.records[1].rdata, (std::vector<std::uint8_t>{3, 'a', ' ', 'b'}));

    Running one{"on.query(function(q) return q:answer{'AAAA', '2001:db8::1'} end)"};
    EXPECT_EQ(one.ask().records.size(), 1U);
    EXPECT_EQ(one.verdict.records[0].ttl, wire::Ttl{60});
    Running code{"on.query(function(q) return q:answer('nxdomain') end)"};
    EXPECT_EQ(code.ask().rcode, wire::Rcode::NXDOMAIN);
    Running empty{"on.query(function(q) return q:answer{} end)"};
    EXPECT_EQ(empty.ask().action, Action::answer);
    EXPECT_EQ(empty.verdict.rcode, wire::Rcode::NOERROR);
}

TEST(Verdicts, AnswersThatCanNotBeGivenAreErrors)
{
    for (const char* const given :
         {"{'A', 'x'}", "{'A'}", "{'NOPE', 'x'}", "{'OPT', ''}", "{{'A', '1.2.3.4', ttl = -1}}", "{rcode = 'BADVERS'}",
          "{'A', '1.2.3.4', ttl = 'x'}", "7", "{1}", "'NO SUCH'", "{'A', {}}"})
        EXPECT_TRUE(fails(std::string("return q:answer(") + given + ")")) << given;
    EXPECT_TRUE(fails("local t = {} for i = 1, 65 do t[i] = {'A', '1.2.3.4'} end return q:answer(t)"));
    EXPECT_FALSE(fails("local t = {} for i = 1, 64 do t[i] = {'A', '1.2.3.4'} end return q:answer(t)"));
}

TEST(Time, FollowsTheLocalClock)
{
    ::setenv("TZ", "UTC", 1);
    ::tzset();
    Running run{query("tostring(time.between('21:00', '07:00')) .. tostring(time.between('08:00', '12:30')) .. "
                      "time.weekday() .. tostring(time.weekday('saturday', 'thursday')) .. time.now()")};
    run.facts.wall = base::WallTime{std::chrono::hours{22}};
    EXPECT_EQ(run.reason(), "truefalsethursdaytrue79200");
    run.facts.wall += std::chrono::hours{9}; // Friday, 7:00
    EXPECT_EQ(run.reason(), "falsefalsefridayfalse111600");
    run.facts.wall += std::chrono::hours{1};
    EXPECT_EQ(run.reason(), "falsetruefridayfalse115200");
    EXPECT_TRUE(fails("time.between('7:00', '08:00')"));
    EXPECT_TRUE(fails("time.between('24:01', '08:00')"));
    EXPECT_TRUE(fails("time.weekday('caturday')"));
    EXPECT_EQ(Running{"time.now()"}.runtime, nullptr);
}

} // namespace
} // namespace sallyport::lua
