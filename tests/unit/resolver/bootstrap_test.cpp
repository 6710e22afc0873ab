#include "resolver/bootstrap.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver {
namespace {

constexpr base::Instant kStart{std::chrono::hours{1}};
const Target kTarget{"dns.example", 853, base::Transport::dot};
const Target kOther{"doh.example", 443, base::Transport::doh2};

base::IpAddress at(std::string_view text) { return *base::IpAddress::parse(text); }

Finding found(std::initializer_list<const char*> addresses, std::chrono::seconds ttl = 300s)
{
    Finding finding{Finding::Kind::found, {}, ttl};
    for (const char* one : addresses) finding.addresses.push_back(at(one));
    return finding;
}

const Finding kNone{Finding::Kind::none};
const Finding kFailed{};

std::string text(const std::vector<base::IpAddress>* addresses)
{
    if (addresses == nullptr) return "unknown";
    std::string all;
    for (const auto& one : *addresses) all += (all.empty() ? "" : " ") + one.to_string();
    return all;
}

struct BootstrapTest : testing::Test {
    BootstrapTest() { bootstrap.reconfigure(std::vector{kTarget}, limits, now); }

    Bootstrap::Outcome look_up(const Finding& v4, const Finding& v6, Reach reach = {})
    {
        EXPECT_NE(bootstrap.begin(now), nullptr);
        return bootstrap.ended(kTarget, v4, v6, reach, now);
    }
    std::string known() const { return text(bootstrap.find(kTarget)); }

