#include "http2_fixture.hpp"

// What a peer can make an HTTP/2 session do, hold and wait for.

namespace sallyport::listeners::testing {
namespace {

TEST_F(Http2Test, EndsRapidResets)
{
    start_raw();
    stage->hold = true;
    std::uint32_t stream = 1;
    unsigned resets = 0;
    for (; !channel->over() && resets < 5'000; ++resets, stream += 2) {
        give(frame(1, kEndStream | kEndHeaders, stream, get_block(get_path(query))) +
             frame(3, 0, stream, {0, 0, 0, 8}));
    }
    EXPECT_EQ(resets, 1'001U);
    EXPECT_EQ(goaway(), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_EQ(stats.reset_budget_spent.get(), 1U);
    EXPECT_EQ(pipeline->stats().in_flight.get(), 0U) << "nothing is left behind";
}

TEST_F(Http2Test, RefillsTheResetBudget)
{
    start_raw();
    stage->hold = true;
    std::uint32_t stream = 1;
    for (int i = 0; i < 3'000; ++i, stream += 2) {
        give(frame(1, kEndStream | kEndHeaders, stream, get_block(get_path(query))) +
             frame(3, 0, stream, {0, 0, 0, 8}));
        if (i > 990) clock.advance(std::chrono::milliseconds{31});
    }
    EXPECT_FALSE(channel->over());
}

TEST_F(Http2Test, CountsResetsThatWeAreMadeToSend)
{
    start_raw();
    std::uint32_t stream = 1;
    unsigned count = 0;
    // An upper-case field makes the request malformed: we reset.
    for (; !channel->over() && count < 5'000; ++count, stream += 2) {
        give(frame(1, kEndStream | kEndHeaders, stream, get_block("/") + literal("Bad", "x")));
    }
    EXPECT_EQ(count, 1'001U);
    EXPECT_EQ(goaway(), NGHTTP2_ENHANCE_YOUR_CALM);
}

TEST_F(Http2Test, EndsFloodsOfControlFrames)
{
    const std::pair<const char*, Octets> floods[] = {
        {"PING", frame(6, 0, 0, Octets(8))},
        {"PING ACK", frame(6, kAck, 0, Octets(8))},
        {"SETTINGS", frame(4, 0, 0)},
        {"PRIORITY", frame(2, 0, 3, {0, 0, 0, 0, 1})},
        {"WINDOW_UPDATE", frame(8, 0, 0, {0, 0, 0, 1})},
        {"unknown", frame(0x42, 0, 0, {1, 2, 3})},
        {"empty DATA", frame(0, 0, 1)},
        {"RST_STREAM of a closed stream", frame(3, 0, 1, {0, 0, 0, 8})},
        {"HEADERS of a closed stream", frame(1, kEndStream | kEndHeaders, 1, get_block("/"))},
    };
    for (const auto& [what, flood] : floods) {
        stats.~HttpStats();
        new (&stats) HttpStats{};
        start_raw();
        if (std::string_view{what} == "empty DATA") {
            give(frame(1, kEndHeaders, 1,
                       Octets{0x83, 0x87} + literal(":authority", "gate.test") + literal(":path", "/dns-query") +
                           literal("content-type", "application/dns-message")));
        } else {
            give(frame(1, kEndStream | kEndHeaders, 1, get_block(get_path(query))));
        }
        written();
        unsigned sent = 0;
        for (; !channel->over() && sent < 5'000; ++sent) {
            give(flood);
            if (sent % 100 == 50) channel->out.clear(); // the peer reads: nghttp2's own limit does not help
        }
        EXPECT_LE(sent, 1'005U) << what;
        EXPECT_TRUE(channel->ended) << what;
        if (std::string_view{what} != "HEADERS of a closed stream") {
            EXPECT_EQ(stats.offence_budget_spent.get(), 1U) << what;
            EXPECT_EQ(goaway(), NGHTTP2_ENHANCE_YOUR_CALM) << what;
        }
    }
}

TEST_F(Http2Test, ExcusesTheControlFramesOfBusyClients)
{
    start_raw();
    std::uint32_t stream = 1;
    for (int i = 0; i < 5'000; ++i, stream += 2) {
        give(frame(1, kEndStream | kEndHeaders, stream, get_block(get_path(query))) + frame(8, 0, 0, {0, 0, 0, 100}) +
             frame(6, 0, 0, Octets(8)));
        channel->out.clear();
    }
    EXPECT_FALSE(channel->over());
    EXPECT_EQ(stats.answers.get(), 5'000U);
}

TEST_F(Http2Test, BoundsControlFramesThatThePeerDoesNotRead)
{
    limits.offence_burst = 100'000;
    start_raw();
    channel->stuck = true;
    channel->write(Octets(70'000));
    unsigned sent = 0;
    for (; !channel->over() && sent < 5'000; ++sent) give(frame(6, 0, 0, Octets(8)));
    EXPECT_LE(sent, 1'102U);
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(stats.control_queue_full.get(), 1U);
}

TEST_F(Http2Test, EndsContinuationFloods)
{
    start_raw();
    Octets flood = frame(1, kEndStream, 1, get_block("/dns-query"));
    for (int i = 0; i < 8; ++i) flood = flood + frame(9, 0, 1, literal("x", "y"));
    give(flood);
    EXPECT_FALSE(channel->over());
    give(frame(9, 0, 1, literal("x", "y")));
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(goaway(), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_EQ(stats.continuations_too_many.get(), 1U);
}

TEST_F(Http2Test, TakesEightContinuations)
{
    start_raw();
    Octets request = frame(1, kEndStream, 1, get_block(get_path(query)));
    for (int i = 0; i < 8; ++i) request = request + frame(9, i == 7 ? kEndHeaders : 0, 1, literal("x", "y"));
    give(request);
    EXPECT_EQ(stats.answers.get(), 1U);
}

TEST_F(Http2Test, BoundsTheHeaderBlock)
{
    start_raw();
    give(frame(1, 0, 1, Octets(10'000)));
    Octets more = frame(9, 0, 1, Octets(10'000));
    give(more);
    EXPECT_TRUE(channel->over());
}

TEST_F(Http2Test, EndsTheConnectionTheMomentTheListPassesItsLimit)
{
    start_raw();
    // One entry of 3,000 octets in the dynamic table, then references to it, an octet each.
    Octets block = get_block(get_path(query)) + Octets{0x40, 1, 'x', 0x7F, 0xB9, 0x16} + Octets(3'000, 'a');
    block = block + Octets(5'000, 0xBE);
    give(frame(1, kEndStream | kEndHeaders, 1, block));
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(goaway(), NGHTTP2_ENHANCE_YOUR_CALM);
    EXPECT_EQ(stats.header_lists_too_long.get(), 1U);
    EXPECT_EQ(stats.answers.get(), 0U);
}

TEST_F(Http2Test, EndsLongMalformedBlocks)
{
    start_raw();
    Octets block = literal("Bad", "x") + Octets{0x40, 1, 'x', 0x7F, 0xB9, 0x16} + Octets(3'000, 'a');
    give(frame(1, kEndStream | kEndHeaders, 1, block + Octets(5'000, 0xBE)));
    EXPECT_TRUE(channel->ended);
}

TEST_F(Http2Test, BoundsSettings)
{
    start_raw();
    Octets entries;
    for (int i = 0; i < 32; ++i) entries = entries + Octets{0, 0x77, 0, 0, 0, 1};
    give(frame(4, 0, 0, entries));
    EXPECT_FALSE(channel->over());
    give(frame(4, 0, 0, entries + Octets{0, 0x77, 0, 0, 0, 1}));
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(stats.settings_too_many.get(), 1U);
}

TEST_F(Http2Test, TellsSlowBodies)
{
    start();
    const std::int32_t id = client->request(Http2Client::post(), Octets{1, 2, 3}, false);
    pump();
    clock.advance(std::chrono::seconds{5});
    session->tick(clock.now());
    pump();
    EXPECT_EQ(client->responses[id].status(), "408");
    EXPECT_TRUE(client->responses[id].closed);
    EXPECT_EQ(stats.bodies_too_slow.get(), 1U);
    EXPECT_EQ(ask(Http2Client::get(get_path(query))).status(), "200");
}

TEST_F(Http2Test, ReadsTheRestOfABodyThatHasItsAnswer)
{
    start_raw();
    const Octets wrong = Octets{0x83, 0x87} + literal(":path", "/dns-query") + literal(":authority", "gate.test") +
                         literal("content-type", "text/plain");
    const auto resets = [&] {
        const auto frames = written();
        return std::count_if(frames.begin(), frames.end(), [](const Frame& its) { return its.type == 3; });
    };
    // A client that sends all before it reads: it must find the answer, and no reset behind it.
    give(frame(1, kEndHeaders, 1, wrong));
    EXPECT_EQ(stats.status_415.get(), 1U);
    give(frame(0, 0, 1, Octets(16'000)) + frame(0, kEndStream, 1, Octets(16'000)));
    EXPECT_EQ(resets(), 0);
    EXPECT_EQ(session->activity(), Activity::idle) << "the stream is over";
    // One who sends on and on.
    give(frame(1, kEndHeaders, 3, wrong));
    for (int i = 0; i < 4; ++i) give(frame(0, 0, 3, Octets(16'000)));
    EXPECT_EQ(resets(), 0);
    give(frame(0, 0, 3, Octets(16'000)));
    EXPECT_EQ(resets(), 1);
    EXPECT_EQ(session->activity(), Activity::idle);
    // One who never ends.
    give(frame(1, kEndHeaders, 5, wrong));
    clock.advance(limits.body_time);
    EXPECT_EQ(resets(), 0);
    session->tick(clock.now());
    EXPECT_EQ(resets(), 1);
    EXPECT_EQ(session->activity(), Activity::idle);
    EXPECT_EQ(stats.bodies_cut.get(), 2U);
    EXPECT_FALSE(channel->over());
}

TEST_F(Http2Test, BoundsUnfinishedBodies)
{
    start();
    for (int i = 0; i < 90; ++i) client->request(Http2Client::post(), Octets(60'000), false);
    pump();
    EXPECT_LE(budget->bodies.held(), 2 * 262'144U) << "flow control holds the rest back";
    clock.advance(std::chrono::seconds{5});
    session->tick(clock.now());
    pump();
    EXPECT_EQ(budget->bodies.held(), 0U);
    EXPECT_EQ(stats.status_408.get(), 90U);
    EXPECT_EQ(ask(Http2Client::post(), query).status(), "200") << "the window is open again";
}

TEST_F(Http2Test, EndsSlowHeaderBlocks)
{
    start_raw();
    give(frame(1, kEndStream, 1, get_block("/dns-query")));
    EXPECT_EQ(session->activity(), Activity::answering);
    clock.advance(std::chrono::seconds{5});
    session->tick(clock.now());
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(stats.header_blocks_too_slow.get(), 1U);
}

TEST_F(Http2Test, ParksQueriesWhileThePeerKeepsItsWindowShut)
{
    limits.answers_per_connection = 200'000;
    start({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}});
    stage->size = 24'000;
    for (int i = 0; i < 50; ++i) client->request(Http2Client::get(get_path(query)));
    pump();
    EXPECT_LE(stage->peers.size(), 8U);
    EXPECT_GT(stats.answers_parked.get(), 40U);
    EXPECT_LE(budget->answers.held(), 200'000U);
    EXPECT_GT(budget->answers.held(), 0U);
    const nghttp2_settings_entry open{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1'000'000};
    nghttp2_submit_settings(client->raw, NGHTTP2_FLAG_NONE, &open, 1);
    pump();
    EXPECT_EQ(stats.answers.get(), 50U);
    for (const auto& [id, response] : client->responses) EXPECT_EQ(response.status(), "200");
    EXPECT_EQ(budget->answers.held(), 0U);
}

TEST_F(Http2Test, GivesUpAnswersOverTheConnectionsLimit)
{
    limits.answers_per_connection = 20'000;
    start({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}});
    stage->size = 24'000;
    EXPECT_EQ(ask(Http2Client::get(get_path(query))).error, static_cast<std::uint32_t>(NGHTTP2_ENHANCE_YOUR_CALM));
    EXPECT_EQ(stats.answers_over_connection_limit.get(), 1U);
}

TEST_F(Http2Test, BoundsAnswersOfAllConnections)
{
    limits.answers_in_all = 50'000;
    start({{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0}});
    stage->size = 24'000;
    for (int i = 0; i < 5; ++i) client->request(Http2Client::get(get_path(query)));
    pump();
    EXPECT_TRUE(channel->ended);
    EXPECT_EQ(stats.answers_over_total_limit.get(), 1U);
    session.reset();
    EXPECT_EQ(budget->answers.held(), 0U);
}

TEST_F(Http2Test, EndsThoseWhoDoNotRead)
{
    start_raw();
    stage->size = 24'000;
    give(frame(4, 0, 0, {0, 4, 0, 0, 0, 1}) + frame(1, kEndStream | kEndHeaders, 1, get_block(get_path(query))));
    for (int i = 0; i < 9; ++i) {
        clock.advance(std::chrono::seconds{1});
        give(frame(8, 0, 1, {0, 0, 0, 1})); // a crumb is no progress
        session->tick(clock.now());
    }
    EXPECT_FALSE(channel->over());
    clock.advance(std::chrono::seconds{1});
    session->tick(clock.now());
    EXPECT_TRUE(channel->aborted);
    EXPECT_EQ(stats.stalled.get(), 1U);
}

TEST_F(Http2Test, StopsReadingWhileTheKernelTakesNothing)
{
    start();
    pump();
    stage->size = 60'000;
    channel->stuck = true;
    for (int i = 0; i < 10; ++i) client->request(Http2Client::get(get_path(query)));
    pump();
    EXPECT_TRUE(channel->paused);
    EXPECT_LT(channel->out.size(), 100'000U);
    channel->stuck = false;
    pump();
    EXPECT_FALSE(channel->paused);
    EXPECT_EQ(stats.answers.get(), 10U);
}

} // namespace
} // namespace sallyport::listeners::testing
