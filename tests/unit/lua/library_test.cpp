#include "running.hpp"

#include "lua/state_handle.hpp"

namespace sallyport::lua {
namespace {

/// What the library's own functions say, for patterns that end in time.
std::string stock(const std::string& expression)
{
    const StateHandle state{luaL_newstate()};
    luaL_openlibs(state.get());
    const std::string text = "return tostring((function(...) local t = {} for i = 1, select('#', ...) do t[i] = "
                             "tostring((select(i, ...))) end return table.concat(t, ',') end)(" +
                             expression + "))";
    if (luaL_dostring(state.get(), text.c_str()) != LUA_OK) return "error";
    return lua_tostring(state.get(), -1);
}

std::string ours(const std::string& expression)
{
    return evaluated("(function(...) local t = {} for i = 1, select('#', ...) do t[i] = tostring((select(i, ...))) end "
                     "return table.concat(t, ',') end)(" +
                     expression + ")");
}

class SameAsStock : public testing::TestWithParam<const char*> {};

TEST_P(SameAsStock, Gives) { EXPECT_EQ(ours(GetParam()), stock(GetParam())) << GetParam(); }

INSTANTIATE_TEST_SUITE_P(
    Patterns, SameAsStock,
    testing::Values(
        "('hello world'):find('wor')", "('hello world'):find('o', 6)", "('hello'):find('l+')", "('hello'):find('')",
        "('hello'):find('', 10)", "('hello'):find('', 6)", "('hello'):find('l', -2)", "('a.b'):find('.', 1, true)",
        "('a.b'):find('%.')", "('hello'):match('^h(.-)o$')", "('key = value'):match('^(%w+)%s*=%s*(%w+)$')",
        "('x'):match('()')", "('  x '):match('^%s*(.-)%s*$')", "('abcabc'):match('(a)(b)(c)%1%2%3')",
        "('f(a(b)c)d'):match('%b()')", "('THE (quick) fox'):find('%f[%a]%a+%f[%A]')", "('[x]'):match('[]]')",
        "('[x]'):match('[^]]+')", "('a-z'):match('[a%-z]+')", "('a-z'):match('[a-]+')", "('0x1F'):match('%x+', 3)",
        "('abc'):gsub('', '-')", "('abc'):gsub('.', {a = 1, b = true})", "('abc'):gsub('%w', '%0%0')",
        "('abc'):gsub('(a)(b)', '%2%1')", "('abc'):gsub('b', '%%')", "('hello'):gsub('l', 'L', 1)",
        "('abc'):gsub('b*', 'x')", "('abc'):gsub('^a', 'x')", "('a,b,,c'):gsub(',', ';')",
        "('abc'):gsub('%w', function(c) if c == 'b' then return false end return c:upper() end)", "('x'):rep(3, ',')",
        "('x'):rep(0)", "('x'):rep(-1)", "('abc'):byte(1, -1)", "('abc'):byte(10)", "('abc'):byte(-1)",
        "('abc'):byte()", "('abc'):match('(')", "('abc'):match('%')", "('abc'):match('[a')", "('abc'):match('%1')",
        "('abc'):match('()(.)%1')", "('abc'):gsub('a', '%2')", "('abc'):gsub('a', '%x')", "('abc'):match('a)')",
        "('abc'):match('[a-c]+$')", "('a$b'):match('a$b')", "('$'):match('[$]')", "('ab'):match('a?b?c?')",
        "('äö'):len()", "('x\\0y'):find('\\0')", "('abc'):find('b', 1, 'plain')",
        "(function() local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[#t + 1] = k .. v "
        "end return table.concat(t, ';') end)()",
        "(function() local n = 0 for w in ('abc'):gmatch('') do n = n + 1 end return n end)()",
        "(function() local t = {} for w in ('one two'):gmatch('%a+') do t[#t + 1] = w end return "
        "table.unpack(t) end)()",
        "(function() local t = {} for w in ('abcd'):gmatch('%a', 3) do t[#t + 1] = w end return "
        "table.unpack(t) end)()"));

INSTANTIATE_TEST_SUITE_P(
    Tables, SameAsStock,
    testing::Values(
        "table.concat({1, 2, 3}, ', ')", "table.concat({1, 2, 3}, ',', 2, 3)", "table.concat({}, ',')",
        "table.concat({1, {}, 3})", "table.unpack({1, 2, nil, 4}, 1, 4)", "table.unpack({1, 2}, 2)",
        "table.pack(1, nil, 3).n",
        "(function() local t = {1, 2, 3} table.insert(t, 4) table.insert(t, 1, 0) return table.unpack(t) end)()",
        "(function() local t = {1, 2, 3} return table.remove(t, 1), #t, table.remove(t), #t end)()",
        "(function() local t = {} return table.remove(t), #t end)()",
        "(function() local t = {} table.insert(t, 3, 1) end)()",
        "(function() local t = {5, 2, 8, 1, 9, 3, 3} table.sort(t) return table.unpack(t) end)()",
        "(function() local t = {5, 2, 8, 1} table.sort(t, function(a, b) return a > b end) return "
        "table.unpack(t) end)()",
        "(function() local t = {'b', 'a'} table.sort(t) return table.unpack(t) end)()",
        "(function() table.sort({1, 'a'}) end)()"));

TEST(Library, PrintGoesToTheLogAndGivesNothing)
{
    EXPECT_FALSE(fails("print('a line', 1, nil, {}, q.name)"));
    EXPECT_FALSE(fails("print(string.rep('\\n', 5000))"));
}

} // namespace
} // namespace sallyport::lua
