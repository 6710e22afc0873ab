#include "doh_fixture.hpp"

namespace sallyport::listeners::testing {
namespace {

class Http1Test : public DohTest {
protected:
    void start() { session = make_http1_session(*channel, context, clock.now()); }

    /// Anew, with another pipeline and channel.
    void restart()
    {
        session.reset();
        kept.clear();
        remake_pipeline();
        start();
    }

    std::string say(std::string_view text)
    {
        if (!session) start();
        give(text);
        return channel->take_text();
    }

    void give(std::string_view text)
    {
        kept.append(text);
        const std::size_t used = session->received(base::as_bytes(kept), clock.now());
        kept.erase(0, used);
    }

    std::string get(const std::string& more = "") const
    {
        return "GET " + get_path(query) + " HTTP/1.1\r\nHost: gate.test\r\n" + more + "\r\n";
    }

    std::string post(const Octets& body, const std::string& more = "") const
    {
        return "POST /dns-query HTTP/1.1\r\nHost: gate.test\r\nContent-Type: "
               "application/dns-message\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n" + more + "\r\n" + std::string(body.begin(), body.end());
    }

    static std::string status(const std::string& response) { return response.substr(0, 12); }
    static std::size_t count(const std::string& text, std::string_view what)
    {
        std::size_t found = 0;
        for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++found;
        return found;
    }

