#include "lua/objects.hpp"

namespace sallyport::lua {
namespace {

using policy::Verdict;

/// Where the running function begins: errors without a line of their own are told by it.
void check_result(lua_State* state, int reference)
{
    if (lua_type(state, -1) == LUA_TNIL) return;
    lua_rawgeti(state, LUA_REGISTRYINDEX, reference);
    lua_Debug where;
    lua_getinfo(state, ">S", &where);
    luaL_error(state, "%s:%d: the function returned a %s; expected nothing, or a verdict like q:block()",
               where.short_src, where.linedefined, luaL_typename(state, -1));
}

/// Calls the functions in the order they were registered, until one decides. Their arguments are on the stack.
void run_hooks(lua_State* state, const Context::Hooks& hooks, int arguments)
{
    Context& context = context_of(state);
    const Verdict& verdict = *context.verdict;
    for (std::size_t i = 0; i < hooks.count && verdict.action == Verdict::Action::proceed; ++i) {
        context.running = hooks.references[i];
        lua_rawgeti(state, LUA_REGISTRYINDEX, context.running);
        for (int argument = 1; argument <= arguments; ++argument) lua_pushvalue(state, argument);
        lua_call(state, arguments, 1);
        check_result(state, context.running);
        lua_settop(state, arguments);
    }
}

int run_query_hooks(lua_State* state)
{
    const Context& context = context_of(state);
    push_object(state, Kind::query, sizeof(Object), 2, context.generation);
    run_hooks(state, context.query_hooks, 1);
    return 0;
}

int run_answer_hooks(lua_State* state)
{
    const Context& context = context_of(state);
    push_object(state, Kind::query, sizeof(Object), 2, context.generation);
    push_object(state, Kind::answer, sizeof(Object), 0, context.generation);
    run_hooks(state, context.answer_hooks, 2);
    return 0;
}

} // namespace

struct Runtime::Parts {
    std::shared_ptr<const Script> script;
    std::unique_ptr<Context> context;
    Stats* stats = nullptr;
};

std::unique_ptr<Runtime> Runtime::make(std::shared_ptr<const Script> script, const base::Clock& clock, Stats& stats)
{
    auto context = start_context(*script, &clock, nullptr);
    if (!context) {
        base::log::error("policy script not run: " + context.error().to_string());
        return nullptr;
    }
    std::unique_ptr<Runtime> runtime{new Runtime};
    runtime->parts_ = std::make_unique<Parts>();
    runtime->parts_->script = std::move(script);
    runtime->parts_->context = std::move(*context);
    runtime->parts_->stats = &stats;
    return runtime;
}

Runtime::~Runtime() = default;

bool Runtime::has_query_hook() const noexcept { return parts_->context->query_hooks.count != 0; }
bool Runtime::has_answer_hook() const noexcept { return parts_->context->answer_hooks.count != 0; }
std::size_t Runtime::memory() const noexcept { return parts_->context->budget.memory(); }

void Runtime::on_query(const policy::Facts& facts, Verdict& verdict) noexcept
{
    parts_->context->facts = &facts;
    call(run_query_hooks, verdict);
}

void Runtime::on_answer(const policy::Facts& facts, const wire::MessageView& answer, Verdict& verdict) noexcept
{
    parts_->context->facts = &facts;
    parts_->context->answer = &answer;
    call(run_answer_hooks, verdict);
}

void Runtime::call(int (*trampoline)(lua_State*), Verdict& verdict) noexcept
{
    Context& context = *parts_->context;
    const Options& options = context.options;
    verdict.clear();
    context.verdict = &verdict;
    ++context.generation;
    context.budget.begin(options.instructions, options.time);
    ++parts_->stats->calls;
    lua_State* const state = context.state.get();
    lua_pushcfunction(state, trampoline);
    if (const int status = lua_pcall(state, 0, 0, 0); status != LUA_OK) failed(status, verdict);
    context.facts = nullptr;
    context.answer = nullptr;
    context.verdict = nullptr;
    count(verdict);
}

void Runtime::count(const Verdict& verdict) noexcept
{
    Stats& stats = *parts_->stats;
    switch (verdict.action) {
    case Verdict::Action::proceed: break;
    case Verdict::Action::block: ++stats.blocked; break;
    case Verdict::Action::refuse: ++stats.refused; break;
    case Verdict::Action::answer: ++stats.answered; break;
    case Verdict::Action::forward: ++stats.forwarded; break;
    case Verdict::Action::drop: ++stats.dropped; break;
    }
}

void Runtime::failed(int status, Verdict& verdict) noexcept
{
    Context& context = *parts_->context;
    Stats& stats = *parts_->stats;
    const std::string error = take_error(context, status);
    ++stats.errors;
    switch (context.budget.overrun()) {
    case Overrun::none: break;
    case Overrun::instructions: ++stats.over_instructions; break;
    case Overrun::time: ++stats.over_time; break;
    case Overrun::memory:
    case Overrun::text: ++stats.over_memory; break;
    }
    verdict.clear();
    if (context.options.on_error == OnError::refuse) {
        verdict.action = Verdict::Action::refuse;
        verdict.reason = "policy script failed";
    }
    if (const auto lines = parts_->script->errors_.admit(context.facts->now); lines != 0)
        base::log::warning("policy script: " + error +
                           (lines > 1 ? " (" + std::to_string(lines - 1) + " more since the last line)" : ""));
}

} // namespace sallyport::lua
