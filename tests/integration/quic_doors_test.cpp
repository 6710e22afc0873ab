#include "quic_fixture.hpp"

// Connections of a QUIC port: versions, tokens, resumption, addresses, workers, and how they end.

namespace sallyport::quic_testing {
namespace {

TEST_F(QuicDoors, NegotiatesTheVersionForWholeInitialsOnly)
{
    gate.start();
    Octets packet(1200, 0);
    const Octets head{0xC0, 0x1A, 0x2A, 0x3A, 0x4A, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9};
    std::copy(head.begin(), head.end(), packet.begin());
    gate.deliver({packet.data(), 1199}, endpoint("127.0.0.1:1"));
    EXPECT_TRUE(gate.nodes[0]->sender.out.empty());
    gate.deliver(packet, endpoint("127.0.0.1:1"));
    ASSERT_EQ(gate.nodes[0]->sender.out.size(), 1U);
    const Octets& answer = gate.nodes[0]->sender.out[0].data;
    EXPECT_EQ(base::load_be32(answer, 1), 0U);
    EXPECT_EQ(answer[5], 4U);  // our DCID is the client's SCID
    EXPECT_EQ(answer[10], 8U); // and the other way round
    EXPECT_EQ(gate.stats().version_negotiations.get(), 1U);
    EXPECT_EQ(gate.quic().connections(), 0U);
}

TEST_F(QuicDoors, AnEmptyDatagramIsNothing)
{
    gate.start();
    gate.deliver({}, endpoint("127.0.0.1:1"));
    EXPECT_EQ(gate.stats().unreadable.get(), 1U);
    EXPECT_TRUE(gate.nodes[0]->sender.out.empty());
}

TEST_F(QuicDoors, SpeaksVersionTwo)
{
    gate.start();
    auto user = connected({.version = NGTCP2_PROTO_VER_V2});
    ASSERT_TRUE(user->open(framed(query("www"))));
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().doq_replies.get(), 1U);
}

TEST_F(QuicDoors, RetryProvesTheAddressAndATokenSavesIt)
{
    gate.options.quic.always_retry = true;
    gate.start();
    auto first = connected();
    EXPECT_TRUE(first->got_retry);
    EXPECT_EQ(gate.stats().retries.get(), 1U);
    ASSERT_FALSE(first->token.empty());

    auto second = connected({.token = first->token}, "127.0.0.1:40001");
    EXPECT_FALSE(second->got_retry);
    auto other = connected({.token = first->token}, "127.0.0.2:40001");
    EXPECT_TRUE(other->got_retry);
    EXPECT_EQ(gate.stats().tokens_invalid.get(), 1U);
    EXPECT_EQ(gate.stats().retries.get(), 2U);
}

TEST_F(QuicDoors, ALateRetryTokenIsRefused)
{
    gate.options.quic.always_retry = true;
    gate.start();
    auto user = client();
    user->tick(gate.clock.now());
    gate.deliver(user->outbox.front(), user->self);
    ASSERT_EQ(gate.nodes[0]->sender.out.size(), 1U);
    user->receive(gate.nodes[0]->sender.out[0].data, gate.clock.now());
    gate.nodes[0]->sender.out.clear();
    user->outbox.clear();
    user->write(gate.clock.now());
    gate.clock.advance(11s);
    gate.wake();
    for (const Octets& packet : user->outbox) gate.deliver(packet, user->self);
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().tokens_invalid.get(), 1U);
    ASSERT_FALSE(gate.nodes[0]->sender.out.empty());
    user->receive(gate.nodes[0]->sender.out[0].data, gate.clock.now());
    EXPECT_EQ(user->closed, NGTCP2_INVALID_TOKEN);
}

TEST_F(QuicDoors, ResumesASession)
{
    gate.start();
    auto first = connected();
    const Octets session = first->session_data();
    ASSERT_FALSE(session.empty());
    auto second = connected({.session = session}, "127.0.0.1:40001");
    EXPECT_TRUE(second->resumed());
    EXPECT_EQ(gate.stats().resumed.get(), 1U);
}

TEST_F(QuicDoors, EarlyDataIsRefusedByDefault)
{
    gate.start();
    auto first = connected();
    auto second =
        client({.session = first->session_data(), .early_parameters = first->early_parameters()}, "127.0.0.1:40001");
    gate.exchange({second.get()});
    EXPECT_TRUE(second->handshaken());
    EXPECT_EQ(gate.stats().early_data.get(), 0U);
}

