#include "lua/objects.hpp"
#include "wire/rdata.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <utility>

/// What a script decides: `q:block()`, `q:refuse()`, `q:answer{}`, `q:forward()`, `q:drop()`. The last one counts.
namespace sallyport::lua {
namespace {

using policy::Verdict;

constexpr std::size_t kMostReason = 200;
constexpr std::size_t kMostGroup = 100;
constexpr lua_Integer kMostRecords = 64;
constexpr std::size_t kMostData = 4096;
constexpr lua_Integer kMostTtl = 604'800;
constexpr std::uint32_t kTtl = 60;

/// Begins a verdict: the query is alive, and where in the script it happens is known. Until `decide` it does not count,
/// so that one which fails, and whose error the script catches, leaves things as they were.
Verdict& begin(lua_State* state)
{
    check(state, 1, Kind::query);
    Verdict& verdict = context_of(state).draft;
    verdict.clear();
    lua_Debug where;
    char rule[LUA_IDSIZE + 16];
    rule[0] = '\0';
    if (lua_getstack(state, 1, &where) != 0 && lua_getinfo(state, "Sl", &where) != 0)
        (void)std::snprintf(rule, sizeof rule, "%s:%d", where.short_src, where.currentline);
    verdict.rule = rule;
    return verdict;
}

int decide(lua_State* state, Verdict::Action action) noexcept
{
    Context& context = context_of(state);
    context.draft.action = action;
    std::swap(*context.verdict, context.draft);
    return 0;
}

void keep_text(std::string& kept, const char* text, std::size_t size) noexcept
{
    kept.assign(text, size);
    for (char& c : kept)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) c = ' ';
}

/// The reason is shown to clients and in logs: one line, not long.
void take_reason(lua_State* state, Verdict& verdict)
{
    std::size_t size = 0;
    const char* const text = luaL_optlstring(state, 2, "", &size);
    keep_text(verdict.reason, text, std::min(size, kMostReason));
}

int block(lua_State* state)
{
    take_reason(state, begin(state));
    return decide(state, Verdict::Action::block);
}

int refuse(lua_State* state)
{
    take_reason(state, begin(state));
    return decide(state, Verdict::Action::refuse);
}

int drop(lua_State* state)
{
    take_reason(state, begin(state));
    return decide(state, Verdict::Action::drop);
}

int forward(lua_State* state)
{
    if (context_of(state).answer != nullptr) return luaL_error(state, "forward is for on.query: there is an answer");
    std::size_t size = 0;
    const char* const group = luaL_checklstring(state, 2, &size);
    luaL_argcheck(state, size > 0 && size <= kMostGroup, 2, "expected the name of a group of upstreams");
    keep_text(begin(state).group, group, size);
    return decide(state, Verdict::Action::forward);
}

bool equal_words(std::string_view left, std::string_view right) noexcept
{
    return std::equal(left.begin(), left.end(), right.begin(), right.end(), [](char a, char b) {
        return std::toupper(static_cast<unsigned char>(a)) == std::toupper(static_cast<unsigned char>(b));
    });
}

bool read_rcode(std::string_view text, wire::Rcode& rcode) noexcept
{
    constexpr std::uint16_t kMost = 10; // those of the header; the others belong to EDNS and to this gateway
    for (std::uint16_t value = 0; value <= kMost; ++value) {
        if (!equal_words(wire::to_string(static_cast<wire::Rcode>(value)), text)) continue;
        rcode = static_cast<wire::Rcode>(value);
        return true;
    }
    return false;
}

void take_rcode(lua_State* state, int index, Verdict& verdict)
{
    std::size_t size = 0;
    const char* const text = luaL_checklstring(state, index, &size);
    if (!read_rcode({text, size}, verdict.rcode))
        luaL_error(state, "'%s' is no response code; expected one like NXDOMAIN", text);
}

/// The octets go to the verdict; what is wrong, to `problem`.
bool add_record(Verdict& verdict, std::string_view type_text, std::string_view data, std::uint32_t ttl,
                std::string& problem) noexcept
{
    const auto type = wire::parse_rr_type(type_text);
    if (!type || wire::is_meta(*type)) {
        problem = "'" + std::string(type_text.substr(0, 32)) + "' is no type of data";
        return false;
    }
    auto rdata = wire::rdata_from_text(*type, data, wire::Name{});
    if (!rdata) {
        problem = rdata.error().message.substr(0, 200);
        return false;
    }
    verdict.records.push_back({*type, wire::Ttl{ttl}, std::move(*rdata)});
    return true;
}

std::uint32_t ttl_of(lua_State* state, int table, std::uint32_t otherwise)
{
    lua_pushliteral(state, "ttl");
    if (lua_rawget(state, table) == LUA_TNIL) return lua_pop(state, 1), otherwise;
    int is_number = 0;
    const lua_Integer ttl = lua_tointegerx(state, -1, &is_number);
    if (is_number == 0 || ttl < 0 || ttl > kMostTtl) luaL_error(state, "'ttl' must be a number from 0 to 604800");
    lua_pop(state, 1);
    return static_cast<std::uint32_t>(ttl);
}

/// `{"A", "192.0.2.1", ttl = 60}`
void take_record(lua_State* state, int table, Verdict& verdict, std::uint32_t ttl)
{
    ttl = ttl_of(state, table, ttl);
    lua_rawgeti(state, table, 1);
    lua_rawgeti(state, table, 2);
    std::size_t type_size = 0, data_size = 0;
    const char* const type = luaL_tolstring(state, -2, &type_size);
    const char* const data = luaL_tolstring(state, -2, &data_size);
    if (data_size > kMostData) luaL_error(state, "the data of a record is longer than 4096 octets");
    charge_or_raise(state, 200 + data_size);
    std::string& problem = context_of(state).text;
    if (!add_record(verdict, {type, type_size}, {data, data_size}, ttl, problem))
        luaL_error(state, "bad record: %s", problem.c_str());
    lua_pop(state, 4);
}

void take_records(lua_State* state, int table, Verdict& verdict)
{
    const std::uint32_t ttl = ttl_of(state, table, kTtl);
    lua_pushliteral(state, "rcode");
    if (lua_rawget(state, table) != LUA_TNIL) take_rcode(state, -1, verdict);
    lua_pop(state, 1);
    if (lua_rawgeti(state, table, 1) == LUA_TSTRING) return lua_pop(state, 1), take_record(state, table, verdict, ttl);
    lua_pop(state, 1);
    const auto count = static_cast<lua_Integer>(lua_rawlen(state, table));
    if (count > kMostRecords) luaL_error(state, "more than 64 records in an answer");
    for (lua_Integer i = 1; i <= count; ++i) {
        if (lua_rawgeti(state, table, i) != LUA_TTABLE)
            luaL_error(state, "record %d is a %s; expected {\"A\", \"192.0.2.1\"}", static_cast<int>(i),
                       luaL_typename(state, -1));
        take_record(state, lua_gettop(state), verdict, ttl);
        lua_pop(state, 1);
    }
}

int answer(lua_State* state)
{
    Verdict& verdict = begin(state);
    const int type = lua_type(state, 2);
    luaL_argexpected(state, type == LUA_TTABLE || type == LUA_TSTRING, 2, "table of records or response code");
    lua_settop(state, 2);
    luaL_checkstack(state, 16, nullptr);
    if (type == LUA_TSTRING)
        take_rcode(state, 2, verdict);
    else
        take_records(state, 2, verdict);
    return decide(state, Verdict::Action::answer);
}

} // namespace

void add_verdicts(lua_State* state, int table)
{
    put_function(state, table, "block", block);
    put_function(state, table, "refuse", refuse);
    put_function(state, table, "answer", answer);
    put_function(state, table, "forward", forward);
    put_function(state, table, "drop", drop);
}

} // namespace sallyport::lua
