#include "listeners/http_date.hpp"

#include "base/clock.hpp"

#include <gtest/gtest.h>

namespace sallyport::listeners {
namespace {

TEST(HttpDate, WritesTheTimeAsHttpHasIt)
{
    base::ManualClock clock;
    net::Worker worker{0, clock};
    const std::pair<std::int64_t, const char*> cases[] = {
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, // the example of RFC 9110 §5.6.7
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {951825599, "Tue, 29 Feb 2000 11:59:59 GMT"},
        {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
    };
    for (const auto& [seconds, expected] : cases) {
        clock.set_wall(base::WallTime{std::chrono::seconds{seconds}});
        HttpDate date{worker};
        EXPECT_EQ(date.text(), expected);
    }
}

TEST(HttpDate, IsWrittenOnceASecondInPlace)
{
    base::ManualClock clock;
    clock.set_wall(base::WallTime{std::chrono::seconds{784111777}});
    net::Worker worker{0, clock};
    HttpDate date{worker};
    const std::string_view first = date.text();
    clock.advance(std::chrono::milliseconds{999});
    worker.refresh_now();
    EXPECT_EQ(date.text(), "Sun, 06 Nov 1994 08:49:37 GMT");
    clock.advance(std::chrono::milliseconds{1});
    worker.refresh_now();
    EXPECT_EQ(date.text(), "Sun, 06 Nov 1994 08:49:38 GMT");
    EXPECT_EQ(first.data(), date.text().data()) << "what a header block borrows stays valid";
}

} // namespace
} // namespace sallyport::listeners