    BootstrapLimits limits;
    Bootstrap bootstrap;
    base::Instant now = kStart;
};

TEST_F(BootstrapTest, LooksUpAtOnceAndAgainBeforeTheTtlIsOver)
{
    EXPECT_EQ(bootstrap.due(), kStart);
    const auto outcome = look_up(found({"192.0.2.1"}), kNone);
    EXPECT_TRUE(outcome.changed);
    EXPECT_TRUE(outcome.noted);
    EXPECT_FALSE(outcome.failed);
    EXPECT_EQ(bootstrap.due(), kStart + 270s);
    now += 269s;
    EXPECT_EQ(bootstrap.begin(now), nullptr);
    now += 1s;
    EXPECT_NE(bootstrap.begin(now), nullptr);
    EXPECT_EQ(bootstrap.begin(now), nullptr) << "it runs";
    EXPECT_EQ(bootstrap.due(), base::Instant::max());
}

TEST_F(BootstrapTest, KeepsWithinBounds)
{
    EXPECT_EQ(look_up(found({"192.0.2.1"}, 0s), kNone).again, base::Duration{54s});
    now += 54s;
    EXPECT_EQ(look_up(found({"192.0.2.1"}, 10'000'000s), kNone).again, base::Duration{24h} - base::Duration{24h} / 10);
    now += 24h;
    EXPECT_EQ(look_up(found({"192.0.2.1"}, 500s), found({"2001:db8::1"}, 100s)).again, base::Duration{90s})
        << "the shorter of both";
}

TEST_F(BootstrapTest, FamiliesTakeTurnsAndWhatHasNoWayComesLast)
{
    const auto four = found({"192.0.2.1", "192.0.2.2"});
    const auto six = found({"2001:db8::1"});
    (void)look_up(four, six);
    EXPECT_EQ(known(), "2001:db8::1 192.0.2.1 192.0.2.2");
    now += 1h;
    bootstrap = {};
    bootstrap.reconfigure(std::vector{kTarget}, limits, now);
    (void)look_up(four, six, {true, false});
    EXPECT_EQ(known(), "192.0.2.1 192.0.2.2 2001:db8::1");
}

TEST_F(BootstrapTest, BacksOffAndNeverForgets)
{
    (void)look_up(found({"192.0.2.1"}), found({"2001:db8::1"}));
    now += 270s;
    for (const int wait : {1, 2, 4, 8, 16, 32, 60, 60, 60}) {
        const auto outcome = look_up(kFailed, kNone);
        EXPECT_TRUE(outcome.failed);
        EXPECT_EQ(outcome.noted, wait == 1) << "told once";
        EXPECT_FALSE(outcome.changed);
        EXPECT_EQ(outcome.again, base::Duration{std::chrono::seconds{wait}});
        EXPECT_EQ(known(), "2001:db8::1 192.0.2.1");
        now += std::chrono::seconds{wait};
    }
    // A server that says that the name is gone is not believed: whoever lies is to do no more than that.
    EXPECT_TRUE(look_up(kNone, kNone).failed);
    EXPECT_EQ(known(), "2001:db8::1 192.0.2.1");
    now += 60s;
    const auto back = look_up(found({"192.0.2.1"}), found({"2001:db8::1"}));
    EXPECT_TRUE(back.noted);
    EXPECT_FALSE(back.changed);
    now += 270s;
    EXPECT_EQ(look_up(kFailed, kFailed).again, base::Duration{1s}) << "from the start";
}

TEST_F(BootstrapTest, OneFamilyThatFailsKeepsItsAddressesForAWhile)
{
    (void)look_up(found({"192.0.2.1"}), found({"2001:db8::1"}));
    now += 270s;
    const auto outcome = look_up(found({"192.0.2.2"}, 3600s), kFailed);
    EXPECT_TRUE(outcome.changed);
    EXPECT_EQ(known(), "2001:db8::1 192.0.2.2");
    EXPECT_EQ(outcome.again, base::Duration{54s});
    now += 60s;
    (void)look_up(found({"192.0.2.2"}), kNone);
    EXPECT_EQ(known(), "192.0.2.2");
}

TEST_F(BootstrapTest, WhoFailsWhereItIsIsLookedUpBeforeItsTimeButNotAtOnce)
{
    (void)look_up(found({"192.0.2.1"}, 3600s), kNone);
    now += 10s;
    bootstrap.doubt(kTarget);
    bootstrap.doubt(kOther);
    EXPECT_EQ(bootstrap.due(), kStart + 60s);
    now += 3000s;
    bootstrap.doubt(kTarget);
    EXPECT_NE(bootstrap.begin(now), nullptr);
    bootstrap.doubt(kTarget);
    EXPECT_EQ(bootstrap.begin(now), nullptr) << "it runs";
    (void)bootstrap.ended(kTarget, kFailed, kFailed, {}, now);
    bootstrap.doubt(kTarget);
    EXPECT_EQ(bootstrap.due(), now + 1s);
}

TEST_F(BootstrapTest, AnotherOrderIsNoChange)
{
    (void)look_up(found({"192.0.2.1", "192.0.2.2"}), kNone);
    now += 270s;
    const auto outcome = look_up(found({"192.0.2.2", "192.0.2.1", "192.0.2.1"}), kNone);
    EXPECT_FALSE(outcome.changed);
    EXPECT_FALSE(outcome.noted);
}

TEST_F(BootstrapTest, KeepsSoManyAddressesAndThoseInUseFirst)
{
    limits.addresses = 2;
    bootstrap.reconfigure(std::vector{kTarget}, limits, now);
    EXPECT_EQ(look_up(found({"192.0.2.1", "192.0.2.2", "192.0.2.3"}), kNone).cut, 1U);
    EXPECT_EQ(known(), "192.0.2.1 192.0.2.2");
    now += 270s;
    const auto outcome = look_up(found({"192.0.2.3", "192.0.2.2", "192.0.2.1"}), kNone);
    EXPECT_FALSE(outcome.changed);
    EXPECT_EQ(outcome.cut, 1U);
}

TEST_F(BootstrapTest, SoManyLookUpsAtOnce)
{
    limits.look_ups = 1;
    bootstrap.reconfigure(std::vector{kTarget, kOther}, limits, now);
    const Target* first = bootstrap.begin(now);
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(*first, kTarget);
    EXPECT_EQ(bootstrap.begin(now), nullptr);
    EXPECT_EQ(bootstrap.due(), base::Instant::max());
    (void)bootstrap.ended(kTarget, found({"192.0.2.1"}), kNone, {}, now);
    first = bootstrap.begin(now);
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(*first, kOther);
}

TEST_F(BootstrapTest, ManyThatAlwaysFailLeaveTheOthersTheirTurn)
{
    limits.look_ups = 1;
    std::vector<Target> targets;
    for (int i = 0; i < 20; ++i) targets.push_back({"gone" + std::to_string(i) + ".example", 853, kTarget.transport});
    targets.push_back(kTarget);
    bootstrap.reconfigure(targets, limits, now);
    unsigned found_again = 0;
    for (int i = 0; i < 200; ++i) {
        now += 5s; // more names than fit into the longest back-off
        const Target* const next = bootstrap.begin(now);
        if (next == nullptr) continue;
        const bool good = *next == kTarget;
        if (good) ++found_again;
        (void)bootstrap.ended(Target{*next}, good ? found({"192.0.2.1"}, 60s) : kFailed, kNone, {}, now);
    }
    EXPECT_GE(found_again, 5U);
}

TEST_F(BootstrapTest, AReloadKeepsWhatStaysAndTriesAgainWhatFails)
{
    (void)look_up(found({"192.0.2.1"}), kNone);
    bootstrap.reconfigure(std::vector{kOther, kTarget}, limits, now);
    EXPECT_EQ(known(), "192.0.2.1");
    const Target* const next = bootstrap.begin(now);
    ASSERT_NE(next, nullptr);
    EXPECT_EQ(*next, kOther);
    EXPECT_EQ(bootstrap.begin(now), nullptr) << "what is known is not looked up anew";
    (void)bootstrap.ended(kOther, kFailed, kFailed, {}, now);
    EXPECT_EQ(bootstrap.begin(now), nullptr);
    bootstrap.reconfigure(std::vector{kOther}, limits, now);
    EXPECT_EQ(known(), "unknown");
    EXPECT_NE(bootstrap.begin(now), nullptr) << "other servers may know better";
    bootstrap.reconfigure({}, limits, now);
    EXPECT_FALSE(bootstrap.ended(kOther, found({"192.0.2.1"}), kNone, {}, now).changed) << "nobody wants it any more";
    EXPECT_EQ(bootstrap.due(), base::Instant::max());
}

TEST(BootstrapTargets, AreUpstreamsByNameEachOnce)
{
    Options options;
    options.mode = Mode::recurse; // forward zones beside recursion
    UpstreamOptions named;
    named.host = "dns.example";
    named.transport = base::Transport::dot;
    named.port = 853;
    UpstreamOptions by_address = named;
    by_address.addresses = {at("192.0.2.1")};
    options.groups.resize(2);
    options.groups[0].upstreams = {named, by_address};
    options.groups[1].upstreams = {named};
    EXPECT_EQ(targets_of(options), std::vector{kTarget});
    options.mode = Mode::off;
    EXPECT_TRUE(targets_of(options).empty());
}

} // namespace
} // namespace sallyport::resolver
