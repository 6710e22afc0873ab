#include "net/client/http1_session.hpp"

#include "tests/unit/net/client/session_fixture.hpp"

#include <gtest/gtest.h>

namespace sallyport::net::client {
namespace {

constexpr const char* kDns = "Content-Type: application/dns-message\r\n";

struct Http1 : testing::Test {
    Listener user;
    Limits limits;
    Http1Session session{user, nullptr, {"gate.test", "/dns-query", false, true}, limits};

    void SetUp() override
    {
        session.start({}, {}, {});
        ASSERT_TRUE(session.ask(1, base::as_bytes("query one")));
        ASSERT_TRUE(session.ask(2, base::as_bytes("query two")));
    }
};

TEST_F(Http1, WritesRequests)
{
    const std::string text = sent(session);
    EXPECT_TRUE(text.starts_with("POST /dns-query HTTP/1.1\r\nHost: gate.test\r\n")) << text;
    EXPECT_NE(text.find("Content-Length: 9\r\n\r\nquery one"), std::string::npos);
    EXPECT_TRUE(text.ends_with("query two"));
}

TEST_F(Http1, ReadsAnswersInOrderHoweverTheyAreCut)
{
    const std::string stream =
        join({"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nCACHE-CONTROL:  max-age=9 \r\n", kDns, "\r\nabc",
              "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", kDns,
              "\r\n2;x=y\r\nde\r\n1\r\nf\r\n0\r\nTrailer: x\r\n\r\n"});
    for (const char octet : stream) give(session, {&octet, 1});
    ASSERT_EQ(user.answers.size(), 2U);
    EXPECT_EQ(user.answers[0], (std::pair<std::uint16_t, std::string>{1, "abc"}));
    EXPECT_EQ(user.answers[1], (std::pair<std::uint16_t, std::string>{2, "def"}));
    EXPECT_FALSE(session.failure());
}

TEST_F(Http1, AStatusOtherThan200IsNoAnswer)
{
    give(session, "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno");
    ASSERT_EQ(user.refusals.size(), 1U);
    EXPECT_EQ(user.refusals[0], (std::pair<std::uint16_t, unsigned>{1, 404}));
    EXPECT_FALSE(session.failure());
}

TEST_F(Http1, EndsOnWhatIsNoHttp)
{
    give(session, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
    EXPECT_EQ(session.failure().kind, FailureKind::protocol);
}

TEST_F(Http1, EndsOnAnAnswerNobodyAskedFor)
{
    const std::string answer = join({"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n", kDns, "\r\nx"});
    give(session, join({answer, answer, answer}));
    EXPECT_EQ(user.answers.size(), 2U);
    EXPECT_EQ(session.failure().kind, FailureKind::protocol);
}

TEST_F(Http1, EndsOnABodyLargerThanAMessage)
{
    give(session, "HTTP/1.1 200 OK\r\ncontent-length: 65536\r\n\r\n");
    EXPECT_EQ(session.failure().kind, FailureKind::protocol);
}

TEST_F(Http1, EndsOnAChunkThatIsNone)
{
    give(session, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFF\r\n");
    EXPECT_EQ(session.failure().kind, FailureKind::protocol);
}

TEST_F(Http1, EndsOnAHeadWithoutEnd)
{
    give(session, join({"HTTP/1.1 200 OK\r\n", std::string(limits.header_list, 'x')}));
    EXPECT_EQ(session.failure().kind, FailureKind::protocol);
}

} // namespace
} // namespace sallyport::net::client
