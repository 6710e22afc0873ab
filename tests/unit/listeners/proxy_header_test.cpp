#include "listeners/proxy_header.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

using namespace sallyport;
using listeners::parse_proxy_header;
using State = listeners::ProxyHeader::State;

namespace {

std::vector<std::uint8_t> header(std::uint8_t command, std::uint8_t family, const std::vector<std::uint8_t>& body)
{
    std::vector<std::uint8_t> octets{0x0D,
                                     0x0A,
                                     0x0D,
                                     0x0A,
                                     0x00,
                                     0x0D,
                                     0x0A,
                                     0x51,
                                     0x55,
                                     0x49,
                                     0x54,
                                     0x0A,
                                     command,
                                     family,
                                     static_cast<std::uint8_t>(body.size() >> 8U),
                                     static_cast<std::uint8_t>(body.size() & 0xFFU)};
    octets.insert(octets.end(), body.begin(), body.end());
    return octets;
}

const std::vector<std::uint8_t> kV4{192, 0, 2, 1, 198, 51, 100, 7, 0x30, 0x39, 0x03, 0x55};

} // namespace

TEST(ProxyHeader, ReadsTcpOverIpv4)
{
    auto octets = header(0x21, 0x11, kV4);
    octets.push_back(0xFF); // what follows is not looked at
    const auto read = parse_proxy_header(octets);
    ASSERT_EQ(read.state, State::proxied);
    EXPECT_EQ(read.size, 28U);
    EXPECT_EQ(read.source.to_string(), "192.0.2.1:12345");
    EXPECT_EQ(read.destination.to_string(), "198.51.100.7:853");
}

TEST(ProxyHeader, ReadsTcpOverIpv6)
{
    std::vector<std::uint8_t> body(36, 0);
    body[0] = 0x20, body[1] = 0x01, body[15] = 1, body[31] = 2, body[33] = 5, body[35] = 6;
    const auto read = parse_proxy_header(header(0x21, 0x21, body));
    ASSERT_EQ(read.state, State::proxied);
    EXPECT_EQ(read.source.to_string(), "[2001::1]:5");
    EXPECT_EQ(read.destination.to_string(), "[::2]:6");
}

TEST(ProxyHeader, SkipsTlvsUpToItsLimit)
{
    std::vector<std::uint8_t> body = kV4;
    body.resize(listeners::kMaxProxyHeader - 16, 0xEE);
    EXPECT_EQ(parse_proxy_header(header(0x21, 0x11, body)).state, State::proxied);
    body.push_back(0);
    EXPECT_EQ(parse_proxy_header(header(0x21, 0x11, body)).state, State::bad);
}

TEST(ProxyHeader, RefusesTooLongByItsLengthAlone)
{
    auto octets = header(0x21, 0x11, {});
    octets[14] = 0xFF;
    EXPECT_EQ(parse_proxy_header(octets).state, State::bad);
}

TEST(ProxyHeader, TakesLocalWhateverItsFamily)
{
    const auto read = parse_proxy_header(header(0x20, 0x00, {1, 2, 3}));
    EXPECT_EQ(read.state, State::local);
    EXPECT_EQ(read.size, 19U);
}

TEST(ProxyHeader, RefusesVersionOneAndOtherBeginnings)
{
    const std::string v1 = "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\n";
    EXPECT_EQ(parse_proxy_header(base::as_bytes(v1)).state, State::bad);
    EXPECT_EQ(parse_proxy_header(std::vector<std::uint8_t>{0x0D, 0x0A, 0x0E}).state, State::bad);
}

TEST(ProxyHeader, RefusesOtherVersionsCommandsAndFamilies)
{
    for (const std::uint8_t command : std::array<std::uint8_t, 4>{0x11, 0x22, 0x2F, 0x31})
        EXPECT_EQ(parse_proxy_header(header(command, 0x11, kV4)).state, State::bad) << int{command};
    for (const std::uint8_t family : std::array<std::uint8_t, 5>{0x00, 0x10, 0x12, 0x22, 0x31})
        EXPECT_EQ(parse_proxy_header(header(0x21, family, kV4)).state, State::bad) << int{family};
}

TEST(ProxyHeader, RefusesAddressesThatDoNotFit)
{
    EXPECT_EQ(parse_proxy_header(header(0x21, 0x11, {1, 2, 3})).state, State::bad);
    EXPECT_EQ(parse_proxy_header(header(0x21, 0x21, kV4)).state, State::bad);
}

TEST(ProxyHeader, WaitsForEveryOctet)
{
    const auto octets = header(0x21, 0x11, kV4);
    for (std::size_t size = 0; size < octets.size(); ++size)
        EXPECT_EQ(parse_proxy_header(base::Bytes{octets}.first(size)).state, State::incomplete) << size;
}
