#include "listeners/http_date.hpp"

#include <chrono>

namespace sallyport::listeners {
namespace {

constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

// `digits` digits, leading zeros among them.
void put_number(char* out, unsigned number, unsigned digits) noexcept
{
    for (; digits > 0; --digits, number /= 10) out[digits - 1] = static_cast<char>('0' + number % 10);
}

void put_text(char* out, std::string_view text) noexcept { text.copy(out, text.size()); }

} // namespace

std::string_view HttpDate::text() noexcept
{
    const base::Instant now = worker_.now();
    if (!any_ || now - written_ >= std::chrono::seconds{1}) {
        any_ = true;
        written_ = now;
        write(worker_.clock().wall());
    }
    return {text_.data(), text_.size()};
}

// Sun, 06 Nov 1994 08:49:37 GMT
void HttpDate::write(base::WallTime time) noexcept
{
    using namespace std::chrono;
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{floor<seconds>(time - day)};
    char* const out = text_.data();
    put_text(out, kDays.substr(3 * std::size_t{weekday{day}.c_encoding()}, 3));
    put_text(out + 3, ", ");
    put_number(out + 5, static_cast<unsigned>(date.day()), 2);
    put_text(out + 7, " ");
    put_text(out + 8, kMonths.substr(3 * (std::size_t{static_cast<unsigned>(date.month())} - 1), 3));
    put_text(out + 11, " ");
    put_number(out + 12, static_cast<unsigned>(static_cast<int>(date.year())), 4);
    put_text(out + 16, " ");
    put_number(out + 17, static_cast<unsigned>(clock.hours().count()), 2);
    put_text(out + 19, ":");
    put_number(out + 20, static_cast<unsigned>(clock.minutes().count()), 2);
    put_text(out + 22, ":");
    put_number(out + 23, static_cast<unsigned>(clock.seconds().count()), 2);
    put_text(out + 25, " GMT");
}

} // namespace sallyport::listeners
