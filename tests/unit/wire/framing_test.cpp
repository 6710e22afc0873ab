#include "wire/framing.hpp"

#include "wire_test_support.hpp"

#include <gtest/gtest.h>

namespace sallyport::wire {
namespace {

TEST(FrameReader, HandsOutWholeMessagesOnly)
{
    const auto stream = test::from_hex("0003 616263 0000 0002 64");
    FrameReader reader{stream};
    EXPECT_EQ(base::as_text(reader.next().value()), "abc");
    EXPECT_TRUE(reader.next().value().empty());
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.next());
    EXPECT_EQ(reader.rest().size(), 3U);
}

TEST(FrameReader, WaitsForBothLengthOctets)
{
    for (const char* start : {"", "00"}) {
        const auto stream = test::from_hex(start);
        FrameReader reader{stream};
        EXPECT_FALSE(reader.next());
        EXPECT_EQ(reader.rest().size(), stream.size());
    }
}

TEST(FrameReader, ReadsTheLargestMessage)
{
    std::vector<std::uint8_t> stream(2 + 65535);
    stream[0] = stream[1] = 0xFF;
    FrameReader whole{stream};
    EXPECT_EQ(whole.next().value().size(), 65535U);
    FrameReader cut{base::Bytes{stream}.first(stream.size() - 1)};
    EXPECT_FALSE(cut.next());
}

} // namespace
} // namespace sallyport::wire
