#pragma once

#include "lua/context.hpp"

#include <cstdint>

/// What scripts hold: small userdata without destructors, each with its kind first. Only functions of this module make
/// userdata, so the kind can be believed.
namespace sallyport::lua {

enum class Kind : std::uint8_t { query, name, address, answer, records, addresses, clients, domains };
inline constexpr std::size_t kKinds = 8;

struct Object {
    Kind kind;
    std::uint64_t generation; ///< of the call it belongs to; 0 belongs to none
};

struct AddressObject : Object {
    base::IpAddress address; ///< the client's where it belongs to a call
};

struct ClientsObject : Object {
    const policy::ClientSet* set; ///< the context's
};

struct DomainsObject : Object {
    const policy::DomainSet* set; ///< the context's
};

/// Makes the metatable of a kind, locked. Methods that begin with `_` are its events.
void make_metatable(lua_State* state, Kind kind, const luaL_Reg* methods);
/// The same with a table of members at index `members`, which is the upvalue of `index`.
void make_metatable(lua_State* state, Kind kind, int members, lua_CFunction index);
/// Pushes a new object without its kind's own fields filled.
void* push_object(lua_State* state, Kind kind, std::size_t size, int user_values, std::uint64_t generation);

/// The object at `index` where it is of this kind, else null.
[[nodiscard]] Object* find_object(lua_State* state, int index, Kind kind) noexcept;
/// Raises where it is another, or its query has ended.
Object& check_object(lua_State* state, int index, Kind kind);

template <class T = Object>
T& check(lua_State* state, int index, Kind kind)
{
    return static_cast<T&>(check_object(state, index, kind));
}

/// Whether the value at `index` holds the address: clients, `"private"`, or a network as text. Clients are looked at by
/// their names too where `facts` is given. Raises for anything else, and where the call has nothing left to pay for it:
/// strangers choose how many addresses an answer has.
[[nodiscard]] bool holds(lua_State* state, int index, const base::IpAddress& address, const policy::Facts* facts);
void push_address(lua_State* state, const base::IpAddress& address, std::uint64_t generation);

/// Reads a name from text without throwing or allocating: lower case, the last dot may be left out.
[[nodiscard]] bool read_name(const char* text, std::size_t size, wire::Name& name) noexcept;

/// Verdict methods of `q`.
void add_verdicts(lua_State* state, int table);

} // namespace sallyport::lua
