#include "http2_fixture.hpp"

// Requests, answers, and how a session begins and ends.

namespace sallyport::listeners::testing {
namespace {

TEST_F(Http2Test, AnswersGetAndPost)
{
    start();
    stage->size = 10;
    for (const bool by_post : {false, true}) {
        const auto& response = by_post ? ask(Http2Client::post(), query) : ask(Http2Client::get(get_path(query)));
        EXPECT_EQ(response.status(), "200");
        EXPECT_TRUE(response.closed);
        EXPECT_EQ(response.error, 0U);
        EXPECT_EQ(response.header.at("content-type"), "application/dns-message");
        EXPECT_EQ(response.header.at("content-length"), std::to_string(response.body.size()));
        EXPECT_EQ(response.header.at("cache-control"), "max-age=300");
        EXPECT_EQ(response.body.substr(0, 2), "\x12\x34");
    }
    EXPECT_EQ(stage->transports.at(0), base::Transport::doh2);
    EXPECT_EQ(session->activity(), Activity::idle);
    EXPECT_EQ(client->settings.at(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 100U);
    EXPECT_EQ(client->settings.at(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE), 16'384U);
}

TEST_F(Http2Test, AnswersEachMistakeAndKeepsTheConnection)
{
    start();
    EXPECT_EQ(ask(Http2Client::get("/dns-query?dns=garbage!")).status(), "400");
    EXPECT_EQ(ask(Http2Client::get("/dns-query?dns=AAAA")).status(), "400");
    EXPECT_EQ(ask(Http2Client::get("/dns-query")).status(), "400");
    EXPECT_EQ(ask(Http2Client::get("/other")).status(), "404");
    EXPECT_EQ(ask(Http2Client::post(""), query).status(), "415");
    EXPECT_EQ(ask(Http2Client::post("text/plain"), query).status(), "415");
    EXPECT_EQ(ask(Http2Client::post()).status(), "400") << "no body";
    EXPECT_EQ(ask(Http2Client::post(), Octets{}).status(), "400");
    EXPECT_EQ(ask(Http2Client::post(), Octets{1, 2, 3}).status(), "400");
    EXPECT_EQ(ask(Http2Client::post(), Octets(70'000)).status(), "413");
    Fields method = Http2Client::get(get_path(query));
    method[0].second = "PUT";
    const auto& refused = ask(method);
    EXPECT_EQ(refused.status(), "405");
    EXPECT_EQ(refused.header.at("allow"), "GET, HEAD, POST");
    EXPECT_FALSE(refused.body.empty());
    EXPECT_EQ(ask(Http2Client::get(get_path(query))).status(), "200");
    EXPECT_FALSE(channel->over());
    EXPECT_TRUE(client->goaways.empty());
}

TEST_F(Http2Test, HeadHasNoBody)
{
    start();
    Fields fields = Http2Client::get(get_path(query));
    fields[0].second = "HEAD";
    const auto& response = ask(fields);
    EXPECT_EQ(response.status(), "200");
    EXPECT_EQ(response.body, "");
    EXPECT_NE(response.header.at("content-length"), "0");
    EXPECT_TRUE(response.closed);
}

TEST_F(Http2Test, ServesManyRequestsWithLargeAnswers)
{
    start();
    stage->size = 24'000;
    for (int round = 0; round < 20; ++round) {
        for (int i = 0; i < 20; ++i) client->request(Http2Client::post(), query);
        pump();
    }
    EXPECT_EQ(client->responses.size(), 400U);
    for (const auto& [id, response] : client->responses) {
        EXPECT_EQ(response.status(), "200");
        EXPECT_GT(response.body.size(), 24'000U);
    }
    EXPECT_EQ(stats.answers.get(), 400U);
}

TEST_F(Http2Test, TakesBodiesOfTheLargestSizeOneAfterTheOther)
{
    start();
    Octets large = dns_query();
    large.resize(65'535); // what stands behind the question makes it malformed, but it arrives
    for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(Http2Client::post(), large).status().empty(), false) << i;
    EXPECT_FALSE(channel->over());
}

TEST_F(Http2Test, AnswersWhenTheyComeInAnyOrder)
{
    start();
    stage->hold = true;
    for (int i = 0; i < 3; ++i) client->request(Http2Client::get(get_path(query)));
    pump();
    EXPECT_EQ(session->activity(), Activity::answering);
    std::swap(stage->held[0], stage->held[2]);
    release_one();
    pump();
    EXPECT_EQ(client->responses[5].status(), "200");
    EXPECT_EQ(client->responses[1].status(), "");
    release_one();
    release_one();
    pump();
    EXPECT_EQ(client->responses[1].status(), "200");
    EXPECT_EQ(session->activity(), Activity::idle);
}

TEST_F(Http2Test, LetsGoOfAQueryExactlyOnce)
{
    start();
    stage->hold = true;
    const std::int32_t id = client->request(Http2Client::get(get_path(query)));
    client->request(Http2Client::get(get_path(query)));
    pump();
    nghttp2_submit_rst_stream(client->raw, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
    pump();
    EXPECT_EQ(pipeline->stats().abandoned.get(), 1U);
    EXPECT_EQ(stats.orphaned.get(), 1U);
    session.reset();
    EXPECT_EQ(pipeline->stats().abandoned.get(), 2U);
    EXPECT_EQ(pipeline->stats().in_flight.get(), 0U);
}

TEST_F(Http2Test, ResetsTheStreamOfADroppedQuery)
{
    start();
    stage->drop = true;
    const auto& response = ask(Http2Client::get(get_path(query)));
    EXPECT_TRUE(response.closed);
    EXPECT_EQ(response.error, static_cast<std::uint32_t>(NGHTTP2_CANCEL));
    EXPECT_FALSE(channel->over());
}

TEST_F(Http2Test, GathersAnswersOfOneWakeUp)
{
    start();
    pump();
    Octets all;
    for (int i = 0; i < 50; ++i) client->request(Http2Client::get(get_path(query)));
    const std::uint8_t* octets = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(client->raw, &octets)) > 0;)
        all.insert(all.end(), octets, octets + size);
    give(all);
    receive();
    EXPECT_EQ(client->responses.size(), 50U);
}

TEST_F(Http2Test, RefusesStreamsOverTheLimit)
{
    start();
    stage->hold = true;
    for (int i = 0; i < 103; ++i) client->request(Http2Client::get(get_path(query)));
    // The client has not seen our SETTINGS yet.
    Octets all;
    const std::uint8_t* octets = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(client->raw, &octets)) > 0;)
        all.insert(all.end(), octets, octets + size);
    give(all);
    EXPECT_EQ(stage->held.size(), 100U);
    EXPECT_EQ(stats.streams_refused.get(), 3U);
    receive();
    EXPECT_EQ(client->responses[205].error, static_cast<std::uint32_t>(NGHTTP2_REFUSED_STREAM));
    EXPECT_FALSE(channel->over());
}

TEST_F(Http2Test, EndsWhenIdle)
{
    start();
    EXPECT_EQ(ask(Http2Client::get(get_path(query))).status(), "200");
    clock.advance(limits.idle);
    session->tick(clock.now());
    receive();
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(client->goaways, std::vector<std::uint32_t>{NGHTTP2_NO_ERROR});
    EXPECT_EQ(stats.idle_closed.get(), 1U);
}

TEST_F(Http2Test, DrainsInTwoSteps)
{
    start();
    stage->hold = true;
    const std::int32_t id = client->request(Http2Client::get(get_path(query)));
    pump();
    session->drain();
    pump();
    ASSERT_EQ(client->last_streams.size(), 2U) << "notice, and the last one after the round trip";
    EXPECT_EQ(client->last_streams[0], 0x7FFF'FFFF);
    EXPECT_EQ(client->last_streams[1], id);
    EXPECT_FALSE(channel->over());
    release_one();
    pump();
    EXPECT_EQ(client->responses[id].status(), "200");
    EXPECT_TRUE(channel->ended);
}

TEST_F(Http2Test, DrainsAtOnceWhenNothingIsInWork)
{
    start();
    EXPECT_EQ(ask(Http2Client::get(get_path(query))).status(), "200");
    session->drain();
    pump();
    EXPECT_TRUE(channel->ended);
}

TEST_F(Http2Test, RefusesWhatIsNoPreface)
{
    start();
    const std::string_view text = "GET / HTTP/1.1\r\nHost: gate.test\r\n\r\n";
    give(Octets(text.begin(), text.end()));
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(looks_like_http2(base::as_bytes(kPreface)), Http2Preface::yes);
    EXPECT_EQ(looks_like_http2(base::as_bytes("PRI")), Http2Preface::undecided);
    EXPECT_EQ(looks_like_http2(base::as_bytes("POST /")), Http2Preface::no);
}

TEST_F(Http2Test, TakesEverythingOctetByOctet)
{
    start();
    client->request(Http2Client::post(), query);
    Octets all;
    const std::uint8_t* octets = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(client->raw, &octets)) > 0;)
        all.insert(all.end(), octets, octets + size);
    for (const std::uint8_t octet : all) give({octet});
    receive();
    EXPECT_EQ(client->responses[1].status(), "200");
}

TEST_F(Http2Test, AnswersRequestsWithTrailersAndPadding)
{
    start_raw();
    const Octets head = Octets{0x83, 0x87} + literal(":authority", "gate.test") + literal(":path", "/dns-query") +
                        literal("content-type", "application/dns-message");
    Octets padded{20};
    padded = padded + query + Octets(20);
    give(frame(1, kEndHeaders, 1, head) + frame(0, 8, 1, padded) +
         frame(1, kEndStream | kEndHeaders, 1, literal("x-trailer", "y")));
    EXPECT_EQ(stats.answers.get(), 1U);
}

} // namespace
} // namespace sallyport::listeners::testing
