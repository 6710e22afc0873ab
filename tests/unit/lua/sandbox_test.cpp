#include "running.hpp"

namespace sallyport::lua {
namespace {

using Action = policy::Verdict::Action;

class Missing : public testing::TestWithParam<const char*> {};

TEST_P(Missing, IsNotThere) { EXPECT_EQ(evaluated(GetParam()), "nil") << GetParam(); }

INSTANTIATE_TEST_SUITE_P(Sandbox, Missing,
                         testing::Values("os", "io", "package", "require", "debug", "load", "loadstring", "loadfile",
                                         "dofile", "collectgarbage", "coroutine", "utf8", "ffi", "warn", "xpcall",
                                         "string.dump", "string.pack", "string.unpack", "math.randomseed", "_G.os",
                                         "_G.debug", "getfenv", "newproxy"));

TEST(Sandbox, RefusesBytecode)
{
    // The signature of precompiled chunks.
    EXPECT_NE(Running{std::string("\x1bLua", 4)}.error.message, "");
    EXPECT_EQ(Running{std::string("\x1bLua\x54\x00\x19\x93", 8)}.runtime, nullptr);
}

TEST(Sandbox, LocksMetatables)
{
    EXPECT_EQ(evaluated("getmetatable('')"), "false");
    EXPECT_EQ(evaluated("getmetatable(q)"), "false");
    EXPECT_EQ(evaluated("getmetatable(q.name)"), "false");
    EXPECT_EQ(evaluated("getmetatable(q.client)"), "false");
    EXPECT_EQ(evaluated("getmetatable(domains)"), "false");
    EXPECT_TRUE(fails("setmetatable('', {})"));
    EXPECT_TRUE(fails("setmetatable(domains, {})"));
    EXPECT_TRUE(fails("rawset(q, 'name', 1)"));
    EXPECT_TRUE(fails("q.name = 1"));
}

TEST(Sandbox, RefusesFinalisersAndWeakTables)
{
    EXPECT_TRUE(fails("setmetatable({}, {__gc = function() end})"));
    EXPECT_TRUE(fails("setmetatable({}, {__mode = 'k'})"));
    EXPECT_TRUE(fails("setmetatable({}, {__close = function() end})"));
    EXPECT_TRUE(fails("local m = {} local t = setmetatable({}, {__metatable = false}) setmetatable(t, m)"));
    EXPECT_FALSE(fails("assert(setmetatable({}, {__index = function() return 3 end}).x == 3)"));
    // What is put into a metatable later has no effect.
    EXPECT_FALSE(fails("local m = {} setmetatable({}, m) m.__gc = function() while true do end end"));
    EXPECT_TRUE(fails("local m = {} local t = setmetatable({}, m) m.__close = function() end local x <close> = t"));
    EXPECT_FALSE(fails("local m = {} local t = setmetatable({}, m) getmetatable(t).__mode = 'k' t[{}] = 1 "
                       "for i = 1, 1000 do local s = {} end assert(next(t))"));
    // The usual things work.
    EXPECT_FALSE(fails("local C = {} C.__index = C local o = setmetatable({}, C) function C.f() return 7 end "
                       "assert(o.f() == 7 and getmetatable(o) == C) setmetatable(o, {}) setmetatable(o, nil) "
                       "assert(getmetatable(o) == nil)"));
    EXPECT_FALSE(fails("local m = {__eq = function() return true end} "
                       "assert(setmetatable({}, m) == setmetatable({}, m))"));
}

TEST(Sandbox, ScriptsDoNotSeeEachOthersGlobals)
{
    Running first{"shared = 1\n" + query("shared")};
    Running second{query("shared")};
    EXPECT_EQ(first.reason(), "1");
    EXPECT_EQ(second.reason(), "nil");
}

TEST(Limits, AnEndlessLoopEndsWithItsInstructions)
{
    Running run{"on.query(function(q) while true do end end)"};
    EXPECT_EQ(run.ask().action, Action::proceed);
    EXPECT_EQ(run.stats.over_instructions.get(), 1U);
    EXPECT_EQ(run.stats.errors.get(), 1U);
    // And the worker goes on.
    EXPECT_EQ(run.ask().action, Action::proceed);
    EXPECT_EQ(run.stats.calls.get(), 2U);
}

TEST(Limits, TimeEndsACallBeforeItsInstructionsDo)
{
    Running run{"on.query(function(q) while true do end end)"};
    run.clock.step = std::chrono::milliseconds{2};
    (void)run.ask();
    EXPECT_EQ(run.stats.over_time.get(), 1U);
    EXPECT_EQ(run.stats.over_instructions.get(), 0U);
}

TEST(Limits, ProtectedCallsDoNotCatchTheEnd)
{
    Running run{"on.query(function(q) while true do pcall(function() while true do end end) end end)"};
    (void)run.ask();
    EXPECT_EQ(run.stats.over_instructions.get(), 1U);
    Running memory{"on.query(function(q) pcall(function() local t = {} for i = 1, 1e7 do t[i] = i end end)\n"
                   "q:block() end)"};
    EXPECT_EQ(memory.ask().action, Action::proceed);
    EXPECT_EQ(memory.stats.over_memory.get(), 1U);
    EXPECT_EQ(evaluated("select(2, pcall(error, 'x'))"), "x");
}

TEST(Limits, MemoryEndsACallAndIsThereAgainForTheNext)
{
    Options options;
    options.memory = 1U << 20U;
    Running run{"on.query(function(q)\n"
                "  if q.name:is('big.example') then local t = {} for i = 1, 1e6 do t[i] = {} end end\n"
                "  return q:block() end)",
                options};
    EXPECT_EQ(run.ask("big.example").action, Action::proceed);
    EXPECT_EQ(run.stats.over_memory.get(), 1U);
    EXPECT_LE(run.runtime->memory(), 1U << 20U);
    EXPECT_EQ(run.ask("small.example").action, Action::block);
}

TEST(Limits, ATextHasAGreatestLength)
{
    Running run{"on.query(function(q) local s = 'x' while true do s = s .. s end end)"};
    (void)run.ask();
    EXPECT_EQ(run.stats.over_memory.get(), 1U);
    EXPECT_TRUE(fails("string.rep('x', 65537)"));
    EXPECT_TRUE(fails("string.rep('x', 1e15)"));
    EXPECT_TRUE(fails("string.rep('', 1e15)"));
    EXPECT_TRUE(fails("string.rep('x', 2, string.rep('y', 65530))  .. string.rep('z', 60000)"));
    EXPECT_EQ(evaluated("#string.rep('x', 65536)"), "65536");
    EXPECT_TRUE(fails("local s = string.rep('x', 60000) return string.format('%s%s', s, s)"));
    EXPECT_TRUE(fails("return (string.rep('x', 1000):gsub('.', string.rep('y', 100)))"));
    EXPECT_TRUE(fails("local t = {} for i = 1, 1000 do t[i] = string.rep('x', 100) end return table.concat(t)"));
}

TEST(Limits, PatternsTakeNoMoreThanTheirSteps)
{
    EXPECT_TRUE(fails("string.find(string.rep('a', 3000), string.rep('.-', 20) .. 'b')"));
    EXPECT_TRUE(fails("string.find(string.rep('a', 3000), string.rep('a*', 20) .. 'b')"));
    EXPECT_TRUE(fails("string.match(string.rep('(', 60000), '%b()')"));
    EXPECT_TRUE(fails("string.find('a', string.rep('(', 33))"));
    EXPECT_TRUE(fails("string.find(string.rep('a', 1000), string.rep('a?', 1000) .. 'b')"));
    EXPECT_FALSE(fails("assert(not string.find(string.rep('a', 60000), 'b'))"));
}

TEST(Limits, DeepNestingEndsWithAnError)
{
    EXPECT_TRUE(fails("local function f() return f() + 1 end f()"));
    EXPECT_TRUE(fails("local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]"));
    EXPECT_TRUE(fails("local function f(n) return (string.gsub('a', 'a', function() return f(n + 1) end)) end f(1)"));
    EXPECT_TRUE(fails("local function f() pcall(f) error('x') end f()"));
    EXPECT_NE(Running{"x = " + std::string(5000, '(') + "1" + std::string(5000, ')')}.error.message, "");
}

TEST(Limits, TablesDoNotRunOnInC)
{
    EXPECT_TRUE(fails("local t = setmetatable({}, {__len = function() return 1e15 end, __index = function() return 1 "
                      "end}) table.sort(t)"));
    EXPECT_EQ(evaluated("#table.concat(setmetatable({}, {__len = function() return 1e15 end}))"), "0");
    EXPECT_TRUE(fails("table.unpack({}, 1, 1e8)"));
    EXPECT_TRUE(fails("table.unpack({}, math.mininteger, math.maxinteger)"));
    EXPECT_TRUE(fails("string.byte(string.rep('x', 60000), 1, -1)"));
    EXPECT_TRUE(fails("local t = {} for i = 1, 2000 do table.insert(t, 1, i) end"));
    EXPECT_TRUE(fails("local t = {} for i = 1, 400 do t[i] = i end table.sort(t, function() return true end) "
                      "while true do end"));
}

TEST(Limits, AScriptThatNeverEndsIsNotLoaded)
{
    Options options;
    options.start_instructions = 100'000;
    const Running run{"while true do end", options};
    EXPECT_EQ(run.runtime, nullptr);
    EXPECT_EQ(run.error.position.line, 1U);
    EXPECT_NE(run.error.message.find("instructions"), std::string::npos);
}

TEST(Limits, AScriptHasAGreatestNumberOfFunctionsAndSets)
{
    EXPECT_EQ(Running{"for i = 1, 17 do on.query(function() end) end"}.runtime, nullptr);
    EXPECT_NE(Running{"for i = 1, 16 do on.query(function() end) end"}.runtime, nullptr);
    EXPECT_EQ(Running{"for i = 1, 1001 do clients {'10.0.0.1'} end"}.runtime, nullptr);
    EXPECT_EQ(Running{"local t = {} for i = 1, 4097 do t[i] = '10.0.0.1' end clients(t)"}.runtime, nullptr);
    Options options;
    options.list_names = 2;
    EXPECT_EQ((Running{"domains {'a', 'b', 'c'}", options}.runtime), nullptr);
}

TEST(Errors, NameFileAndLine)
{
    const Running syntax{"local x =\n\nreturn"};
    EXPECT_EQ(syntax.error.position.file, "/nonexistent/test.lua");
    EXPECT_EQ(syntax.error.position.line, 3U);
    const Running early{"\nfoo.bar()"};
    EXPECT_EQ(early.error.position.line, 2U);
    EXPECT_NE(early.error.message.find("foo"), std::string::npos);
}

TEST(Errors, GiveWhatIsConfigured)
{
    Running open{"on.query(function(q) q:block() error('x') end)"};
    EXPECT_EQ(open.ask().action, Action::proceed);
    Options options;
    options.on_error = OnError::refuse;
    Running closed{"on.query(function(q) error({}) end)", options};
    EXPECT_EQ(closed.ask().action, Action::refuse);
    EXPECT_EQ(closed.verdict.reason, "policy script failed");
    EXPECT_EQ(closed.stats.refused.get(), 1U);
    EXPECT_EQ(closed.stats.errors.get(), 1U);
}

TEST(Errors, AValueThatIsNoVerdictIsAnError)
{
    EXPECT_TRUE(fails("return 'block'"));
    EXPECT_TRUE(fails("return true"));
    EXPECT_FALSE(fails("return nil"));
}

TEST(Handles, EndWithTheirQuery)
{
    for (const char* const kept : {"q", "q.name", "q.client"}) {
        Running run{std::string("local kept\non.query(function(q)\n"
                                "  if kept then return q:refuse(select(2, pcall(tostring, kept)) or 'alive') end\n"
                                "  kept = ") +
                    kept + " end)"};
        (void)run.ask();
        const std::string told = run.reason();
        if (std::string_view{kept} == "q") continue; // printing a query tells nothing of it
        EXPECT_NE(told.find("this query has ended"), std::string::npos) << kept << ": " << told;
    }
    Running query{"local kept\non.query(function(q)\n"
                  "  if not kept then kept = q return end\n"
                  "  local _, a = pcall(function() return kept.name end)\n"
                  "  local _, b = pcall(function() kept:block() end)\n"
                  "  return q:refuse(a .. '|' .. b) end)"};
    (void)query.ask();
    const std::string told = query.reason();
    EXPECT_NE(told.find("this query has ended|"), std::string::npos) << told;
    EXPECT_EQ(query.verdict.action, Action::refuse);
}

} // namespace
} // namespace sallyport::lua
