#include "lua/context.hpp"

#include <cstring>

/// The table library without what goes on in C for as long as a metatable says. Its functions look at the table itself
/// (`rawlen`), and pay for what they move.
namespace sallyport::lua {
namespace {

constexpr lua_Integer kMostValues = 256;

lua_Integer length_of(lua_State* state)
{
    luaL_checktype(state, 1, LUA_TTABLE);
    return static_cast<lua_Integer>(lua_rawlen(state, 1));
}

int table_insert(lua_State* state)
{
    const lua_Integer after = length_of(state) + 1;
    if (lua_gettop(state) == 2) return lua_rawseti(state, 1, after), 0;
    if (lua_gettop(state) != 3) return luaL_error(state, "expected table.insert(t, [position,] value)");
    const lua_Integer position = luaL_checkinteger(state, 2);
    luaL_argcheck(state, position >= 1 && position <= after, 2, "position out of bounds");
    charge_or_raise(state, static_cast<std::size_t>(after - position) + 1);
    for (lua_Integer i = after; i > position; --i) {
        lua_rawgeti(state, 1, i - 1);
        lua_rawseti(state, 1, i);
    }
    lua_rawseti(state, 1, position);
    return 0;
}

int table_remove(lua_State* state)
{
    const lua_Integer length = length_of(state);
    const lua_Integer position = luaL_optinteger(state, 2, length);
    if (length == 0 && (position == 0 || position == length)) return lua_pushnil(state), 1;
    luaL_argcheck(state, position >= 1 && position <= length + 1, 2, "position out of bounds");
    charge_or_raise(state, static_cast<std::size_t>(length + 1 - position) + 1);
    lua_rawgeti(state, 1, position);
    for (lua_Integer i = position; i < length; ++i) {
        lua_rawgeti(state, 1, i + 1);
        lua_rawseti(state, 1, i);
    }
    if (position <= length) {
        lua_pushnil(state);
        lua_rawseti(state, 1, length);
    }
    return 1;
}

int table_concat(lua_State* state)
{
    const lua_Integer length = length_of(state);
    std::size_t between = 0;
    const char* const separator = luaL_optlstring(state, 2, "", &between);
    const lua_Integer first = luaL_optinteger(state, 3, 1);
    const lua_Integer last = luaL_optinteger(state, 4, length);
    luaL_Buffer buffer;
    luaL_buffinit(state, &buffer);
    for (lua_Integer i = first; i <= last; ++i) {
        lua_rawgeti(state, 1, i);
        if (lua_isstring(state, -1) == 0)
            return luaL_error(state, "a %s at position %d; expected a text", luaL_typename(state, -1),
                              static_cast<int>(i));
        std::size_t size = 0;
        lua_tolstring(state, -1, &size);
        if (luaL_bufflen(&buffer) + size + between > kMaxText)
            return luaL_error(state, "a text longer than %d octets", int{kMaxText});
        if (((i - first) & 0xFF) == 0xFF) charge_or_raise(state, 0x100);
        luaL_addvalue(&buffer);
        if (i < last) luaL_addlstring(&buffer, separator, between);
        if (i == LUA_MAXINTEGER) break;
    }
    luaL_pushresult(&buffer);
    return 1;
}

int table_unpack(lua_State* state)
{
    const lua_Integer length = length_of(state);
    const lua_Integer first = luaL_optinteger(state, 2, 1);
    const lua_Integer last = luaL_optinteger(state, 3, length);
    if (first > last) return 0;
    const lua_Unsigned count = static_cast<lua_Unsigned>(last) - static_cast<lua_Unsigned>(first) + 1;
    if (count == 0 || count > static_cast<lua_Unsigned>(kMostValues))
        return luaL_error(state, "more than %d values at once", static_cast<int>(kMostValues));
    luaL_checkstack(state, static_cast<int>(count), "too many values");
    for (lua_Integer i = 0; i < static_cast<lua_Integer>(count); ++i) lua_rawgeti(state, 1, first + i);
    return static_cast<int>(count);
}

int table_pack(lua_State* state)
{
    const int count = lua_gettop(state);
    lua_createtable(state, count, 1);
    lua_insert(state, 1);
    for (int i = count; i >= 1; --i) lua_rawseti(state, 1, i);
    lua_pushinteger(state, count);
    lua_setfield(state, 1, "n");
    return 1;
}

// In Lua, so that comparing is counted as all else is. A heap sort: no order of its input makes it slow.
constexpr const char* kSort = R"lua(
local function sort(t, before)
  before = before or function(a, b) return a < b end
  local n = #t
  local function sift(root, last)
    local value = t[root]
    while true do
      local child = 2 * root
      if child > last then break end
      if child < last and before(t[child], t[child + 1]) then child = child + 1 end
      if not before(value, t[child]) then break end
      t[root] = t[child]
      root = child
    end
    t[root] = value
  end
  for root = n // 2, 1, -1 do sift(root, n) end
  for last = n, 2, -1 do
    t[1], t[last] = t[last], t[1]
    sift(1, last - 1)
  end
end
return sort
)lua";

} // namespace

void open_table(lua_State* state)
{
    const int environment = lua_gettop(state);
    lua_newtable(state);
    const int library = lua_gettop(state);
    put_function(state, library, "insert", table_insert);
    put_function(state, library, "remove", table_remove);
    put_function(state, library, "concat", table_concat);
    put_function(state, library, "unpack", table_unpack);
    put_function(state, library, "pack", table_pack);
    if (luaL_loadbufferx(state, kSort, std::strlen(kSort), "=table.sort", "t") != LUA_OK) lua_error(state);
    lua_call(state, 0, 1);
    lua_setfield(state, library, "sort");
    lua_setfield(state, environment, LUA_TABLIBNAME);
}

} // namespace sallyport::lua
