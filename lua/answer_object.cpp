#include "lua/answer_addresses.hpp"
#include "lua/objects.hpp"
#include "wire/rdata.hpp"

#include <new>

/// What a script sees of an answer: `a`.
namespace sallyport::lua {
namespace {

struct AddressesObject : Object {
    AnswerAddresses addresses;
};

struct RecordsObject : Object {
    wire::RecordRange::Iterator record;
};

static_assert(std::is_trivially_destructible_v<RecordsObject>);

void push_line(lua_State* state, const std::string& text) { lua_pushlstring(state, text.data(), text.size()); }

void write_rcode(wire::Rcode rcode, std::string& text) noexcept { text = wire::to_string(rcode); }
void write_type(wire::RrType type, std::string& text) noexcept { text = wire::to_string(type); }

void write_owner(const wire::NameRef& owner, std::string& text) noexcept
{
    text = owner.to_name().lower().to_text();
    if (text.size() > 1) text.pop_back();
}

/// `\# 0` where the data does not fit its type.
void write_data(Context& context, const wire::RecordView& record) noexcept
{
    context.octets.clear();
    const auto plain =
        wire::decompress_rdata(context.answer->bytes(), record.rdata_offset,
                               static_cast<std::uint16_t>(record.rdata.size()), record.type, context.octets);
    context.text = plain ? wire::rdata_to_text(record.type, context.octets) : "\\# 0";
    if (context.text.size() > kMaxText) context.text.resize(kMaxText);
}

const wire::MessageView& check_answer(lua_State* state, int index)
{
    check(state, index, Kind::answer);
    return *context_of(state).answer;
}

/// Upvalue: the methods, and two fields: `rcode` is true there, `source` false.
int answer_index(lua_State* state)
{
    const wire::MessageView& answer = check_answer(state, 1);
    lua_pushvalue(state, 2);
    const int type = lua_rawget(state, lua_upvalueindex(1));
    if (type == LUA_TFUNCTION) return 1;
    if (type == LUA_TNIL) return luaL_error(state, "an answer has no '%s'", luaL_tolstring(state, 2, nullptr));
    Context& context = context_of(state);
    if (lua_toboolean(state, -1) == 0) // the source
        return lua_pushlstring(state, context.facts->source.data(), context.facts->source.size()), 1;
    write_rcode(answer.rcode(), context.text);
    push_line(state, context.text);
    return 1;
}

int next_address(lua_State* state)
{
    auto& walk = check<AddressesObject>(state, lua_upvalueindex(1), Kind::addresses);
    base::IpAddress address;
    if (!walk.addresses.next(address)) return 0;
    push_address(state, address, 0);
    return 1;
}

int answer_addresses(lua_State* state)
{
    const wire::MessageView& answer = check_answer(state, 1);
    const std::uint64_t generation = context_of(state).generation;
    auto* const walk =
        static_cast<AddressesObject*>(push_object(state, Kind::addresses, sizeof(AddressesObject), 0, generation));
    new (&walk->addresses) AnswerAddresses(answer);
    lua_pushcclosure(state, next_address, 1);
    return 1;
}

int answer_any_address_in(lua_State* state)
{
    AnswerAddresses addresses{check_answer(state, 1)};
    luaL_checkany(state, 2);
    const int count = lua_gettop(state);
    bool found = false;
    base::IpAddress address;
    while (!found && addresses.next(address))
        for (int i = 2; i <= count && !found; ++i) found = holds(state, i, address, nullptr);
    lua_pushboolean(state, int{found});
    return 1;
}

/// name, type, TTL, data as text
int next_record(lua_State* state)
{
    auto& walk = check<RecordsObject>(state, lua_upvalueindex(1), Kind::records);
    if (walk.record == std::default_sentinel) return 0;
    charge_or_raise(state, 100);
    Context& context = context_of(state);
    const wire::RecordView record = *walk.record;
    ++walk.record;
    write_owner(record.owner, context.text);
    push_line(state, context.text);
    write_type(record.type, context.text);
    push_line(state, context.text);
    lua_pushinteger(state, record.ttl.seconds());
    write_data(context, record);
    push_line(state, context.text);
    return 4;
}

int answer_records(lua_State* state)
{
    const wire::MessageView& answer = check_answer(state, 1);
    const std::uint64_t generation = context_of(state).generation;
    auto* const walk =
        static_cast<RecordsObject*>(push_object(state, Kind::records, sizeof(RecordsObject), 0, generation));
    new (&walk->record) wire::RecordRange::Iterator(answer.answers().begin());
    lua_pushcclosure(state, next_record, 1);
    return 1;
}

constexpr luaL_Reg kNone[] = {{nullptr, nullptr}};

} // namespace

void open_answer(lua_State* state)
{
    lua_newtable(state);
    const int members = lua_gettop(state);
    lua_pushboolean(state, 1);
    lua_setfield(state, members, "rcode");
    lua_pushboolean(state, 0);
    lua_setfield(state, members, "source");
    put_function(state, members, "addresses", answer_addresses);
    put_function(state, members, "any_address_in", answer_any_address_in);
    put_function(state, members, "records", answer_records);
    make_metatable(state, Kind::answer, members, answer_index);
    make_metatable(state, Kind::addresses, kNone);
    make_metatable(state, Kind::records, kNone);
    lua_settop(state, members - 1);
}

} // namespace sallyport::lua
