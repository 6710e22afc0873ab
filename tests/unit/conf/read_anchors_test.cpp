#include "reading.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::conf {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

resolver::RecurseOptions read(const std::string& text, std::string* told = nullptr)
{
    const auto result = reading::read("resolve:\n  mode: recurse\n" + text);
    if (told != nullptr)
        *told = result.problems;
    else
        EXPECT_EQ(result.problems, "");
    return result.configuration.resolver.recurse;
}

TEST(ReadAnchors, FollowsThemWhereThereIsAPlaceForTheState)
{
    const auto options = read("").dnssec;
    EXPECT_FALSE(options.follow_rollover);
    EXPECT_EQ(options.state_file, "");
    EXPECT_TRUE(options.sentinel);
    EXPECT_FALSE(options.signal_anchors);
}

TEST(ReadAnchors, ReadsWhatThereIs)
{
    const auto options = read("  dnssec:\n"
                              "    anchors: ['. DS 1 13 2 AA', 'example. DS 2 13 2 BB']\n"
                              "    state_file: state\n"
                              "    follow_rollover: no\n"
                              "    sentinel: false\n"
                              "    signal_anchors: true\n"
                              "    nothing_below_nxdomain: false\n"
                              "    trust_unsigned_nxdomain: true\n");
    EXPECT_THAT(options.dnssec.anchors, ElementsAre(". DS 1 13 2 AA", "example. DS 2 13 2 BB"));
    EXPECT_EQ(options.dnssec.anchor_positions.size(), 2U);
    EXPECT_EQ(options.dnssec.state_file, "dir/state");
    EXPECT_EQ(options.dnssec.follow_rollover, false);
    EXPECT_FALSE(options.dnssec.sentinel);
    EXPECT_TRUE(options.dnssec.signal_anchors);
    EXPECT_FALSE(options.engine.nothing_below_nxdomain);
    EXPECT_TRUE(options.engine.trust_unsigned_nxdomain);
    EXPECT_EQ(read("  dnssec: { follow_rollover: yes }\n").dnssec.follow_rollover, true);
}

TEST(ReadAnchors, ReadsWhereServersAreAskedOverTlsAndQuic)
{
    EXPECT_FALSE(read("").opportunistic_tls);
    const auto options = read("  opportunistic: tls\n"
                              "  tls_port: 8853\n"
                              "  opportunistic_limits: { timeout: 1s, persistence: 1h, damping: 2h, servers: 100, "
                              "probes: 2, sessions: 3 }\n");
    EXPECT_TRUE(options.opportunistic_tls);
    EXPECT_EQ(options.tls_port, 8853);
    EXPECT_EQ(options.encrypted.timeout, 1s);
    EXPECT_EQ(options.encrypted.persistence, 1h);
    EXPECT_EQ(options.encrypted.damping, 2h);
    EXPECT_EQ(options.encrypted.servers, 100U);
    EXPECT_EQ(options.encrypted.probes, 2U);
    EXPECT_EQ(options.encrypted.sessions, 3U);
    EXPECT_FALSE(options.opportunistic_quic);
    std::string told;
    (void)read("  opportunistic: [tls]\n", &told);
    EXPECT_THAT(told, HasSubstr("'resolve.opportunistic' must be"));
    (void)read("  opportunistic: dtls\n", &told);
    EXPECT_THAT(told, HasSubstr("opportunistic"));
#ifdef SALLYPORT_HAS_QUIC
    EXPECT_TRUE(read("  opportunistic: quic\n  quic_port: 8854\n").opportunistic_quic);
    EXPECT_FALSE(read("  opportunistic: quic\n").opportunistic_tls);
    EXPECT_EQ(read("  opportunistic: both\n  quic_port: 8854\n").quic_port, 8854);
    EXPECT_TRUE(read("  opportunistic: both\n").opportunistic_tls);
    EXPECT_TRUE(read("  opportunistic: both\n").opportunistic_quic);
#else
    for (const char* const way : {"quic", "both"}) {
        (void)read("  opportunistic: " + std::string{way} + '\n', &told);
        EXPECT_THAT(told, HasSubstr("dir/c.yaml:4:"));
        EXPECT_THAT(told, HasSubstr("this build has no QUIC"));
    }
#endif
}

TEST(ReadAnchors, ReadsWhereTheCopyOfTheRootIs)
{
    EXPECT_EQ(read("").local_root_file, "");
    EXPECT_EQ(read("  local_root: { file: root.zone }\n").local_root_file, "dir/root.zone");
}

} // namespace
} // namespace sallyport::conf
