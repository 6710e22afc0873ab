#include "http2_fixture.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace sallyport::listeners::testing {
namespace {

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
