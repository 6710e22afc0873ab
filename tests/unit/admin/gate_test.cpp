#include "admin/gate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace sallyport::admin {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

const std::string kToken = "0123456789abcdef0123456789abcdef";

Response fine(const Request&) { return {}; }

struct Fixture : testing::Test {
    Fixture()
        : gate({{"GET", "/metrics", false, fine},
                {"POST", "/api/v1/reload", true, fine},
                {"GET", "/api/v1/cache/list", false, fine, true, true}},
               stats)
    {
        options.hosts = {"gate.test"};
        gate.configure(options, kToken);
    }

    static HttpRequest get(std::string target)
    {
        HttpRequest http;
        http.method = "GET";
        http.target = std::move(target);
        http.host = "127.0.0.1:8080";
        return http;
    }
    static HttpRequest change(std::string token = kToken, std::string body = "{}")
    {
        HttpRequest http = get("/api/v1/reload");
        http.method = "POST";
        http.content_type = "application/json";
        http.body = std::move(body);
        http.has_authorization = !token.empty();
        http.authorization = "Bearer " + token;
        return http;
    }
    /// 200 where a route is called.
    unsigned ask(HttpRequest http)
    {
        last = gate.judge(std::move(http), peer, now);
        return last.route != nullptr ? 200 : last.refusal.status;
    }

    Options options;
    ServerStats stats;
    Gate gate;
    Peer peer{"127.0.0.1", "127.0.0.1", false};
    base::Instant now{1h};
    Gate::Decision last;
};
using AdminGate = Fixture;

TEST_F(AdminGate, ReadsAreOpenAndChangesNeedTheToken)
{
    EXPECT_EQ(ask(get("/metrics?x=1")), 200U);
    EXPECT_FALSE(last.request.authorised);
    EXPECT_EQ(last.request.parameters.at("x"), "1");
    EXPECT_EQ(ask(change("")), 401U);
    EXPECT_THAT(last.field, HasSubstr("WWW-Authenticate: Bearer"));
    EXPECT_EQ(ask(change()), 200U);
    EXPECT_TRUE(last.request.authorised);
    EXPECT_EQ(stats.unauthorised.get(), 1U);
}

TEST_F(AdminGate, ReadsThatTellWhoAskedForWhatNeedTheTokenToo)
{
    EXPECT_EQ(ask(get("/api/v1/cache/list")), 401U);
    auto http = get("/api/v1/cache/list");
    http.has_authorization = true;
    http.authorization = std::string{"Bearer "} + kToken;
    EXPECT_EQ(ask(http), 200U);
    peer.by_socket_file = true;
    EXPECT_EQ(ask(get("/api/v1/cache/list")), 200U);
}

TEST_F(AdminGate, WhatIsNotListedIsClosed)
{
    EXPECT_EQ(ask(get("/metric")), 401U);
    auto http = get("/metrics");
    http.method = "DELETE";
    EXPECT_EQ(ask(http), 401U);
    http.has_authorization = true;
    http.authorization = "bearer " + kToken;
    EXPECT_EQ(ask(http), 405U);
    EXPECT_EQ(last.field, "Allow: GET\r\n");
    http.target = "/nothing";
    EXPECT_EQ(ask(http), 404U);
}

TEST_F(AdminGate, OtherSpellingsOfAPathReachNothing)
{
    for (const char* target : {"/api/v1/../v1/reload", "//metrics", "/./metrics", "/metrics/.", "/metrics/..",
                               "/api%2fv1/reload", "/metrics%00", "/metrics%0a", "/%", "/%4", "/%zz", "metrics",
                               "http://127.0.0.1/metrics", "*", "", "/a\\b", "/%2e%2e/metrics"})
        EXPECT_EQ(ask(get(target)), 400U) << target;
    EXPECT_EQ(ask(get("/metric%73")), 200U) << "the same path after all";
}

TEST_F(AdminGate, AForeignNameIsTurnedAway)
{
    for (const char* host : {"evil.test", "127.0.0.1.evil.test", "192.0.2.1", "", "evil.test:8080", "[::1]"}) {
        auto http = get("/metrics");
        http.host = host;
        EXPECT_EQ(ask(http), 403U) << host;
    }
    for (const char* host : {"127.0.0.1", "localhost:9", "LOCALHOST", "gate.test", "GATE.test:8080"}) {
        auto http = get("/metrics");
        http.host = host;
        EXPECT_EQ(ask(http), 200U) << host;
    }
}

