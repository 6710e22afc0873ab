#include "resolver/loops.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver {
namespace {

using base::Transport;

Options asking(Transport transport, std::string_view endpoint)
{
    const auto server = *base::Endpoint::parse(endpoint);
    UpstreamOptions upstream;
    upstream.name = "upstream";
    upstream.transport = transport;
    upstream.port = server.port;
    upstream.addresses = {*base::IpAddress::parse("192.0.2.250"), server.address};
    upstream.position.line = 7;
    Options options;
    options.groups.emplace_back().upstreams.push_back(upstream);
    return options;
}

/// Whether a door at `door` is found to be the upstream.
bool is_loop(const Options& options, Transport spoken, std::string_view door)
{
    const std::vector<OwnAddress> own{{*base::Endpoint::parse(door), spoken}};
    const std::vector<base::IpAddress> local{*base::IpAddress::parse("192.0.2.7"),
                                             *base::IpAddress::parse("2001:db8::7")};
    base::Problems problems;
    const bool good = check_loops(options, own, local, problems);
    EXPECT_EQ(good, problems.empty());
    for (const auto& problem : problems) EXPECT_EQ(problem.position.line, 7U);
    return !good;
}

TEST(Loops, OneOfOurDoorsIsNoUpstream)
{
    EXPECT_TRUE(is_loop(asking(Transport::udp, "192.0.2.7:53"), Transport::udp, "192.0.2.7:53"));
    EXPECT_TRUE(is_loop(asking(Transport::doq, "192.0.2.7:853"), Transport::udp, "192.0.2.7:853"));
    EXPECT_TRUE(is_loop(asking(Transport::doh2, "192.0.2.7:443"), Transport::tcp, "192.0.2.7:443"));
    EXPECT_FALSE(is_loop(asking(Transport::udp, "192.0.2.7:53"), Transport::udp, "192.0.2.7:5353"));
    EXPECT_FALSE(is_loop(asking(Transport::udp, "192.0.2.8:53"), Transport::udp, "192.0.2.7:53"));
    EXPECT_FALSE(is_loop(asking(Transport::dot, "192.0.2.7:853"), Transport::udp, "192.0.2.7:853"));
}

TEST(Loops, ADoorOnEveryAddressIsOnEachOfThisMachine)
{
    EXPECT_TRUE(is_loop(asking(Transport::udp, "192.0.2.7:53"), Transport::udp, "0.0.0.0:53"));
    EXPECT_TRUE(is_loop(asking(Transport::udp, "127.0.0.53:53"), Transport::udp, "0.0.0.0:53"));
    EXPECT_TRUE(is_loop(asking(Transport::udp, "[2001:db8::7]:53"), Transport::udp, "[::]:53"));
    EXPECT_FALSE(is_loop(asking(Transport::udp, "192.0.2.8:53"), Transport::udp, "0.0.0.0:53"));
}

TEST(Loops, AWildcardIsOfItsOwnFamily)
{
    EXPECT_FALSE(is_loop(asking(Transport::udp, "[2001:db8::7]:53"), Transport::udp, "0.0.0.0:53"));
    EXPECT_FALSE(is_loop(asking(Transport::udp, "[::1]:53"), Transport::udp, "0.0.0.0:53"));
}

TEST(Loops, AskingTheWildcardAddressIsAskingThisMachine)
{
    EXPECT_TRUE(is_loop(asking(Transport::udp, "0.0.0.0:53"), Transport::udp, "127.0.0.1:53"));
}

} // namespace
} // namespace sallyport::resolver
