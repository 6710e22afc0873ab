#include "dnssec/anchor_book.hpp"

#include "signer.hpp"

#include <gtest/gtest.h>

using namespace sallyport;
using namespace sallyport::dnssec;
using namespace sallyport::dnssec_testing;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr std::int64_t kHour = 3'600;
constexpr std::int64_t kDay = 86'400;

class AnchorBookTest : public ::testing::Test {
protected:
    AnchorBookTest() { second_.set_flags(257); }

    [[nodiscard]] static OwnedRrset set(std::initializer_list<const SigningKey*> keys, std::int64_t now,
                                        const char* zone = "example.")
    {
        OwnedRrset out;
        out.owner = name(zone);
        out.type = wire::RrType::DNSKEY;
        out.ttl = 10'800;
        for (const SigningKey* key : keys) out.rdatas.push_back(key->dnskey());
        SignatureFields fields;
        fields.inception = now - kDay;
        fields.expiration = now + 30 * kDay;
        for (const SigningKey* key : keys) out.signatures.push_back(make_rrsig(out, *key, out.owner, fields));
        return out;
    }
    [[nodiscard]] AnchorBook book() const
    {
        TrustAnchors anchors;
        anchors.add_ds(zone_, first_.ds(zone_));
        return {std::move(anchors), Policy{}, kNow};
    }
    [[nodiscard]] bool trusts(const AnchorBook& book, const SigningKey& key) const
    {
        const TrustAnchors anchors = book.anchors();
        const AnchorPoint* point = anchors.at(zone_);
        if (point == nullptr) return false;
        return std::find(point->dnskeys.begin(), point->dnskeys.end(), key.dnskey()) != point->dnskeys.end();
    }

    wire::Name zone_ = name("example.");
    SigningKey first_ = SigningKey::make(13);
    SigningKey second_ = SigningKey::make(15);
};

TEST_F(AnchorBookTest, LooksAtOnceAndThenWhenItIsTime)
{
    AnchorBook anchors = book();
    ASSERT_NE(anchors.due(kNow), nullptr);
    EXPECT_EQ(*anchors.due(kNow), zone_);
    const AnchorNews news = anchors.saw(zone_, set({&first_}, kNow).view(), kNow);
    EXPECT_TRUE(news.secure);
    EXPECT_TRUE(news.changed) << "the key in the place of its DS";
    EXPECT_FALSE(news.lost);
    ASSERT_EQ(news.told.size(), 1U);
    EXPECT_NE(news.told[0].find("is trusted"), std::string::npos) << news.told[0];
    EXPECT_EQ(anchors.due(kNow + kHour), nullptr);
    EXPECT_NE(anchors.due(kNow + 2 * kHour), nullptr);
}

TEST_F(AnchorBookTest, FollowsARollover)
{
    AnchorBook anchors = book();
    std::int64_t now = kNow;
    (void)anchors.saw(zone_, set({&first_}, now).view(), now);
    for (; now < kNow + 31 * kDay; now += kDay) (void)anchors.saw(zone_, set({&first_, &second_}, now).view(), now);
    EXPECT_FALSE(trusts(anchors, second_));
    AnchorNews news = anchors.saw(zone_, set({&first_, &second_}, now).view(), now);
    EXPECT_TRUE(news.changed);
    EXPECT_FALSE(news.lost);
    EXPECT_TRUE(trusts(anchors, second_));

    now += kDay;
    first_.set_flags(385);
    news = anchors.saw(zone_, set({&first_, &second_}, now).view(), now);
    EXPECT_TRUE(news.lost);
    EXPECT_FALSE(trusts(anchors, first_));
    EXPECT_TRUE(trusts(anchors, second_));
    EXPECT_EQ(anchors.count_keys()[static_cast<std::size_t>(KeyState::revoked)], 1U);
}

TEST_F(AnchorBookTest, AForeignSetChangesNothing)
{
    AnchorBook anchors = book();
    const AnchorNews news = anchors.saw(zone_, set({&second_}, kNow).view(), kNow);
    EXPECT_FALSE(news.secure);
    EXPECT_FALSE(news.changed);
    EXPECT_FALSE(news.trouble.empty());
    EXPECT_TRUE(news.told.empty());
    EXPECT_EQ(anchors.due(kNow), nullptr) << "it is tried again later";
    EXPECT_NE(anchors.due(kNow + kHour), nullptr);
}

