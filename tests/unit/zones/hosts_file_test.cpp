#include "zones/hosts_file.hpp"

#include "served.hpp"

#include <gtest/gtest.h>

namespace sallyport::zones {
namespace {

struct Read {
    std::string problems;
    ReverseNames reverse;
    std::unique_ptr<Zone> zone;

    [[nodiscard]] std::string addresses(std::string_view name) const
    {
        const Node* node = zone->find(wire::Name::from_text(name).value().wire());
        if (node == nullptr) return "none";
        std::string out;
        for (const RrSet& set : zone->sets(*node)) {
            for (const auto rdata : zone->rdata(set)) out += base::IpAddress::from_octets(rdata).to_string() + " ";
        }
        return out;
    }
};

Read read(std::string_view text, const Limits& limits = {})
{
    Read out;
    base::Problems problems;
    ZoneBuilder builder{wire::Name::from_text("home.arpa").value(), limits, problems};
    TextInput input{text, 1, 1};
    HostsFileReader{builder, limits, out.reverse}.read(input, "hosts");
    builder.make_missing_apex_records({});
    out.zone = builder.finish({});
    for (const auto& problem : problems) out.problems += problem.to_string() + "\n";
    return out;
}

TEST(HostsFile, ReadsLines)
{
    const auto hosts = read("# comment\r\n"
                            "192.0.2.1  router gateway # the box\r\n"
                            "\t2001:db8::1\tRouter.Home.Arpa.   \n"
                            "\n"
                            "192.0.2.2 nas.home.arpa files\n"
                            "192.0.2.1 again\n"
                            "192.0.2.3 router");
    EXPECT_EQ(hosts.problems, "");
    EXPECT_EQ(hosts.addresses("router.home.arpa"), "192.0.2.1 192.0.2.3 2001:db8::1 ");
    EXPECT_EQ(hosts.addresses("gateway.home.arpa"), "192.0.2.1 ");
    EXPECT_EQ(hosts.addresses("files.home.arpa"), "192.0.2.2 ");
    EXPECT_EQ(hosts.addresses("comment.home.arpa"), "none");
    // The first name of the first line with the address.
    ASSERT_EQ(hosts.reverse.size(), 4U);
    EXPECT_EQ(hosts.reverse.at("1.2.0.192.in-addr.arpa.").to_text(), "router.home.arpa.");
    EXPECT_EQ(hosts.reverse.at("2.2.0.192.in-addr.arpa.").to_text(), "nas.home.arpa.");
}

TEST(HostsFile, MakesReverseNames)
{
    EXPECT_EQ(reverse_name(base::IpAddress::parse("192.0.2.10").value()).to_text(), "10.2.0.192.in-addr.arpa.");
    EXPECT_EQ(reverse_name(base::IpAddress::parse("2001:db8::567:89ab").value()).to_text(),
              "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.");
}

TEST(HostsFile, RefusesWhatItCannotServe)
{
    EXPECT_EQ(read("router 192.0.2.1\n").problems,
              "hosts:1:1: 'router' is no address, expected ADDRESS NAME [ALIAS...]\n");
    EXPECT_EQ(read("\n  192.0.2.1\n").problems, "hosts:2:3: the line ends after the address, expected a name\n");
    EXPECT_EQ(read("192.0.2.1 a www.example.com b\n").problems,
              "hosts:1:13: 'www.example.com' is outside the zone, expected a name without a dot or one below "
              "home.arpa.\n");
    for (const auto* bad : {"a..b", ".", "a\\b", "a\"b",
                            "b\xC3\xBC"
                            "cher",
                            "*"}) {
        EXPECT_NE(read(std::string{"192.0.2.1 "} + bad + "\n").problems.find("is no host name"), std::string::npos)
            << bad;
    }
    EXPECT_NE(read(std::string{"192.0.2.1 a\0b\n", 14}).problems.find("hosts:1:12: octet 0 in a hosts file"),
              std::string::npos);
    EXPECT_EQ(read("fe80::1%eth0 a\n192.0.2.300 b\n").problems,
              "hosts:1:1: 'fe80::1%eth0' is no address, expected ADDRESS NAME [ALIAS...]\n"
              "hosts:2:1: '192.0.2.300' is no address, expected ADDRESS NAME [ALIAS...]\n");
}

TEST(HostsFile, HasLimits)
{
    Limits limits;
    limits.entry_octets = 20;
    EXPECT_EQ(read("192.0.2.1 " + std::string(30, 'x') + "\n192.0.2.2 b\n", limits).problems,
              "hosts:1:21: line is longer than 20 octets\n");
    limits = {};
    limits.records = 2;
    EXPECT_NE(read("192.0.2.1 a b c d\n", limits).problems.find("expected at most 2 records"), std::string::npos);
    limits = {};
    limits.problems = 2;
    EXPECT_NE(read("x y\nx y\nx y\n", limits).problems.find("2 problems in zone home.arpa."), std::string::npos);
}

} // namespace
} // namespace sallyport::zones
