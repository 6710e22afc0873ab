#pragma once

#include "base/log.hpp"
#include "lua/budget.hpp"
#include "lua/lua.hpp"
#include "policy/client_set.hpp"
#include "policy/domain_set.hpp"

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::lua {

/// What the functions of a state work with: one state's, found by `context_of`. A reference to it may be held by
/// trivial frames only across what raises.
struct Context {
    static constexpr std::size_t kMostHooks = 16;
    struct Hooks {
        std::array<int, kMostHooks> references{}; ///< in the registry
        std::size_t count = 0;
    };

    Context(const Options& with, const base::Clock* clock) : options(with), budget(clock, with.memory) {}

    const Options& options;
    Budget budget; ///< before the state: its allocator
    StateHandle state;

    // While the file runs.
    bool loading = true;
    DomainSets* compiled_here = nullptr; ///< the first time: sets are made and put here
    const DomainSets* compiled_before = nullptr;
    Hooks query_hooks, answer_hooks;
    std::deque<policy::ClientSet> client_sets; ///< what handles in the state point to
    std::vector<std::shared_ptr<const policy::DomainSet>> domain_sets;

    // While a call runs.
    const policy::Facts* facts = nullptr;
    const wire::MessageView* answer = nullptr; ///< null in `on.query`
    policy::Verdict* verdict = nullptr;
    policy::Verdict draft;        ///< the verdict being given: it counts when it is whole
    std::uint64_t generation = 0; ///< of the call: handles of an older one are dead
    int running = LUA_NOREF;      ///< the function that was called, to tell its line where an error has none

    // Room that is used again.
    std::string text; ///< of one conversion: whoever calls back into Lua may find another
    std::string line; ///< of `print`
    std::vector<std::uint8_t> octets;
    std::int64_t local_minute = -1; ///< minutes since 1970 for which the next two hold
    int local_time_of_day = 0;      ///< minutes
    int local_weekday = 0;          ///< 0 is Sunday
    base::log::Limiter prints;
};

[[nodiscard]] inline Context& context_of(lua_State* state) noexcept
{
    return **static_cast<Context**>(lua_getextraspace(state));
}

/// A state with its libraries, in which the text was run. `compiled_here` is null but for the first time.
/// Errors name file and line.
[[nodiscard]] base::Result<std::unique_ptr<Context>> start_context(const Script& script, const base::Clock* clock,
                                                                   DomainSets* compiled_here);

/// The message of the error on top of the stack, which is taken away.
[[nodiscard]] std::string take_error(Context& context, int status);

/// `table[name] = function`; `table` is an index of the stack.
void put_function(lua_State* state, int table, const char* name, lua_CFunction function);

// The parts of the language. Each is called with the environment table on top of the stack, and may raise.
void open_base(lua_State* state);
void open_string(lua_State* state);
void open_table(lua_State* state);
void open_math(lua_State* state);
void open_time(lua_State* state);
void open_events(lua_State* state); ///< `on`
void open_sets(lua_State* state);   ///< `clients`, `domains`
void open_query(lua_State* state);  ///< what `q`, its name and addresses can do
void open_answer(lua_State* state); ///< what `a` can do

} // namespace sallyport::lua