TEST_F(QuicDoors, EarlyDataIsAnsweredWhereConfigured)
{
    gate.doq.early_data = true;
    gate.start();
    auto first = connected();
    const Octets session = first->session_data();
    const Octets parameters = first->early_parameters();
    ASSERT_FALSE(session.empty());
    ASSERT_FALSE(parameters.empty());
    auto second = client({.session = session, .early_parameters = parameters}, "127.0.0.1:40001");
    const auto id = second->open(framed(query("www")));
    ASSERT_TRUE(id);
    gate.exchange({second.get()});
    EXPECT_TRUE(second->resumed());
    EXPECT_EQ(gate.stats().early_data.get(), 1U);
    EXPECT_TRUE(second->streams[*id].in_fin);
}

TEST_F(QuicDoors, AClientWhosePortChangedGoesOn)
{
    gate.start();
    auto user = connected();
    user->self = endpoint("127.0.0.1:50123");
    const auto id = user->open(framed(query("www")));
    gate.exchange({user.get()});
    EXPECT_TRUE(user->streams[*id].in_fin);
    EXPECT_EQ(gate.stats().migrations.get(), 1U);
}

TEST_F(QuicDoors, AForgedAddressIsNotBelievedUntilItAnswers)
{
    gate.start();
    auto user = connected();
    const std::string own = "127.0.0.1:40000";
    user->self = endpoint("10.9.9.9:53");
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(user->open(framed(query("www"))));
        user->tick(gate.clock.now());
        for (const Octets& packet : user->outbox) gate.deliver(packet, user->self);
        user->outbox.clear();
        gate.wake();
        gate.nodes[0]->sender.out.clear(); // nobody is there to get it
        gate.clock.advance(1ms);
    }
    ASSERT_EQ(gate.nodes[0]->answers->peers.size(), 4U);
    for (const base::Endpoint& peer : gate.nodes[0]->answers->peers) EXPECT_EQ(peer, endpoint(own));
    EXPECT_EQ(gate.stats().migrations.get(), 0U);
}

TEST_F(QuicDoors, AnAddressThatAnswersIsBelieved)
{
    gate.start();
    auto user = connected();
    for (const char* address : {"127.0.0.9:40000", "127.0.0.10:4", "127.0.0.9:40000"}) {
        user->self = endpoint(address);
        // The way back needs a connection ID that the client has to give first.
        for (int i = 0; i < 20; ++i) {
            ASSERT_TRUE(user->open(framed(query("www"))));
            gate.exchange({user.get()});
            if (gate.nodes[0]->answers->peers.back() == endpoint(address)) break;
            gate.clock.advance(100ms);
        }
        EXPECT_EQ(gate.nodes[0]->answers->peers.back(), endpoint(address));
    }
    EXPECT_EQ(gate.stats().migrations.get(), 3U);
}

TEST_F(QuicDoors, PacketsAtTheWrongWorkerReachTheirConnection)
{
    gate.options.workers = 2;
    gate.start();
    for (int i = 0; i < 8; ++i) {
        auto user = client({}, "127.0.0.1:4000" + std::to_string(i));
        gate.exchange({user.get()}, static_cast<unsigned>(i) % 2);
        ASSERT_TRUE(user->handshaken());
        user->self = endpoint("127.0.0.1:5000" + std::to_string(i));
        const auto id = user->open(framed(query("www")));
        gate.exchange({user.get()}, static_cast<unsigned>(i + 1) % 2);
        EXPECT_TRUE(user->streams[*id].in_fin);
    }
    EXPECT_EQ(gate.quic(0).connections() + gate.quic(1).connections(), 8U);
    EXPECT_GT(gate.stats(0).routed_in.get() + gate.stats(1).routed_in.get(), 0U);
    EXPECT_EQ(gate.stats(0).routed_wrong.get() + gate.stats(1).routed_wrong.get(), 0U);
}

TEST_F(QuicDoors, AStatelessResetTellsTheClientThatWeForgot)
{
    gate.start();
    auto user = connected();
    gate.nodes[0]->make(gate); // started anew, with the same secrets
    ASSERT_TRUE(user->open(framed(query("www"))));
    gate.exchange({user.get()});
    EXPECT_TRUE(user->got_stateless_reset);
    EXPECT_GE(gate.stats().resets_sent.get(), 1U);
}

TEST_F(QuicDoors, TheClosingPeriodRepeatsTheClosePacketSeldomAndEnds)
{
    gate.start();
    auto user = connected();
    ASSERT_TRUE(user->open({0, 0}));
    user->tick(gate.clock.now());
    const Octets last = user->outbox.back();
    gate.deliver(last, user->self);
    gate.wake();
    EXPECT_EQ(gate.stats().remnants.get(), 1U);
    for (int i = 0; i < 64; ++i) gate.deliver(last, user->self);
    EXPECT_EQ(gate.stats().close_packets_repeated.get(), 7U); // 1, 2, 4 … 64
    gate.clock.advance(10s);
    gate.wake();
    EXPECT_EQ(gate.stats().remnants.get(), 0U);
    EXPECT_EQ(gate.stats().connection_ids.get(), 0U);
}

