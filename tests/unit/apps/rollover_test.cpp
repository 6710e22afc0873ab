#include "apps/rollover.hpp"

#include <gtest/gtest.h>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;

TEST(Rollover, RestsLongerAfterEachQuestionThatNobodyAnswered)
{
    EXPECT_EQ(rest_after(1), base::Duration{5s});
    EXPECT_EQ(rest_after(2), base::Duration{10s});
    EXPECT_EQ(rest_after(5), base::Duration{80s});
}

TEST(Rollover, GivesALookUpAtLast)
{
    EXPECT_EQ(rest_after(6), std::nullopt);
    EXPECT_EQ(rest_after(4'000'000'000), std::nullopt);
    EXPECT_EQ(rest_after(0), std::nullopt);
}

} // namespace
} // namespace sallyport::apps
