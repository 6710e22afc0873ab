#include "listeners/forwarded.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::listeners {
namespace {

std::vector<base::Prefix> proxies()
{
    return {base::Prefix::parse("10.0.0.0/8").value(), base::Prefix::parse("2001:db8:ff::/48").value()};
}

std::string text_of(const ForwardedClient& client)
{
    if (client.contradictory()) return "contradictory";
    return client.client() ? client.client()->address.to_string() : "none";
}

std::string from_x(std::initializer_list<const char*> lines)
{
    ForwardedClient client;
    const auto listed = proxies();
    for (const char* line : lines) client.x_forwarded_for(line, listed);
    return text_of(client);
}

std::string from_forwarded(std::initializer_list<const char*> lines)
{
    ForwardedClient client;
    const auto listed = proxies();
    for (const char* line : lines) client.forwarded(line, listed);
    return text_of(client);
}

TEST(Forwarded, TakesTheRightmostAddressThatIsNoProxy)
{
    EXPECT_EQ(from_x({"192.0.2.1"}), "192.0.2.1");
    EXPECT_EQ(from_x({"198.51.100.9, 192.0.2.1, 10.0.0.7"}), "192.0.2.1");
    EXPECT_EQ(from_x({"198.51.100.9", "192.0.2.1, 10.0.0.7", "10.1.1.1"}), "192.0.2.1");
    EXPECT_EQ(from_x({"2001:db8::1, 2001:db8:ff::9"}), "2001:db8::1");
    EXPECT_EQ(from_x({"  192.0.2.1  ,,  10.0.0.1 ,"}), "192.0.2.1");
}

TEST(Forwarded, TakesTheLeftmostWhereAllAreProxies)
{
    EXPECT_EQ(from_x({"10.0.0.1, 10.0.0.2"}), "10.0.0.1");
    EXPECT_EQ(from_x({"10.0.0.1", "10.0.0.2"}), "10.0.0.1");
}

TEST(Forwarded, DoesNotLookPastWhatIsNoAddress)
{
    EXPECT_EQ(from_x({"192.0.2.1, garbage, 10.0.0.1"}), "10.0.0.1");
    EXPECT_EQ(from_x({"192.0.2.1, unknown"}), "none");
    EXPECT_EQ(from_x({""}), "none");
}

TEST(Forwarded, ReadsPortsAndBrackets)
{
    EXPECT_EQ(parse_forwarded_node("192.0.2.1:4711")->port, 4711);
    EXPECT_EQ(parse_forwarded_node("[2001:db8::1]:80")->port, 80);
    EXPECT_EQ(parse_forwarded_node("[2001:db8::1]")->address.to_string(), "2001:db8::1");
    EXPECT_EQ(parse_forwarded_node("2001:db8::1")->address.to_string(), "2001:db8::1");
    EXPECT_EQ(parse_forwarded_node("192.0.2.1:_hidden")->port, 0);
    EXPECT_EQ(parse_forwarded_node("::ffff:192.0.2.1")->address.to_string(), "192.0.2.1");
    for (const char* text : {"", "unknown", "_hidden", "[192.0.2.1]", "192.0.2.1:", "192.0.2.1:99999", "[2001:db8::1",
                             "[2001:db8::1]x", "[]", "1.2.3", "192.0.2.1:80:80", "fe80::1%eth0"}) {
        EXPECT_FALSE(parse_forwarded_node(text)) << text;
    }
}

TEST(Forwarded, ReadsTheExamplesOfRfc7239)
{
    EXPECT_EQ(from_forwarded({"for=192.0.2.60;proto=http;by=203.0.113.43"}), "192.0.2.60");
    EXPECT_EQ(from_forwarded({"For=\"[2001:db8:cafe::17]:4711\""}), "2001:db8:cafe::17");
    EXPECT_EQ(from_forwarded({"for=192.0.2.43, for=198.51.100.17"}), "198.51.100.17");
    EXPECT_EQ(from_forwarded({"for=192.0.2.43, for=\"10.0.0.9\";by=_x , for=10.0.0.3"}), "192.0.2.43");
    EXPECT_EQ(from_forwarded({"for=\"_gazonk\""}), "none");
    EXPECT_EQ(from_forwarded({"for=unknown, for=10.0.0.1"}), "10.0.0.1");
}

TEST(Forwarded, IsNotDeceivedByQuotesOfStrangers)
{
    // A client's open quote would swallow what the proxy appends.
    EXPECT_EQ(from_forwarded({"for=\"x, for=192.0.2.1"}), "contradictory");
    EXPECT_EQ(from_forwarded({"for=\";, for=\"[2001:db8::1]\""}), "contradictory");
    EXPECT_EQ(from_forwarded({"for=\"a\\, for=192.0.2.1"}), "contradictory");
    EXPECT_EQ(from_forwarded({"nonsense"}), "contradictory");
    EXPECT_EQ(from_forwarded({"for=\"1.2.3.4, for=5.6.7.8\", for=192.0.2.1"}), "192.0.2.1");
}

TEST(Forwarded, BelievesNeitherWhereBothSayDifferentThings)
{
    const auto listed = proxies();
    ForwardedClient client;
    client.forwarded("for=192.0.2.1", listed);
    client.x_forwarded_for("192.0.2.1", listed);
    EXPECT_EQ(text_of(client), "192.0.2.1");
    client.x_forwarded_for("192.0.2.2", listed);
    EXPECT_EQ(text_of(client), "contradictory");
}

} // namespace
} // namespace sallyport::listeners
