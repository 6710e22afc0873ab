#include "net/client/stream_session.hpp"

#include "net/client/datagram_session.hpp"
#include "tests/unit/net/client/session_fixture.hpp"

#include <gtest/gtest.h>

namespace sallyport::net::client {
namespace {

struct DnsStream : testing::Test {
    Listener user;
    DnsStreamSession session{user, nullptr};

    void SetUp() override { session.start({}, {}, {}); }
};

TEST_F(DnsStream, HasNoRoomBeforeItStarts)
{
    DnsStreamSession other{user, nullptr};
    EXPECT_EQ(other.room(), 0U);
    EXPECT_FALSE(other.ask(1, base::as_bytes(message_with_id(1))));
}

TEST_F(DnsStream, WritesQueriesOneBehindTheOtherWithTheirLength)
{
    EXPECT_TRUE(user.ready);
    ASSERT_TRUE(session.ask(1, base::as_bytes(message_with_id(1))));
    ASSERT_TRUE(session.ask(2, base::as_bytes(message_with_id(2))));
    EXPECT_EQ(sent(session), join({framed(message_with_id(1)), framed(message_with_id(2))}));
    EXPECT_EQ(sent(session), "");
}

TEST_F(DnsStream, FindsAnswersHoweverTheyAreCut)
{
    const std::string stream = join({framed(message_with_id(513)), framed(join({message_with_id(2), "more"}))});
    for (const char octet : stream) give(session, {&octet, 1});
    give(session, stream);
    ASSERT_EQ(user.answers.size(), 4U);
    EXPECT_EQ(user.answers[0].first, 513);
    EXPECT_EQ(user.answers[1].second, join({message_with_id(2), "more"}));
    EXPECT_EQ(user.answers[2], user.answers[0]);
    EXPECT_FALSE(session.failure());
}

TEST_F(DnsStream, EndsOnAMessageShorterThanAHeader)
{
    give(session, framed("short"));
    EXPECT_EQ(session.failure().kind, FailureKind::protocol);
    EXPECT_EQ(session.room(), 0U);
}

TEST_F(DnsStream, SaysThatThePeerClosed)
{
    session.peer_closed();
    EXPECT_EQ(session.failure().kind, FailureKind::closed);
}

TEST_F(DnsStream, AnEndAskedForIsNoFailure)
{
    session.close({});
    session.peer_closed();
    EXPECT_FALSE(session.failure());
}

TEST(Datagram, SendsADatagramAQueryAndIgnoresNoise)
{
    Listener user;
    DatagramSession session{user};
    session.start({}, {}, {});
    ASSERT_TRUE(session.ask(7, base::as_bytes(message_with_id(7))));
    ASSERT_TRUE(session.ask(8, base::as_bytes(message_with_id(8))));
    Wire wire;
    session.flush(wire, {});
    EXPECT_EQ(wire.pieces.size(), 2U);
    give(session, "noise");
    give(session, message_with_id(7));
    ASSERT_EQ(user.answers.size(), 1U);
    EXPECT_EQ(user.answers[0].first, 7);
}

} // namespace
} // namespace sallyport::net::client
