#include "zones/generate.hpp"

#include <gtest/gtest.h>

namespace sallyport::zones {
namespace {

std::string expanded(std::string_view pattern, std::uint32_t number)
{
    std::string out;
    const auto good = expand_generate(pattern, number, out);
    return good ? out : "error";
}

TEST(Generate, ReadsRanges)
{
    const auto range = parse_generate_range("2-11/3").value();
    EXPECT_EQ(range.start, 2U);
    EXPECT_EQ(range.stop, 11U);
    EXPECT_EQ(range.step, 3U);
    EXPECT_EQ(range.count(), 4U);
    EXPECT_EQ(parse_generate_range("0-0").value().count(), 1U);
    EXPECT_EQ(parse_generate_range("0-2147483647").value().count(), 2147483648U);
    for (const auto* bad : {"", "1", "1-", "-1", "1-2/", "1-2/0", "2-1", "1-2147483648", "a-b", "1-2/3/4", "1 -2"}) {
        EXPECT_FALSE(parse_generate_range(bad)) << bad;
    }
}

TEST(Generate, PutsNumbersIn)
{
    EXPECT_EQ(expanded("plain", 7), "plain");
    EXPECT_EQ(expanded("a$b$", 7), "a7b7");
    EXPECT_EQ(expanded("${10}", 7), "17");
    EXPECT_EQ(expanded("${+10}", 7), "17");
    EXPECT_EQ(expanded("${-7,3}", 7), "000");
    EXPECT_EQ(expanded("${0,4,d}", 42), "0042");
    EXPECT_EQ(expanded("${0,0,o}", 8), "10");
    EXPECT_EQ(expanded("${0,4,x}", 0xABC), "0abc");
    EXPECT_EQ(expanded("${0,4,X}", 0xABC), "0ABC");
    EXPECT_EQ(expanded("$$ \\$ \\. $", 1), "$ $ \\. 1");
    EXPECT_EQ(expanded("x\\", 1), "x\\");
}

TEST(Generate, ReversesNibbles)
{
    EXPECT_EQ(expanded("${0,0,n}", 0xABC), "c.b.a");
    EXPECT_EQ(expanded("${0,0,N}", 0xABC), "C.B.A");
    EXPECT_EQ(expanded("${0,7,n}", 0x1), "1.0.0.0");
    EXPECT_EQ(expanded("${0,1,n}", 0x0), "0");
}

TEST(Generate, RefusesWhatItDoesNotKnow)
{
    for (const auto* bad : {"${", "${}", "${x}", "${1,}", "${1,2,}", "${1,2,q}", "${1,2,xx}", "${1,256}", "${1,-2}",
                            "${99999999999}", "${-8}"}) {
        EXPECT_EQ(expanded(bad, 7), "error") << bad;
    }
}

} // namespace
} // namespace sallyport::zones
