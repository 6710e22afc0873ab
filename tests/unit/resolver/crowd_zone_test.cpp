#include "resolver/crowd_zone.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::resolver {
namespace {

std::string zone_of(const std::string& name) { return crowd_zone(*wire::Name::from_text(name)).to_text(); }

TEST(CrowdZone, IsWhatMayBeRegistered)
{
    EXPECT_EQ(zone_of("."), ".");
    EXPECT_EQ(zone_of("com."), "com.");
    EXPECT_EQ(zone_of("example.com."), "example.com.");
    EXPECT_EQ(zone_of("x1.y2.example.com."), "example.com.");
    EXPECT_EQ(zone_of("a.b.example.de."), "example.de.");
}

TEST(CrowdZone, KnowsSecondLabelsOfCountries)
{
    EXPECT_EQ(zone_of("www.example.co.uk."), "example.co.uk.");
    EXPECT_EQ(zone_of("a.b.example.com.au."), "example.com.au.");
    EXPECT_EQ(zone_of("co.uk."), "co.uk.");
}

TEST(CrowdZone, CutsReverseTreesAtNetworks)
{
    EXPECT_EQ(zone_of("4.3.2.1.in-addr.arpa."), "2.1.in-addr.arpa.");
    EXPECT_EQ(zone_of("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."),
              "8.b.d.0.1.0.0.2.ip6.arpa.");
    EXPECT_EQ(zone_of("a.b.home.arpa."), "b.home.arpa.");
    EXPECT_EQ(zone_of("4.3.2.1.IN-ADDR.ARPA."), "2.1.IN-ADDR.ARPA.");
}

} // namespace
} // namespace sallyport::resolver
