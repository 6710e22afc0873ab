#include "doh_fixture.hpp"
#include "listeners/doh_request.hpp"

#include <cstring>
#include <map>

namespace sallyport::listeners::testing {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;
using Verdict = DohRequest::Verdict;

class DohRequestTest : public DohTest {
protected:
    /// Feeds a whole request; `body` absent: the header ends it.
    Verdict feed(const Fields& fields, const std::optional<Octets>& body = std::nullopt, bool listed_proxy = false)
    {
        request.begin(context, listed_proxy);
        for (const auto& [name, value] : fields) EXPECT_TRUE(request.field(name, value));
        Verdict verdict = request.header_done(!body.has_value());
        if (body && !body->empty()) verdict = request.body(*body);
        return body ? request.finished() : verdict;
    }

    unsigned status(const Fields& fields, const std::optional<Octets>& body = std::nullopt, bool listed_proxy = false)
    {
        if (feed(fields, body, listed_proxy) == Verdict::query) return 200;
        EXPECT_EQ(request.verdict(), Verdict::respond);
        return request.refusal().status;
    }

    static std::map<std::string, std::string> header(const DohResponse& response)
    {
        std::map<std::string, std::string> all;
        for (const DohField& field : response.header()) all[std::string{field.name}] = field.value;
        return all;
    }

    static Fields get(const std::string& path) { return {{":method", "GET"}, {":path", path}}; }
    static Fields post(const std::string& type = "application/dns-message")
    {
        return {{":method", "POST"}, {":path", "/dns-query"}, {"content-type", type}};
    }

