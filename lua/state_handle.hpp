#pragma once

#include "base/handle.hpp"

#include <lua.hpp>

/// The one header of this module that shows Lua's own.
namespace sallyport::lua {

using StateHandle = base::Handle<lua_State, lua_close>;

/// Lua raises errors by `longjmp`, which skips destructors. A function exported to Lua computes in a helper that is
/// `noexcept` and returns trivial values, and raises from a frame that holds nothing else.

} // namespace sallyport::lua
