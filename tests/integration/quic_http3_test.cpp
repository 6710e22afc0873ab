#include "quic_fixture.hpp"

// DNS over HTTP/3 (RFC 8484, RFC 9114) through the same port.

namespace sallyport::quic_testing {
namespace {

/// A request as HTTP/3 frames (RFC 9114 §7.2), its header encoded without dynamic table.
Octets http_request(std::vector<std::pair<std::string, std::string>> fields, const Octets& body = {})
{
    nghttp3_qpack_encoder* encoder = nullptr;
    nghttp3_qpack_encoder_new(&encoder, 0, nghttp3_mem_default());
    std::vector<nghttp3_nv> list;
    for (const auto& [name, value] : fields)
        list.push_back({reinterpret_cast<const std::uint8_t*>(name.data()),
                        reinterpret_cast<const std::uint8_t*>(value.data()), name.size(), value.size(), 0});
    nghttp3_buf prefix{}, block{}, instructions{};
    nghttp3_qpack_encoder_encode(encoder, &prefix, &block, &instructions, 0, list.data(), list.size());
    Octets header(prefix.pos, prefix.last);
    header.insert(header.end(), block.pos, block.last);
    nghttp3_buf_free(&prefix, nghttp3_mem_default());
    nghttp3_buf_free(&block, nghttp3_mem_default());
    nghttp3_buf_free(&instructions, nghttp3_mem_default());
    nghttp3_qpack_encoder_del(encoder);
    Octets out;
    const auto frame = [&out](std::uint8_t type, const Octets& content) {
        out.push_back(type);
        const auto size = static_cast<std::uint32_t>(content.size());
        out.insert(out.end(), {static_cast<std::uint8_t>(0x80U | size >> 24U), static_cast<std::uint8_t>(size >> 16U),
                               static_cast<std::uint8_t>(size >> 8U), static_cast<std::uint8_t>(size)});
        out.insert(out.end(), content.begin(), content.end());
    };
    frame(1, header);
    if (!body.empty()) frame(0, body);
    return out;
}

Octets post(const Octets& body)
{
    return http_request({{":method", "POST"},
                         {":scheme", "https"},
                         {":authority", "gate.test"},
                         {":path", "/dns-query"},
                         {"content-type", "application/dns-message"},
                         {"content-length", std::to_string(body.size())}},
                        body);
}

class QuicHttp3 : public QuicDoors {
protected:
    std::unique_ptr<QuicClient> guest()
    {
        QuicClient::Options options;
        options.alpn = "h3";
        auto user = connected(options);
        EXPECT_TRUE(user->open({0, 4, 0}, false, true)); // control stream, empty SETTINGS
        return user;
    }
    /// The octets of the response's DATA frame; 0 without one.
    static std::size_t body_size(const QuicClient::Stream& stream)
    {
        const Octets& in = stream.in;
        std::size_t at = 0;
        while (at + 2 <= in.size()) {
            const std::uint8_t type = in[at++];
            const unsigned octets = 1U << (in[at] >> 6U);
            std::size_t size = in[at] & 0x3FU;
            for (unsigned i = 1; i < octets && at + i < in.size(); ++i) size = size << 8U | in[at + i];
            at += octets;
            if (type == 0) return size;
            at += size;
        }
        return 0;
    }
};

TEST_F(QuicHttp3, AnswersPostsAndBigAnswers)
{
    gate.start();
    auto user = guest();
    const auto small = user->open(post(query("www")));
    const auto big = user->open(post(query("big", 16)));
    gate.exchange({user.get()});
    EXPECT_TRUE(user->streams[*small].in_fin);
    EXPECT_GT(body_size(user->streams[*small]), 12U);
    EXPECT_TRUE(user->streams[*big].in_fin);
    EXPECT_GT(body_size(user->streams[*big]), 24'000U);
    EXPECT_EQ(gate.stats().h3_responses.get(), 2U);
    EXPECT_EQ(gate.stats().streams.get(), 0U);
    EXPECT_EQ(gate.budget.answers.held(), 0U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, GivesCreditBackForThousandsOfRequests)
{
    gate.start();
    auto user = guest();
    std::size_t asked = 0;
    const Octets request = post(query("www"));
    for (int turn = 0; turn < 200 && asked < 2000; ++turn) {
        while (asked < 2000 && user->open(request)) ++asked;
        gate.exchange({user.get()}, 0, 12);
    }
    gate.exchange({user.get()});
    EXPECT_EQ(asked, 2000U);
    EXPECT_EQ(gate.stats().h3_responses.get(), 2000U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, MalformedRequestsGetAnAnswerEach)
{
    gate.start();
    auto user = guest();
    const auto garbage = user->open(post({1, 2, 3}));
    const auto nowhere = user->open(
        http_request({{":method", "GET"}, {":scheme", "https"}, {":authority", "gate.test"}, {":path", "/elsewhere"}}));
    gate.exchange({user.get()});
    EXPECT_TRUE(user->streams[*garbage].in_fin);
    EXPECT_TRUE(user->streams[*nowhere].in_fin);
    EXPECT_EQ(gate.nodes[0]->http_stats.status_400.get(), 1U);
    EXPECT_EQ(gate.nodes[0]->http_stats.status_404.get(), 1U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, ABodyOverTheLimitIsRefused)
{
    gate.start();
    auto user = guest();
    const auto id = user->open(http_request({{":method", "POST"},
                                             {":scheme", "https"},
                                             {":authority", "gate.test"},
                                             {":path", "/dns-query"},
                                             {"content-type", "application/dns-message"}},
                                            Octets(70'000, 0)));
    gate.exchange({user.get()});
    EXPECT_EQ(gate.nodes[0]->http_stats.status_413.get(), 1U);
    EXPECT_TRUE(user->streams[*id].in_fin);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, AHeaderListOverTheLimitEndsTheConnection)
{
    gate.start();
    auto user = guest();
    std::vector<std::pair<std::string, std::string>> fields{
        {":method", "GET"}, {":scheme", "https"}, {":authority", "gate.test"}, {":path", "/dns-query"}};
    for (int i = 0; i < 20; ++i) fields.emplace_back("x-" + std::to_string(i), std::string(1000, 'a'));
    ASSERT_TRUE(user->open(http_request(fields)));
    gate.exchange({user.get()});
    EXPECT_EQ(user->closed, NGHTTP3_H3_EXCESSIVE_LOAD);
    EXPECT_EQ(gate.stats().h3_header_lists_too_large.get(), 1U);
}

TEST_F(QuicHttp3, ARequestThatDoesNotComeIsShut)
{
    gate.start();
    auto user = guest();
    Octets half = post(query("www"));
    half.resize(half.size() - 5);
    const auto id = user->open(half, false);
    gate.exchange({user.get()});
    gate.clock.advance(5s);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().message_timeouts.get(), 1U);
    EXPECT_EQ(user->streams[*id].reset_code, NGHTTP3_H3_REQUEST_INCOMPLETE);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, FloodsOfControlFramesEndTheConnection)
{
    gate.options.http.offence_burst = 100;
    gate.options.http.offence_per_second = 1;
    gate.start();
    auto user = guest();
    Octets flood;
    for (int i = 0; i < 4000; ++i) flood.insert(flood.end(), {0x21, 0}); // reserved frames, empty
    user->add(2, flood, false);
    gate.exchange({user.get()});
    EXPECT_EQ(user->closed, NGHTTP3_H3_EXCESSIVE_LOAD);
    EXPECT_EQ(gate.stats().h3_control_floods.get(), 1U);
}

TEST_F(QuicHttp3, DrainSaysGoaway)
{
    gate.start();
    auto user = guest();
    const auto open = user->open(post(query("wait", 28)));
    gate.exchange({user.get()});
    bool done = false;
    gate.quic().drain([&] { done = true; });
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().h3_goaways.get(), 1U);
    EXPECT_FALSE(user->closed);
    user->stop(*open, NGHTTP3_H3_REQUEST_CANCELLED);
    gate.exchange({user.get()});
    EXPECT_EQ(user->closed, NGHTTP3_H3_NO_ERROR);
}

} // namespace
} // namespace sallyport::quic_testing
