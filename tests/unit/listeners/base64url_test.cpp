#include "listeners/base64url.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::listeners {
namespace {

std::optional<std::vector<std::uint8_t>> decode(std::string_view text)
{
    const auto size = base64url_decoded_size(text.size());
    if (!size) return std::nullopt;
    std::vector<std::uint8_t> out(*size);
    if (!base64url_decode(text, out)) return std::nullopt;
    return out;
}

std::vector<std::uint8_t> octets(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Base64url, DecodesTheVectorsOfRfc4648)
{
    EXPECT_EQ(decode(""), octets(""));
    EXPECT_EQ(decode("Zg"), octets("f"));
    EXPECT_EQ(decode("Zm8"), octets("fo"));
    EXPECT_EQ(decode("Zm9v"), octets("foo"));
    EXPECT_EQ(decode("Zm9vYg"), octets("foob"));
    EXPECT_EQ(decode("Zm9vYmE"), octets("fooba"));
    EXPECT_EQ(decode("Zm9vYmFy"), octets("foobar"));
}

TEST(Base64url, UsesTheAlphabetOfUrlsOnly)
{
    EXPECT_EQ(decode("-_-_"), (std::vector<std::uint8_t>{0xFB, 0xFF, 0xBF}));
    for (const char* text : {"+/+/", "Zm9 ", "Zm9\n", "Zm9=", "Zm%3", "Zm\xFF\x80", "Zm9vA", "A", "Zm9vYg=="}) {
        EXPECT_EQ(decode(text), std::nullopt) << text;
    }
}

TEST(Base64url, RefusesBitsThatStandForNothing)
{
    EXPECT_EQ(decode("Zh"), std::nullopt);
    EXPECT_EQ(decode("Zm9"), std::nullopt);
}

TEST(Base64url, TakesPaddingOffTheEndOnly)
{
    EXPECT_EQ(without_padding("Zg=="), "Zg");
    EXPECT_EQ(without_padding("Zg%3D%3d"), "Zg");
    EXPECT_EQ(without_padding("Zg"), "Zg");
    EXPECT_EQ(without_padding("Z=g"), "Z=g");
    EXPECT_EQ(without_padding("Zg==="), "Zg=");
    EXPECT_EQ(without_padding("=="), "");
}

TEST(Base64url, RefusesTheWrongRoom)
{
    std::vector<std::uint8_t> out(2);
    EXPECT_FALSE(base64url_decode("Zm9v", out));
}

} // namespace
} // namespace sallyport::listeners
