#include "base/ip_address.hpp"

#include <gtest/gtest.h>

namespace sallyport::base {
namespace {

IpAddress address(const char* text) { return *IpAddress::parse(text); }

TEST(IpAddress, ReadsBothFamiliesAndPrintsThemBack)
{
    for (const char* text : {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1"}) {
        const auto parsed = IpAddress::parse(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(parsed->to_string(), text);
    }
}

TEST(IpAddress, RefusesWhatIsNone)
{
    for (const char* text : {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g", "[::1]", "1.2.3.4 ", "localhost",
                             "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"})
        EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpAddress, MappedAddressIsTheIpv4AddressItMeans)
{
    EXPECT_EQ(address("::ffff:192.0.2.1"), address("192.0.2.1"));
    EXPECT_TRUE(address("::ffff:127.0.0.1").is_loopback());
}

TEST(IpAddress, KnowsLocalNetworks)
{
    for (const char* text : {"127.0.0.1", "10.255.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.0.1",
                             "::1", "fe80::1", "fd00::1", "fc00::1"})
        EXPECT_TRUE(address(text).is_local_network()) << text;
    for (const char* text :
         {"11.0.0.1", "172.15.0.1", "172.32.0.1", "192.169.0.1", "8.8.8.8", "2001:db8::1", "::2", "fec0::1"})
        EXPECT_FALSE(address(text).is_local_network()) << text;
}

TEST(Prefix, ContainsItsNetworkAndNothingElse)
{
    const auto prefix = *Prefix::parse("10.20.0.0/15");
    EXPECT_TRUE(prefix.contains(address("10.20.1.1")));
    EXPECT_TRUE(prefix.contains(address("10.21.255.255")));
    EXPECT_FALSE(prefix.contains(address("10.22.0.0")));
    EXPECT_FALSE(prefix.contains(address("::1")));
    EXPECT_TRUE(Prefix::parse("::/0")->contains(address("2001:db8::1")));
    EXPECT_FALSE(Prefix::parse("::/0")->contains(address("1.2.3.4")));
    EXPECT_TRUE(Prefix::parse("0.0.0.0/0")->contains(address("255.1.2.3")));
    EXPECT_TRUE(Prefix::parse("2001:db8::/33")->contains(address("2001:db8:7fff::1")));
    EXPECT_FALSE(Prefix::parse("2001:db8::/33")->contains(address("2001:db8:8000::1")));
}

TEST(Prefix, ClearsHostBitsAndTakesPlainAddresses)
{
    EXPECT_EQ(Prefix::parse("10.1.2.3/8")->to_string(), "10.0.0.0/8");
    EXPECT_EQ(Prefix::parse("10.1.2.3")->to_string(), "10.1.2.3/32");
    EXPECT_EQ(Prefix::parse("2001:db8::1")->length(), 128U);
}

TEST(Prefix, RefusesWhatIsNone)
{
    for (const char* text : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "/8", "10/8"})
        EXPECT_FALSE(Prefix::parse(text)) << text;
}

TEST(Endpoint, ReadsAddressAndPort)
{
    EXPECT_EQ(Endpoint::parse("127.0.0.1:853")->to_string(), "127.0.0.1:853");
    EXPECT_EQ(Endpoint::parse("[::1]:853")->to_string(), "[::1]:853");
    EXPECT_EQ(Endpoint::parse("127.0.0.1", 53)->port, 53);
    EXPECT_EQ(Endpoint::parse("::1", 53)->to_string(), "[::1]:53");
    EXPECT_EQ(Endpoint::parse("[::1]", 53)->port, 53);
    EXPECT_EQ(Endpoint::parse("127.0.0.1:0")->port, 0);
}

TEST(Endpoint, RefusesWhatIsNone)
{
    for (const char* text :
         {"127.0.0.1", "[::1", "[::1]53", "127.0.0.1:", "[::1]:", "127.0.0.1:65536", "127.0.0.1:a", "gate.test:53", ""})
        EXPECT_FALSE(Endpoint::parse(text)) << text;
}

TEST(Endpoint, KernelFormRoundTrips)
{
    for (const char* text : {"192.0.2.7:53", "[2001:db8::7]:853"}) {
        const auto endpoint = *Endpoint::parse(text);
        sockaddr_storage storage{};
        EXPECT_GT(endpoint.to_sockaddr(storage), 0U);
        EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage)), endpoint);
    }
    sockaddr_storage storage{};
    const auto v4 = *Endpoint::parse("192.0.2.7:53");
    v4.to_sockaddr(storage, true);
    EXPECT_EQ(storage.ss_family, AF_INET6);
    EXPECT_EQ(Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage)), v4);
}

} // namespace
} // namespace sallyport::base
