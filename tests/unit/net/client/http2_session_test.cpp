#include "net/client/http2_session.hpp"

#include "tests/unit/net/client/session_fixture.hpp"

#include <gtest/gtest.h>

#include <map>

namespace sallyport::net::client {
namespace {

/// nghttp2 as the server, in memory: answers every request with the same headers and body.
class Server {
public:
    Server()
    {
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session* made = nullptr;
        nghttp2_session_server_new(&made, callbacks, this);
        session_.reset(made);
        nghttp2_session_callbacks_del(callbacks);
    }

    void settings(std::uint32_t streams)
    {
        const nghttp2_settings_entry entry{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, streams};
        nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, &entry, 1);
    }
    void exchange(Session& client)
    {
        for (int round = 0; round < 20; ++round) {
            const std::string to_server = sent(client);
            nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const std::uint8_t*>(to_server.data()),
                                     to_server.size());
            const std::uint8_t* data = nullptr;
            for (auto size = nghttp2_session_mem_send(session_.get(), &data); size > 0;
                 size = nghttp2_session_mem_send(session_.get(), &data)) {
                give(client, base::as_text({data, static_cast<std::size_t>(size)}));
            }
        }
    }
    void answer(std::int32_t stream)
    {
        std::vector<nghttp2_nv> fields;
        for (auto& [name, value] : headers) {
            fields.push_back({reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
                              reinterpret_cast<std::uint8_t*>(value.data()), name.size(), value.size(),
                              NGHTTP2_NV_FLAG_NONE});
        }
        nghttp2_data_provider provider{};
        provider.read_callback = give_body;
        nghttp2_submit_response(session_.get(), stream, fields.data(), fields.size(), &provider);
    }

    std::map<std::string, std::string> headers{{":status", "200"}, {"content-type", "application/dns-message"}};
    std::string body = "answer";
    std::map<std::int32_t, std::string> requests; // bodies
    bool silent = false;
    bool reset = false;

private:
    static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* self)
    {
        auto& server = *static_cast<Server*>(self);
        const std::int32_t stream = frame->hd.stream_id;
        const bool whole = stream != 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (!whole || server.silent) return 0;
        server.sent_ = 0;
        if (server.reset) {
            nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_REFUSED_STREAM);
        } else {
            server.answer(stream);
        }
        return 0;
    }
    static int on_data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* data, std::size_t size,
                       void* self)
    {
        static_cast<Server*>(self)->requests[stream].append(reinterpret_cast<const char*>(data), size);
        return 0;
    }
    static ssize_t give_body(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t room, std::uint32_t* flags,
                             nghttp2_data_source*, void* self)
    {
        auto& server = *static_cast<Server*>(self);
        const std::size_t size = std::min(room, server.body.size() - server.sent_);
        std::copy_n(server.body.begin() + static_cast<std::ptrdiff_t>(server.sent_), size, out);
        server.sent_ += size;
        if (server.sent_ == server.body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
        return static_cast<ssize_t>(size);
    }

    Http2Handle session_;
    std::size_t sent_ = 0;
};

struct Http2 : testing::Test {
    Listener user;
    Server server;
    Limits limits;
    Http2Session session{user, nullptr, {"gate.test", "/dns-query", false, true}, limits};

    void ask()
    {
        session.start({}, {}, {});
        server.settings(4);
        server.exchange(session);
        ASSERT_TRUE(session.ask(9, base::as_bytes("query")));
        server.exchange(session);
    }
};

TEST_F(Http2, PostsAQueryAndReadsTheAnswer)
{
    server.headers["cache-control"] = "max-age=60";
    ask();
    EXPECT_EQ(server.requests[1], "query");
    ASSERT_EQ(user.answers.size(), 1U);
    EXPECT_EQ(user.answers[0], (std::pair<std::uint16_t, std::string>{9, "answer"}));
    EXPECT_EQ(user.cache_control, "max-age=60");
}

TEST_F(Http2, KeepsToThePeersLimitOfStreams)
{
    server.silent = true;
    ask();
    EXPECT_EQ(session.room(), 3U);
    for (std::uint16_t i = 0; i < 3; ++i) EXPECT_TRUE(session.ask(i, base::as_bytes("query")));
    EXPECT_FALSE(session.ask(10, base::as_bytes("query")));
}

TEST_F(Http2, AStatusOtherThan200IsNoAnswer)
{
    server.headers[":status"] = "415";
    server.body = "not so";
    ask();
    ASSERT_EQ(user.refusals.size(), 1U);
    EXPECT_EQ(user.refusals[0], (std::pair<std::uint16_t, unsigned>{9, 415}));
    EXPECT_EQ(user.reasons[0], "HTTP status 415: not so");
}

TEST_F(Http2, AStreamThatIsResetIsNoAnswer)
{
    server.reset = true;
    ask();
    ASSERT_EQ(user.refusals.size(), 1U);
    EXPECT_FALSE(session.failure());
    EXPECT_EQ(session.room(), 4U);
}

TEST_F(Http2, ABodyLargerThanAMessageResetsItsStream)
{
    server.body.assign(70'000, 'x');
    ask();
    EXPECT_TRUE(user.answers.empty());
    EXPECT_EQ(user.refusals.size(), 1U);
    EXPECT_FALSE(session.failure());
}

TEST_F(Http2, HeadersOverTheLimitEndTheConnection)
{
    for (int i = 0; i < 12; ++i) server.headers[join({"x-long-", std::to_string(i)})] = std::string(2000, 'y');
    ask();
    EXPECT_TRUE(user.answers.empty());
    EXPECT_EQ(session.failure().kind, FailureKind::protocol);
}

TEST_F(Http2, EndsOnWhatIsNoHttp2)
{
    session.start({}, {}, {});
    give(session, "HTTP/1.1 400 Bad Request\r\n\r\n");
    EXPECT_FALSE(sent(session).empty()); // GOAWAY
    EXPECT_TRUE(session.failure());
}

} // namespace
} // namespace sallyport::net::client
