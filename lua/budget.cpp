#include "lua/budget.hpp"

#include <algorithm>
#include <cstdlib>

namespace sallyport::lua {
namespace {

// Small enough that what happens between two looks is far below a millisecond even where each step works on texts of
// the greatest length; large enough to cost a long script little.
constexpr int kHookEvery = 250;
constexpr std::size_t kLookEvery = 131'072;
constexpr int kLeastLooks = 5;

} // namespace

lua_State* Budget::make_state()
{
    lua_State* const state = lua_newstate(&Budget::allocate, this);
    if (state != nullptr) lua_sethook(state, &Budget::hook, LUA_MASKCOUNT, kHookEvery);
    return state;
}

Budget& budget_of(lua_State* state) noexcept
{
    void* self = nullptr;
    lua_getallocf(state, &self);
    return *static_cast<Budget*>(self);
}

void Budget::begin(std::uint32_t instructions, base::Duration time) noexcept
{
    left_ = instructions;
    time_ = time_left_ = time;
    started_ = false;
    text_refused_ = false;
    asked_for_ = 0;
    overrun_ = Overrun::none;
}

bool Budget::in_time() noexcept
{
    if (clock_ == nullptr) return true;
    const base::Instant now = clock_->now();
    // Two looks are far closer together than that: what is longer was the system's doing, which took the processor
    // away, and no reason to end a call.
    if (started_) time_left_ -= std::min(now - looked_, time_ / kLeastLooks);
    started_ = true;
    looked_ = now;
    if (time_left_ >= base::Duration::zero()) return true;
    overrun_ = Overrun::time;
    return false;
}

bool Budget::charge(std::size_t instructions) noexcept
{
    left_ -= static_cast<std::int64_t>(instructions);
    if (left_ < 0) {
        overrun_ = Overrun::instructions;
        return false;
    }
    return in_time();
}

void Budget::hook(lua_State* state, lua_Debug*)
{
    Budget& self = budget_of(state);
    if (self.charge(kHookEvery)) return;
    luaL_where(state, 0); // a hook stands in for the function it interrupts
    lua_pushstring(state, self.describe(self.overrun_));
    lua_concat(state, 2);
    lua_error(state);
}

void charge_or_raise(lua_State* state, std::size_t instructions)
{
    Budget& budget = budget_of(state);
    if (!budget.charge(instructions)) luaL_error(state, "%s", budget.describe(budget.overrun()));
}

bool Budget::may_have(std::size_t octets, bool is_text) noexcept
{
    // A text has a head of its own beside its octets.
    if (is_text && octets > kMaxText + 64) {
        text_refused_ = true;
        return false;
    }
    asked_for_ += octets;
    if (asked_for_ < kLookEvery) return true;
    asked_for_ = 0;
    return in_time();
}

void* Budget::allocate(void* user, void* block, std::size_t old_size, std::size_t new_size) noexcept
{
    auto& self = *static_cast<Budget*>(user);
    const std::size_t held = block == nullptr ? 0 : old_size;
    if (new_size == 0) {
        std::free(block);
        self.memory_ -= held;
        return nullptr;
    }
    if (new_size > held) {
        // Of a new block, `old_size` says what it is to be.
        const bool is_text = block == nullptr && old_size == LUA_TSTRING;
        if (self.memory_ - held + new_size > self.most_memory_ || !self.may_have(new_size, is_text)) return nullptr;
    }
    void* const made = std::realloc(block, new_size);
    if (made != nullptr) self.memory_ += new_size - held;
    return made;
}

Overrun Budget::memory_overrun() const noexcept
{
    if (overrun_ != Overrun::none) return overrun_;
    return text_refused_ ? Overrun::text : Overrun::memory;
}

const char* Budget::describe(Overrun overrun) const noexcept
{
    switch (overrun) {
    case Overrun::none: break;
    case Overrun::instructions: return "more instructions than a call may take";
    case Overrun::time: return "more time than a call may take";
    case Overrun::memory: return "more memory than the script may have";
    case Overrun::text: return "a text longer than 65536 octets";
    }
    return "";
}

} // namespace sallyport::lua