    const Octets query = dns_query(0x1234);
    std::string kept;
    std::unique_ptr<StreamSession> session;
};

TEST_F(Http1Test, AnswersGet)
{
    stage->size = 10;
    const std::string response = say(get());
    EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\n")) << response;
    EXPECT_NE(response.find("content-type: application/dns-message\r\n"), std::string::npos);
    EXPECT_NE(response.find("cache-control: max-age=300\r\n"), std::string::npos);
    const std::size_t body = response.find("\r\n\r\n") + 4;
    EXPECT_NE(response.find("content-length: " + std::to_string(response.size() - body)), std::string::npos);
    EXPECT_EQ(response.substr(body, 2), "\x12\x34") << "the id comes back";
    EXPECT_EQ(stage->transports.at(0), base::Transport::doh1);
    EXPECT_EQ(stage->paths.at(0), "/dns-query");
    EXPECT_FALSE(channel->over());
    EXPECT_EQ(session->activity(), Activity::idle);
}

TEST_F(Http1Test, AnswersPostOctetByOctet)
{
    start();
    const std::string request = post(query);
    for (std::size_t i = 0; i + 1 < request.size(); ++i) {
        give(request.substr(i, 1));
        ASSERT_TRUE(channel->out.empty()) << i;
        ASSERT_NE(session->activity(), Activity::idle);
    }
    EXPECT_EQ(status(say(request.substr(request.size() - 1))), "HTTP/1.1 200");
}

TEST_F(Http1Test, AnswersPipelinedRequestsInOrder)
{
    std::string many;
    for (int i = 0; i < 10; ++i) many += i % 2 == 0 ? get() : post(query);
    EXPECT_EQ(count(say(many), "HTTP/1.1 200"), 10U);
}

TEST_F(Http1Test, GivesOthersTheirTurn)
{
    std::string many;
    for (int i = 0; i < 100; ++i) many += get();
    std::string answers = say(many);
    EXPECT_EQ(count(answers, "HTTP/1.1 200"), 32U);
    EXPECT_TRUE(channel->paused);
    worker.timers().expire(clock.now());
    EXPECT_EQ(channel->take_text(), "") << "whatever else is due now comes first";
    for (unsigned turn = 2; turn <= 4; ++turn) {
        clock.advance(std::chrono::nanoseconds{1});
        worker.timers().expire(clock.now());
        answers += channel->take_text();
        EXPECT_EQ(count(answers, "HTTP/1.1 200"), std::min(turn * 32U, 100U)) << "one turn at a time";
    }
    EXPECT_FALSE(channel->paused);
}

TEST_F(Http1Test, WaitsForHeldQueriesAndKeepsOrder)
{
    stage->hold = true;
    EXPECT_EQ(say(get() + get() + get()), "");
    EXPECT_EQ(stage->held.size(), 1U) << "one at a time";
    EXPECT_TRUE(channel->paused);
    EXPECT_EQ(session->activity(), Activity::answering);
    for (int i = 1; i <= 3; ++i) {
        release_one();
        EXPECT_EQ(count(channel->take_text(), "HTTP/1.1 200"), 1U) << i;
    }
    EXPECT_FALSE(channel->paused);
}

TEST_F(Http1Test, LetsGoOfAQueryWhoseConnectionEnds)
{
    stage->hold = true;
    EXPECT_EQ(say(get()), "");
    session.reset();
    EXPECT_EQ(pipeline->stats().abandoned.get(), 1U);
    EXPECT_EQ(stats.orphaned.get(), 1U);
}

TEST_F(Http1Test, EndsAfterHttp10AndClose)
{
    EXPECT_EQ(status(say("GET " + get_path(query) + " HTTP/1.0\r\n\r\n")), "HTTP/1.1 200");
    EXPECT_TRUE(channel->ended);
    restart();
    const std::string response = say(get("Connection: close\r\n"));
    EXPECT_NE(response.find("connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(channel->ended);
    restart();
    EXPECT_NE(
        say("GET " + get_path(query) + " HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").find("connection: keep-alive"),
        std::string::npos);
    EXPECT_FALSE(channel->ended);
}

TEST_F(Http1Test, RefusesOddHttpAndCloses)
{
    const std::string path = get_path(query);
    const std::string line = "GET " + path + " HTTP/1.1\r\n";
    const std::string post_head = "POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n";
    const std::pair<std::string, std::string> cases[] = {
        {"no Host", line + "\r\n"},
        {"two Hosts", line + "Host: a\r\nHost: a\r\n\r\n"},
        {"space before colon", line + "Host : a\r\n\r\n"},
        {"bare LF", "GET " + path + " HTTP/1.1\nHost: a\n\n"},
        {"bare LF in a field", line + "Host: a\nX: b\r\n\r\n"},
        {"two lengths", post_head + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"},
        {"two equal lengths", post_head + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"},
        {"length list", post_head + "Content-Length: 3, 3\r\n\r\nabc"},
        {"length and chunked", post_head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
        {"chunked and length", post_head + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n"},
        {"bad length", post_head + "Content-Length: -3\r\n\r\nabc"},
        {"bad chunk", post_head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n"},
        {"garbage", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15)},
        {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {"NUL in a field", line + std::string("Host: a\0b\r\n\r\n", 12)},
    };
    for (const auto& [what, request] : cases) {
        restart();
        EXPECT_EQ(status(say(request)), "HTTP/1.1 400") << what;
        EXPECT_TRUE(channel->ended) << what;
    }
}

TEST_F(Http1Test, RefusesUnknownTransferCodings)
{
    const std::string head = "POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n";
    for (const char* coding : {"gzip", "gzip, chunked", "chunked, chunked", "identity"}) {
        restart();
        EXPECT_EQ(status(say(head + "Transfer-Encoding: " + coding + "\r\n\r\n0\r\n\r\n")), "HTTP/1.1 501") << coding;
        EXPECT_TRUE(channel->ended);
    }
}

TEST_F(Http1Test, TakesChunks)
{
    const std::string body(query.begin(), query.end());
    const std::string request = "POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n"
                                "Transfer-Encoding: Chunked\r\n\r\n5;x=y\r\n" +
                                body.substr(0, 5) + "\r\n14\r\n" + body.substr(5, 20) + "\r\n5\r\n" + body.substr(25) +
                                "\r\n0\r\nTrailer: x\r\n\r\n";
    ASSERT_EQ(body.size(), 30U);
    EXPECT_EQ(status(say(request)), "HTTP/1.1 200");
    EXPECT_EQ(status(say(get())), "HTTP/1.1 200") << "the next one is found";
}

TEST_F(Http1Test, AnswersMistakesAndGoesOn)
{
    start();
    const std::pair<std::string, std::string> cases[] = {
        {"GET /dns-query?dns=garbage! HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
        {"GET /dns-query?dns=AAAA HTTP/1.1\r\nHost: a\r\n\r\n", "400"}, // three octets are no DNS message
        {"GET /dns-query HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
        {"GET /other HTTP/1.1\r\nHost: a\r\n\r\n", "404"},
        {"PUT /dns-query HTTP/1.1\r\nHost: a\r\n\r\n", "405"},
        {"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", "415"},
        {"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n\r\n", "400"},
        {"POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\nContent-Length: 3\r\n\r\nabc",
         "400"},
        {"GET http://gate.test" + get_path(query) + " HTTP/1.1\r\nHost: gate.test\r\n\r\n", "200"},
    };
    for (const auto& [request, expected] : cases) {
        EXPECT_EQ(status(say(request)), "HTTP/1.1 " + expected) << request;
        EXPECT_FALSE(channel->over()) << request;
    }
}

TEST_F(Http1Test, RefusesLongBodiesWithoutReadingThem)
{
    const std::string head = "POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\n";
    EXPECT_EQ(status(say(head + "Content-Length: 65536\r\n\r\n")), "HTTP/1.1 413");
    EXPECT_TRUE(channel->ended);
    restart();
    std::string response = say(head + "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 200 && !channel->ended; ++i) response += say("400\r\n" + std::string(1024, 'x') + "\r\n");
    EXPECT_EQ(status(response), "HTTP/1.1 413");
    EXPECT_TRUE(channel->ended);
}

TEST_F(Http1Test, BoundsTheHeader)
{
    std::string request = "GET " + get_path(query) + " HTTP/1.1\r\nHost: a\r\n";
    for (int i = 0; i < 40; ++i) request += "X-" + std::to_string(i) + ": " + std::string(500, 'a') + "\r\n";
    EXPECT_EQ(status(say(request + "\r\n")), "HTTP/1.1 431");
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(stats.status_431.get(), 1U);
    restart();
    EXPECT_EQ(status(say("GET /dns-query?dns=" + std::string(20'000, 'A'))), "HTTP/1.1 431");
}

TEST_F(Http1Test, SaysContinueOnlyToThoseWhoMaySend)
{
    const std::string head =
        "POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\nContent-Length: " +
        std::to_string(query.size()) + "\r\nExpect: 100-continue\r\n\r\n";
    EXPECT_EQ(say(head), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(status(say({reinterpret_cast<const char*>(query.data()), query.size()})), "HTTP/1.1 200");
    EXPECT_EQ(status(say("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n")),
              "HTTP/1.1 404");
    EXPECT_TRUE(channel->ended);
}

TEST_F(Http1Test, HeadHasNoBody)
{
    stage->size = 10;
    const std::string response = say("HEAD " + get_path(query) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(status(response), "HTTP/1.1 200");
    EXPECT_TRUE(response.ends_with("\r\n\r\n"));
    EXPECT_EQ(response.find("content-length: 0"), std::string::npos);
}

TEST_F(Http1Test, TellsSlowClients)
{
    start();
    give("POST /dns-query HTTP/1.1\r\nHost: a\r\nContent-Type: application/dns-message\r\nContent-Length: "
         "30\r\n\r\nabc");
    clock.advance(std::chrono::seconds{4});
    session->tick(clock.now());
    EXPECT_FALSE(channel->over());
    clock.advance(std::chrono::seconds{1});
    session->tick(clock.now());
    EXPECT_EQ(status(channel->take_text()), "HTTP/1.1 408");
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(stats.bodies_too_slow.get(), 1U);
    restart();
    give("GET /dns-query?dns=");
    EXPECT_EQ(session->activity(), Activity::receiving);
    clock.advance(std::chrono::seconds{5});
    session->tick(clock.now());
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(stats.header_blocks_too_slow.get(), 1U);
}

TEST_F(Http1Test, EndsWhenIdle)
{
    EXPECT_EQ(status(say(get())), "HTTP/1.1 200");
    clock.advance(limits.idle);
    session->tick(clock.now());
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(stats.idle_closed.get(), 1U);
}

TEST_F(Http1Test, DrainsAfterTheAnswerInWork)
{
    stage->hold = true;
    EXPECT_EQ(say(get()), "");
    session->drain();
    EXPECT_FALSE(channel->ended);
    release_one();
    EXPECT_NE(channel->take_text().find("connection: close"), std::string::npos);
    EXPECT_TRUE(channel->ended);
    restart();
    session->drain();
    EXPECT_TRUE(channel->ended);
}

TEST_F(Http1Test, ServesNoMoreToThoseWhoDoNotRead)
{
    stage->size = 30'000;
    start();
    channel->stuck = true;
    std::string many;
    for (int i = 0; i < 20; ++i) many += get();
    give(many);
    EXPECT_TRUE(channel->paused);
    EXPECT_LT(channel->out.size(), 100'000U);
    std::string answers;
    for (int i = 0; i < 20 && channel->paused; ++i) {
        answers += channel->take_text();
        session->progressed(clock.now());
    }
    answers += channel->take_text();
    EXPECT_EQ(count(answers, "HTTP/1.1 200"), 20U);
    EXPECT_FALSE(channel->paused);
}

TEST_F(Http1Test, BoundsWhatIsPipelined)
{
    stage->hold = true;
    start();
    give(get());
    EXPECT_TRUE(channel->out.empty()) << "the query waits, and so does all that follows";
    for (int i = 0; i < 8; ++i) give(std::string(16'000, 'G'));
    EXPECT_FALSE(channel->over());
    EXPECT_TRUE(channel->paused);
    give(std::string(16'000, 'G'));
    EXPECT_TRUE(channel->over());
    EXPECT_EQ(stats.pipelined_too_much.get(), 1U);
    EXPECT_EQ(pipeline->stats().in_flight.get(), 0U);
}

TEST_F(Http1Test, DroppedQueriesEndTheConnection)
{
    stage->drop = true;
    EXPECT_EQ(say(get()), "");
    EXPECT_TRUE(channel->ended);
}

TEST_F(Http1Test, EndsWithTheAnswerOfAHeldQuery)
{
    stage->hold = true;
    EXPECT_EQ(say(get("Connection: close\r\n")), "");
    release_one();
    EXPECT_EQ(status(channel->take_text()), "HTTP/1.1 200");
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(pipeline->stats().abandoned.get(), 0U) << "given back once";
    EXPECT_EQ(stats.orphaned.get(), 0U);
    EXPECT_EQ(pipeline->stats().in_flight.get(), 0U);
}

TEST_F(Http1Test, BelievesAListedProxy)
{
    options.forwarded_from = {base::Prefix::parse("127.0.0.1").value()};
    EXPECT_EQ(status(say(get("X-Forwarded-For: 198.51.100.1, 192.0.2.7\r\n"))), "HTTP/1.1 200");
    // 192.0.2.7 is not of our own network: refused before the stage sees it.
    EXPECT_EQ(pipeline->stats().denied.get(), 1U);
}

} // namespace
} // namespace sallyport::listeners::testing
