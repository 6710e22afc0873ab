#include "forward_fixture.hpp"

// What is said to an upstream, and what of its answers is believed.

namespace sallyport::forward_testing {
namespace {

TEST_F(Forward, AnswersOverUdpAndKeepsTheAnswer)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const Client client = resolve("www.example.");
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(client.rcode, Rcode::NOERROR);
    EXPECT_EQ(client.upstream, options_.groups[0].upstreams[0].name);
    const auto view = wire::MessageView::parse(client.message);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->answers().size(), 1U);
    // Kept for whoever asks next.
    Octets room(4096);
    wire::MessageWriter writer{room, room.size()};
    const auto name = *wire::Name::from_text("www.example.");
    writer.begin(1, wire::flag::QR);
    (void)writer.question(name, RrType::A, wire::RrClass::IN);
    cache::Key key;
    key.qname = &name;
    key.qtype = RrType::A;
    EXPECT_TRUE(cache_.find(key, worker_.now(), writer));
}

TEST_F(Forward, QueriesAreWrittenAnew)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    for (int i = 0; i < 8; ++i) resolve("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + std::to_string(i) + ".example.");
    ASSERT_EQ(server.udp_queries.size(), 8U);
    std::map<std::uint16_t, int> ids;
    bool upper = false;
    for (const Octets& query : server.udp_queries) {
        const auto view = wire::MessageView::parse(query);
        ASSERT_TRUE(view);
        ++ids[view->id()];
        EXPECT_TRUE(view->header().has(wire::flag::RD | wire::flag::AD));
        ASSERT_NE(view->edns(), nullptr);
        EXPECT_EQ(view->edns()->udp_payload_size, 1232);
        ASSERT_TRUE(view->edns()->cookie);
        EXPECT_EQ(view->edns()->cookie->size(), 8U);
        for (const auto octet : view->question_bytes()) upper = upper || (octet >= 'A' && octet <= 'Z');
    }
    EXPECT_GT(ids.size(), 6U);
    EXPECT_TRUE(upper);
}

TEST_F(Forward, KeepsDnssecBits)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    auto asked = question("www.example.");
    asked.dnssec_ok = true;
    asked.checking_disabled = true;
    Client client;
    ASSERT_EQ(resolver_->resolve(asked, client, worker_.refresh_now()), Taken::waiting);
    ASSERT_TRUE(until([&] { return client.heard > 0; }));
    const auto view = wire::MessageView::parse(server.udp_queries.at(0));
    ASSERT_TRUE(view && view->edns() != nullptr);
    EXPECT_TRUE(view->edns()->dnssec_ok);
    EXPECT_TRUE(view->header().has(wire::flag::CD));
}

