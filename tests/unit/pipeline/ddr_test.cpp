#include "asking.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

namespace sallyport::pipeline::testing {
namespace {

using wire::Rcode;
using wire::RrType;

Options with_doors()
{
    Options options;
    options.ddr.target = "gate.test";
    options.ddr.names = {"gate.test", "other.test"};
    options.ddr.designations = {
        {{"h2", "h3"},
         443,
         "/dns-query{?dns}",
         {*base::IpAddress::parse("192.0.2.1"), *base::IpAddress::parse("2001:db8::1")},
         false},
        {{"dot"}, 853, "", {*base::IpAddress::parse("192.0.2.1")}},
    };
    return options;
}

TEST(Designation, TellsOfEveryDoorWithItsPortAndPath)
{
    for (const char* name : {"_dns.resolver.arpa.", "_dns.gate.test.", "_DNS.Other.test."}) {
        Gate gate{with_doors()};
        (void)gate.ask(query_for(name, {.qtype = RrType::SVCB}));
        const auto answer = gate.door.answer();
        EXPECT_EQ(answer.rcode(), Rcode::NOERROR);
        ASSERT_EQ(answer.answers().size(), 2U) << name;
        auto record = answer.answers().begin();
        EXPECT_EQ(wire::rdata_to_text(RrType::SVCB, record->rdata),
                  "1 gate.test. alpn=\"h2,h3\" port=443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1 "
                  "dohpath=\"/dns-query{?dns}\"");
        ++record;
        EXPECT_EQ(wire::rdata_to_text(RrType::SVCB, record->rdata),
                  "2 gate.test. alpn=\"dot\" port=853 ipv4hint=192.0.2.1");
        EXPECT_EQ(answer.additionals().size(), 2U) << "one A, one AAAA";
        EXPECT_TRUE(answer.header().has(wire::flag::AA));
    }
}

TEST(Designation, ResolverArpaNeverLeavesTheGateway)
{
    Gate gate{with_doors()};
    (void)gate.ask(query_for("_dns.resolver.arpa.", {.qtype = RrType::A}));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    EXPECT_EQ(gate.door.answer().authorities().size(), 1U);
    (void)gate.ask(query_for("resolver.arpa.", {.qtype = RrType::A}));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    (void)gate.ask(query_for("something.else.resolver.arpa.", {.qtype = RrType::A}));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NXDOMAIN);
    EXPECT_EQ((*gate.door.answer().authorities().begin()).owner.to_name().to_text(), "resolver.arpa.");
}

TEST(Designation, WithoutDoorsTheAnswerIsEmptyNotAbsent)
{
    Gate gate;
    (void)gate.ask(query_for("_dns.resolver.arpa.", {.qtype = RrType::SVCB}));
    EXPECT_EQ(gate.door.answer().rcode(), Rcode::NOERROR);
    EXPECT_EQ(gate.door.answer().answers().size(), 0U);
    EXPECT_EQ(gate.door.answer().authorities().size(), 1U);
    Options off = with_doors();
    off.ddr.enabled = false;
    Gate silent{off};
    (void)silent.ask(query_for("_dns.resolver.arpa.", {.qtype = RrType::SVCB}));
    EXPECT_EQ(silent.door.answer().answers().size(), 0U);
    (void)silent.ask(query_for("_dns.gate.test.", {.qtype = RrType::SVCB}));
    EXPECT_EQ(silent.door.answer().rcode(), Rcode::REFUSED);
}

TEST(Designation, ADoorOnEveryAddressIsGivenTheOneThatWasAsked)
{
    Options options;
    options.ddr.target = "gate.test";
    options.ddr.designations = {{{"dot"}, 853, "", {}, true}};
    Gate gate{options};
    (void)gate.ask(query_for("_dns.resolver.arpa.", {.qtype = RrType::SVCB}));
    ASSERT_EQ(gate.door.answer().additionals().size(), 1U);
    EXPECT_EQ(wire::rdata_to_text(RrType::A, (*gate.door.answer().additionals().begin()).rdata), "192.168.1.1");
}

TEST(Designation, FitsIntoPlainUdpOrSaysSo)
{
    Options options = with_doors();
    for (std::uint16_t port = 1000; port < 1020; ++port)
        options.ddr.designations.push_back({{"dot"}, port, "", {}, false});
    Gate gate{options};
    (void)gate.ask(query_for("_dns.resolver.arpa.", {.qtype = RrType::SVCB}));
    EXPECT_LE(gate.door.message.size(), 512U);
    EXPECT_TRUE(gate.door.answer().header().has(wire::flag::TC));
}

} // namespace
} // namespace sallyport::pipeline::testing
