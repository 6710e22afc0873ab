#include "base/handle.hpp"
#include "doh_fixture.hpp"

#include <nghttp2/nghttp2.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

namespace sallyport::listeners::testing {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

/// nghttp2's client, in memory: what a browser or curl would make of our frames.
class Http2Client {
public:
    struct Response {
        std::map<std::string, std::string> header;
        std::string body;
        bool closed = false;
        std::uint32_t error = 0;
        [[nodiscard]] std::string status() const { return header.contains(":status") ? header.at(":status") : ""; }
    };

    explicit Http2Client(const std::vector<nghttp2_settings_entry>& entries = {})
    {
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(
            callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                          const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* self) {
                auto& header = static_cast<Http2Client*>(self)->responses[frame->hd.stream_id].header;
                header[std::string(name, name + name_size)] = std::string(value, value + value_size);
                return 0;
            });
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
            callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                          void* self) {
                static_cast<Http2Client*>(self)->responses[id].body.append(data, data + size);
                return 0;
            });
        nghttp2_session_callbacks_set_on_stream_close_callback(
            callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t error, void* self) {
                auto& response = static_cast<Http2Client*>(self)->responses[id];
                response.closed = true;
                response.error = error;
                return 0;
            });
        nghttp2_session_callbacks_set_on_frame_recv_callback(
            callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
                auto& client = *static_cast<Http2Client*>(self);
                if (frame->hd.type == NGHTTP2_GOAWAY) client.goaways.push_back(frame->goaway.error_code);
                if (frame->hd.type == NGHTTP2_GOAWAY) client.last_streams.push_back(frame->goaway.last_stream_id);
                if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) ++client.pongs;
                if (frame->hd.type == NGHTTP2_SETTINGS && frame->hd.flags == 0) {
                    for (std::size_t i = 0; i < frame->settings.niv; ++i) {
                        client.settings[frame->settings.iv[i].settings_id] = frame->settings.iv[i].value;
                    }
                }
                return 0;
            });
        nghttp2_option* option = nullptr;
        nghttp2_option_new(&option);
        nghttp2_option_set_peer_max_concurrent_streams(option, 10'000);
        nghttp2_session_client_new2(&raw, callbacks, this, option);
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(callbacks);
        handle.reset(raw);
        nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, entries.data(), entries.size());
    }

    /// Submits a request; `body` is sent whole, and kept until it has left.
    std::int32_t request(const Fields& fields, const std::optional<Octets>& body = std::nullopt, bool end = true)
    {
        std::vector<nghttp2_nv> nv;
        for (const auto& [name, value] : fields) nv.push_back(to_nv(name, value));
        if (!body) return nghttp2_submit_request(raw, nullptr, nv.data(), nv.size(), nullptr, nullptr);
        bodies.push_back(std::make_unique<Body>(Body{*body, 0, end}));
        nghttp2_data_provider provider{};
        provider.source.ptr = bodies.back().get();
        provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room,
                                    std::uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
            Body& its = *static_cast<Body*>(source->ptr);
            const std::size_t size = std::min(room, its.octets.size() - its.sent);
            std::copy_n(its.octets.begin() + static_cast<std::ptrdiff_t>(its.sent), size, out);
            its.sent += size;
            if (its.sent == its.octets.size() && its.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
            return size == 0 && !its.end ? static_cast<ssize_t>(NGHTTP2_ERR_DEFERRED) : static_cast<ssize_t>(size);
        };
        return nghttp2_submit_request(raw, nullptr, nv.data(), nv.size(), &provider, nullptr);
    }

    static Fields get(const std::string& path)
    {
        return {{":method", "GET"},
                {":scheme", "https"},
                {":authority", "gate.test"},
                {":path", path},
                {"accept", "application/dns-message"}};
    }
    static Fields post(const std::string& type = "application/dns-message")
    {
        Fields fields{{":method", "POST"}, {":scheme", "https"}, {":authority", "gate.test"}, {":path", "/dns-query"}};
        if (!type.empty()) fields.emplace_back("content-type", type);
        return fields;
    }

    std::map<std::int32_t, Response> responses;
    std::map<int, std::uint32_t> settings;
    std::vector<std::uint32_t> goaways;
    std::vector<std::int32_t> last_streams;
    unsigned pongs = 0;
    nghttp2_session* raw = nullptr;