TEST_F(QuicDoors, AClientWithoutACommonProtocolIsToldSo)
{
    gate.start();
    auto user = client({.alpn = "smtp"});
    gate.exchange({user.get()});
    EXPECT_FALSE(user->handshaken());
    EXPECT_EQ(user->closed, NGTCP2_CRYPTO_ERROR | 120U); // no_application_protocol
    EXPECT_EQ(gate.quic().connections(), 0U);
}

TEST_F(QuicDoors, IdleConnectionsGo)
{
    gate.start();
    auto user = connected();
    gate.clock.advance(31s);
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().idle_timeouts.get(), 1U);
    EXPECT_EQ(gate.stats().memory.get(), 0U);
}

TEST_F(QuicDoors, DrainAnswersWhatIsOpenAndClosesInOrder)
{
    gate.start();
    auto idle = connected();
    auto busy = connected({}, "127.0.0.1:40001");
    ASSERT_TRUE(busy->open(framed(query("wait", 28))));
    gate.exchange({idle.get(), busy.get()});
    bool done = false;
    gate.quic().drain([&] { done = true; });
    gate.exchange({idle.get(), busy.get()});
    EXPECT_EQ(idle->closed, 0U);
    EXPECT_FALSE(busy->closed);
    gate.clock.advance(6s);
    gate.exchange({busy.get()});
    EXPECT_EQ(busy->closed, 0U);
    EXPECT_EQ(gate.quic().connections(), 0U);
    gate.clock.advance(20s); // no timer is left, which the loop would wait for in vain: our clock is not its own
    gate.wake();
    gate.nodes[0]->worker.run_for(10ms);
    EXPECT_TRUE(done);
    auto late = client({}, "127.0.0.1:40002");
    gate.exchange({late.get()});
    EXPECT_EQ(late->closed, NGTCP2_CONNECTION_REFUSED);
}

TEST_F(QuicDoors, AProtocolThatIsGoneFromThePortFinishesAndTheOtherGoesOn)
{
    gate.start();
    auto doq = connected();
    auto doh3 = connected({.alpn = "h3"}, "127.0.0.1:40001");
    listeners::Port less = gate.port;
    less.doq = nullptr;
    gate.quic().renew(
        {.options = gate.options, .port = less, .doh = &gate.nodes[0]->context, .quic_ports = 1, .terms = nullptr});
    gate.exchange({doq.get(), doh3.get()});
    EXPECT_EQ(doq->closed, 0U);
    EXPECT_FALSE(doh3->closed);
    auto late = client({}, "127.0.0.1:40002");
    gate.exchange({late.get()});
    EXPECT_EQ(late->closed, NGTCP2_CRYPTO_ERROR | 120U); // no_application_protocol
}

TEST_F(QuicDoors, NewLimitsAreForThoseWhoComeAfterThem)
{
    gate.start();
    auto before = connected();
    listeners::Options fewer = gate.options;
    fewer.quic.streams = 1;
    gate.quic().renew(
        {.options = fewer, .port = gate.port, .doh = &gate.nodes[0]->context, .quic_ports = 1, .terms = nullptr});
    auto after = connected({}, "127.0.0.1:40001");
    EXPECT_TRUE(after->open(framed(query("www")), false));
    EXPECT_FALSE(after->open(framed(query("www")), false));
    EXPECT_TRUE(before->open(framed(query("www"))));
    EXPECT_TRUE(before->open(framed(query("www"))));
    gate.exchange({before.get()});
    EXPECT_EQ(gate.stats().doq_replies.get(), 2U);
}

TEST_F(QuicDoors, APortThatComesBackWhileItDrainsTakesNewcomers)
{
    gate.start();
    auto busy = connected();
    ASSERT_TRUE(busy->open(framed(query("wait", 28))));
    gate.exchange({busy.get()});
    bool done = false;
    gate.quic().drain([&] { done = true; });
    gate.exchange({busy.get()});
    gate.quic().renew({.options = gate.options,
                       .port = gate.port,
                       .doh = &gate.nodes[0]->context,
                       .quic_ports = 1,
                       .terms = nullptr});
    auto late = connected({}, "127.0.0.1:40001");
    ASSERT_TRUE(late->open(framed(query("www"))));
    gate.exchange({late.get()});
    EXPECT_EQ(gate.stats().doq_replies.get(), 1U);
    gate.clock.advance(6s); // as long as it would have drained
    gate.exchange({late.get()});
    EXPECT_FALSE(late->closed);
    EXPECT_FALSE(done);
}

} // namespace
} // namespace sallyport::quic_testing
