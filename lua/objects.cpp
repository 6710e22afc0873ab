#include "lua/objects.hpp"

#include <array>
#include <type_traits>

namespace sallyport::lua {
namespace {

static_assert(std::is_trivially_destructible_v<AddressObject> && std::is_trivially_destructible_v<ClientsObject>);

constexpr std::size_t kNetworksAnInstruction = 8;

constexpr std::array<const char*, kKinds> kNames{"query",   "name",      "address", "answer",
                                                 "records", "addresses", "clients", "domains"};

bool read_network(const char* text, std::size_t size, base::Prefix& network) noexcept
{
    const auto prefix = base::Prefix::parse({text, size});
    if (!prefix) return false;
    network = *prefix;
    return true;
}

} // namespace

namespace {

/// Pushes it.
int new_metatable(lua_State* state, Kind kind)
{
    lua_newtable(state);
    const int metatable = lua_gettop(state);
    lua_pushstring(state, kNames[static_cast<std::size_t>(kind)]);
    lua_setfield(state, metatable, "__name");
    lua_pushboolean(state, 0);
    lua_setfield(state, metatable, "__metatable");
    return metatable;
}

/// An address of our own that nobody else has, for the registry.
const void* registry_key(Kind kind) noexcept
{
    return static_cast<const void*>(&kNames[static_cast<std::size_t>(kind)]);
}

void keep_metatable(lua_State* state, int metatable, Kind kind)
{
    lua_setfield(state, metatable, "__index");
    lua_settop(state, metatable);
    lua_rawsetp(state, LUA_REGISTRYINDEX, registry_key(kind));
}

} // namespace

void make_metatable(lua_State* state, Kind kind, const luaL_Reg* methods)
{
    const int metatable = new_metatable(state, kind);
    lua_newtable(state);
    for (const luaL_Reg* method = methods; method->name != nullptr; ++method)
        put_function(state, method->name[0] == '_' ? metatable : metatable + 1, method->name, method->func);
    keep_metatable(state, metatable, kind);
}

void make_metatable(lua_State* state, Kind kind, int members, lua_CFunction index)
{
    const int metatable = new_metatable(state, kind);
    lua_pushvalue(state, members);
    lua_pushcclosure(state, index, 1);
    keep_metatable(state, metatable, kind);
}

void* push_object(lua_State* state, Kind kind, std::size_t size, int user_values, std::uint64_t generation)
{
    auto* const object = static_cast<Object*>(lua_newuserdatauv(state, size, user_values));
    object->kind = kind;
    object->generation = generation;
    lua_rawgetp(state, LUA_REGISTRYINDEX, registry_key(kind));
    lua_setmetatable(state, -2);
    return object;
}

Object* find_object(lua_State* state, int index, Kind kind) noexcept
{
    if (lua_type(state, index) != LUA_TUSERDATA) return nullptr;
    auto* const object = static_cast<Object*>(lua_touserdata(state, index));
    return object->kind == kind ? object : nullptr;
}

Object& check_object(lua_State* state, int index, Kind kind)
{
    Object* const object = find_object(state, index, kind);
    if (object == nullptr) luaL_typeerror(state, index, kNames[static_cast<std::size_t>(kind)]);
    if (object->generation != 0) {
        const Context& context = context_of(state);
        if (object->generation != context.generation || context.facts == nullptr)
            luaL_error(state, "this query has ended");
    }
    return *object;
}

bool holds(lua_State* state, int index, const base::IpAddress& address, const policy::Facts* facts)
{
    if (find_object(state, index, Kind::clients) != nullptr) {
        const policy::ClientSet& set = *check<ClientsObject>(state, index, Kind::clients).set;
        charge_or_raise(state, set.networks.size() / kNetworksAnInstruction + 1);
        return facts != nullptr ? set.holds(*facts) : set.holds(address);
    }
    if (lua_type(state, index) != LUA_TSTRING) {
        luaL_typeerror(state, index, "clients, \"private\" or a network");
        return false;
    }
    charge_or_raise(state, 4);
    std::size_t size = 0;
    const char* const text = lua_tolstring(state, index, &size);
    if (std::string_view{text, size} == "private") return policy::is_private(address);
    base::Prefix network;
    if (!read_network(text, size, network)) luaL_error(state, "'%s' is no network; expected one like 10.0.0.0/8", text);
    return network.contains(address);
}

void push_address(lua_State* state, const base::IpAddress& address, std::uint64_t generation)
{
    auto* const object =
        static_cast<AddressObject*>(push_object(state, Kind::address, sizeof(AddressObject), 0, generation));
    object->address = address;
}

bool read_name(const char* text, std::size_t size, wire::Name& name) noexcept
{
    const auto read = wire::Name::from_text({text, size});
    if (!read || size == 0) return false;
    name = *read;
    name.make_lower();
    return true;
}

} // namespace sallyport::lua