TEST_F(AnchorBookTest, AZoneWhoseKeysAreAllRevokedIsNotValidated)
{
    AnchorBook anchors = book();
    (void)anchors.saw(zone_, set({&first_}, kNow).view(), kNow);
    first_.set_flags(385);
    const AnchorNews news = anchors.saw(zone_, set({&first_}, kNow + kDay).view(), kNow + kDay);
    EXPECT_TRUE(news.lost);
    EXPECT_EQ(anchors.anchors().at(zone_), nullptr);
    EXPECT_EQ(anchors.due(kNow + 900 * kDay), nullptr);
}

TEST_F(AnchorBookTest, ReadsWhatItWroteForAllZones)
{
    const SigningKey other = SigningKey::make(13);
    const auto make = [&] {
        TrustAnchors configured;
        configured.add_ds(zone_, first_.ds(zone_));
        configured.add_ds(name("test."), other.ds(name("test.")));
        return AnchorBook{std::move(configured), Policy{}, kNow};
    };
    AnchorBook anchors = make();
    (void)anchors.saw(zone_, set({&first_, &second_}, kNow).view(), kNow);
    (void)anchors.saw(name("test."), set({&other}, kNow, "test.").view(), kNow);
    AnchorBook again = make();
    ASSERT_TRUE(again.read(anchors.to_text(), "state"));
    EXPECT_EQ(again.count_keys(), anchors.count_keys());
    EXPECT_TRUE(trusts(again, first_));
    EXPECT_FALSE(trusts(again, second_));
    EXPECT_EQ(again.due(kNow), nullptr);
    EXPECT_TRUE(again.overruled().empty());
}

TEST_F(AnchorBookTest, ADamagedStateNamesItsLineAndChangesNothing)
{
    AnchorBook anchors = book();
    (void)anchors.saw(zone_, set({&first_}, kNow).view(), kNow);
    std::string text = anchors.to_text();
    const std::string good = text;
    const auto lines = static_cast<std::uint32_t>(std::count(good.begin(), good.end(), '\n'));
    text += good;
    text += "example. IN DNSKEY 257 3 13 !!!\n";
    AnchorBook again = book();
    const auto read = again.read(text, "state");
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().position.line, 2 * lines + 1);
    EXPECT_NE(again.due(kNow), nullptr);
    EXPECT_FALSE(again.read("", "state"));
    EXPECT_FALSE(again.read("nonsense\n", "state"));
}

/// As many states as are read, behind as many blank lines as a file has room for: each line is looked at once.
TEST_F(AnchorBookTest, BlankLinesInFrontOfManyStatesAreNotReadAgainForEach)
{
    constexpr std::uint32_t kBlank = 4'000'000;
    constexpr std::uint32_t kStates = 900;
    AnchorBook anchors = book();
    (void)anchors.saw(zone_, set({&first_}, kNow).view(), kNow);
    const std::string state = anchors.to_text();
    const auto lines = static_cast<std::uint32_t>(std::count(state.begin(), state.end(), '\n'));
    std::string text = state + std::string(kBlank, '\n');
    for (std::uint32_t i = 1; i < kStates; ++i) text += state;
    AnchorBook again = book();
    ASSERT_TRUE(again.read(text, "state"));
    EXPECT_TRUE(trusts(again, first_));
    const auto read = again.read(text + "example. IN DNSKEY 257 3 13 !!!\n", "state");
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().position.line, kBlank + kStates * lines + 1);
}

TEST_F(AnchorBookTest, TheStateCountsAndWhatItDoesNotKnowIsNamed)
{
    AnchorBook anchors = book();
    (void)anchors.saw(zone_, set({&first_}, kNow).view(), kNow);
    TrustAnchors configured;
    configured.add_ds(zone_, second_.ds(zone_));
    AnchorBook other{std::move(configured), Policy{}, kNow};
    ASSERT_TRUE(other.read(anchors.to_text(), "state"));
    EXPECT_TRUE(trusts(other, first_));
    ASSERT_EQ(other.overruled().size(), 1U);
    EXPECT_NE(other.overruled()[0].find(std::to_string(second_.tag())), std::string::npos);
}

TEST_F(AnchorBookTest, AProbeThatIsImpossiblyFarAwayIsDue)
{
    AnchorBook anchors = book();
    (void)anchors.saw(zone_, set({&first_}, kNow).view(), kNow);
    EXPECT_NE(anchors.due(kNow - 900 * kDay), nullptr) << "the clock was wrong, then or now";
}

} // namespace
