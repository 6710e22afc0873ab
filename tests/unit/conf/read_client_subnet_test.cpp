#include "reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::conf {
namespace {

using reading::read;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ReadClientSubnet, TellsNobodyByDefault)
{
    const auto& configuration = read("resolve: { mode: recurse }\n").configuration;
    EXPECT_TRUE(configuration.resolver.recurse.engine.subnet.zones.empty());
    EXPECT_TRUE(configuration.resolver.recurse.engine.subnet.servers.empty());
    EXPECT_TRUE(configuration.pipeline.client_subnet.rules.zones.empty());
    EXPECT_FALSE(configuration.pipeline.client_subnet.from_clients);
}

TEST(ReadClientSubnet, GivesEngineAndPipelineTheSameRules)
{
    const auto result = read("resolve:\n"
                             "  mode: recurse\n"
                             "  client_subnet: { zones: [CDN.Example., .], servers: 192.0.2.0/24, ipv4_bits: 20, "
                             "ipv6_bits: 48, from_clients: yes, entries: 100, size: 1MiB }\n");
    EXPECT_EQ(result.problems, "");
    const auto& rules = result.configuration.resolver.recurse.engine.subnet;
    EXPECT_THAT(rules.zones, ElementsAre(*wire::Name::from_text("cdn.example."), wire::Name{}));
    EXPECT_THAT(rules.servers, ElementsAre(*base::Prefix::parse("192.0.2.0/24")));
    EXPECT_EQ(rules.ipv4_bits, 20);
    EXPECT_EQ(rules.ipv6_bits, 48);
    EXPECT_EQ(rules.max_entries, 100U);
    EXPECT_EQ(rules.max_octets, 1U << 20U);
    const auto& told = result.configuration.pipeline.client_subnet;
    EXPECT_EQ(told.rules.zones, rules.zones);
    EXPECT_TRUE(told.from_clients);
}

TEST(ReadClientSubnet, TellsNobodyWhereUpstreamsAreAsked)
{
    const auto result = read("resolve: { upstreams: [{url: 192.0.2.1}], client_subnet: { zones: [cdn.example] } }\n");
    EXPECT_TRUE(result.configuration.pipeline.client_subnet.rules.zones.empty());
}

TEST(ReadClientSubnet, ComplainsOfWhatIsNoZoneAndNoNumberOfBits)
{
    const auto result = read("resolve:\n"
                             "  mode: recurse\n"
                             "  client_subnet: { zones: ['a..b'], ipv4_bits: 33 }\n");
    EXPECT_THAT(result.problems, HasSubstr("'a..b' is no domain name"));
    EXPECT_THAT(result.problems, HasSubstr("resolve.client_subnet.ipv4_bits"));
}

} // namespace
} // namespace sallyport::conf
