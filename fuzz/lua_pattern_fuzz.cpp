// fuzz: links sallyport_lua
#include "lua/pattern.hpp"
#include "lua/state_handle.hpp"

#include <cstdlib>
#include <cstring>
#include <optional>

using namespace sallyport::lua;

namespace {

struct Found {
    bool failed = false;
    lua_Integer begin = 0, end = 0; ///< 0: not found
    int captures = 0;
};

/// The library's own answer.
Found ask_stock(lua_State* state, std::string_view text, std::string_view pattern)
{
    lua_settop(state, 0);
    lua_getglobal(state, "string");
    lua_getfield(state, 1, "find");
    lua_pushlstring(state, text.data(), text.size());
    lua_pushlstring(state, pattern.data(), pattern.size());
    Found found;
    found.failed = lua_pcall(state, 2, LUA_MULTRET, 0) != LUA_OK;
    if (found.failed || lua_isnil(state, 2)) return found;
    found.begin = lua_tointeger(state, 2);
    found.end = lua_tointeger(state, 3);
    found.captures = lua_gettop(state) - 3;
    return found;
}

std::optional<Found> ask_ours(std::string_view text, std::string_view pattern)
{
    const bool anchored = pattern.starts_with('^');
    Pattern matcher{text, pattern.substr(anchored ? 1 : 0), 1'000'000};
    Found found;
    for (std::size_t at = 0; at <= text.size(); ++at) {
        const Pattern::Outcome outcome = matcher.match_at(at);
        if (outcome == Pattern::Outcome::too_complex) return std::nullopt;
        found.failed = outcome == Pattern::Outcome::malformed;
        if (outcome == Pattern::Outcome::match) {
            found.begin = static_cast<lua_Integer>(at) + 1;
            found.end = static_cast<lua_Integer>(matcher.end());
            found.captures = static_cast<int>(matcher.captures());
        }
        if (outcome != Pattern::Outcome::no_match || anchored) break;
    }
    return found;
}

} // namespace

// A pattern, a line feed, a text: ours finds what the library's own finds, where that ends in time at all.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static lua_State* const state = [] {
        lua_State* const made = luaL_newstate();
        luaL_openlibs(made);
        return made;
    }();
    const std::string_view input{reinterpret_cast<const char*>(data), size};
    const std::size_t feed = input.find('\n');
    if (feed == std::string_view::npos || size > 40) return 0;
    const std::string_view pattern = input.substr(0, feed), text = input.substr(feed + 1);
    for (const char c : input)
        if (static_cast<unsigned char>(c) >= 0x80) return 0; // classes of the library hang on the locale
    // `find` takes a pattern without these as plain text, both the library's and ours, before any matching.
    if (pattern.find_first_of("^$*+?.([%-") == std::string_view::npos) return 0;
    const auto ours = ask_ours(text, pattern);
    if (!ours) return 0;
    const Found stock = ask_stock(state, text, pattern);
    if (ours->failed != stock.failed) std::abort();
    if (!stock.failed && (ours->begin != stock.begin || ours->end != stock.end || ours->captures != stock.captures))
        std::abort();
    return 0;
}
