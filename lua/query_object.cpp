#include "lua/objects.hpp"

#include <algorithm>
#include <cstring>

/// What a script sees of a query: `q`, `q.name`, `q.client`.
namespace sallyport::lua {
namespace {

enum Field : int {
    field_name = 1,
    field_type,
    field_class,
    field_client,
    field_door,
    field_transport,
    field_server_name,
    field_path,
    field_certificate_name,
    field_dnssec_ok,
    field_checking_disabled,
    field_id,
    field_address,
};

struct FieldName {
    const char* name;
    Field field;
};

constexpr FieldName kFields[] = {
    {"name", field_name},
    {"type", field_type},
    {"class", field_class},
    {"client", field_client},
    {"door", field_door},
    {"transport", field_transport},
    {"server_name", field_server_name},
    {"path", field_path},
    {"certificate_name", field_certificate_name},
    {"dnssec_ok", field_dnssec_ok},
    {"checking_disabled", field_checking_disabled},
    {"id", field_id},
    {"address", field_address},
};

constexpr int kNameValue = 1, kClientValue = 2; ///< user values of `q`: made when first asked for

/// A short text made by code that may throw; it is copied out so that nothing with a destructor is in the way.
struct ShortText {
    char data[32];
    std::size_t size;
};

template <class Make>
ShortText short_text(Make&& make) noexcept
{
    ShortText text;
    const std::string made = make();
    text.size = std::min(made.size(), sizeof text.data);
    std::memcpy(text.data, made.data(), text.size);
    return text;
}

void push_text(lua_State* state, std::string_view text) { lua_pushlstring(state, text.data(), text.size()); }

void push_text_or_nil(lua_State* state, std::string_view text)
{
    if (text.empty())
        lua_pushnil(state);
    else
        push_text(state, text);
}

std::string_view door_of(base::Transport transport) noexcept
{
    switch (transport) {
    case base::Transport::udp:
    case base::Transport::tcp: return "do53";
    case base::Transport::dot: return "dot";
    case base::Transport::doq: return "doq";
    default: return "doh";
    }
}

/// Makes the part once, and keeps it with `q`.
void push_part(lua_State* state, int value, const policy::Facts& facts, std::uint64_t generation)
{
    if (lua_getiuservalue(state, 1, value) != LUA_TNIL) return;
    lua_pop(state, 1);
    if (value == kNameValue)
        push_object(state, Kind::name, sizeof(Object), 0, generation);
    else
        push_address(state, facts.client.address, generation);
    lua_pushvalue(state, -1);
    lua_setiuservalue(state, 1, value);
}

void push_type(lua_State* state, const policy::Facts& facts)
{
    if (facts.qtype == wire::RrType::A) return push_text(state, "A");
    if (facts.qtype == wire::RrType::AAAA) return push_text(state, "AAAA");
    const ShortText text = short_text([&] { return wire::to_string(facts.qtype); });
    lua_pushlstring(state, text.data, text.size);
}

void push_class(lua_State* state, const policy::Facts& facts)
{
    const ShortText text = short_text([&] { return wire::to_string(facts.qclass); });
    lua_pushlstring(state, text.data, text.size);
}

void push_field(lua_State* state, Field field, const policy::Facts& facts, std::uint64_t generation)
{
    switch (field) {
    case field_name: return push_part(state, kNameValue, facts, generation);
    case field_client: return push_part(state, kClientValue, facts, generation);
    case field_type: return push_type(state, facts);
    case field_class: return push_class(state, facts);
    case field_door: return push_text(state, door_of(facts.transport));
    case field_transport: return push_text(state, base::to_string(facts.transport));
    case field_server_name: return push_text_or_nil(state, facts.server_name);
    case field_path: return push_text_or_nil(state, facts.path);
    case field_certificate_name: return push_text_or_nil(state, facts.certificate_name);
    case field_dnssec_ok: return lua_pushboolean(state, int{facts.dnssec_ok});
    case field_checking_disabled: return lua_pushboolean(state, int{facts.checking_disabled});
    case field_id: return lua_pushinteger(state, static_cast<lua_Integer>(facts.request_id));
    case field_address: return push_address(state, facts.local.address, 0);
    }
}

/// Upvalue: names to fields (numbers) and methods.
int query_index(lua_State* state)
{
    const Object& object = check(state, 1, Kind::query);
    lua_pushvalue(state, 2);
    const int type = lua_rawget(state, lua_upvalueindex(1));
    if (type == LUA_TNUMBER) {
        const auto field = static_cast<Field>(lua_tointeger(state, -1));
        push_field(state, field, *context_of(state).facts, object.generation);
        return 1;
    }
    // A slip of the pen must not look like a field without a value.
    if (type == LUA_TNIL) return luaL_error(state, "a query has no '%s'", luaL_tolstring(state, 2, nullptr));
    return 1;
}

const wire::Name& check_own_name(lua_State* state, int index)
{
    check(state, index, Kind::name);
    return *context_of(state).facts->qname;
}

/// A name object, or a text that is a name.
wire::Name check_name(lua_State* state, int index)
{
    if (find_object(state, index, Kind::name) != nullptr) return check_own_name(state, index);
    std::size_t size = 0;
    const char* const text = luaL_checklstring(state, index, &size);
    wire::Name name;
    if (!read_name(text, size, name)) luaL_error(state, "'%s' is no domain name", text);
    return name;
}

int name_under(lua_State* state)
{
    const wire::Name& name = check_own_name(state, 1);
    const int count = lua_gettop(state);
    luaL_argcheck(state, count >= 2, 2, "expected a domain name");
    bool under = false;
    for (int i = 2; i <= count && !under; ++i) under = name.is_under(check_name(state, i));
    lua_pushboolean(state, int{under});
    return 1;
}

int name_is(lua_State* state)
{
    const wire::Name& name = check_own_name(state, 1);
    const int count = lua_gettop(state);
    luaL_argcheck(state, count >= 2, 2, "expected a domain name");
    bool equal = false;
    for (int i = 2; i <= count && !equal; ++i) equal = name == check_name(state, i);
    lua_pushboolean(state, int{equal});
    return 1;
}

/// Without the last dot, as people write names; the root is `.`.
void write_name(const wire::Name& name, std::string& text) noexcept
{
    text = name.to_text();
    if (text.size() > 1) text.pop_back();
}

int name_text(lua_State* state)
{
    const wire::Name& name = check_own_name(state, 1);
    std::string& text = context_of(state).text;
    write_name(name, text);
    push_text(state, text);
    return 1;
}

/// One label as text.
void write_label(base::Bytes label, std::string& text) noexcept
{
    text.clear();
    const auto name = wire::Name{}.prepend(label);
    if (name) write_name(*name, text);
}

int name_labels(lua_State* state)
{
    const wire::Name& name = check_own_name(state, 1);
    lua_createtable(state, static_cast<int>(name.label_count()), 0);
    base::Bytes rest = name.wire();
    for (lua_Integer i = 1; rest[0] != 0; ++i, rest = rest.subspan(rest[0] + 1U)) {
        std::string& text = context_of(state).text;
        write_label(rest.subspan(1, rest[0]), text);
        push_text(state, text);
        lua_rawseti(state, -2, i);
    }
    return 1;
}

/// `..` with a name or an address on either side.
int join(lua_State* state)
{
    luaL_tolstring(state, 1, nullptr);
    luaL_tolstring(state, 2, nullptr);
    lua_concat(state, 2);
    return 1;
}

int names_equal(lua_State* state)
{
    // Both are names of the one query, or the handle of another that has ended.
    check_own_name(state, 1);
    check_own_name(state, 2);
    lua_pushboolean(state, 1);
    return 1;
}

int address_among(lua_State* state)
{
    const auto& object = check<AddressObject>(state, 1, Kind::address);
    const policy::Facts* const facts = object.generation != 0 ? context_of(state).facts : nullptr;
    const int count = lua_gettop(state);
    luaL_argcheck(state, count >= 2, 2, "expected clients, \"private\" or a network");
    bool found = false;
    for (int i = 2; i <= count && !found; ++i) found = holds(state, i, object.address, facts);
    lua_pushboolean(state, int{found});
    return 1;
}

void write_address(const base::IpAddress& address, std::string& text) noexcept { text = address.to_string(); }

int address_text(lua_State* state)
{
    const auto& object = check<AddressObject>(state, 1, Kind::address);
    std::string& text = context_of(state).text;
    write_address(object.address, text);
    push_text(state, text);
    return 1;
}

int address_is_v4(lua_State* state)
{
    lua_pushboolean(state, int{check<AddressObject>(state, 1, Kind::address).address.is_v4()});
    return 1;
}

int addresses_equal(lua_State* state)
{
    const bool both =
        find_object(state, 1, Kind::address) != nullptr && find_object(state, 2, Kind::address) != nullptr;
    lua_pushboolean(state, int{both && check<AddressObject>(state, 1, Kind::address).address ==
                                           check<AddressObject>(state, 2, Kind::address).address});
    return 1;
}

constexpr luaL_Reg kNameMethods[] = {{"under", name_under}, {"is", name_is},           {"labels", name_labels},
                                     {"text", name_text},   {"__tostring", name_text}, {"__concat", join},
                                     {"__eq", names_equal}, {nullptr, nullptr}};
constexpr luaL_Reg kAddressMethods[] = {
    {"among", address_among}, {"is_v4", address_is_v4},  {"text", address_text}, {"__tostring", address_text},
    {"__concat", join},       {"__eq", addresses_equal}, {nullptr, nullptr}};

} // namespace

void open_query(lua_State* state)
{
    lua_newtable(state);
    const int members = lua_gettop(state);
    for (const FieldName& field : kFields) {
        lua_pushinteger(state, field.field);
        lua_setfield(state, members, field.name);
    }
    add_verdicts(state, members);
    make_metatable(state, Kind::query, members, query_index);
    make_metatable(state, Kind::name, kNameMethods);
    make_metatable(state, Kind::address, kAddressMethods);
    lua_settop(state, members - 1);
}

} // namespace sallyport::lua
