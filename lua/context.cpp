#include "lua/context.hpp"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace sallyport::lua {
namespace {

int register_hook(lua_State* state, Context::Hooks& hooks, const char* event)
{
    luaL_checktype(state, 1, LUA_TFUNCTION);
    if (!context_of(state).loading) return luaL_error(state, "%s belongs outside of functions", event);
    if (hooks.count >= Context::kMostHooks) return luaL_error(state, "more than 16 functions for %s", event);
    lua_settop(state, 1);
    hooks.references[hooks.count] = luaL_ref(state, LUA_REGISTRYINDEX);
    ++hooks.count;
    return 0;
}

int register_query(lua_State* state) { return register_hook(state, context_of(state).query_hooks, "on.query"); }
int register_answer(lua_State* state) { return register_hook(state, context_of(state).answer_hooks, "on.answer"); }

/// Arguments: pointers to the text and to its name. Runs it in an environment of its own, which is all it can see.
int run_text(lua_State* state)
{
    const auto* const text = static_cast<const std::string_view*>(lua_touserdata(state, 1));
    const auto* const name = static_cast<const char*>(lua_touserdata(state, 2));
    lua_newtable(state);
    const int environment = lua_gettop(state);
    for (const auto open :
         {open_base, open_string, open_table, open_math, open_time, open_events, open_sets, open_query, open_answer}) {
        open(state);
        lua_settop(state, environment);
    }
    // "t": source text only. Bytecode that nobody checked can read and write any memory.
    if (luaL_loadbufferx(state, text->data(), text->size(), name, "t") != LUA_OK) return lua_error(state);
    lua_pushvalue(state, environment);
    if (lua_setupvalue(state, -2, 1) == nullptr) lua_pop(state, 1); // a text that uses no global has none
    lua_call(state, 0, 0);
    return 0;
}

/// `@default.lua`: messages begin with it, and long paths would be cut.
std::string chunk_name(const std::string& file) { return "@" + file.substr(file.rfind('/') + 1); }

/// What Lua says of a script begins with `name:line: `.
base::Error to_error(const std::string& file, const std::string& name, std::string message)
{
    base::Error error{base::ErrorCode::invalid, std::move(message), {file}};
    const std::string prefix = name + ":";
    if (!error.message.starts_with(prefix)) return error;
    const std::size_t end = error.message.find_first_not_of("0123456789", prefix.size());
    if (end == prefix.size() || end == std::string::npos || error.message[end] != ':') return error;
    error.position.line = static_cast<std::uint32_t>(std::strtoul(error.message.c_str() + prefix.size(), nullptr, 10));
    error.message.erase(0, std::min(end + 2, error.message.size()));
    return error;
}

base::Error no_memory(const std::string& file)
{
    return {base::ErrorCode::limit, "no memory for a state; see 'policy.limits.memory'", {file}};
}

} // namespace

void open_events(lua_State* state)
{
    const int environment = lua_gettop(state);
    lua_newtable(state);
    put_function(state, environment + 1, "query", register_query);
    put_function(state, environment + 1, "answer", register_answer);
    lua_setfield(state, environment, "on");
}

namespace {

/// `default.lua:12: ` of the function that was called: errors of memory come without a line.
std::string place_of_running(const Context& context)
{
    lua_State* const state = context.state.get();
    if (context.running == LUA_NOREF) return {};
    lua_settop(state, 0);
    lua_rawgeti(state, LUA_REGISTRYINDEX, context.running);
    lua_Debug where;
    lua_getinfo(state, ">S", &where);
    return std::string(where.short_src) + ":" + std::to_string(where.linedefined) + ": ";
}

} // namespace

std::string take_error(Context& context, int status)
{
    lua_State* const state = context.state.get();
    Budget& budget = context.budget;
    if (status == LUA_ERRMEM) budget.set_overrun(budget.memory_overrun());
    std::string text;
    if (status == LUA_ERRMEM)
        text = place_of_running(context) + budget.describe(budget.overrun());
    else if (lua_type(state, -1) == LUA_TSTRING) // no conversion: nothing may be raised here
        text = lua_tostring(state, -1);
    else
        text = std::string("an error that is no text but a ") + luaL_typename(state, -1);
    lua_settop(state, 0);
    return text;
}

base::Result<std::unique_ptr<Context>> start_context(const Script& script, const base::Clock* clock,
                                                     DomainSets* compiled_here)
{
    const std::string& file = script.options().script;
    auto context = std::make_unique<Context>(script.options(), clock);
    context->compiled_here = compiled_here;
    context->compiled_before = &script.domain_sets();
    context->budget.begin(script.options().start_instructions, base::Duration::max() / 2);
    context->state.reset(context->budget.make_state());
    lua_State* const state = context->state.get();
    if (state == nullptr) return no_memory(file);
    *static_cast<Context**>(lua_getextraspace(state)) = context.get();

    const std::string name = chunk_name(file);
    std::string_view text = script.text();
    lua_pushcfunction(state, run_text);
    lua_pushlightuserdata(state, &text);
    lua_pushlightuserdata(state, const_cast<char*>(name.c_str()));
    if (const int status = lua_pcall(state, 2, 0, 0); status != LUA_OK)
        return to_error(file, name.substr(1), take_error(*context, status));
    context->loading = false;
    context->compiled_here = nullptr;
    return context;
}

} // namespace sallyport::lua
