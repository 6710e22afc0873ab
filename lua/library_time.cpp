#include "lua/context.hpp"

#include <array>
#include <ctime>

/// `time`: what a schedule needs of the local time of day.
namespace sallyport::lua {
namespace {

constexpr std::array<const char*, 7> kWeekdays{"sunday",   "monday", "tuesday", "wednesday",
                                               "thursday", "friday", "saturday"};
constexpr int kMinutesADay = 24 * 60;

/// The query's own time, so that a script sees one time in all its functions.
base::WallTime check_wall(lua_State* state)
{
    const Context& context = context_of(state);
    if (context.facts != nullptr) return context.facts->wall;
    luaL_error(state, "the time is for queries; when the script is read there is none"); // does not come back
    return {};
}

/// Looked up once a minute: the rules of a time zone change only with one.
void look_up_local_time(Context& context, base::WallTime wall) noexcept
{
    const std::int64_t minute = std::chrono::floor<std::chrono::minutes>(wall.time_since_epoch()).count();
    if (minute == context.local_minute) return;
    const std::time_t seconds = std::chrono::system_clock::to_time_t(wall);
    std::tm local{};
    if (localtime_r(&seconds, &local) == nullptr) return;
    context.local_minute = minute;
    context.local_time_of_day = local.tm_hour * 60 + local.tm_min;
    context.local_weekday = local.tm_wday;
}

bool read_two_digits(const char* text, int most, int& value) noexcept
{
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') return false;
    value = (text[0] - '0') * 10 + (text[1] - '0');
    return value <= most;
}

/// `21:00`, up to `24:00`; minutes since midnight.
int check_time_of_day(lua_State* state, int index)
{
    std::size_t size = 0;
    const char* const text = luaL_checklstring(state, index, &size);
    int hours = 0, minutes = 0;
    if (size != 5 || text[2] != ':' || !read_two_digits(text, 24, hours) || !read_two_digits(text + 3, 59, minutes) ||
        hours * 60 + minutes > kMinutesADay)
        luaL_error(state, "'%s' is no time of day; expected one like 21:00", text);
    return hours * 60 + minutes;
}

/// From the first to before the second, over midnight where the second is the earlier.
int time_between(lua_State* state)
{
    Context& context = context_of(state);
    const base::WallTime wall = check_wall(state);
    const int from = check_time_of_day(state, 1), to = check_time_of_day(state, 2);
    look_up_local_time(context, wall);
    const int now = context.local_time_of_day;
    lua_pushboolean(state, int{from <= to ? now >= from && now < to : now >= from || now < to});
    return 1;
}

/// Today's name; with names, whether it is one of them.
int time_weekday(lua_State* state)
{
    Context& context = context_of(state);
    look_up_local_time(context, check_wall(state));
    const int count = lua_gettop(state);
    if (count == 0) return lua_pushstring(state, kWeekdays[static_cast<std::size_t>(context.local_weekday)]), 1;
    std::array<const char*, kWeekdays.size() + 1> words{};
    for (std::size_t i = 0; i < kWeekdays.size(); ++i) words[i] = kWeekdays[i];
    bool today = false;
    for (int i = 1; i <= count; ++i)
        today = luaL_checkoption(state, i, nullptr, words.data()) == context.local_weekday || today;
    lua_pushboolean(state, int{today});
    return 1;
}

/// Seconds since 1970.
int time_now(lua_State* state)
{
    lua_pushinteger(state, std::chrono::system_clock::to_time_t(check_wall(state)));
    return 1;
}

} // namespace

void open_time(lua_State* state)
{
    const int environment = lua_gettop(state);
    lua_newtable(state);
    put_function(state, environment + 1, "between", time_between);
    put_function(state, environment + 1, "weekday", time_weekday);
    put_function(state, environment + 1, "now", time_now);
    lua_setfield(state, environment, "time");
}

} // namespace sallyport::lua
