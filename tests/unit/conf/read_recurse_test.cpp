#include "reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::conf {
namespace {

using namespace std::chrono_literals;
using reading::read;
using resolver::Mode;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ReadRecurse, NeedsNothingElse)
{
    const auto result = read("resolve: { mode: recurse }\n");
    EXPECT_EQ(result.problems, "");
    EXPECT_EQ(result.configuration.resolver.mode, Mode::recurse);
    EXPECT_TRUE(result.configuration.resolver.recurse.dnssec.enabled);
    EXPECT_EQ(result.configuration.resolver.recurse.root_hints, "");
    EXPECT_FALSE(result.configuration.resolver.recurse.allow_loopback);
}

TEST(ReadRecurse, ReadsWhatThereIs)
{
    const auto result =
        read("resolve:\n"
             "  mode: recurse\n"
             "  root_hints: hints\n"
             "  trust_anchors: [anchors, /etc/more]\n"
             "  port: 5353\n"
             "  qname_minimisation: strict\n"
             "  ipv6: false\n"
             "  prime: false\n"
             "  stubs: [{ zone: Lab.Example., servers: [10.2.0.53, '[2001:db8::1]:54'], first: true }]\n"
             "  do_not_query: 198.51.100.0/24\n"
             "  private_domains: [corp.example]\n"
             "  dns64: { prefixes: '64:ff9b::/96', exclude: [2001:db8::/32], ignore: [Old.example] }\n"
             "  dnssec: { permissive: true, negative_trust_anchors: [a.example, { name: b.example, "
             "until: 2026-12-31 }], limits: { signature_checks: 5 } }\n"
             "  recursion_limits: { packets: 50, time: 2s, sockets: 100, idle: 1s, bogus_ttl: 30s }\n");
    EXPECT_EQ(result.problems, "");
    const auto& recurse = result.configuration.resolver.recurse;
    EXPECT_EQ(recurse.root_hints, "dir/hints");
    EXPECT_THAT(recurse.dnssec.anchor_files, ElementsAre("dir/anchors", "/etc/more"));
    EXPECT_TRUE(recurse.engine.qname_minimisation_strict);
    EXPECT_FALSE(recurse.engine.ipv6);
    EXPECT_FALSE(recurse.engine.prime);
    ASSERT_EQ(recurse.engine.fixed.size(), 1U);
    EXPECT_EQ(recurse.engine.fixed[0].zone.to_text(), "lab.example.");
    EXPECT_TRUE(recurse.engine.fixed[0].first);
    ASSERT_EQ(recurse.engine.fixed[0].servers.size(), 2U);
    EXPECT_EQ(recurse.engine.fixed[0].servers[0].to_string(), "10.2.0.53:5353");
    EXPECT_EQ(recurse.engine.fixed[0].servers[1].to_string(), "[2001:db8::1]:54");
    EXPECT_EQ(recurse.engine.do_not_query.size(), 1U);
    EXPECT_EQ(recurse.engine.private_domains.size(), 1U);
    ASSERT_EQ(recurse.engine.dns64.prefixes.size(), 1U);
    EXPECT_EQ(recurse.engine.dns64.prefixes[0].to_string(), "64:ff9b::/96");
    EXPECT_EQ(recurse.engine.dns64.exclude.size(), 1U);
    ASSERT_EQ(recurse.engine.dns64.ignore.size(), 1U);
    EXPECT_EQ(recurse.engine.dns64.ignore[0].to_text(), "old.example.");
    EXPECT_TRUE(recurse.dnssec.permissive);
    ASSERT_EQ(recurse.dnssec.insecure.size(), 2U);
    EXPECT_EQ(recurse.dnssec.insecure[0].until, 0);
    EXPECT_EQ(recurse.dnssec.insecure[1].until, 1'798'675'200);
    EXPECT_EQ(recurse.dnssec.limits.signature_checks, 5U);
    EXPECT_EQ(recurse.engine.limits.packets, 50U);
    EXPECT_EQ(recurse.engine.limits.time, 2s);
    EXPECT_EQ(recurse.limits.sockets, 100U);
    EXPECT_EQ(recurse.limits.idle, 1s);
    EXPECT_EQ(recurse.engine.bogus_ttl, 30s);
}

TEST(ReadRecurse, SaysWhatIsWrong)
{
    const std::pair<const char*, const char*> wrong[] = {
        {"  stubs: [{ zone: a }]", "c.yaml:4:11: a stub needs at least one address"},
        {"  stubs: [{ zone: a, servers: [b] }]", "'b' is no address"},
        {"  stubs: [{ zone: 'a..b', servers: [192.0.2.1] }]", "'a..b' is no domain name"},
        {"  private_domains: ['a..b']", "'a..b' is no domain name"},
        {"  dns64: { prefixes: ['64:ff9b::/95'] }", "'64:ff9b::/95' is no prefix for IPv4 addresses"},
        {"  dns64: { exclude: ['2001:db8::/32'] }", "'resolve.dns64' needs 'prefixes'"},
        {"  qname_minimisation: some", "expected one of relaxed, strict, off"},
        {"  dnssec: { negative_trust_anchors: [{ name: a, until: 2026-02-30 }] }", "'2026-02-30' is no date"},
        {"  recursion_limits: { least_timeout: 2s, most_timeout: 1s }", "longer than 'most_timeout'"},
        {"  recursion_limits: { socket: 3 }", "sockets"},
    };
    for (const auto& [text, expected] : wrong)
        EXPECT_THAT(read("resolve:\n  mode: recurse\n" + std::string{text} + '\n').problems, HasSubstr(expected))
            << text;
    EXPECT_THAT(read("resolve: { mode: recurse, ipv4: false, ipv6: false }\n").problems,
                HasSubstr("no name server could be asked"));
}

TEST(ReadRecurse, SpacingMakesNoDifference)
{
    const auto fingerprint = [](const std::string& text) {
        return read(text).configuration.resolver.recurse.fingerprint;
    };
    EXPECT_EQ(fingerprint("resolve: { mode: recurse, ipv6: false }\n"),
              fingerprint("resolve:\n  mode: recurse # from the root\n\n  ipv6: false\n"));
    EXPECT_NE(fingerprint("resolve: { mode: recurse, ipv6: false }\n"), fingerprint("resolve: { mode: recurse }\n"));
}

} // namespace
} // namespace sallyport::conf
