#include "quic_fixture.hpp"

// Floods and limits: what strangers can make a QUIC port hold, send and do.

namespace sallyport::quic_testing {
namespace {

TEST_F(QuicDoors, StatelessResetsAreLimitedAndSmaller)
{
    gate.options.quic.resets_per_second = 10;
    gate.start();
    Octets packet(60, 0x41);
    for (int i = 0; i < 50; ++i) gate.deliver(packet, endpoint("127.0.0.1:9"));
    EXPECT_EQ(gate.stats().resets_sent.get(), 10U);
    EXPECT_EQ(gate.stats().resets_held_back.get(), 40U);
    EXPECT_LT(gate.nodes[0]->sender.bytes, 10U * 60U);
    gate.deliver({packet.data(), 42}, endpoint("127.0.0.1:9"));
    EXPECT_EQ(gate.stats().resets_held_back.get(), 40U); // too short to be answered at all
}

TEST_F(QuicDoors, NeverSendsMoreThanThreeTimesWhatAnUnknownAddressSent)
{
    gate.start();
    auto user = client();
    user->tick(gate.clock.now());
    std::size_t received = 0;
    for (const Octets& packet : user->outbox) {
        gate.deliver(packet, user->self);
        received += packet.size();
    }
    for (int i = 0; i < 100; ++i) {
        gate.wake();
        gate.clock.advance(100ms);
    }
    EXPECT_GT(gate.nodes[0]->sender.bytes, 0U);
    EXPECT_LE(gate.nodes[0]->sender.bytes, 3 * received);
    EXPECT_EQ(gate.quic().connections(), 0U); // five seconds were enough
    EXPECT_EQ(gate.stats().handshake_timeouts.get(), 1U);
}

TEST_F(QuicDoors, AFloodOfFirstPacketsIsMetByRetryAndBoundedMemory)
{
    gate.options.quic.handshakes_before_retry = 50;
    gate.start();
    for (int i = 0; i < 300; ++i) {
        auto user = client({}, "10." + std::to_string(i / 200) + "." + std::to_string(i % 200) + ".1:5000");
        user->tick(gate.clock.now());
        for (const Octets& packet : user->outbox) gate.deliver(packet, user->self);
        gate.wake();
    }
    EXPECT_EQ(gate.quic().connections(), 50U);
    EXPECT_EQ(gate.stats().handshaking.get(), 50U);
    EXPECT_EQ(gate.stats().retries.get(), 250U);
    EXPECT_LT(gate.stats().memory.get(), 50U * 100'000U);
    gate.clock.advance(6s);
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().handshaking.get(), 0U);
    EXPECT_EQ(gate.stats().memory.get(), 0U);
}

TEST_F(QuicDoors, FirstPacketsThatFailLeaveNothing)
{
    gate.start();
    base::SystemRandom random;
    auto user = client();
    user->tick(gate.clock.now());
    const Octets good = user->outbox.front();
    for (std::size_t i = 0; i < 400; ++i) {
        Octets bad = good;
        bad[40 + i * 2] ^= 0x55U;
        gate.deliver(bad, endpoint("127.0.0.1:7"));
        gate.wake();
    }
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().connection_ids.get(), 0U);
    EXPECT_EQ(gate.stats().memory.get(), 0U);
    EXPECT_EQ(gate.stats().call_order_breaches.get(), 0U);
    EXPECT_GT(gate.stats().first_packet_failures.get(), 300U);
}

TEST_F(QuicDoors, ConnectionsAreLimitedInAllAndPerAddress)
{
    gate.options.quic.connections = 6;
    gate.options.quic.connections_per_address = 4;
    gate.start();
    std::vector<std::unique_ptr<QuicClient>> users;
    for (int i = 0; i < 5; ++i) {
        users.push_back(client({}, "127.0.0.1:4000" + std::to_string(i)));
        gate.exchange({users.back().get()});
    }
    EXPECT_EQ(gate.stats().refused_per_address.get(), 1U);
    EXPECT_EQ(users.back()->closed, NGTCP2_CONNECTION_REFUSED);
    for (int i = 0; i < 3; ++i) {
        users.push_back(client({}, "127.0.1." + std::to_string(i) + ":40000"));
        gate.exchange({users.back().get()}, 0, 20);
    }
    EXPECT_EQ(gate.stats().refused_connections.get(), 1U);
    // One that has been silent for long makes room.
    gate.clock.advance(3s);
    users.push_back(client({}, "127.0.2.1:40000"));
    gate.exchange({users.back().get()});
    EXPECT_TRUE(users.back()->handshaken());
    EXPECT_EQ(gate.stats().evicted.get(), 1U);
    EXPECT_EQ(gate.quic().connections(), 6U);
}

TEST_F(QuicDoors, ForgedFirstPacketsLeaveRoomForTheOwnerOfTheAddress)
{
    gate.options.quic.connections_per_address = 10;
    gate.start();
    for (int i = 0; i < 50; ++i) {
        auto forged = client({}, "127.0.0.1:3" + std::to_string(1000 + i));
        forged->tick(gate.clock.now());
        for (const Octets& packet : forged->outbox) gate.deliver(packet, forged->self);
        gate.wake();
    }
    EXPECT_LT(gate.quic().connections(), 10U);
    auto user = connected();
    EXPECT_TRUE(user->got_retry);
}

TEST_F(QuicDoors, AFirstPacketWithAShortIdIsNothing)
{
    gate.start();
    Octets packet{0xC3, 0, 0, 0, 1, 4, 1, 2, 3, 4, 8, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0x36, 1, 1, 0x44, 0xB0};
    packet.resize(1'250);
    gate.deliver(packet, endpoint("127.0.0.1:7"));
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().first_packet_failures.get(), 0U);
    EXPECT_TRUE(gate.nodes[0]->sender.out.empty());
}

TEST_F(QuicDoors, ClosedConnectionsGiveTheirMemoryBackAtOnce)
{
    gate.start();
    std::size_t most = 0;
    for (int turn = 0; turn < 3; ++turn) {
        std::vector<std::unique_ptr<QuicClient>> users;
        for (int i = 0; i < 40; ++i) {
            users.push_back(client({}, "127.0.0.1:4" + std::to_string(1000 + i)));
            gate.exchange({users.back().get()}, 0, 12);
            ASSERT_TRUE(users.back()->open(framed(query("www"))));
            gate.exchange({users.back().get()}, 0, 12);
        }
        EXPECT_EQ(gate.quic().connections(), 40U);
        most = std::max<std::size_t>(most, gate.stats().memory.get());
        for (auto& user : users) gate.deliver(user->close(0), user->self);
        gate.wake();
        EXPECT_EQ(gate.quic().connections(), 0U);
        EXPECT_LT(gate.stats().memory.get(), 40U * 1'024U); // what is left of them
    }
    RecordProperty("octets_a_connection", std::to_string(most / 40));
    EXPECT_LT(most, 40U * 36'000U);
    gate.clock.advance(11s);
    gate.wake();
    EXPECT_EQ(gate.stats().memory.get(), 0U);
    EXPECT_EQ(gate.stats().connection_ids.get(), 0U);
}

TEST_F(QuicDoors, FloodsOfChallengesAndIdsAreBounded)
{
    gate.start();
    auto user = connected();
    const std::size_t before = gate.stats().memory.get();
    // A client that moves all the time: each path costs a PATH_CHALLENGE, a NEW_CONNECTION_ID and a
    // RETIRE_CONNECTION_ID on both sides.
    int moves = 0;
    for (int i = 0; i < 1'000 && user->error == 0; ++i) {
        const base::Endpoint next = endpoint("127.0.0.1:" + std::to_string(10'000 + i));
        if (user->move(next)) {
            user->self = next;
            ++moves;
        } else {
            gate.clock.advance(20ms); // it has no connection ID left: those retired go after a while
        }
        gate.exchange({user.get()}, 0, 12);
        ASSERT_LE(gate.stats().connection_ids.get(), 12U);
        ASSERT_LE(gate.stats().memory.get(), before + 64'000U);
    }
    EXPECT_GT(moves, 500);
    EXPECT_LE(gate.quic().connections(), 1U);
    EXPECT_EQ(gate.stats().call_order_breaches.get(), 0U);
}

TEST_F(QuicDoors, NewcomersAreRefusedAtTheMemoryBudget)
{
    gate.options.quic.memory = 1U << 20U;
    gate.start();
    std::vector<std::unique_ptr<QuicClient>> users;
    for (int i = 0; i < 60; ++i) {
        users.push_back(client({}, "127.0.0." + std::to_string(i + 1) + ":40000"));
        gate.exchange({users.back().get()}, 0, 12);
    }
    EXPECT_GT(gate.stats().refused_memory.get(), 0U);
    EXPECT_LE(gate.stats().memory.get(), 1U << 20U);
    EXPECT_GT(gate.quic().connections(), 10U);
}

} // namespace
} // namespace sallyport::quic_testing
