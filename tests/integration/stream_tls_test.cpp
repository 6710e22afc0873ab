#include "stream_fixture.hpp"

// TLS at the stream doors: handshakes, and how it is closed.

namespace sallyport::stream_testing {
namespace {

TEST_F(StreamDoors, TlsWithAndWithoutAlpn)
{
    add_door(DoorKind::dot);
    open();
    for (const auto& alpn : {std::vector<std::string>{}, std::vector<std::string>{"dot"}}) {
        TlsClient client{address_of(Port::Kind::tls), alpn};
        ASSERT_TRUE(until([&] { return client.connected(); }));
        // Ids 0, 1, 2 pipelined, a large answer among them.
        client.send(join(join(framed(query(0, "www.gate.test")), framed(query(1, "big.gate.test", wire::RrType::TXT))),
                         framed(query(2, "www.gate.test"))));
        EXPECT_TRUE(until([&] { return client.received().size() > 23'900; }));
        run(5ms);
        const auto& input = client.received();
        const std::size_t first = base::load_be16(base::Bytes{input}, 0) + 2U;
        const std::size_t second = base::load_be16(base::Bytes{input}, first) + 2U;
        EXPECT_EQ(input[3], 0);
        EXPECT_EQ(input[first + 3], 1);
        EXPECT_EQ(input[first + second + 3], 2);
    }
    TlsClient other{address_of(Port::Kind::tls), {"h2"}};
    EXPECT_TRUE(until([&] { return other.refused(); }));
    EXPECT_EQ(counter("tls_handshakes_total"), 2U);
    EXPECT_EQ(counter("tls_handshake_failures_total"), 1U);
}

TEST_F(StreamDoors, TlsIdleEndsWithCloseNotify)
{
    options_.streams.idle = 80ms;
    add_door(DoorKind::dot);
    open();
    TlsClient client{address_of(Port::Kind::tls)};
    ASSERT_TRUE(until([&] { return client.connected(); }));
    EXPECT_TRUE(until([&] { return client.closed_cleanly(); }));
}

TEST_F(StreamDoors, ClientsCloseNotifyIsAnsweredAfterItsQueries)
{
    add_door(DoorKind::dot);
    open();
    TlsClient client{address_of(Port::Kind::tls)};
    ASSERT_TRUE(until([&] { return client.connected(); }));
    Octets all;
    for (std::uint16_t id = 0; id < 50; ++id) all = join(std::move(all), framed(query(id, "www.gate.test")));
    client.send(all);
    SSL_shutdown(client.ssl());
    EXPECT_TRUE(until([&] { return client.closed_cleanly(); }));
    EXPECT_GE(client.received().size(), 50U * 40U);
}

TEST_F(StreamDoors, HalfOpenHandshakeIsClosedInTime)
{
    options_.streams.handshake = 100ms;
    add_door(DoorKind::dot);
    open();
    Client silent{address_of(Port::Kind::tls)};
    Client half{address_of(Port::Kind::tls)};
    const Octets hello{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03};
    std::size_t sent = 0;
    EXPECT_TRUE(until(
        [&] {
            if (sent < hello.size()) half.send({&hello[sent++], 1});
            run(8ms);
            return !silent.open() && !half.open();
        },
        1s));
    EXPECT_EQ(counter("tls_handshake_timeouts_total"), 2U);
    Client garbage{address_of(Port::Kind::tls)};
    garbage.send(framed(query(1, "www.gate.test")));
    EXPECT_TRUE(until([&] { return !garbage.open(); }));
}

} // namespace
} // namespace sallyport::stream_testing
