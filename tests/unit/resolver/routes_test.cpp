#include "resolver/loops.hpp"
#include "resolver/pins.hpp"
#include "resolver/routes.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver {
namespace {

Options options()
{
    Options made;
    for (const char* name : {"world", "corp", "lab"}) {
        GroupOptions group;
        group.name = name;
        made.groups.push_back(group);
    }
    made.routes.push_back({{"Corp.Example", "10.in-addr.arpa."}, "corp", {}});
    made.routes.push_back({{"lab.corp.example"}, "lab", {}});
    return made;
}

std::size_t group_of(const Routes& routes, std::string_view name, wire::RrType type = wire::RrType::A)
{
    return routes.find(wire::Name::from_text(name)->lower(), type)->group;
}

TEST(Routes, TheLongestMatchWins)
{
    const Routes routes{options()};
    EXPECT_EQ(group_of(routes, "www.example."), 0U);
    EXPECT_EQ(group_of(routes, "corp.example."), 1U);
    EXPECT_EQ(group_of(routes, "a.b.CORP.example."), 1U);
    EXPECT_EQ(group_of(routes, "x.lab.corp.example."), 2U);
    EXPECT_EQ(group_of(routes, "notcorp.example."), 0U);
    EXPECT_EQ(group_of(routes, "1.2.3.10.in-addr.arpa."), 1U);
    EXPECT_EQ(group_of(routes, "."), 0U);
}

TEST(Routes, DsIsTheParentsData)
{
    const Routes routes{options()};
    EXPECT_EQ(group_of(routes, "corp.example.", wire::RrType::DS), 0U);
    EXPECT_EQ(group_of(routes, "lab.corp.example.", wire::RrType::DS), 1U);
    EXPECT_EQ(group_of(routes, ".", wire::RrType::DS), 0U);
}

TEST(Routes, WithoutGroupsNobodyIsAsked) { EXPECT_FALSE(Routes{Options{}}.find(wire::Name{}, wire::RrType::A)); }

TEST(Routes, FindsGroupsByName)
{
    const Routes routes{options()};
    EXPECT_EQ(routes.find_group("lab"), 2U);
    EXPECT_FALSE(routes.find_group("nobody"));
}

TEST(Loops, AnUpstreamThatIsThisGatewayIsFound)
{
    const auto address = [](const char* text) { return *base::IpAddress::parse(text); };
    Options made = options();
    UpstreamOptions upstream;
    upstream.name = "me";
    upstream.port = 53;
    upstream.addresses = {address("192.0.2.1")};
    made.groups[1].upstreams = {upstream};
    const std::vector<base::IpAddress> local{address("192.0.2.1")};
    const auto good = [&](const char* text, std::uint16_t port, base::Transport transport) {
        const std::vector<OwnAddress> own{{{address(text), port, 0}, transport}};
        base::Problems problems;
        const bool result = check_loops(made, own, local, problems);
        EXPECT_EQ(result, problems.empty());
        return result;
    };
    EXPECT_FALSE(good("192.0.2.1", 53, base::Transport::udp));
    EXPECT_FALSE(good("0.0.0.0", 53, base::Transport::udp));
    EXPECT_TRUE(good("192.0.2.1", 53, base::Transport::tcp));
    EXPECT_TRUE(good("192.0.2.1", 5353, base::Transport::udp));
    EXPECT_TRUE(good("192.0.2.2", 53, base::Transport::udp));
    made.groups[1].upstreams[0].addresses = {address("192.0.2.9")};
    EXPECT_TRUE(good("0.0.0.0", 53, base::Transport::udp));
    made.groups[1].upstreams[0].addresses = {address("127.0.0.1")};
    EXPECT_FALSE(good("0.0.0.0", 53, base::Transport::udp));
}

TEST(Pins, AreBase64OfThirtyTwoOctets)
{
    const auto pin = parse_pin("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=");
    ASSERT_TRUE(pin);
    for (std::size_t i = 0; i < 32; ++i) EXPECT_EQ((*pin)[i], i + 1);
    EXPECT_FALSE(parse_pin(""));
    EXPECT_FALSE(parse_pin("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA"));
    EXPECT_FALSE(parse_pin("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyB=")) << "bits beyond the last octet";
    EXPECT_FALSE(parse_pin("AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e-yA="));
}

} // namespace
} // namespace sallyport::resolver
