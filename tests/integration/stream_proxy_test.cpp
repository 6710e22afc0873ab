#include "stream_fixture.hpp"

// Clients behind a proxy: whose word about their addresses is believed.

namespace sallyport::stream_testing {
namespace {

Octets proxy_header(const std::vector<std::uint8_t>& source)
{
    Octets octets{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12};
    octets.insert(octets.end(), source.begin(), source.end());
    const Octets rest{127, 0, 0, 1, 0x10, 0x00, 0x03, 0x55};
    octets.insert(octets.end(), rest.begin(), rest.end());
    return octets;
}

TEST_F(StreamDoors, ForwardedAddressIsNotBelievedFromAProxysClient)
{
    const auto proxy = base::Prefix::parse("127.0.0.0/8").value();
    auto& door = add_door(DoorKind::doh);
    door.doh.cleartext = true;
    door.doh.forwarded_from = {proxy};
    door.proxy_protocol_from = {proxy};
    open();
    // The proxy passes the stream on as it is: what stands in it was written by 10.9.9.9.
    Client client{address_of(Port::Kind::http_cleartext)};
    const std::string text = "GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwRnYXRlBHRlc3QAAAEAAQ HTTP/1.1\r\nHost: g\r\n"
                             "X-Forwarded-For: 10.1.1.1\r\n\r\n";
    client.send(join(proxy_header({10, 9, 9, 9}), Octets(text.begin(), text.end())));
    EXPECT_TRUE(until([&] { return counter("http_answers_total") == 1; }));
    EXPECT_EQ(counter("http_forwarded_believed_total"), 0U);
    EXPECT_EQ(counter("http_forwarded_ignored_total"), 1U);
}

TEST_F(StreamDoors, ProxyHeaderGivesTheClientsAddress)
{
    add_door(DoorKind::do53).proxy_protocol_from = {base::Prefix::parse("127.0.0.0/8").value()};
    pipeline_options_.access.deny = {base::Prefix::parse("10.9.9.9/32").value()};
    open();
    Client allowed{address_of(Port::Kind::tcp)};
    Client denied{address_of(Port::Kind::tcp)};
    const auto header = proxy_header({10, 1, 1, 1});
    allowed.send(base::Bytes{header}.first(10));
    run(5ms);
    allowed.send(base::Bytes{header}.subspan(10));
    allowed.send(framed(query(1, "www.gate.test")));
    denied.send(join(proxy_header({10, 9, 9, 9}), framed(query(2, "www.gate.test"))));
    ASSERT_TRUE(until([&] { return allowed.messages().size() == 1 && denied.messages().size() == 1; }));
    EXPECT_EQ(rcode_of(allowed.messages()[0]), 0U);
    EXPECT_EQ(rcode_of(denied.messages()[0]), 5U);
    EXPECT_EQ(counter("proxy_headers_total"), 2U);
}

TEST_F(StreamDoors, ListedProxyWithoutAGoodHeaderIsClosed)
{
    options_.streams.message = 100ms;
    add_door(DoorKind::do53).proxy_protocol_from = {base::Prefix::parse("127.0.0.0/8").value()};
    open();
    auto too_long = proxy_header({10, 1, 1, 1});
    too_long[14] = 0x02;
    const std::string v1 = "PROXY TCP4 10.1.1.1 127.0.0.1 1 2\r\n";
    for (const auto& bad : {framed(query(1, "www.gate.test")), Octets(v1.begin(), v1.end()), too_long, Octets{0x0D}}) {
        Client client{address_of(Port::Kind::tcp)};
        client.send(bad);
        EXPECT_TRUE(until([&] { return !client.open(); }));
        EXPECT_TRUE(client.messages().empty());
    }
    EXPECT_EQ(counter("proxy_refused_total"), 4U);
}

TEST_F(StreamDoors, UnlistedPeerNeedsNoProxyHeader)
{
    add_door(DoorKind::do53).proxy_protocol_from = {base::Prefix::parse("192.0.2.0/24").value()};
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(framed(query(1, "www.gate.test")));
    EXPECT_TRUE(until([&] { return client.messages().size() == 1; }));
}

} // namespace
} // namespace sallyport::stream_testing