    DohRequest request;
    const Octets query = dns_query();
};

TEST_F(DohRequestTest, TakesGetAndPost)
{
    EXPECT_EQ(status(get(get_path(query))), 200U);
    EXPECT_TRUE(base::equal(request.message(), query));
    EXPECT_EQ(status(post(), query), 200U);
    EXPECT_TRUE(base::equal(request.message(), query));
    EXPECT_EQ(stats.requests_get.get(), 1U);
    EXPECT_EQ(stats.requests_post.get(), 1U);
}

TEST_F(DohRequestTest, IgnoresOtherParameters)
{
    EXPECT_EQ(status(get("/dns-query?a=b&dns=" + base64url(query) + "&ct=application/dns-message&x")), 200U);
    EXPECT_TRUE(base::equal(request.message(), query));
    EXPECT_EQ(status(get("/dns-query?xdns=AAAA")), 400U);
}

TEST_F(DohRequestTest, ToleratesPadding)
{
    const Octets odd = dns_query(0, "exampl");
    EXPECT_EQ(status(get(get_path(odd) + "=")), 200U);
    EXPECT_EQ(status(get(get_path(odd) + "%3D%3D")), 200U);
}

TEST_F(DohRequestTest, RefusesABadParameter)
{
    for (const char* path :
         {"/dns-query", "/dns-query?", "/dns-query?dns", "/dns-query?dns=", "/dns-query?dns==", "/dns-query?dns=%",
          "/dns-query?dns=A", "/dns-query?dns=AA+A", "/dns-query?dns=AAAA&dns=AAAA", "/dns-query?DNS=AAAA"}) {
        EXPECT_EQ(status(get(path)), 400U) << path;
    }
}

TEST_F(DohRequestTest, ChecksTheParametersLengthBeforeDecoding)
{
    limits.header_list = 200'000;
    EXPECT_EQ(status(get("/dns-query?dns=" + std::string(88'001, '!'))), 414U);
    EXPECT_EQ(status(get("/dns-query?dns=" + std::string(88'000, 'A'))), 414U) << "more than 65535 octets decoded";
    EXPECT_EQ(status(get("/dns-query?dns=" + std::string(87'380, 'A'))), 200U);
    EXPECT_EQ(request.message().size(), 65'535U);
}

TEST_F(DohRequestTest, KnowsItsPaths)
{
    EXPECT_EQ(status(get("/?dns=" + base64url(query))), 404U);
    EXPECT_EQ(status(get("/dns-query/?dns=" + base64url(query))), 404U);
    EXPECT_EQ(status(get("")), 404U);
    options.paths = {"/dns-query", "/kids"};
    EXPECT_EQ(status(get("/kids?dns=" + base64url(query))), 200U);
    EXPECT_EQ(request.client(channel->client()).path, "/kids");
}

TEST_F(DohRequestTest, RefusesOtherMethods)
{
    for (const char* method : {"PUT", "DELETE", "CONNECT", "TRACE", "PATCH", "get", "OPTIONS", ""}) {
        EXPECT_EQ(feed({{":method", method}, {":path", "/dns-query"}}), Verdict::respond);
        const auto response = request.refusal();
        EXPECT_EQ(response.status, 405U) << method;
        EXPECT_EQ(header(response)["allow"], "GET, HEAD, POST");
    }
}

TEST_F(DohRequestTest, LooksAtTheContentType)
{
    EXPECT_EQ(status(post("application/DNS-Message"), query), 200U);
    EXPECT_EQ(status(post("application/dns-message; charset=x"), query), 200U);
    EXPECT_EQ(status(post(" application/dns-message ;"), query), 200U);
    for (const char* type : {"", "text/plain", "application/dns-messages", "application/dns", "application/dns-json",
                             "application/x-www-form-urlencoded"}) {
        EXPECT_EQ(status(post(type), query), 415U) << type;
    }
    EXPECT_EQ(status({{":method", "POST"}, {":path", "/dns-query"}}, query), 415U) << "missing";
    Fields two = post();
    two.emplace_back("content-type", "text/plain");
    EXPECT_EQ(status(two, query), 415U);
}

TEST_F(DohRequestTest, LooksAtTheContentEncoding)
{
    Fields fields = post();
    fields.emplace_back("content-encoding", "gzip");
    EXPECT_EQ(status(fields, query), 415U);
    fields.back().second = "Identity";
    EXPECT_EQ(status(fields, query), 200U);
}

TEST_F(DohRequestTest, RefusesAnEmptyBody)
{
    EXPECT_EQ(status(post()), 400U);
    EXPECT_EQ(status(post(), Octets{}), 400U);
    Fields fields = post();
    fields.emplace_back("content-length", "0");
    EXPECT_EQ(status(fields, Octets{}), 400U);
}

TEST_F(DohRequestTest, BoundsTheBody)
{
    EXPECT_EQ(status(post(), Octets(65'535)), 200U);
    EXPECT_EQ(status(post(), Octets(65'536)), 413U);
    EXPECT_EQ(stats.bodies_too_long.get(), 1U);
    Fields fields = post();
    fields.emplace_back("content-length", "65536");
    request.begin(context, false);
    for (const auto& [name, value] : fields) EXPECT_TRUE(request.field(name, value));
    EXPECT_EQ(request.header_done(false), Verdict::respond) << "known before the body comes";
    EXPECT_EQ(request.refusal().status, 413U);
    EXPECT_EQ(request.body(Octets(100)), Verdict::respond) << "ignored";
}

TEST_F(DohRequestTest, GathersABodyInPieces)
{
    request.begin(context, false);
    for (const auto& [name, value] : post()) EXPECT_TRUE(request.field(name, value));
    EXPECT_EQ(request.header_done(false), Verdict::more);
    const Octets whole(5'000, 7);
    for (std::size_t at = 0; at < whole.size(); at += 125)
        EXPECT_EQ(request.body(base::Bytes{whole}.subspan(at, 125)), Verdict::more);
    EXPECT_EQ(request.finished(), Verdict::query);
    EXPECT_TRUE(base::equal(request.message(), whole));
    EXPECT_GT(budget->bodies.held(), 0U);
    request.clear();
    EXPECT_EQ(budget->bodies.held(), 0U);
}

TEST_F(DohRequestTest, BoundsAllBodiesTogether)
{
    limits.answers_in_all = 10'000;
    remake_pipeline();
    DohRequest other;
    other.begin(context, false);
    for (const auto& [name, value] : post()) EXPECT_TRUE(other.field(name, value));
    EXPECT_EQ(other.header_done(false), Verdict::more);
    EXPECT_EQ(other.body(Octets(8'000)), Verdict::more);
    EXPECT_EQ(status(post(), Octets(4'000)), 503U);
    EXPECT_EQ(stats.bodies_over_total_limit.get(), 1U);
    EXPECT_EQ(status(post(), query), 200U) << "small ones need no share";
}

TEST_F(DohRequestTest, ContentLengthIsOnlyABound)
{
    Fields fields = post();
    fields.emplace_back("content-length", "9999");
    EXPECT_EQ(status(fields, query), 400U);
    fields.back().second = "abc";
    EXPECT_EQ(status(fields, query), 400U);
    fields.back().second = std::to_string(query.size());
    EXPECT_EQ(status(fields, query), 200U);
}

TEST_F(DohRequestTest, RefusesContentInAGet)
{
    EXPECT_EQ(status(get(get_path(query)), query), 400U);
    EXPECT_EQ(status(get(get_path(query)), Octets{}), 200U) << "an empty body is none";
}

TEST_F(DohRequestTest, PostIgnoresTheParameter)
{
    Fields fields = post();
    fields[1].second = "/dns-query?dns=garbage!";
    EXPECT_EQ(status(fields, query), 200U);
    EXPECT_TRUE(base::equal(request.message(), query));
}

TEST_F(DohRequestTest, CountsTheDecodedHeaderList)
{
    request.begin(context, false);
    std::size_t counted = 0;
    while (counted + 132 <= 16'384) {
        EXPECT_TRUE(request.field("x-padding!", std::string(90, 'a')));
        counted += 132;
    }
    EXPECT_FALSE(request.field("x-padding!", std::string(90, 'a')));
    EXPECT_EQ(stats.header_lists_too_long.get(), 1U);
}

TEST_F(DohRequestTest, ErrorsHaveAShortTextAndReflectNothing)
{
    EXPECT_EQ(feed(get("/<script>")), Verdict::respond);
    const auto response = request.refusal();
    auto fields = header(response);
    EXPECT_EQ(fields["content-type"], "text/plain");
    EXPECT_EQ(fields["content-length"], std::to_string(response.text.size()));
    EXPECT_EQ(response.body_size, response.text.size());
    EXPECT_EQ(response.text.find("script"), std::string_view::npos);
    EXPECT_EQ(stats.status_404.get(), 1U);
}

TEST_F(DohRequestTest, HeadHasNoBody)
{
    EXPECT_EQ(status({{":method", "HEAD"}, {":path", get_path(query)}}), 200U);
    EXPECT_TRUE(request.is_head());
    EXPECT_EQ(feed({{":method", "HEAD"}, {":path", "/nothing"}}), Verdict::respond);
    const auto response = request.refusal();
    EXPECT_EQ(response.body_size, 0U);
    EXPECT_NE(header(response)["content-length"], "0");
}

TEST_F(DohRequestTest, CrossOriginWhereConfigured)
{
    const Fields preflight{{":method", "OPTIONS"}, {":path", "/dns-query"}, {"origin", "https://a.test"}};
    EXPECT_EQ(status(preflight), 405U);
    options.cors_origins = {"https://a.test"};
    EXPECT_EQ(feed(preflight), Verdict::respond);
    auto response = request.refusal();
    EXPECT_EQ(response.status, 204U);
    EXPECT_EQ(header(response)["access-control-allow-origin"], "https://a.test");
    EXPECT_EQ(header(response)["vary"], "origin");
    EXPECT_EQ(header(response)["access-control-allow-headers"], "accept, content-type");
    EXPECT_EQ(feed({{":method", "GET"}, {":path", "/"}, {"origin", "https://b.test"}}), Verdict::respond);
    EXPECT_EQ(header(request.refusal()).count("access-control-allow-origin"), 0U);
    options.cors_origins = {"*"};
    EXPECT_EQ(feed({{":method", "GET"}, {":path", "/"}, {"origin", "https://b.test"}}), Verdict::respond);
    EXPECT_EQ(header(request.refusal())["access-control-allow-origin"], "*");
}

TEST_F(DohRequestTest, BelievesListedProxiesOnly)
{
    options.forwarded_from = {base::Prefix::parse("127.0.0.0/8").value()};
    Fields fields = get(get_path(query));
    fields.emplace_back("x-forwarded-for", "192.0.2.9");
    EXPECT_EQ(status(fields, std::nullopt, true), 200U);
    EXPECT_EQ(request.client(channel->client()).peer.address.to_string(), "192.0.2.9");
    EXPECT_EQ(stats.forwarded_believed.get(), 1U);
    EXPECT_EQ(status(fields, std::nullopt, false), 200U);
    EXPECT_EQ(request.client(channel->client()).peer.address.to_string(), "127.0.0.1");
    EXPECT_EQ(stats.forwarded_ignored.get(), 1U);
    fields.emplace_back("forwarded", "for=192.0.2.10");
    EXPECT_EQ(status(fields, std::nullopt, true), 400U);
}

TEST_F(DohRequestTest, TellsOfHttp3)
{
    context.alt_svc = "h3=\":8443\"";
    EXPECT_EQ(feed(get("/")), Verdict::respond);
    EXPECT_EQ(header(request.refusal())["alt-svc"], "h3=\":8443\"");
}

} // namespace
} // namespace sallyport::listeners::testing