TEST_F(Forward, TruncatedAnswersAreAskedForOverTcp)
{
    Server server{worker_, [](const Octets& query, bool tcp) {
                      return std::vector<Octets>{answer_to(query, Rcode::NOERROR, tcp ? 0 : wire::flag::TC)};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    EXPECT_TRUE(resolve("b.example.").answered);
    EXPECT_EQ(server.tcp_queries.size(), 2U);
    EXPECT_EQ(server.accepted, 1U) << "the connection is kept";
    EXPECT_EQ(upstream_counter("upstream_tcp_fallbacks_total"), 2U);
}

TEST_F(Forward, ForgedDatagramsAreNotBelieved)
{
    Server server{worker_, [](const Octets& query, bool tcp) {
                      std::vector<Octets> out;
                      if (tcp) return std::vector<Octets>{answer_to(query)};
                      Octets wrong = answer_to(query);
                      wrong[1] = static_cast<std::uint8_t>(wrong[1] + 1U); // id
                      out.push_back(wrong);
                      return out;
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const Client one = resolve("www.example.");
    EXPECT_TRUE(one.answered);
    EXPECT_GE(upstream_counter("upstream_near_misses_total"), 1U);
}

TEST_F(Forward, TwoNearMissesSendTheQuestionOverTcpAtOnce)
{
    Server server{worker_, [](const Octets& query, bool tcp) {
                      if (tcp) return std::vector<Octets>{answer_to(query)};
                      Octets wrong = answer_to(query);
                      wrong[13] = wrong[13] == 'x' ? 'y' : 'x'; // the name
                      Octets query_back = query;                // QR not set
                      return std::vector<Octets>{wrong, query_back};
                  }};
    options_.limits.first_timeout = 3s;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const auto began = clock_.now();
    EXPECT_TRUE(resolve("www.example.").answered);
    EXPECT_LT(clock_.now() - began, 2s);
    EXPECT_EQ(server.tcp_queries.size(), 1U);
    EXPECT_EQ(upstream_counter("upstream_near_misses_total"), 2U);
}

TEST_F(Forward, AServerThatDoesNotKeepLettersIsFoundOut)
{
    Server server{worker_, [](const Octets& query, bool) {
                      Octets answer = answer_to(query);
                      for (std::size_t i = 13; i < 40; ++i) answer[i] = wire::lower(answer[i]);
                      return std::vector<Octets>{answer};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const std::string name = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.example.";
    EXPECT_TRUE(resolve(name).answered);
    EXPECT_EQ(server.tcp_queries.size(), 1U);
    EXPECT_EQ(upstream_counter("upstream_case_fallbacks_total"), 1U);
    EXPECT_TRUE(resolve("b" + name).answered);
    EXPECT_EQ(server.tcp_queries.size(), 1U) << "from then on its letters do not count";
}

TEST_F(Forward, AForgerOfLettersDoesNotMakeThemOfNoAccount)
{
    bool forge = true;
    Server server{worker_, [&](const Octets& query, bool tcp) {
                      Octets answer = answer_to(query);
                      for (std::size_t i = 13; i < 40 && forge && !tcp; ++i) answer[i] = wire::lower(answer[i]);
                      return std::vector<Octets>{answer};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const std::string name = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.example.";
    EXPECT_TRUE(resolve(name).answered);
    EXPECT_TRUE(resolve("b" + name).answered);
    EXPECT_EQ(server.tcp_queries.size(), 2U) << "each of the forger's is asked for again over TCP, where letters fit";
    EXPECT_EQ(upstream_counter("upstream_case_fallbacks_total"), 0U);
    forge = false;
    EXPECT_TRUE(resolve("c" + name).answered);
    EXPECT_EQ(server.tcp_queries.size(), 2U);
}

TEST_F(Forward, CookiesAreLearntAndDemanded)
{
    bool with_cookie = true;
    const auto cookie_answer = [&](const Octets& query, Rcode rcode) {
        const auto view = wire::MessageView::parse(query);
        Octets cookie = octets_of(view->edns()->cookie->first(8));
        for (std::uint8_t i = 0; i < 16; ++i) cookie.push_back(i);
        Octets room(4096);
        wire::MessageWriter writer{room, room.size()};
        (void)writer.begin_response(view->id(), view->header().flags, view->question_bytes(), 1);
        writer.set_rcode(rcode);
        (void)writer.begin_opt(1232, false);
        (void)writer.option(wire::EdnsOptionCode::COOKIE, cookie);
        writer.end_opt();
        return octets_of(writer.message());
    };
    Server server{worker_, [&](const Octets& query, bool tcp) {
                      const auto view = wire::MessageView::parse(query);
                      if (!with_cookie && !tcp) return std::vector<Octets>{answer_to(query)};
                      if (view->edns()->cookie->size() == 8)
                          return std::vector<Octets>{cookie_answer(query, Rcode::BADCOOKIE)};
                      return std::vector<Octets>{cookie_answer(query, Rcode::NXDOMAIN)};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    EXPECT_EQ(resolve("a.example.").rcode, Rcode::NXDOMAIN);
    EXPECT_EQ(server.udp_queries.size(), 2U) << "once more with the cookie it gave";
    EXPECT_EQ(upstream_counter("upstream_bad_cookies_total"), 1U);
    EXPECT_EQ(resolve("b.example.").rcode, Rcode::NXDOMAIN);
    EXPECT_EQ(server.udp_queries.size(), 3U);
    // A forger has no cookie: his answer is not taken.
    with_cookie = false;
    const auto began = clock_.now();
    EXPECT_EQ(resolve("c.example.").rcode, Rcode::NXDOMAIN);
    EXPECT_LT(clock_.now() - began, 90ms) << "TCP at once, not when the time is over";
    EXPECT_EQ(server.tcp_queries.size(), 1U);
    EXPECT_GE(upstream_counter("upstream_near_misses_total"), 1U);
}

TEST_F(Forward, AServerWithoutEdnsIsAskedWithoutIt)
{
    Server server{worker_, [](const Octets& query, bool) {
                      const auto view = wire::MessageView::parse(query);
                      return std::vector<Octets>{
                          answer_to(query, view->edns() != nullptr ? Rcode::FORMERR : Rcode::NOERROR, 0, false)};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    EXPECT_EQ(server.udp_queries.size(), 2U);
    EXPECT_TRUE(resolve("b.example.").answered);
    EXPECT_EQ(server.udp_queries.size(), 3U) << "remembered";
}

TEST_F(Forward, OneQuestionDoesNotTakeEdnsFromTheOthers)
{
    // FORMERR with an OPT: the server knows EDNS, and means the question.
    Server server{worker_, [](const Octets& query, bool) {
                      const auto view = wire::MessageView::parse(query);
                      const bool bad = view->edns() != nullptr && wire::lower(query[13]) == 'a';
                      return std::vector<Octets>{answer_to(query, bad ? Rcode::FORMERR : Rcode::NOERROR)};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    EXPECT_TRUE(resolve("b.example.").answered);
    ASSERT_EQ(server.udp_queries.size(), 3U);
    EXPECT_NE(wire::MessageView::parse(server.udp_queries[2])->edns(), nullptr);
}

} // namespace
} // namespace sallyport::forward_testing
