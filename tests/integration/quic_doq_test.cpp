#include "quic_fixture.hpp"

// DNS over QUIC (RFC 9250): queries, answers, and what breaks its rules.

namespace sallyport::quic_testing {
namespace {

constexpr std::uint64_t kProtocolError = 2;

Octets with_option(Octets q, std::uint16_t code)
{
    q[11] = 1;
    q.insert(q.end(), {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, static_cast<std::uint8_t>(code >> 8U),
                       static_cast<std::uint8_t>(code & 0xFFU), 0, 0});
    return q;
}

TEST_F(QuicDoors, AnswersAQueryWithIdZeroAndFin)
{
    gate.start();
    auto user = connected();
    const auto id = user->open(framed(query("www")));
    ASSERT_TRUE(id);
    gate.exchange({user.get()});
    const auto& stream = user->streams[*id];
    ASSERT_GT(stream.in.size(), 14U);
    EXPECT_TRUE(stream.in_fin);
    EXPECT_EQ(base::load_be16(stream.in, 0), stream.in.size() - 2);
    EXPECT_EQ(base::load_be16(stream.in, 2), 0U);
    EXPECT_EQ(gate.stats().doq_replies.get(), 1U);
    EXPECT_EQ(gate.stats().streams.get(), 0U);
}

TEST_F(QuicDoors, GivesCreditBackForThousandsOfQueries)
{
    gate.start();
    auto user = connected();
    std::size_t asked = 0;
    for (int turn = 0; turn < 200 && asked < 3000; ++turn) {
        while (asked < 3000 && user->open(framed(query("www")))) ++asked;
        gate.exchange({user.get()}, 0, 12);
    }
    EXPECT_EQ(asked, 3000U);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().doq_replies.get(), 3000U);
    EXPECT_FALSE(user->closed);
    std::size_t whole = 0;
    for (const auto& [id, stream] : user->streams) whole += stream.in_fin ? 1 : 0;
    EXPECT_EQ(whole, 3000U);
}

TEST_F(QuicDoors, BigAnswersArriveWhole)
{
    gate.start();
    auto user = connected();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(user->open(framed(query("big", 16))));
    for (int i = 0; i < 40; ++i) gate.exchange({user.get()});
    std::size_t whole = 0;
    for (const auto& [id, stream] : user->streams)
        if (stream.in_fin && stream.in.size() > 24'000) ++whole;
    EXPECT_EQ(whole, 100U);
    EXPECT_FALSE(user->closed);
    // More than a megabyte of answers is not made before the client has read what was made.
    EXPECT_GT(gate.stats().answers_deferred.get(), 0U);
}

TEST_F(QuicDoors, ProtocolErrorsOfDoqEndTheConnection)
{
    gate.start();
    expect_closed(framed(query("www", 1, 7)), true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_nonzero_ids.get(), 1U);
    expect_closed(framed(with_option(query("www"), 11)), true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_keepalive_options.get(), 1U);
    expect_closed({0, 0}, true, kProtocolError);
    expect_closed({0, 4, 1, 2, 3, 4}, true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_malformed.get(), 2U);
    expect_closed({0, 40, 0, 0}, true, kProtocolError);
    expect_closed({0}, true, kProtocolError);
    expect_closed({}, true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_truncated.get(), 3U);
    Octets two = framed(query("www"));
    const Octets again = two;
    two.insert(two.end(), again.begin(), again.end());
    expect_closed(two, true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_trailing_data.get(), 1U);
    Octets response = query("www");
    response[2] |= 0x80U;
    expect_closed(framed(response), true, kProtocolError);
}

TEST_F(QuicDoors, UnidirectionalStreamsAreNoPartOfDoq)
{
    gate.start();
    auto user = connected();
    ASSERT_TRUE(user->open({1, 2, 3}, true, true));
    gate.exchange({user.get()});
    ASSERT_TRUE(user->closed);
    EXPECT_EQ(*user->closed, kProtocolError);
    EXPECT_EQ(gate.stats().doq_unidirectional.get(), 1U);
}

TEST_F(QuicDoors, ACancelledQueryIsLetGo)
{
    gate.start();
    auto user = connected();
    const auto stopped = user->open(framed(query("wait", 28)));
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().streams.get(), 1U);
    user->stop(*stopped, 3);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().streams.get(), 0U);
    EXPECT_EQ(gate.stats().stream_resets.get(), 1U);
    EXPECT_EQ(gate.nodes[0]->pipeline.stats().abandoned.get(), 1U);

