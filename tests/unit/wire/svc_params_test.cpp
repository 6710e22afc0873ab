#include "wire/svc_params.hpp"

#include "wire/rdata.hpp"
#include "wire_test_support.hpp"

#include <gtest/gtest.h>

namespace sallyport::wire {
namespace {

using test::from_hex;
using test::Octets;

base::Result<Octets> read(const std::string& params) { return rdata_from_text(RrType::SVCB, "1 . " + params, Name{}); }

std::string printed(const std::string& params) { return rdata_to_text(RrType::SVCB, read(params).value()).substr(4); }

TEST(SvcParams, PrintsInTheOrderOfTheirKeys)
{
    EXPECT_EQ(printed("port=53 alpn=dot mandatory=port,alpn"), "mandatory=alpn,port alpn=\"dot\" port=53");
    EXPECT_EQ(printed("ipv6hint=2001:db8::1 ipv4hint=192.0.2.1,192.0.2.2"),
              "ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1");
    EXPECT_EQ(printed("key667=\"a\\010\\\"b\" ech=ZWNoIQ== ohttp no-default-alpn alpn=h3"),
              "alpn=\"h3\" no-default-alpn ech=ZWNoIQ== ohttp key667=\"a\\010\\\"b\"");
    EXPECT_EQ(printed("dohpath=/q{?dns} tls-supported-groups=29,23"),
              "dohpath=\"/q{?dns}\" tls-supported-groups=29,23");
    EXPECT_EQ(printed("key65534"), "key65534");
}

TEST(SvcParams, ReadsTheEscapesOfListsAsRfc9460Says)
{
    const Octets expected = from_hex("0001 00 0001 000c 08 665c6f6f2c626172 02 6832"); // f\oo,bar and h2
    EXPECT_EQ(read(R"(alpn="f\\\\oo\\,bar,h2")").value(), expected);
    EXPECT_EQ(read(R"(alpn=f\\\092oo\092,bar,h2)").value(), expected);
    EXPECT_EQ(printed(R"(alpn="f\\\\oo\\,bar,h2")"), R"(alpn="f\\\\oo\\,bar,h2")");
}

TEST(SvcParams, AKnownKeyMayComeByNumberAsOctets)
{
    EXPECT_EQ(read("key3=\\001\\187").value(), read("port=443").value());
    EXPECT_EQ(read("key1=\\002h2").value(), read("alpn=h2").value());
    EXPECT_FALSE(read("key1=h2"));
}

TEST(SvcParams, RefusesTextThatIsNone)
{
    const std::string long_alpn = "alpn=" + std::string(256, 'a');
    for (const std::string& bad : {std::string{"port=65536"},
                                   std::string{"port=99999"},
                                   std::string{"port"},
                                   std::string{"port=1,2"},
                                   std::string{"port=x"},
                                   std::string{"port=1 port=2"},
                                   std::string{"port=1 key3=\\000\\001"},
                                   std::string{"key123=a key123=b"},
                                   std::string{"mandatory"},
                                   std::string{"mandatory=mandatory"},
                                   std::string{"mandatory=port"},
                                   std::string{"mandatory=port,port port=1"},
                                   std::string{"alpn"},
                                   std::string{"alpn="},
                                   std::string{"alpn=h2,,h3"},
                                   std::string{"alpn=h2,"},
                                   std::string{"no-default-alpn=x alpn=h2"},
                                   std::string{"ipv4hint"},
                                   std::string{"ipv4hint=192.0.2"},
                                   std::string{"ipv6hint=192.0.2.1"},
                                   std::string{"ech=!"},
                                   std::string{"ech"},
                                   std::string{"dohpath"},
                                   std::string{"ohttp=1"},
                                   std::string{"key65535"},
                                   std::string{"key65536"},
                                   std::string{"key01"},
                                   std::string{"key"},
                                   std::string{"unknown=1"},
                                   std::string{"port=\"1"},
                                   std::string{"tls-supported-groups"},
                                   std::string{"tls-supported-groups=29,23,29"},
                                   std::string{"=1"},
                                   long_alpn}) {
        EXPECT_FALSE(read(bad)) << bad;
    }
    EXPECT_TRUE(read("alpn=" + std::string(255, 'a')));
}

TEST(SvcParams, RefusesOctetsThatAreNone)
{
    EXPECT_TRUE(check_svc_params({}));
    EXPECT_TRUE(check_svc_params(from_hex("0000 0002 0003 0003 0002 01bb")));
    EXPECT_EQ(check_svc_params(from_hex("0003 0002 01")).error(), ParseError::truncated);
    EXPECT_EQ(check_svc_params(from_hex("0003 00")).error(), ParseError::truncated);
    for (const char* bad : {
             "0003 0001 01",                       // a port of one octet
             "0003 0002 01bb 0003 0002 01bb",      // a key twice
             "0003 0002 01bb 0001 0003 026832",    // not in order
             "0000 0002 0003",                     // mandatory and not there
             "0000 0000",                          // an empty list of mandatory keys
             "0000 0002 0000",                     // itself
             "0000 0004 0004 0003 0003 0002 01bb", // the list not in order
             "0001 0000",
             "0001 0001 00",
             "0001 0002 0568",
             "0002 0001 00",
             "0004 0003 c00002",
             "0004 0000",
             "0006 0004 c0000201",
             "ffff 0000",
         }) {
        EXPECT_EQ(check_svc_params(from_hex(bad)).error(), ParseError::bad_rdata) << bad;
    }
}

} // namespace
} // namespace sallyport::wire
