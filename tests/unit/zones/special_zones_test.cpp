#include "served.hpp"
#include "zones/special_zones.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::zones {
namespace {

using test::Served;
using testing::HasSubstr;
using testing::StartsWith;

class LocalOnly : public testing::Test {
protected:
    LocalOnly()
    {
        served.local_only = served.options.local_only.enabled = true;
        served.options.local_only.recursing = true;
    }
    [[nodiscard]] bool is_ours(const std::string& question) { return !served.ask(question).ends_with("not ours\n"); }

    Served served;
};

std::string soa_line(const std::string& apex)
{
    return apex + " 10800 SOA " + apex + " nobody.invalid. 1 3600 1200 604800 10800";
}

/// RFC 6303 §4.1 to §4.6, RFC 7793 §2.2, and the special uses of RFC 6761, 6762, 7686, 8375 and 9476.
std::vector<std::string> empty_names()
{
    std::vector<std::string> names{"invalid.",
                                   "test.",
                                   "local.",
                                   "onion.",
                                   "alt.",
                                   "home.arpa.",
                                   "10.in-addr.arpa.",
                                   "168.192.in-addr.arpa.",
                                   "0.in-addr.arpa.",
                                   "127.in-addr.arpa.",
                                   "254.169.in-addr.arpa.",
                                   "2.0.192.in-addr.arpa.",
                                   "100.51.198.in-addr.arpa.",
                                   "113.0.203.in-addr.arpa.",
                                   "255.255.255.255.in-addr.arpa.",
                                   "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
                                   "d.f.ip6.arpa.",
                                   "8.e.f.ip6.arpa.",
                                   "9.e.f.ip6.arpa.",
                                   "a.e.f.ip6.arpa.",
                                   "b.e.f.ip6.arpa.",
                                   "8.b.d.0.1.0.0.2.ip6.arpa."};
    for (int octet = 16; octet < 32; ++octet) names.push_back(std::to_string(octet) + ".172.in-addr.arpa.");
    for (int octet = 64; octet < 128; ++octet) names.push_back(std::to_string(octet) + ".100.in-addr.arpa.");
    return names;
}

TEST_F(LocalOnly, HaveApexRecordsAndNothingElse)
{
    for (const std::string& apex : empty_names()) {
        EXPECT_EQ(served.ask(apex + " SOA"), "NOERROR AA\nAN " + soa_line(apex) + "\n");
        EXPECT_EQ(served.ask(apex + " NS"), "NOERROR AA\nAN " + apex + " 10800 NS " + apex + "\n");
        EXPECT_EQ(served.ask(apex + " A"), "NOERROR AA\nAU " + soa_line(apex) + "\n");
        EXPECT_EQ(served.ask("x.y." + apex + " PTR"), "NXDOMAIN AA\nAU " + soa_line(apex) + "\n");
    }
}

TEST_F(LocalOnly, LeaveTheirNeighboursAlone)
{
    for (const char* name :
         {"example.", "tests.", "www.example.org.", "arpa.", "in-addr.arpa.", "11.in-addr.arpa.",
          "15.172.in-addr.arpa.", "32.172.in-addr.arpa.", "169.192.in-addr.arpa.", "63.100.in-addr.arpa.",
          "128.100.in-addr.arpa.", "255.255.255.in-addr.arpa.", "c.e.f.ip6.arpa.", "c.f.ip6.arpa.",
          "9.b.d.0.1.0.0.2.ip6.arpa.", "resolver.arpa.", "_dns.resolver.arpa.", "service.arpa.", "."})
        EXPECT_FALSE(is_ours(std::string{name} + " PTR")) << name;
}

TEST_F(LocalOnly, LocalhostIsThisMachineAtEveryName)
{
    for (const char* name : {"localhost.", "a.localhost.", "a.b.localhost."}) {
        const std::string owner = name;
        EXPECT_EQ(served.ask(owner + " A"), "NOERROR AA\nAN " + owner + " 10800 A 127.0.0.1\n");
        EXPECT_EQ(served.ask(owner + " AAAA"), "NOERROR AA\nAN " + owner + " 10800 AAAA ::1\n");
        EXPECT_EQ(served.ask(owner + " MX"), "NOERROR AA\nAU " + soa_line("localhost.") + "\n");
    }
    EXPECT_THAT(served.ask("1.0.0.127.in-addr.arpa. PTR"), HasSubstr("PTR localhost."));
    EXPECT_THAT(served.ask("2.0.0.127.in-addr.arpa. PTR"), StartsWith("NXDOMAIN AA"));
    EXPECT_THAT(served.ask("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa. PTR"),
                HasSubstr("PTR localhost."));
}

TEST_F(LocalOnly, DsIsTheParentsToSayWhereItDelegates)
{
    for (const char* name : {"home.arpa.", "10.in-addr.arpa.", "20.172.in-addr.arpa.", "ipv4only.arpa."})
        EXPECT_FALSE(is_ours(std::string{name} + " DS")) << name;
    // RFC 7686 §2: questions about onion names go nowhere.
    for (const char* name : {"onion.", "localhost.", "test.", "d.f.ip6.arpa."})
        EXPECT_TRUE(is_ours(std::string{name} + " DS")) << name;
    EXPECT_TRUE(is_ours("below.home.arpa. DS"));
}

TEST_F(LocalOnly, GiveWayToZonesOfTheOperatorAtAboveAndBelowThem)
{
    served.zone("corp.home.arpa", test::apex_records());
    served.zone("172.in-addr.arpa", test::apex_records());
    served.zone("test", test::apex_records());
    EXPECT_FALSE(is_ours("printer.home.arpa. A"));
    EXPECT_THAT(served.ask("x.corp.home.arpa. A"), StartsWith("NXDOMAIN AA"));
    EXPECT_THAT(served.ask("1.16.172.in-addr.arpa. PTR"), HasSubstr("AU 172.in-addr.arpa."));
    EXPECT_THAT(served.ask("www.test. A"), testing::Not(HasSubstr("nobody.invalid")));
    EXPECT_TRUE(is_ours("1.10.in-addr.arpa. PTR"));
}

TEST_F(LocalOnly, GiveWayToWhoIsToldToAnswer)
{
    served.options.local_only.elsewhere = {"20.10.in-addr.arpa", "LOCAL.", "ip6.arpa", "."};
    EXPECT_FALSE(is_ours("1.10.in-addr.arpa. PTR"));
    EXPECT_FALSE(is_ours("1.20.10.in-addr.arpa. PTR"));
    EXPECT_FALSE(is_ours("printer.local. A"));
    EXPECT_FALSE(is_ours("1.d.f.ip6.arpa. PTR"));
    EXPECT_TRUE(is_ours("www.test. A"));
    EXPECT_TRUE(is_ours("1.1.168.192.in-addr.arpa. PTR"));
}

TEST_F(LocalOnly, GiveWayWhereTheyAreLeftOut)
{
    served.options.local_only.leave_out = {"Test", "in-addr.arpa."};
    EXPECT_FALSE(is_ours("www.test. A"));
    EXPECT_FALSE(is_ours("1.10.in-addr.arpa. PTR"));
    EXPECT_TRUE(is_ours("1.d.f.ip6.arpa. PTR"));
    EXPECT_TRUE(served.problems.empty());
}

TEST_F(LocalOnly, TellsOfNamesToLeaveOutThatThereAreNot)
{
    SnapshotBuilder builder;
    served.options.local_only.leave_out = {"home.arpa", "example.org", "x.test", "a..b"};
    base::Problems problems;
    add_special_zones(builder, served.options, {}, problems);
    ASSERT_EQ(problems.size(), 3U);
    EXPECT_THAT(problems[0].message, StartsWith("'example.org' is at or above no local-only zone"));
}

TEST_F(LocalOnly, AreNotThereWhereTheyAreOff)
{
    served.options.local_only.enabled = false;
    EXPECT_FALSE(is_ours("localhost. A"));
    EXPECT_FALSE(is_ours("1.10.in-addr.arpa. PTR"));
}

TEST_F(LocalOnly, Ipv4OnlyIsAnsweredByWhoRecursesAndDoesNotTranslate)
{
    EXPECT_EQ(served.ask("ipv4only.arpa. A"), "NOERROR AA\nAN ipv4only.arpa. 10800 A 192.0.0.170\n"
                                              "AN ipv4only.arpa. 10800 A 192.0.0.171\n");
    EXPECT_THAT(served.ask("ipv4only.arpa. AAAA"), StartsWith("NOERROR AA\nAU"));
    Served translating;
    translating.local_only = translating.options.local_only.enabled = true;
    translating.options.local_only.recursing = translating.options.local_only.translates = true;
    EXPECT_THAT(translating.ask("ipv4only.arpa. AAAA"), testing::EndsWith("not ours\n"));
    Served forwarding;
    forwarding.local_only = forwarding.options.local_only.enabled = true;
    EXPECT_THAT(forwarding.ask("ipv4only.arpa. AAAA"), testing::EndsWith("not ours\n"));
}

TEST_F(LocalOnly, DoNotCountAsTheOperatorsZones)
{
    served.zone("a.example", test::apex_records());
    EXPECT_EQ(served.snapshot()->zone_count(), 1U);
    EXPECT_EQ(served.snapshot()->record_count(), 2U);
}

} // namespace
} // namespace sallyport::zones