    const auto half = user->open({0, 40, 0, 0}, false);
    gate.exchange({user.get()});
    user->reset(*half, 3);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().streams.get(), 0U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicDoors, AConnectionThatGoesLetsItsQueriesGo)
{
    gate.start();
    auto user = connected();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(user->open(framed(query("wait", 28))));
    gate.exchange({user.get()});
    gate.deliver(user->close(0), user->self);
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.nodes[0]->pipeline.stats().abandoned.get(), 10U);
    EXPECT_EQ(gate.stats().closed_by_peer.get(), 1U);
    EXPECT_EQ(gate.stats().remnants.get(), 1U);
}

TEST_F(QuicDoors, ADroppedQueryEndsItsStreamOnly)
{
    gate.start();
    auto user = connected();
    const auto id = user->open(framed(query("drop", 15)));
    gate.exchange({user.get()});
    EXPECT_EQ(user->streams[*id].reset_code, 5U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicDoors, TooManyResetsEndTheConnection)
{
    gate.options.http.reset_burst = 20;
    gate.options.http.reset_per_second = 1;
    gate.start();
    auto user = connected();
    for (int i = 0; i < 40 && !user->closed; ++i) {
        const auto id = user->open(framed(query("wait", 28)));
        if (!id) break;
        gate.exchange({user.get()}, 0, 5);
        user->stop(*id, 3);
        gate.exchange({user.get()}, 0, 5);
    }
    ASSERT_TRUE(user->closed);
    EXPECT_EQ(*user->closed, 4U);
    EXPECT_EQ(gate.stats().reset_budget_spent.get(), 1U);
}

TEST_F(QuicDoors, AQueryThatDoesNotComeIsShut)
{
    gate.start();
    auto user = connected();
    const auto id = user->open({0xFF, 0xFF, 0}, false);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().streams.get(), 1U);
    gate.clock.advance(5s);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().message_timeouts.get(), 1U);
    EXPECT_EQ(user->streams[*id].reset_code, 4U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicDoors, AnswersThatAreNotReadEndTheConnection)
{
    gate.start();
    auto user = connected({.stream_window = 100});
    ASSERT_TRUE(user->open(framed(query("big", 16))));
    // The test client gives credit for what it reads, so its stream is stopped by hand: nothing is delivered any more.
    user->tick(gate.clock.now());
    for (const Octets& packet : user->outbox) gate.deliver(packet, user->self);
    user->outbox.clear();
    for (int i = 0; i < 12; ++i) {
        gate.wake();
        gate.clock.advance(1s);
    }
    gate.wake();
    EXPECT_EQ(gate.stats().answer_stalls.get(), 1U);
    EXPECT_EQ(gate.quic().connections(), 0U);
}

TEST_F(QuicDoors, AQueryThatWaitsForRoomInVainIsShut)
{
    gate.options.http.answers_per_connection = 0; // there never is room
    gate.start();
    auto user = connected();
    const auto id = user->open(framed(query("www")));
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().answers_deferred.get(), 1U);
    gate.clock.advance(11s);
    gate.exchange({user.get()});
    EXPECT_EQ(user->streams[*id].reset_code, 4U); // DOQ_EXCESSIVE_LOAD
    EXPECT_EQ(gate.stats().deferred_timeouts.get(), 1U);
    EXPECT_EQ(gate.stats().streams.get(), 0U);
}

} // namespace
} // namespace sallyport::quic_testing