private:
    struct Body {
        Octets octets;
        std::size_t sent;
        bool end;
    };
    static nghttp2_nv to_nv(const std::string& name, const std::string& value)
    {
        const auto octets = [](const std::string& text) {
            return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
        };
        return {octets(name), octets(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
    }

    base::Handle<nghttp2_session, nghttp2_session_del> handle;
    std::vector<std::unique_ptr<Body>> bodies;
};

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it goes over the wire.
Octets frame(std::uint8_t type, std::uint8_t flags, std::uint32_t stream, const Octets& payload = {})
{
    Octets octets{static_cast<std::uint8_t>(payload.size() >> 16),
                  static_cast<std::uint8_t>(payload.size() >> 8),
                  static_cast<std::uint8_t>(payload.size()),
                  type,
                  flags,
                  static_cast<std::uint8_t>(stream >> 24),
                  static_cast<std::uint8_t>(stream >> 16),
                  static_cast<std::uint8_t>(stream >> 8),
                  static_cast<std::uint8_t>(stream)};
    octets.insert(octets.end(), payload.begin(), payload.end());
    return octets;
}

Octets operator+(Octets left, const Octets& right)
{
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

/// Literal without indexing, new name (RFC 7541 §6.2.2).
Octets literal(const std::string& name, const std::string& value)
{
    Octets octets{0, static_cast<std::uint8_t>(name.size())};
    octets.insert(octets.end(), name.begin(), name.end());
    octets.push_back(static_cast<std::uint8_t>(value.size()));
    octets.insert(octets.end(), value.begin(), value.end());
    return octets;
}

/// The header block of GET for `path` (short): static table for method and scheme.
Octets get_block(const std::string& path)
{
    return Octets{0x82, 0x87} + literal(":path", path) + literal(":authority", "gate.test");
}

constexpr std::uint8_t kEndStream = 1, kEndHeaders = 4, kAck = 1;

class Http2Test : public DohTest {
protected:
    void start(std::vector<nghttp2_settings_entry> settings = {})
    {
        session.reset();
        remake_pipeline();
        session = make_http2_session(*channel, context, clock.now());
        client = std::make_unique<Http2Client>(std::move(settings));
    }

    /// Carries octets both ways until both are quiet.
    void pump()
    {
        for (int round = 0; round < 1'000; ++round) {
            const std::uint8_t* octets = nullptr;
            const ssize_t size = channel->over() ? 0 : nghttp2_session_mem_send(client->raw, &octets);
            ASSERT_GE(size, 0);
            if (size > 0) {
                EXPECT_EQ(session->received({octets, static_cast<std::size_t>(size)}, clock.now()),
                          static_cast<std::size_t>(size));
            }
            const bool moved = receive() || size > 0;
            if (!moved) return;
        }
        FAIL() << "never quiet";
    }

    bool receive()
    {
        if (channel->stuck) return false;
        const Octets back = channel->take();
        if (!back.empty()) {
            EXPECT_EQ(nghttp2_session_mem_recv(client->raw, back.data(), back.size()),
                      static_cast<ssize_t>(back.size()));
        }
        if (!channel->over()) session->progressed(clock.now());
        return !back.empty() || !channel->out.empty();
    }

    /// Begins a connection by hand: preface and empty SETTINGS.
    void start_raw()
    {
        start();
        const Octets magic(kPreface.begin(), kPreface.end());
        give(magic + frame(4, 0, 0) + frame(4, kAck, 0));
        written();
    }
    void give(const Octets& octets) { static_cast<void>(session->received(octets, clock.now())); }

    struct Frame {
        std::uint8_t type, flags;
        std::uint32_t stream;
        Octets payload;
    };
    /// The frames that were written since.
    std::vector<Frame> written()
    {
        const Octets octets = channel->take();
        std::vector<Frame> frames;
        for (std::size_t at = 0; at + 9 <= octets.size();) {
            const std::size_t size = base::load_be32(octets, at) >> 8U;
            frames.push_back(
                {octets[at + 3], octets[at + 4], base::load_be32(octets, at + 5),
                 Octets(octets.begin() + static_cast<std::ptrdiff_t>(at + 9),
                        octets.begin() + static_cast<std::ptrdiff_t>(std::min(octets.size(), at + 9 + size)))});
            at += 9 + size;
        }
        return frames;
    }
    /// The error of the GOAWAY that was written since, or -1.
    std::int64_t goaway()
    {
        std::int64_t error = -1;
        for (const Frame& its : written()) {
            if (its.type == 7) error = base::load_be32(its.payload, 4);
        }
        return error;
    }

    Http2Client::Response& ask(const Fields& fields, const std::optional<Octets>& body = std::nullopt)
    {
        const std::int32_t id = client->request(fields, body);
        EXPECT_GT(id, 0);
        pump();
        return client->responses[id];
    }

    const Octets query = dns_query(0x1234);
    std::unique_ptr<StreamSession> session;
    std::unique_ptr<Http2Client> client;
};

// ---- requests

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

// ---- limits

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

// ---- conformance: the checks of h2spec whose demand an endpoint can fail (RFC 9113 numbers in its names)

struct ConformanceCase {
    const char* name;
    Octets input;
    std::int64_t goaway; ///< expected error of the connection; -1: none
    std::int64_t reset;  ///< expected error of the stream; -1: none
};

TEST_F(Http2Test, KeepsTheRulesOfRfc9113)
{
    const Octets get = get_block(get_path(query));
    const Octets request = frame(1, kEndStream | kEndHeaders, 1, get);
    const Octets open = frame(1, kEndHeaders, 1,
                              Octets{0x83, 0x87} + literal(":authority", "gate.test") + literal(":path", "/dns-query") +
                                  literal("content-type", "application/dns-message"));
    const auto block = [](const Octets& octets) { return frame(1, kEndStream | kEndHeaders, 1, octets); };
    const ConformanceCase cases[] = {
        {"generic 2.1 PRIORITY on idle", frame(2, 0, 1, {0, 0, 0, 0, 1}), -1, -1},
        {"generic 3.7 PING", frame(6, 0, 0, Octets(8)), -1, -1},
        {"http2 4.1.1 unknown type", frame(0x16, 0, 0, Octets(8)), -1, -1},
        {"http2 4.1.2 undefined flags", frame(6, 0x16, 0, Octets(8)), -1, -1},
        {"http2 4.2.2 DATA too large", open + frame(0, 0, 1, Octets(16'385)), NGHTTP2_FRAME_SIZE_ERROR, -1},
        {"http2 4.2.3 HEADERS too large", frame(1, kEndStream | kEndHeaders, 1, Octets(16'385)),
         NGHTTP2_ENHANCE_YOUR_CALM, -1},
        {"http2 4.3.1 invalid block", block({0x80}), NGHTTP2_COMPRESSION_ERROR, -1},
        {"http2 4.3.2 PRIORITY within block", frame(1, kEndStream, 1, get) + frame(2, 0, 1, {0, 0, 0, 0, 1}),
         NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 4.3.3 HEADERS within block", frame(1, kEndStream, 1, get) + frame(1, kEndStream | kEndHeaders, 3, get),
         NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 5.1.1 idle DATA", frame(0, kEndStream, 1, {1}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 5.1.2 idle RST_STREAM", frame(3, 0, 1, Octets(4)), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 5.1.3 idle WINDOW_UPDATE", frame(8, 0, 1, {0, 0, 0, 1}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 5.1.4 idle CONTINUATION", frame(9, kEndHeaders, 1, get), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 5.1.1.1 even stream", frame(1, kEndStream | kEndHeaders, 2, get), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 5.5.2 unknown within block", frame(1, kEndStream, 1, get) + frame(0x16, 0, 0, Octets(8)),
         NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.1.1 DATA on 0", frame(0, kEndStream, 0, {1}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.1.3 bad padding", open + frame(0, kEndStream | 8, 1, {9, 1}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.2.3 HEADERS on 0", frame(1, kEndStream | kEndHeaders, 0, get), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.2.4 bad padding", frame(1, kEndStream | kEndHeaders | 8, 1, Octets{200} + get),
         NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.3.1 PRIORITY on 0", frame(2, 0, 0, {0, 0, 0, 0, 1}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.3.2 PRIORITY of 4", frame(2, 0, 1, {0, 0, 0, 0}), NGHTTP2_FRAME_SIZE_ERROR, -1},
        {"http2 6.4.1 RST_STREAM on 0", frame(3, 0, 0, Octets(4)), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.4.3 RST_STREAM of 3", open + frame(3, 0, 1, Octets(3)), NGHTTP2_FRAME_SIZE_ERROR, -1},
        {"http2 6.5.1 SETTINGS ACK with payload", frame(4, kAck, 0, Octets(6)), NGHTTP2_FRAME_SIZE_ERROR, -1},
        {"http2 6.5.2 SETTINGS on 1", frame(4, 0, 1, {0, 3, 0, 0, 0, 100}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.5.3 SETTINGS of 3", frame(4, 0, 0, Octets(3)), NGHTTP2_FRAME_SIZE_ERROR, -1},
        {"http2 6.5.2.1 ENABLE_PUSH 2", frame(4, 0, 0, {0, 2, 0, 0, 0, 2}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.5.2.2 window too large", frame(4, 0, 0, {0, 4, 0x80, 0, 0, 0}), NGHTTP2_FLOW_CONTROL_ERROR, -1},
        {"http2 6.5.2.3 frame size too small", frame(4, 0, 0, {0, 5, 0, 0, 0x3F, 0xFF}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.5.2.4 frame size too large", frame(4, 0, 0, {0, 5, 1, 0, 0, 0}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.5.2.5 unknown setting", frame(4, 0, 0, {0, 0xFF, 0, 0, 0, 1}), -1, -1},
        {"http2 6.7.3 PING on 1", frame(6, 0, 1, Octets(8)), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.7.4 PING of 6", frame(6, 0, 0, Octets(6)), NGHTTP2_FRAME_SIZE_ERROR, -1},
        {"http2 6.8.1 GOAWAY on 1", frame(7, 0, 1, Octets(8)), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.9.1 WINDOW_UPDATE of 0", frame(8, 0, 0, {0, 0, 0, 0}), NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.9.3 WINDOW_UPDATE of 3", frame(8, 0, 0, Octets(3)), NGHTTP2_FRAME_SIZE_ERROR, -1},
        {"http2 6.9.1.2 window overflow",
         frame(8, 0, 0, {0x7F, 0xFF, 0xFF, 0xFF}) + frame(8, 0, 0, {0x7F, 0xFF, 0xFF, 0xFF}),
         NGHTTP2_FLOW_CONTROL_ERROR, -1},
        {"http2 6.9.1.3 stream window overflow", open + frame(8, 0, 1, {0x7F, 0xFF, 0xFF, 0xFF}), -1,
         NGHTTP2_FLOW_CONTROL_ERROR},
        {"http2 6.10.2 PING within block", frame(1, kEndStream, 1, get) + frame(6, 0, 0, Octets(8)),
         NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.10.3 CONTINUATION on 0", frame(1, kEndStream, 1, get) + frame(9, kEndHeaders, 0, {}),
         NGHTTP2_PROTOCOL_ERROR, -1},
        {"http2 6.10.4 CONTINUATION after the end", request + frame(9, kEndHeaders, 1, get), NGHTTP2_PROTOCOL_ERROR,
         -1},
        {"http2 7.1 GOAWAY with unknown error", frame(7, 0, 0, {0, 0, 0, 0, 0, 0, 0, 0xFF}), -1, -1},
        {"http2 8.1.1 second HEADERS without the end", open + frame(1, kEndHeaders, 1, literal("x", "y")), -1,
         NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.1 upper case", block(get + literal("X-Test", "ok")), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.1.1 unknown pseudo-field", block(get + literal(":test", "ok")), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.1.2 :status in a request", block(get + literal(":status", "200")), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.1.3 pseudo-field in trailers",
         open + frame(0, 0, 1, query) + frame(1, kEndStream | kEndHeaders, 1, literal(":method", "POST")), -1,
         NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.1.4 pseudo-field after others",
         block(Octets{0x82, 0x87} + literal("x", "y") + literal(":path", "/")), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.2.1 connection field", block(get + literal("connection", "keep-alive")), -1,
         NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.2.2 TE", block(get + literal("te", "trailers, deflate")), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.3.1 empty :path", block(Octets{0x82, 0x87} + literal(":path", "")), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.3.2 no :method", block(Octets{0x87} + literal(":path", "/")), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.3.3 no :scheme", block(Octets{0x82} + literal(":path", "/")), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.3.4 no :path", block(Octets{0x82, 0x87}), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.3.5 two :method", block(Octets{0x82} + get), -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.1.2.6.1 content-length",
         frame(1, kEndHeaders, 1,
               Octets{0x83, 0x87} + literal(":authority", "gate.test") + literal(":path", "/dns-query") +
                   literal("content-type", "application/dns-message") + literal("content-length", "1")) +
             frame(0, kEndStream, 1, query),
         -1, NGHTTP2_PROTOCOL_ERROR},
        {"http2 8.2.1 PUSH_PROMISE", open + frame(5, kEndHeaders, 1, Octets{0, 0, 0, 2} + get), NGHTTP2_PROTOCOL_ERROR,
         -1},
        {"hpack 2.3.3.1 invalid index", block(get + Octets{0xC6}), NGHTTP2_COMPRESSION_ERROR, -1},
        {"hpack 4.2.1 size update at the end", block(get + Octets{0x21}), NGHTTP2_COMPRESSION_ERROR, -1},
        {"hpack 5.2.1 long padding",
         block(get + Octets{0, 0x85, 0xF2, 0xB2, 0x4A, 0x84, 0xFF, 0x84, 0x49, 0x50, 0x9F, 0xFF}),
         NGHTTP2_COMPRESSION_ERROR, -1},
        {"hpack 6.3.1 table too large", block(Octets{0x3F, 0xE1, 0x3F} + get), NGHTTP2_COMPRESSION_ERROR, -1},
    };
    for (const auto& its : cases) {
        SCOPED_TRACE(its.name);
        start_raw();
        stage->hold = true;
        give(its.input);
        std::int64_t goaway = -1;
        std::int64_t reset = -1;
        for (const Frame& out : written()) {
            if (out.type == 7) goaway = base::load_be32(out.payload, 4);
            if (out.type == 3 && out.stream == 1) reset = base::load_be32(out.payload, 0);
        }
        EXPECT_EQ(goaway, its.goaway);
        EXPECT_EQ(reset, its.reset);
        EXPECT_EQ(channel->ended,
                  its.goaway >= 0 || std::string_view{its.name}.find("7.1 GOAWAY") != std::string_view::npos);
    }
}

// ---- foreign material: broken input of other programs' fuzzers must leave us in order

TEST_F(Http2Test, SurvivesForeignSeeds)
{
    const char* const given = std::getenv("SALLYPORT_SHARED");
    const std::filesystem::path shared = given != nullptr ? given : SALLYPORT_SOURCE_DIR "/../shared";
    unsigned files = 0;
    for (const char* folder : {"h2o", "nghttp2"}) {
        const auto path = shared / "corpus/wire/http2" / folder;
        if (!std::filesystem::is_directory(path)) continue;
        for (const auto& entry : std::filesystem::directory_iterator(path)) {
            if (!entry.is_regular_file()) continue;
            std::ifstream file(entry.path(), std::ios::binary);
            const Octets octets{std::istreambuf_iterator<char>(file), {}};
            start();
            give(octets);
            start_raw();
            give(octets);
            session->tick(clock.now());
            EXPECT_LE(stats.answers.get(),
                      stats.requests_get.get() + stats.requests_post.get() + stats.requests_head.get());
            ++files;
        }
    }
    session.reset();
    if (files == 0) GTEST_SKIP() << "no corpus at " << shared;
}

} // namespace
} // namespace sallyport::listeners::testing
