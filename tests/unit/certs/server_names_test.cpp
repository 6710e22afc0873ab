#include "certs/server_names.hpp"

#include <gtest/gtest.h>

namespace sallyport::certs {
namespace {

TEST(ServerNames, FindsTheExactNameBeforeTheWildcard)
{
    ServerNames names;
    EXPECT_TRUE(names.add("*.gate.test", 1));
    EXPECT_TRUE(names.add("a.gate.test", 2));
    EXPECT_EQ(names.find("a.gate.test"), 2U);
    EXPECT_EQ(names.find("b.gate.test"), 1U);
}

TEST(ServerNames, AWildcardStandsForOneLabelOnly)
{
    ServerNames names;
    EXPECT_TRUE(names.add("*.gate.test", 1));
    EXPECT_EQ(names.find("gate.test"), std::nullopt);
    EXPECT_EQ(names.find("a.b.gate.test"), std::nullopt);
    EXPECT_EQ(names.find(".gate.test"), std::nullopt);
}

TEST(ServerNames, IgnoresCaseAndAFinalDot)
{
    ServerNames names;
    EXPECT_TRUE(names.add("gate.test", 1));
    EXPECT_EQ(names.find("GATE.Test."), 1U);
}

TEST(ServerNames, TheFirstClaimWins)
{
    ServerNames names;
    EXPECT_TRUE(names.add("gate.test", 1));
    EXPECT_FALSE(names.add("gate.test", 2));
    EXPECT_EQ(names.find("gate.test"), 1U);
}

TEST(ServerNames, SurvivesOddNames)
{
    ServerNames names;
    EXPECT_TRUE(names.add("gate.test", 1));
    EXPECT_EQ(names.find(""), std::nullopt);
    EXPECT_EQ(names.find("."), std::nullopt);
    EXPECT_EQ(names.find(std::string(254, 'a')), std::nullopt);
    EXPECT_EQ(names.find(std::string(100'000, '.')), std::nullopt);
}

TEST(ServerNames, CanonicalHostNameKnowsHostNames)
{
    EXPECT_EQ(canonical_host_name("Gate.Test."), "gate.test");
    EXPECT_EQ(canonical_host_name("*.Gate.Test"), "*.gate.test");
    EXPECT_EQ(canonical_host_name("_dns.gate-1.test"), "_dns.gate-1.test");
    EXPECT_EQ(canonical_host_name("localhost"), "localhost");
    for (const char* bad : {"", ".", "*", "*.", "a..b", "a b", "a.*.b", "g\xC3\xA4te.test", ".a"}) {
        EXPECT_EQ(canonical_host_name(bad), std::nullopt) << bad;
    }
    EXPECT_EQ(canonical_host_name(std::string(64, 'a').append(".test")), std::nullopt);
    EXPECT_EQ(canonical_host_name(std::string_view("gate\0.test", 10)), std::nullopt);
}

} // namespace
} // namespace sallyport::certs