TEST_F(AdminGate, AForeignPageIsTurnedAway)
{
    for (const char* origin : {"https://evil.test", "null", "http://127.0.0.1.evil.test"}) {
        auto http = get("/metrics");
        http.origin = origin;
        EXPECT_EQ(ask(http), 403U) << origin;
    }
    auto http = get("/metrics");
    http.origin = "http://gate.test:8080";
    EXPECT_EQ(ask(http), 200U);
}

TEST_F(AdminGate, ChangesAreJson)
{
    for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"}) {
        auto http = change();
        http.content_type = type;
        EXPECT_EQ(ask(http), 415U) << type;
    }
    auto http = change();
    http.content_type = "Application/JSON ; charset=utf-8";
    EXPECT_EQ(ask(http), 200U);
    EXPECT_EQ(ask(change(kToken, "")), 200U);
    EXPECT_EQ(ask(change(kToken, "{")), 400U);
    EXPECT_EQ(ask(change(kToken, std::string(64, '[') + std::string(64, ']'))), 200U);
    EXPECT_EQ(ask(change(kToken, std::string(65, '[') + std::string(65, ']'))), 400U);
}

TEST_F(AdminGate, TenWrongTokensShutOutForLongerAndLonger)
{
    for (unsigned i = 0; i < 10; ++i) EXPECT_EQ(ask(change("wrong")), 401U) << i;
    EXPECT_EQ(ask(change()), 429U) << "the right one too: nobody learns by trying";
    EXPECT_EQ(last.field, "Retry-After: 1\r\n");
    EXPECT_EQ(ask(get("/metrics")), 200U) << "what is open stays open";
    for (const auto wait : {1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 300s, 300s}) {
        now += wait - 1ms;
        EXPECT_EQ(ask(change("wrong")), 429U) << wait.count();
        now += 1ms;
        EXPECT_EQ(ask(change("wrong")), 401U) << wait.count();
    }
    peer.address = "127.0.0.2";
    EXPECT_EQ(ask(change()), 200U) << "another client is not meant";
    peer.address = "127.0.0.1";
    now += 300s;
    EXPECT_EQ(ask(change()), 200U);
    EXPECT_EQ(ask(change("wrong")), 401U) << "and all is forgotten";
    EXPECT_EQ(ask(change()), 200U);
    EXPECT_GT(stats.locked_out.get(), 0U);
}

TEST_F(AdminGate, WithoutATokenNothingCanBeChangedOverTheNetwork)
{
    gate.configure(options, "");
    EXPECT_EQ(ask(change("")), 401U);
    EXPECT_THAT(last.refusal.body, HasSubstr("admin.token_file"));
    auto http = change();
    http.authorization = "Bearer ";
    EXPECT_EQ(ask(http), 401U);
}

TEST_F(AdminGate, ASocketFileIsLeaveEnough)
{
    peer = {"unix", "", true};
    auto http = change("");
    http.host = "localhost";
    EXPECT_EQ(ask(http), 200U);
    EXPECT_TRUE(last.request.authorised);
    http = change("wrong");
    http.host = "localhost";
    EXPECT_EQ(ask(http), 401U) << "who sends a token means it";
}

TEST(AdminLockout, RemembersABoundedNumberOfAddresses)
{
    Lockout lockout{1};
    base::Instant now{1h};
    for (unsigned i = 0; i < 5000; ++i) lockout.failed(std::to_string(i), now += 1ms);
    EXPECT_GT(lockout.left("4999", now), 0s);
    EXPECT_EQ(lockout.left("0", now), 0s);
}

TEST(AdminLockout, ForgetsAfterAWhile)
{
    Lockout lockout{2};
    base::Instant now{1h};
    lockout.failed("a", now);
    lockout.failed("a", now + 16min);
    EXPECT_EQ(lockout.left("a", now + 16min), 0s);
}

TEST(ConstantTime, Compares)
{
    EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
    EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
    EXPECT_FALSE(equal_in_constant_time("abc", "abcabc"));
    EXPECT_FALSE(equal_in_constant_time("abc", ""));
    EXPECT_FALSE(equal_in_constant_time("", "a"));
}

TEST(AdminTarget, DecodesParameters)
{
    const auto request = parse_target("/a?name=%41+b%2Bc&empty&x=1&x=2&=y");
    ASSERT_TRUE(request);
    EXPECT_EQ(request->parameters.at("name"), "A b+c");
    EXPECT_EQ(request->parameters.at("empty"), "");
    EXPECT_EQ(request->parameters.at("x"), "2");
    std::string many = "/a?";
    for (int i = 0; i < 100; ++i) many += "p" + std::to_string(i) + "=1&";
    EXPECT_FALSE(parse_target(many));
}

} // namespace
} // namespace sallyport::admin
