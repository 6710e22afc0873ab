#include "wire/edns.hpp"

#include "wire_test_support.hpp"

#include <gtest/gtest.h>

namespace sallyport::wire {
namespace {

using test::from_hex;
using test::Octets;
using test::Raw;

Octets option(EdnsOptionCode code, const Octets& data)
{
    return Raw{}.u16(static_cast<unsigned>(code)).u16(static_cast<unsigned>(data.size())).put(data).octets;
}

Octets joined(std::initializer_list<Octets> parts)
{
    Octets out;
    for (const Octets& part : parts) std::copy(part.begin(), part.end(), std::back_inserter(out));
    return out;
}

ParseError error_of(const Octets& rdata) { return read_edns(rdata, 1232, 0).error(); }

TEST(Edns, ReadsTheFixedFields)
{
    const auto edns = read_edns({}, 4096, 0x0102'8000).value();
    EXPECT_EQ(edns.udp_payload_size, 4096);
    EXPECT_EQ(edns.extended_rcode, 1);
    EXPECT_EQ(edns.version, 2);
    EXPECT_TRUE(edns.dnssec_ok);
    EXPECT_FALSE(edns.cookie || edns.padding || edns.client_subnet || edns.nsid || edns.tcp_keepalive);
    EXPECT_FALSE(read_edns({}, 4096, 0x7FFF).value().dnssec_ok);
}

TEST(Edns, APayloadSizeBelow512CountsAs512)
{
    EXPECT_EQ(read_edns({}, 0, 0).value().udp_payload_size, 512);
    EXPECT_EQ(read_edns({}, 511, 0).value().udp_payload_size, 512);
}

TEST(Edns, ReadsEveryOptionItKnows)
{
    const Octets rdata = joined({option(EdnsOptionCode::NSID, {}), option(EdnsOptionCode::COOKIE, Octets(8, 'c')),
                                 option(EdnsOptionCode::CLIENT_SUBNET, from_hex("0001 18 00 c00002")),
                                 option(EdnsOptionCode::TCP_KEEPALIVE, {}), option(EdnsOptionCode::PADDING, Octets(5)),
                                 option(static_cast<EdnsOptionCode>(65001), {1})});
    const auto edns = read_edns(rdata, 1232, 0).value();
    EXPECT_TRUE(edns.nsid && edns.tcp_keepalive);
    EXPECT_EQ(edns.cookie.value().size(), 8U);
    EXPECT_EQ(edns.padding.value().size(), 5U);
    EXPECT_EQ(edns.client_subnet.value().size(), 7U);
    EXPECT_EQ(edns.options.size(), rdata.size());
}

TEST(Edns, TheFirstOptionOfAKindCounts)
{
    const Octets rdata = joined({option(EdnsOptionCode::COOKIE, Octets(8, 'a')), option(EdnsOptionCode::COOKIE, {1}),
                                 option(EdnsOptionCode::PADDING, {}), option(EdnsOptionCode::PADDING, {1, 2})});
    const auto edns = read_edns(rdata, 1232, 0).value();
    EXPECT_EQ((*edns.cookie)[0], 'a');
    EXPECT_TRUE(edns.padding->empty());
}

TEST(Edns, CookiesHaveTheSizesOfRfc7873)
{
    for (std::size_t size = 0; size <= 48; ++size) {
        const bool good = size == 8 || (size >= 16 && size <= 40);
        const auto edns = read_edns(option(EdnsOptionCode::COOKIE, Octets(size)), 1232, 0);
        EXPECT_EQ(edns.has_value(), good) << size;
        if (!good) {
            EXPECT_EQ(edns.error(), ParseError::bad_option);
        }
    }
}

TEST(Edns, KeepaliveHoldsNothingOrATimeout)
{
    EXPECT_TRUE(read_edns(option(EdnsOptionCode::TCP_KEEPALIVE, {0, 100}), 1232, 0).has_value());
    EXPECT_EQ(error_of(option(EdnsOptionCode::TCP_KEEPALIVE, {0})), ParseError::bad_option);
    EXPECT_EQ(error_of(option(EdnsOptionCode::TCP_KEEPALIVE, {0, 1, 2})), ParseError::bad_option);
}

TEST(Edns, OptionsPastTheEndAreRefused)
{
    EXPECT_EQ(error_of(from_hex("00")), ParseError::bad_option);
    EXPECT_EQ(error_of(from_hex("000c00")), ParseError::bad_option);
    EXPECT_EQ(error_of(from_hex("000c0001")), ParseError::bad_option);
    EXPECT_EQ(error_of(from_hex("000cffff00")), ParseError::bad_option);
}

TEST(Edns, AHundredOptionsAreTheMost)
{
    Raw rdata;
    for (unsigned i = 0; i < kMaxEdnsOptions; ++i) rdata.u16(12).u16(0);
    EXPECT_TRUE(read_edns(rdata.octets, 1232, 0).has_value());
    EXPECT_EQ(error_of(rdata.u16(12).u16(0).octets), ParseError::bad_option);
}

TEST(Edns, ReadsClientSubnets)
{
    const Octets v4 = from_hex("0001 16 00 c0a804");
    const auto subnet = read_client_subnet(v4).value();
    EXPECT_EQ(subnet.family, 1);
    EXPECT_EQ(subnet.source_prefix, 22);
    EXPECT_EQ(subnet.scope_prefix, 0);
    EXPECT_EQ(subnet.address.size(), 3U);
    EXPECT_TRUE(read_client_subnet(from_hex("0001 00 00")).has_value());
    EXPECT_TRUE(read_client_subnet(from_hex("0002 38 00 20010db8000000")).has_value());
}

TEST(Edns, RefusesClientSubnetsThatAreNone)
{
    for (const char* bad : {"", "000118", "0003 00 00", "0001 21 00 c000020100", "0001 18 21 c00002", "0001 18 00 c000",
                            "0001 18 00 c0000200", "0001 16 00 c0a805", "0002 81 00"}) {
        EXPECT_EQ(read_client_subnet(from_hex(bad)).error(), ParseError::bad_option) << bad;
    }
}

} // namespace
} // namespace sallyport::wire
