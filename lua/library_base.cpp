#include "lua/context.hpp"

#include <algorithm>
#include <string_view>

namespace sallyport::lua {
namespace {

constexpr std::size_t kMaxPrint = 1024;

/// Errors that the budget raised go through: a script can not wait them out.
int protected_call(lua_State* state)
{
    luaL_checkany(state, 1);
    const int status = lua_pcall(state, lua_gettop(state) - 1, LUA_MULTRET, 0);
    Budget& budget = budget_of(state);
    if (status == LUA_ERRMEM) budget.set_overrun(budget.memory_overrun());
    if (budget.overrun() != Overrun::none) return lua_error(state);
    lua_pushboolean(state, status == LUA_OK ? 1 : 0);
    lua_insert(state, 1);
    return lua_gettop(state);
}

/// In a metatable that this library made: the script may take it away again.
constexpr char kUnlocked = 0;

/// Finalisers run where no hook counts; weak tables can cost the collector far more than their size.
void check_event(lua_State* state, int key)
{
    if (lua_type(state, key) != LUA_TSTRING) return;
    const std::string_view name = lua_tostring(state, key);
    if (name == "__gc" || name == "__mode" || name == "__close")
        luaL_error(state, "a metatable with %s is not allowed", name.data());
}

/// Pushes a copy of the metatable at index 2, which scripts never get to see: so what was checked stays as it is.
void push_copy(lua_State* state)
{
    lua_newtable(state);
    const int copy = lua_gettop(state);
    for (lua_pushnil(state); lua_next(state, 2) != 0;) {
        check_event(state, -2);
        charge_or_raise(state, 4);
        lua_pushvalue(state, -2);
        lua_insert(state, -2);
        lua_rawset(state, copy);
    }
    lua_pushliteral(state, "__metatable");
    if (lua_rawget(state, copy) == LUA_TNIL) {
        lua_pushliteral(state, "__metatable");
        lua_pushvalue(state, 2);
        lua_rawset(state, copy);
        lua_pushboolean(state, 1);
        lua_rawsetp(state, copy, &kUnlocked);
    }
    lua_settop(state, copy);
}

int set_metatable(lua_State* state)
{
    luaL_checktype(state, 1, LUA_TTABLE);
    const int type = lua_type(state, 2);
    luaL_argexpected(state, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    lua_settop(state, 2);
    if (lua_getmetatable(state, 1) != 0 && lua_rawgetp(state, 3, &kUnlocked) == LUA_TNIL)
        return luaL_error(state, "this metatable is locked");
    lua_settop(state, 2);
    if (type == LUA_TTABLE) push_copy(state);
    lua_setmetatable(state, 1);
    lua_settop(state, 1);
    return 1;
}

void add_to_line(Context& context, const char* text, std::size_t size) noexcept
{
    for (const char c : std::string_view{text, std::min(size, kMaxPrint)})
        context.line.push_back(static_cast<unsigned char>(c) < ' ' || c == 0x7F ? '?' : c);
    if (context.line.size() > kMaxPrint) context.line.resize(kMaxPrint);
}

void begin_line(Context& context) noexcept { context.line = "script: "; }

void write_line(Context& context) noexcept
{
    const bool first_time = context.compiled_here != nullptr;
    const base::Instant now = context.facts == nullptr ? base::Instant{} : context.facts->now;
    if (context.loading ? first_time : context.prints.admit(now, std::chrono::seconds{1}) != 0)
        base::log::info(context.line);
}

/// To the service log: all of it while the file is read, one line a second afterwards.
int print(lua_State* state)
{
    Context& context = context_of(state);
    charge_or_raise(state, context.loading ? 100'000 : 100);
    begin_line(context);
    const int count = lua_gettop(state);
    for (int i = 1; i <= count; ++i) {
        std::size_t size = 0;
        const char* const text = luaL_tolstring(state, i, &size);
        if (i > 1) add_to_line(context, " ", 1);
        add_to_line(context, text, size);
        lua_pop(state, 1);
    }
    write_line(context);
    return 0;
}

} // namespace

void open_base(lua_State* state)
{
    const int environment = lua_gettop(state);
    luaL_requiref(state, LUA_GNAME, luaopen_base, 0);
    for (const char* const name : {"assert", "error", "getmetatable", "ipairs", "next", "pairs", "rawequal", "rawget",
                                   "rawlen", "rawset", "select", "tonumber", "tostring", "type"}) {
        lua_getfield(state, -1, name);
        lua_setfield(state, environment, name);
    }
    lua_settop(state, environment);
    put_function(state, environment, "pcall", protected_call);
    put_function(state, environment, "setmetatable", set_metatable);
    put_function(state, environment, "print", print);
    lua_pushvalue(state, environment);
    lua_setfield(state, environment, LUA_GNAME);
}

void open_math(lua_State* state)
{
    const int environment = lua_gettop(state);
    luaL_requiref(state, LUA_MATHLIBNAME, luaopen_math, 0);
    lua_pushnil(state);
    lua_setfield(state, -2, "randomseed");
    lua_setfield(state, environment, LUA_MATHLIBNAME);
}

void put_function(lua_State* state, int table, const char* name, lua_CFunction function)
{
    lua_pushcfunction(state, function);
    lua_setfield(state, table, name);
}

} // namespace sallyport::lua
