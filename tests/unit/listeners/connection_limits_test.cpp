#include "listeners/connection_limits.hpp"
#include "listeners/kept_octets.hpp"

#include <gtest/gtest.h>

using namespace sallyport;
using listeners::ConnectionLimits;

namespace {

base::IpAddress address(std::string_view text) { return base::IpAddress::parse(text).value(); }

} // namespace

TEST(ConnectionLimits, IsFullAtItsNumber)
{
    ConnectionLimits limits{3, 100, 1};
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(limits.full());
        limits.add();
    }
    EXPECT_TRUE(limits.full());
    limits.remove();
    EXPECT_FALSE(limits.full());
}

TEST(ConnectionLimits, IsCrowdedAboveEightyPercent)
{
    ConnectionLimits limits{10, 100, 1};
    for (int i = 0; i < 8; ++i) limits.add();
    EXPECT_FALSE(limits.crowded());
    limits.add();
    EXPECT_TRUE(limits.crowded());
}

TEST(ConnectionLimits, WorkerTakesItsShareRoundedUp)
{
    EXPECT_EQ((ConnectionLimits{10, 100, 4}.most()), 3U);
    EXPECT_EQ((ConnectionLimits{1, 100, 8}.most()), 1U);
    EXPECT_EQ((ConnectionLimits{10'000, 100, 1}.most_of_address()), 100U);
    EXPECT_EQ((ConnectionLimits{10'000, 100, 2}.most_of_address()), 100U);
    EXPECT_EQ((ConnectionLimits{10'000, 100, 10}.most_of_address()), 20U);
    EXPECT_EQ((ConnectionLimits{10'000, 1, 10}.most_of_address()), 1U);
}

TEST(ConnectionLimits, CountsEachAddressOfIpv4)
{
    ConnectionLimits limits{100, 2, 1};
    EXPECT_TRUE(limits.add_address(address("192.0.2.1")));
    EXPECT_TRUE(limits.add_address(address("192.0.2.1")));
    EXPECT_FALSE(limits.add_address(address("192.0.2.1")));
    EXPECT_TRUE(limits.add_address(address("192.0.2.2")));
    limits.remove_address(address("192.0.2.1"));
    EXPECT_TRUE(limits.add_address(address("192.0.2.1")));
}

TEST(ConnectionLimits, CountsIpv6ByItsFirst56Bits)
{
    ConnectionLimits limits{100, 2, 1};
    EXPECT_TRUE(limits.add_address(address("2001:db8:0:1::1")));
    EXPECT_TRUE(limits.add_address(address("2001:db8:0:ff::2")));
    EXPECT_FALSE(limits.add_address(address("2001:db8:0:2::3")));
    EXPECT_TRUE(limits.add_address(address("2001:db8:0:100::1")));
}

TEST(ConnectionLimits, ForgetsNetworksWithoutConnections)
{
    ConnectionLimits limits{100, 2, 1};
    ASSERT_TRUE(limits.add_address(address("192.0.2.1")));
    limits.remove_address(address("192.0.2.1"));
    limits.remove_address(address("192.0.2.1"));
    EXPECT_EQ(limits.networks(), 0U);
}

TEST(KeptOctets, HoldsNoMemoryWhenEmptied)
{
    listeners::KeptOctets kept;
    const std::vector<std::uint8_t> octets{1, 2, 3, 4};
    kept.append(octets);
    EXPECT_EQ(kept.size(), 4U);
    kept.consume(1);
    kept.append(octets);
    EXPECT_EQ(kept.view()[0], 2);
    EXPECT_EQ(kept.size(), 7U);
    kept.consume(5);
    kept.compact();
    EXPECT_EQ(kept.size(), 2U);
    EXPECT_EQ(kept.view()[0], 3);
    kept.consume(2);
    EXPECT_TRUE(kept.empty());
    EXPECT_TRUE(kept.view().empty());
}
