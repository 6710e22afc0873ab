#include "net/client/doh_request.hpp"

#include <gtest/gtest.h>

namespace sallyport::net::client {
namespace {

TEST(DohRequest, EncodesAsRfc4648Section10WithoutPadding)
{
    const std::pair<const char*, const char*> vectors[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},         {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}};
    for (const auto& [plain, encoded] : vectors) EXPECT_EQ(base64url(base::as_bytes(plain)), encoded);
    EXPECT_EQ(base64url(base::as_bytes("\xFB\xFF\xFE")), "-__-");
}

TEST(DohRequest, PutsTheQueryBehindThePath)
{
    DohTarget target;
    EXPECT_EQ(request_path(target, base::as_bytes("foo")), "/dns-query");
    target.get = true;
    EXPECT_EQ(request_path(target, base::as_bytes("foo")), "/dns-query?dns=Zm9v");
    target.path = "/q?key=1";
    EXPECT_EQ(request_path(target, base::as_bytes("foo")), "/q?key=1&dns=Zm9v");
}

TEST(DohRequest, ReadsUrls)
{
    const auto plain = parse_doh_url("https://dns.example/dns-query{?dns}");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->host, "dns.example");
    EXPECT_EQ(plain->port, 443);
    EXPECT_EQ(plain->target.path, "/dns-query");
    const auto ipv6 = parse_doh_url("https://[2001:db8::1]:8443");
    ASSERT_TRUE(ipv6);
    EXPECT_EQ(ipv6->host, "2001:db8::1");
    EXPECT_EQ(ipv6->port, 8443);
    EXPECT_EQ(ipv6->target.authority, "[2001:db8::1]:8443");
    EXPECT_EQ(ipv6->target.path, "/dns-query");
    const auto clear = parse_doh_url("http://127.0.0.1:8080/q");
    ASSERT_TRUE(clear);
    EXPECT_TRUE(clear->target.cleartext);
}

TEST(DohRequest, RefusesWhatIsNoUrl)
{
    for (const char* text : {"dns.example", "ftp://dns.example/", "https:///dns-query", "https://user@dns.example/",
                             "https://dns.example:0/", "https://dns.example:99999/", "https://dns.example:5x/"}) {
        EXPECT_FALSE(parse_doh_url(text)) << text;
    }
}

TEST(DohRequest, ComplaintsHoldNoControlCharacters)
{
    HttpAnswer answer;
    answer.header(":status", "404");
    answer.body = "no\x1b[31m such\n path";
    EXPECT_FALSE(answer.is_dns());
    EXPECT_EQ(answer.complaint(), "HTTP status 404: no [31m such  path");
    answer.header(":status", "200");
    answer.header("content-type", "text/html");
    EXPECT_FALSE(answer.is_dns());
    answer.header("content-type", "application/dns-message");
    EXPECT_TRUE(answer.is_dns());
}

} // namespace
} // namespace sallyport::net::client
