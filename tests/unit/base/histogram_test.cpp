#include "base/histogram.hpp"

#include <gtest/gtest.h>

namespace sallyport::base {
namespace {

TEST(Histogram, ABoundBelongsToTheBucketBelowIt)
{
    EXPECT_EQ(Histogram::bucket_of(0), 0U);
    EXPECT_EQ(Histogram::bucket_of(1000), 0U);
    EXPECT_EQ(Histogram::bucket_of(1001), 1U);
    for (std::size_t i = 0; i < Histogram::kBounded; ++i) {
        EXPECT_EQ(Histogram::bucket_of(Histogram::upper_nanoseconds(i)), i);
        EXPECT_EQ(Histogram::bucket_of(Histogram::upper_nanoseconds(i) + 1), i + 1);
    }
    EXPECT_EQ(Histogram::bucket_of(UINT64_MAX), Histogram::kBounded);
}

TEST(Histogram, CountsAndAddsUp)
{
    Histogram histogram;
    histogram.record(500ns);
    histogram.record(3us);
    histogram.record(4us);
    histogram.record(1min);
    histogram.record(-1s);
    EXPECT_EQ(histogram.count(0), 2U);
    EXPECT_EQ(histogram.count(2), 2U);
    EXPECT_EQ(histogram.count(Histogram::kBounded), 1U);
    EXPECT_EQ(histogram.sum_nanoseconds(), 60'000'007'500U);
}

TEST(Histogram, ReachesFromAMicrosecondToSeconds)
{
    EXPECT_EQ(Histogram::upper_nanoseconds(0), 1'000U);
    EXPECT_EQ(Histogram::upper_nanoseconds(Histogram::kBounded - 1), 8'388'608'000U);
}

} // namespace
} // namespace sallyport::base
