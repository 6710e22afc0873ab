#include "lua/context.hpp"
#include "lua/pattern.hpp"

#include <cstring>
#include <type_traits>

/// The string library, with everything that could run long or make much bounded (`string.rep`, patterns) or left out
/// (`string.dump`, `string.pack`). What has no bound of its own is bounded by the length of its texts.
namespace sallyport::lua {
namespace {

static_assert(std::is_trivially_destructible_v<Pattern>);

constexpr lua_Integer kMostBytes = 256;
constexpr std::int64_t kMostSteps = 100'000; ///< of one call
constexpr std::int64_t kStepsAnInstruction = 4;
constexpr const char* kSpecials = "^$*+?.([%-";

struct Text {
    const char* data;
    std::size_t size;
    [[nodiscard]] std::string_view view() const noexcept { return {data, size}; }
};

Text check_text(lua_State* state, int index)
{
    Text text{nullptr, 0};
    text.data = luaL_checklstring(state, index, &text.size);
    return text;
}

/// Where a position counted from 1, or from the end by a negative one, stands from 0; past the end where it is.
std::size_t start_of(lua_Integer position, std::size_t size) noexcept
{
    if (position > 0) return static_cast<std::size_t>(position) - 1;
    const auto length = static_cast<lua_Integer>(size);
    return position == 0 || position < -length ? 0 : static_cast<std::size_t>(length + position);
}

std::int64_t steps_for(lua_State* state) noexcept
{
    return std::min(kMostSteps, budget_of(state).left() * kStepsAnInstruction);
}

/// Pays for what was done, and raises where the pattern was at fault.
void settle(lua_State* state, const Pattern& pattern, std::int64_t before, Pattern::Outcome outcome)
{
    charge_or_raise(state, static_cast<std::size_t>((before - pattern.steps_left()) / kStepsAnInstruction + 1));
    if (outcome == Pattern::Outcome::malformed) luaL_error(state, "malformed pattern");
    if (outcome == Pattern::Outcome::too_complex) luaL_error(state, "the pattern takes too many steps on this text");
}

/// Pushes capture `index`, or the whole match where there are none.
void push_capture(lua_State* state, const Pattern& pattern, std::size_t index, const char* match, std::size_t size,
                  const char* text)
{
    if (index >= pattern.captures()) {
        if (index != 0) luaL_error(state, "there is no capture %%%d", static_cast<int>(index + 1));
        lua_pushlstring(state, match, size);
        return;
    }
    const Pattern::Capture& capture = pattern.capture(index);
    if (capture.size == Pattern::Capture::kPosition)
        lua_pushinteger(state, capture.begin - text + 1);
    else
        lua_pushlstring(state, capture.begin, static_cast<std::size_t>(capture.size));
}

/// All captures; the whole match where there are none and `whole` is wanted.
int push_captures(lua_State* state, const Pattern& pattern, std::size_t begin, const char* text, bool whole)
{
    const std::size_t count = pattern.captures() == 0 && whole ? 1 : pattern.captures();
    luaL_checkstack(state, static_cast<int>(count), "too many captures");
    for (std::size_t i = 0; i < count; ++i) push_capture(state, pattern, i, text + begin, pattern.end() - begin, text);
    return static_cast<int>(count);
}

int find_plain(lua_State* state, const Text& text, const Text& wanted, std::size_t from)
{
    charge_or_raise(state, (text.size - from) / 64 + 1);
    const void* const found = memmem(text.data + from, text.size - from, wanted.data, wanted.size);
    if (found == nullptr) return lua_pushnil(state), 1;
    const auto begin = static_cast<const char*>(found) - text.data;
    lua_pushinteger(state, begin + 1);
    lua_pushinteger(state, begin + static_cast<lua_Integer>(wanted.size));
    return 2;
}

int find_or_match(lua_State* state, bool find)
{
    const Text text = check_text(state, 1);
    const Text wanted = check_text(state, 2);
    std::size_t at = start_of(luaL_optinteger(state, 3, 1), text.size);
    if (at > text.size) return lua_pushnil(state), 1;
    const bool plain = lua_toboolean(state, 4) != 0 || wanted.view().find_first_of(kSpecials) == std::string_view::npos;
    if (find && plain) return find_plain(state, text, wanted, at);

    const bool anchored = wanted.size > 0 && *wanted.data == '^';
    const std::int64_t steps = steps_for(state);
    Pattern pattern{text.view(), wanted.view().substr(anchored ? 1 : 0), steps};
    Pattern::Outcome outcome = pattern.match_at(at);
    while (outcome == Pattern::Outcome::no_match && !anchored && at < text.size) outcome = pattern.match_at(++at);
    settle(state, pattern, steps, outcome);
    if (outcome != Pattern::Outcome::match) return lua_pushnil(state), 1;
    if (!find) return push_captures(state, pattern, at, text.data, true);
    lua_pushinteger(state, static_cast<lua_Integer>(at) + 1);
    lua_pushinteger(state, static_cast<lua_Integer>(pattern.end()));
    return 2 + push_captures(state, pattern, at, text.data, false);
}

int string_find(lua_State* state) { return find_or_match(state, true); }
int string_match(lua_State* state) { return find_or_match(state, false); }

/// Upvalues: text, pattern, where to go on, end of the last match.
int next_match(lua_State* state)
{
    Text text{nullptr, 0}, wanted{nullptr, 0};
    text.data = lua_tolstring(state, lua_upvalueindex(1), &text.size);
    wanted.data = lua_tolstring(state, lua_upvalueindex(2), &wanted.size);
    auto at = static_cast<std::size_t>(lua_tointeger(state, lua_upvalueindex(3)));
    const lua_Integer last = lua_tointeger(state, lua_upvalueindex(4));
    const std::int64_t steps = steps_for(state);
    Pattern pattern{text.view(), wanted.view(), steps};
    for (; at <= text.size; ++at) {
        const Pattern::Outcome outcome = pattern.match_at(at);
        if (outcome == Pattern::Outcome::no_match) continue;
        if (outcome == Pattern::Outcome::match && static_cast<lua_Integer>(pattern.end()) == last) continue;
        settle(state, pattern, steps, outcome);
        lua_pushinteger(state, static_cast<lua_Integer>(pattern.end()));
        lua_copy(state, -1, lua_upvalueindex(3));
        lua_replace(state, lua_upvalueindex(4));
        return push_captures(state, pattern, at, text.data, true);
    }
    settle(state, pattern, steps, Pattern::Outcome::no_match);
    return 0;
}

int string_gmatch(lua_State* state)
{
    const Text text = check_text(state, 1);
    check_text(state, 2);
    const std::size_t from = std::min(start_of(luaL_optinteger(state, 3, 1), text.size), text.size + 1);
    lua_settop(state, 2);
    lua_pushinteger(state, static_cast<lua_Integer>(from));
    lua_pushinteger(state, -1);
    lua_pushcclosure(state, next_match, 4);
    return 1;
}

void add_checked(lua_State* state, luaL_Buffer& buffer, const char* data, std::size_t size)
{
    if (luaL_bufflen(&buffer) + size > kMaxText) luaL_error(state, "a text longer than %d octets", int{kMaxText});
    luaL_addlstring(&buffer, data, size);
}

/// The replacement text, with `%0` to `%9` and `%%` in it.
void add_template(lua_State* state, luaL_Buffer& buffer, const Pattern& pattern, std::size_t begin, const Text& text)
{
    Text with{nullptr, 0};
    with.data = lua_tolstring(state, 3, &with.size);
    for (std::size_t i = 0; i < with.size; ++i) {
        if (with.data[i] != '%') {
            add_checked(state, buffer, with.data + i, 1);
            continue;
        }
        const char c = ++i < with.size ? with.data[i] : '\0';
        if (c == '%') {
            add_checked(state, buffer, &c, 1);
        } else if (c == '0') {
            add_checked(state, buffer, text.data + begin, pattern.end() - begin);
        } else if (c >= '1' && c <= '9') {
            push_capture(state, pattern, static_cast<std::size_t>(c - '1'), text.data + begin, pattern.end() - begin,
                         text.data);
            std::size_t size = 0;
            luaL_tolstring(state, -1, &size);
            lua_remove(state, -2);
            if (luaL_bufflen(&buffer) + size > kMaxText)
                luaL_error(state, "a text longer than %d octets", int{kMaxText});
            luaL_addvalue(&buffer);
        } else {
            luaL_error(state, "expected %% or a digit after %% in the replacement");
        }
    }
}

void add_replacement(lua_State* state, luaL_Buffer& buffer, const Pattern& pattern, std::size_t begin, const Text& text)
{
    const int type = lua_type(state, 3);
    if (type == LUA_TFUNCTION) {
        lua_pushvalue(state, 3);
        lua_call(state, push_captures(state, pattern, begin, text.data, true), 1);
    } else if (type == LUA_TTABLE) {
        push_capture(state, pattern, 0, text.data + begin, pattern.end() - begin, text.data);
        lua_gettable(state, 3);
    } else {
        return add_template(state, buffer, pattern, begin, text);
    }
    if (lua_toboolean(state, -1) == 0) {
        lua_pop(state, 1);
        return add_checked(state, buffer, text.data + begin, pattern.end() - begin);
    }
    if (lua_isstring(state, -1) == 0)
        luaL_error(state, "the replacement is a %s; expected a text", luaL_typename(state, -1));
    if (luaL_bufflen(&buffer) + lua_rawlen(state, -1) > kMaxText)
        luaL_error(state, "a text longer than %d octets", int{kMaxText});
    luaL_addvalue(&buffer);
}

int string_gsub(lua_State* state)
{
    const Text text = check_text(state, 1);
    const Text wanted = check_text(state, 2);
    const int type = lua_type(state, 3);
    luaL_argexpected(state, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
                     3, "text, function or table");
    const lua_Integer most = luaL_optinteger(state, 4, static_cast<lua_Integer>(text.size) + 1);
    if (type == LUA_TNUMBER) lua_tostring(state, 3);
    const bool anchored = wanted.size > 0 && *wanted.data == '^';
    const std::int64_t steps = steps_for(state);
    Pattern pattern{text.view(), wanted.view().substr(anchored ? 1 : 0), steps};
    luaL_Buffer buffer;
    luaL_buffinit(state, &buffer);
    lua_Integer count = 0;
    std::size_t at = 0, last = text.size + 1;
    while (count < most) {
        const Pattern::Outcome outcome = pattern.match_at(at);
        if (outcome > Pattern::Outcome::no_match) settle(state, pattern, steps, outcome);
        if (outcome == Pattern::Outcome::match && pattern.end() != last) {
            ++count;
            add_replacement(state, buffer, pattern, at, text);
            at = last = pattern.end();
        } else if (at < text.size) {
            add_checked(state, buffer, text.data + at++, 1);
        } else {
            break;
        }
        if (anchored) break;
    }
    settle(state, pattern, steps, Pattern::Outcome::no_match);
    if (at < text.size) add_checked(state, buffer, text.data + at, text.size - at);
    luaL_pushresult(&buffer);
    lua_pushinteger(state, count);
    return 2;
}

int string_rep(lua_State* state)
{
    const Text text = check_text(state, 1);
    const lua_Integer count = luaL_checkinteger(state, 2);
    std::size_t between = 0;
    const char* const separator = luaL_optlstring(state, 3, "", &between);
    if (count <= 0) return lua_pushliteral(state, ""), 1;
    const std::size_t each = text.size + between;
    if (static_cast<lua_Unsigned>(count) > kMaxText || each * static_cast<std::size_t>(count) > kMaxText + between)
        return luaL_error(state, "a text longer than %d octets", int{kMaxText});
    charge_or_raise(state, static_cast<std::size_t>(count) / 4 + 1);
    luaL_Buffer buffer;
    luaL_buffinit(state, &buffer);
    for (lua_Integer i = 0; i < count; ++i) {
        if (i > 0) luaL_addlstring(&buffer, separator, between);
        luaL_addlstring(&buffer, text.data, text.size);
    }
    luaL_pushresult(&buffer);
    return 1;
}

int string_byte(lua_State* state)
{
    const Text text = check_text(state, 1);
    const lua_Integer first = luaL_optinteger(state, 2, 1);
    const std::size_t begin = start_of(first, text.size);
    const lua_Integer last = luaL_optinteger(state, 3, static_cast<lua_Integer>(begin) + 1);
    const auto length = static_cast<lua_Integer>(text.size);
    const lua_Integer end = last < 0 ? length + last + 1 : std::min(last, length);
    const lua_Integer count = end - static_cast<lua_Integer>(begin);
    if (count <= 0) return 0;
    if (count > kMostBytes) return luaL_error(state, "more than %d octets at once", static_cast<int>(kMostBytes));
    luaL_checkstack(state, static_cast<int>(count), "too many octets");
    for (lua_Integer i = 0; i < count; ++i)
        lua_pushinteger(state, static_cast<unsigned char>(text.data[begin + static_cast<std::size_t>(i)]));
    return static_cast<int>(count);
}

/// So that texts have the functions as methods, and no script changes that for itself.
void set_text_metatable(lua_State* state, int library)
{
    lua_pushliteral(state, "");
    lua_getmetatable(state, -1);
    lua_pushvalue(state, library);
    lua_setfield(state, -2, "__index");
    lua_pushboolean(state, 0);
    lua_setfield(state, -2, "__metatable");
    lua_pop(state, 2);
}

} // namespace

void open_string(lua_State* state)
{
    const int environment = lua_gettop(state);
    luaL_requiref(state, LUA_STRLIBNAME, luaopen_string, 0);
    lua_newtable(state);
    const int library = lua_gettop(state);
    for (const char* const name : {"char", "format", "len", "lower", "reverse", "sub", "upper"}) {
        lua_getfield(state, library - 1, name);
        lua_setfield(state, library, name);
    }
    put_function(state, library, "find", string_find);
    put_function(state, library, "match", string_match);
    put_function(state, library, "gmatch", string_gmatch);
    put_function(state, library, "gsub", string_gsub);
    put_function(state, library, "rep", string_rep);
    put_function(state, library, "byte", string_byte);
    set_text_metatable(state, library);
    lua_setfield(state, environment, LUA_STRLIBNAME);
    lua_settop(state, environment);
}

} // namespace sallyport::lua
