#pragma once

#include "base/clock.hpp"
#include "lua/state_handle.hpp"

#include <cstddef>
#include <cstdint>

namespace sallyport::lua {

/// The longest text a script can make or be given, octets. What a single step of the virtual machine may cost hangs
/// on it: comparing, copying and joining texts happens outside the count of instructions.
inline constexpr std::size_t kMaxText = 65'536;

enum class Overrun : std::uint8_t { none, instructions, time, memory, text };

/// What one call of a script may use: instructions, by a hook each few; time, looked at in the hook and whenever much
/// memory was asked for; and the memory of the whole state, by the allocator. It is the allocator of its state and must
/// outlive it.
class Budget {
public:
    /// `clock` null: time is not looked at.
    Budget(const base::Clock* clock, std::size_t memory) : clock_(clock), most_memory_(memory) {}
    Budget(const Budget&) = delete;
    Budget& operator=(const Budget&) = delete;

    /// A state with this budget; null where there is no memory.
    [[nodiscard]] lua_State* make_state();
    /// From now on, until the next `begin`. The time runs from the first look at it, a few hundred instructions in.
    void begin(std::uint32_t instructions, base::Duration time) noexcept;
    /// Work done by a function of ours, in instructions; what is left over counts. False when there is none left: raise
    /// by `luaL_error` then.
    [[nodiscard]] bool charge(std::size_t instructions) noexcept;
    /// Instructions that are left.
    [[nodiscard]] std::int64_t left() const noexcept { return left_; }

    /// Why the call came to its end.
    [[nodiscard]] Overrun overrun() const noexcept { return overrun_; }
    void set_overrun(Overrun overrun) noexcept { overrun_ = overrun; }
    /// After a memory error: what it really was.
    [[nodiscard]] Overrun memory_overrun() const noexcept;
    [[nodiscard]] std::size_t memory() const noexcept { return memory_; }
    [[nodiscard]] const char* describe(Overrun overrun) const noexcept;

private:
    static void* allocate(void* self, void* block, std::size_t old_size, std::size_t new_size) noexcept;
    static void hook(lua_State* state, lua_Debug* debug);
    [[nodiscard]] bool may_have(std::size_t octets, bool is_text) noexcept;
    [[nodiscard]] bool in_time() noexcept;

    const base::Clock* clock_;
    std::size_t most_memory_;
    std::size_t memory_ = 0;
    std::size_t asked_for_ = 0; ///< octets since time was looked at
    std::int64_t left_ = 0;
    base::Duration time_{}, time_left_{};
    base::Instant looked_{};
    bool started_ = false; ///< `looked_` is of this call
    bool text_refused_ = false;
    Overrun overrun_ = Overrun::none;
};

/// The budget of a state.
[[nodiscard]] Budget& budget_of(lua_State* state) noexcept;
/// Charges, and raises where nothing is left.
void charge_or_raise(lua_State* state, std::size_t instructions);

} // namespace sallyport::lua
