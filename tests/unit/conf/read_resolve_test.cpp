#include "conf/configuration.hpp"
#include "conf/upstream_url.hpp"

#include <gtest/gtest.h>

namespace sallyport::conf {
namespace {

using base::Transport;
using resolver::Mode;
using resolver::Strategy;

struct Read {
    resolver::Options options;
    std::vector<std::string> problems;
};

Read read(const std::string& text)
{
    base::Problems problems;
    const auto configuration =
        parse_configuration(text, "gate.yaml", [](const char*) -> const char* { return nullptr; }, problems);
    Read out{configuration.resolver, {}};
    for (const auto& problem : problems) out.problems.push_back(problem.to_string());
    return out;
}

std::string url(std::string_view text, resolver::UpstreamOptions& options) { return read_upstream_url(text, options); }

TEST(ReadResolve, NamesOfUpstreamsThatAreLookedUp)
{
    const auto got = read("resolve:\n"
                          "  bootstrap:\n"
                          "    - 192.0.2.53\n"
                          "    - udp://127.0.0.1:5353\n"
                          "    - { name: quad9, url: 'tls://9.9.9.9#dns.quad9.net' }\n"
                          "  bootstrap_limits: { addresses: 4, look_ups: 2, time: 3s, aliases: 5, least_ttl: 30s, "
                          "most_ttl: 2h }\n"
                          "  upstreams: [tls://dns.example]\n"
                          "  groups: [{ name: a, upstreams: [https://doh.example] }]\n");
    EXPECT_TRUE(got.problems.empty()) << got.problems[0];
    ASSERT_EQ(got.options.bootstrap.size(), 3U);
    EXPECT_EQ(got.options.bootstrap[1].port, 5353);
    EXPECT_EQ(got.options.bootstrap[2].name, "quad9");
    EXPECT_EQ(got.options.bootstrap[2].server_name, "dns.quad9.net");
    const resolver::BootstrapLimits wanted{
        4, 2, std::chrono::seconds{3}, 5, std::chrono::seconds{30}, std::chrono::hours{2}};
    EXPECT_EQ(got.options.bootstrap_limits, wanted);
    EXPECT_EQ(got.options.mode, Mode::forward);
    EXPECT_TRUE(got.options.groups[0].upstreams[0].addresses.empty());
}

TEST(ReadResolve, UrlsOfEachTransport)
{
    struct Case {
        const char* url;
        Transport transport;
        const char* host;
        std::uint16_t port;
        const char* server_name;
        const char* path;
    };
    for (const Case& one :
         {Case{"192.0.2.1", Transport::udp, "192.0.2.1", 53, "", "/dns-query"},
          Case{"2001:db8::1", Transport::udp, "2001:db8::1", 53, "", "/dns-query"},
          Case{"[2001:db8::1]:5353", Transport::udp, "2001:db8::1", 5353, "", "/dns-query"},
          Case{"udp://192.0.2.1:54", Transport::udp, "192.0.2.1", 54, "", "/dns-query"},
          Case{"tcp://192.0.2.1", Transport::tcp, "192.0.2.1", 53, "", "/dns-query"},
          Case{"tls://9.9.9.9#dns.quad9.net", Transport::dot, "9.9.9.9", 853, "dns.quad9.net", "/dns-query"},
          Case{"https://dns.example/q{?dns}", Transport::doh2, "dns.example", 443, "", "/q"},
          Case{"https://dns.example:8443", Transport::doh2, "dns.example", 8443, "", "/dns-query"},
          Case{"h3://dns.example/", Transport::doh3, "dns.example", 443, "", "/dns-query"},
          Case{"quic://dns.example", Transport::doq, "dns.example", 853, "", "/dns-query"}}) {
        resolver::UpstreamOptions options;
        EXPECT_EQ(url(one.url, options), "") << one.url;
        EXPECT_EQ(options.transport, one.transport) << one.url;
        EXPECT_EQ(options.host, one.host);
        EXPECT_EQ(options.port, one.port) << one.url;
        EXPECT_EQ(options.server_name, one.server_name);
        EXPECT_EQ(options.doh_path, one.path);
    }
}

TEST(ReadResolve, UrlsThatAreNone)
{
    for (const char* text : {"", "gopher://192.0.2.1", "udp://", "udp://192.0.2.1:0", "udp://192.0.2.1:99999",
                             "udp://192.0.2.1:x", "udp://[2001:db8::1", "tls://a b", "udp://192.0.2.1#name",
                             "tls://192.0.2.1#na me", "udp://192.0.2.1/path", "tls://-..", "https://dns.example/a b"}) {
        resolver::UpstreamOptions options;
        EXPECT_NE(url(text, options), "") << text;
    }
}

TEST(ReadResolve, TheShorthandIsTheDefaultGroup)
{
    const auto got = read("resolve: { upstreams: ['tls://9.9.9.9#dns.quad9.net', 192.0.2.1], strategy: ordered }");
    EXPECT_EQ(got.problems, std::vector<std::string>{});
    EXPECT_EQ(got.options.mode, Mode::forward);
    ASSERT_EQ(got.options.groups.size(), 1U);
    EXPECT_EQ(got.options.groups[0].name, "default");
    EXPECT_EQ(got.options.groups[0].strategy, Strategy::ordered);
    ASSERT_EQ(got.options.groups[0].upstreams.size(), 2U);
    EXPECT_EQ(got.options.groups[0].upstreams[0].name, "tls://9.9.9.9#dns.quad9.net");
    EXPECT_EQ(got.options.groups[0].upstreams[0].addresses.size(), 1U);
}

TEST(ReadResolve, WithoutUpstreamsNobodyIsAsked)
{
    EXPECT_EQ(read("").options.mode, Mode::off);
    EXPECT_EQ(read("resolve: { upstreams: [192.0.2.1], mode: off }").options.mode, Mode::off);
}

TEST(ReadResolve, GroupsRoutesAndLimits)
{
    const auto got =
        read("resolve:\n"
             "  groups:\n"
             "    - name: world\n"
             "      strategy: race\n"
             "      race: 3\n"
             "      upstreams:\n"
             "        - { url: 'https://dns.example/dns-query', addresses: [192.0.2.1, '2001:db8::1'], name: W,\n"
             "            pins: ['AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA='], verify: false, ca_file: ca.pem }\n"
             "    - { name: corp, upstreams: ['tcp://10.0.0.53'] }\n"
             "  routes:\n"
             "    - { zones: [corp.example, 10.in-addr.arpa], to: corp }\n"
             "  case_randomisation: false\n"
             "  cookies: false\n"
             "  udp_size: 1400\n"
             "  limits: { budget: 3s, tries: 2, in_flight: 10, backoff_first: 1s }\n");
    EXPECT_EQ(got.problems, std::vector<std::string>{});
    ASSERT_EQ(got.options.groups.size(), 2U);
    const auto& world = got.options.groups[0];
    EXPECT_EQ(world.strategy, Strategy::race);
    EXPECT_EQ(world.race, 3U);
    EXPECT_EQ(world.upstreams[0].addresses.size(), 2U);
    EXPECT_EQ(world.upstreams[0].name, "W");
    EXPECT_FALSE(world.upstreams[0].verify);
    ASSERT_EQ(got.options.routes.size(), 1U);
    EXPECT_EQ(got.options.routes[0].group, "corp");
    EXPECT_FALSE(got.options.case_randomisation);
    EXPECT_FALSE(got.options.cookies);
    EXPECT_EQ(got.options.udp_payload_size, 1400);
    EXPECT_EQ(got.options.limits.budget, std::chrono::seconds{3});
    EXPECT_EQ(got.options.limits.tries, 2U);
}

TEST(ReadResolve, ErrorsSayWhereAndWhatWasExpected)
{
    const auto complains = [](const std::string& text, const std::string& place, const std::string& words) {
        const auto got = read(text);
        bool found = false;
        std::string all;
        for (const auto& problem : got.problems) {
            all += problem + "\n";
            found = found || (problem.find(place) != std::string::npos && problem.find(words) != std::string::npos);
        }
        EXPECT_TRUE(found) << text << "\n" << all;
    };
    complains("resolve:\n  upstreams:\n    - tls://dns.example\n", "gate.yaml:3:7", "expected 'addresses'");
    complains("resolve:\n  upstreams:\n    - tls://dns.example\n", "gate.yaml:3:7", "resolve.bootstrap: [");
    complains("resolve:\n  groups:\n    - { name: a, upstreams: [quic://dns.example] }\n", "gate.yaml:3:30",
              "resolve.bootstrap: [");
    complains("resolve:\n  bootstrap:\n    - udp://dns.example\n", "gate.yaml:3:7", "by its address");
    complains("resolve:\n  bootstrap: [192.0.2.1]\n  bootstrap_limits: { least_ttl: 2h, most_ttl: 1h }\n",
              "gate.yaml:3", "less than 'least_ttl'");
    complains("resolve:\n  upstreams:\n    - ftp://192.0.2.1\n", "gate.yaml:3:7", "udp://");
    complains("resolve:\n  upstreams:\n    - { url: 'tls://192.0.2.1', pins: [abc] }\n", "gate.yaml:3:", "no pin");
    complains("resolve:\n  upstreams:\n    - { url: '192.0.2.1', pins: [abc] }\n", "gate.yaml:3:", "not encrypted");
    complains("resolve:\n  upstreams:\n    - { url: 'tls://192.0.2.1', server_name: \"a\\0b\" }\n",
              "gate.yaml:3:", "certificate");
    complains("resolve:\n  upstreams:\n    - { url: \"https://192.0.2.1/a\\r\\nb\" }\n", "gate.yaml:3:", "/dns-query");
    complains("resolve:\n  upstreams:\n    - 192.0.2.1\n    - 192.0.2.1\n", "gate.yaml:4:7", "already");
    complains("resolve:\n  upstreams:\n    - { url: 'tls://a.example', addresses: ['192.0.2.1:53'] }\n",
              "gate.yaml:3:", "no address");
    complains("resolve:\n  upstreams: [192.0.2.1]\n  routes:\n    - { zones: [a.example], to: defualt }\n",
              "gate.yaml:4:", "did you mean 'default'?");
    complains("resolve:\n  upstreams: [192.0.2.1]\n  routes:\n    - { zones: ['a..b'], to: default }\n",
              "gate.yaml:4:", "no domain name");
    complains("resolve:\n  upstreams: [192.0.2.1]\n  routes:\n    - { zones: [a.b, A.B.], to: default }\n",
              "gate.yaml:4:", "route already");
    complains(
        "resolve:\n  groups:\n    - { name: a, upstreams: [192.0.2.1] }\n    - { name: a, upstreams: [192.0.2.1] }\n",
        "gate.yaml:4:", "already");
    complains("resolve:\n  groups:\n    - { name: a }\n", "gate.yaml:3:", "at least one");
    complains("resolve:\n  mode: forward\n", "gate.yaml:2:", "nobody to ask");
    complains("resolve:\n  upstreams: [192.0.2.1]\n  limits: { backoff_most: 1s }\n", "gate.yaml:3:", "backoff_most");
    complains("resolve:\n  upstreams: [192.0.2.1]\n  stratgy: race\n", "gate.yaml:3:", "did you mean 'strategy'?");
}

TEST(ReadResolve, WhoValidates)
{
    const std::string to = "  upstreams: [192.0.2.1]\n  groups: [{name: corp, upstreams: [192.0.2.2]}]\n";
    EXPECT_FALSE(read("resolve:\n" + to).options.validate); // in mode forward for who asks for it
    const auto forward = read("resolve:\n" + to +
                              "  validate: yes\n  first: yes\n"
                              "  routes: [{zones: [corp.example], to: corp}, {zones: [lan.internal, 10.in-addr.arpa], "
                              "to: corp}, {zones: [b.example], to: corp, validate: no, first: yes}, "
                              "{zones: [b.internal], to: corp, validate: yes}]\n");
    EXPECT_TRUE(forward.problems.empty()) << forward.problems.front();
    EXPECT_TRUE(forward.options.validate);
    EXPECT_TRUE(forward.options.first);
    ASSERT_EQ(forward.options.routes.size(), 4U);
    EXPECT_TRUE(forward.options.routes[0].validate);
    EXPECT_FALSE(forward.options.routes[1].validate); // never signed
    EXPECT_FALSE(forward.options.routes[2].validate);
    EXPECT_TRUE(forward.options.routes[2].first);
    EXPECT_TRUE(forward.options.routes[3].validate);
    EXPECT_TRUE(resolver::needs_engine(forward.options));

    const auto recurse = read("resolve:\n" + to + "  mode: recurse\n  validate: no\n");
    EXPECT_TRUE(recurse.problems.empty());
    EXPECT_FALSE(recurse.options.recurse.dnssec.enabled);
    EXPECT_FALSE(read("resolve:\n" + to + "  validate: yes\n  dnssec: { validate: no }\n").options.validate);
}

TEST(ReadResolve, ValidationWithoutItsMeansIsRefused)
{
    const std::string to = "resolve:\n  upstreams: [192.0.2.1]\n  groups: [{name: corp, upstreams: [192.0.2.2]}]\n";
    for (const char* more : {"  first: yes\n", "  routes: [{zones: [a.example], to: corp, validate: yes}]\n",
                             "  routes: [{zones: [a.example], to: corp, first: yes}]\n", "  validate: perhaps\n"})
        EXPECT_EQ(read(to + more).problems.size(), 1U) << more;
}

TEST(ReadResolve, LimitsOfZonesUpstreamsAndClients)
{
    const auto got = read("resolve: { upstreams: [192.0.2.1], limits: { per_zone: 7, per_upstream: 8 } }\n");
    EXPECT_TRUE(got.problems.empty());
    EXPECT_EQ(got.options.limits.per_zone, 7U);
    EXPECT_EQ(got.options.limits.per_upstream, 8U);
    base::Problems problems;
    const auto waiting = parse_configuration(
                             "limits: { queries_per_client: 9, longest_wait: 5s, late_over_udp: 1s, late_from: 3 }\n"
                             "cache: { stale_client_timeout: 700ms }\n",
                             "gate.yaml", [](const char*) -> const char* { return nullptr; }, problems)
                             .pipeline.waiting;
    EXPECT_EQ(waiting.per_client, 9U);
    EXPECT_EQ(waiting.longest, std::chrono::seconds{5});
    EXPECT_EQ(waiting.late_over_udp, std::chrono::seconds{1});
    EXPECT_EQ(waiting.late_from, 3U);
    EXPECT_EQ(waiting.stale_after, std::chrono::milliseconds{700});
}

} // namespace
} // namespace sallyport::conf
