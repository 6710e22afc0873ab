#include "dnssec/rfc5011.hpp"

#include "signer.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

using namespace sallyport;
using namespace sallyport::dnssec;
using namespace sallyport::dnssec_testing;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;
constexpr std::int64_t kDay = 86'400;

/// A zone whose keys come and go.
class Zone {
public:
    /// The DNSKEY RRset of some keys, signed by all of them.
    OwnedRrset set(std::initializer_list<const SigningKey*> keys, std::int64_t now, std::uint32_t ttl = 10'800) const
    {
        OwnedRrset out;
        out.owner = name("example.");
        out.type = wire::RrType::DNSKEY;
        out.ttl = ttl;
        for (const SigningKey* key : keys) out.rdatas.push_back(key->dnskey());
        SignatureFields fields;
        fields.inception = now - kDay;
        fields.expiration = now + 30 * kDay;
        for (const SigningKey* key : keys) out.signatures.push_back(make_rrsig(out, *key, out.owner, fields));
        return out;
    }
};

/// Judges the set as a validator would, then tells the anchor.
bool look(ManagedAnchor& anchor, const OwnedRrset& set, std::int64_t now, const Rfc5011Timing& timing = {})
{
    const Policy policy;
    const AnchorPoint point = anchor.anchor();
    const auto ds = point.ds_views();
    const auto keys = point.dnskey_views();
    KeysVerifier verifier{set.view(), {ds, keys}, policy, now};
    Budget budget{policy.limits};
    EXPECT_EQ(verifier.step(budget), Step::done);
    return anchor.update(set.view(), verifier.verdict().is_secure(), policy, now, timing);
}

KeyState state_of(const ManagedAnchor& anchor, const SigningKey& key)
{
    for (const ManagedKey& managed : anchor.keys()) {
        if (base::equal(base::Bytes{managed.rdata}.subspan(4), base::Bytes{key.dnskey()}.subspan(4)))
            return managed.state;
    }
    return KeyState::start;
}

ManagedAnchor begun_with(const SigningKey& key)
{
    ManagedAnchor anchor{name("example.")};
    anchor.begin({name("example."), {}, {key.dnskey()}}, kNow);
    return anchor;
}

} // namespace

TEST(Rfc5011, ANewKeyIsTrustedAfterThirtyDaysAndTwoLooks)
{
    const Zone zone;
    const SigningKey old = SigningKey::make(13);
    const SigningKey fresh = SigningKey::make(13);
    ManagedAnchor anchor = begun_with(old);
    look(anchor, zone.set({&old}, kNow), kNow);
    EXPECT_EQ(anchor.next_probe(), kNow + 5'400);
    EXPECT_TRUE(look(anchor, zone.set({&old, &fresh}, kNow), kNow));
    EXPECT_EQ(state_of(anchor, fresh), KeyState::addpend);
    EXPECT_EQ(anchor.anchor().dnskeys.size(), 1U);
    look(anchor, zone.set({&old, &fresh}, kNow + 30 * kDay), kNow + 30 * kDay);
    EXPECT_EQ(state_of(anchor, fresh), KeyState::addpend); // not a moment early
    EXPECT_TRUE(look(anchor, zone.set({&old, &fresh}, kNow + 30 * kDay + 1), kNow + 30 * kDay + 1));
    EXPECT_EQ(state_of(anchor, fresh), KeyState::valid);
    EXPECT_EQ(anchor.anchor().dnskeys.size(), 2U);
}

TEST(Rfc5011, ALongTtlHoldsAKeyLonger)
{
    const Zone zone;
    const SigningKey old = SigningKey::make(13);
    const SigningKey fresh = SigningKey::make(13);
    ManagedAnchor anchor = begun_with(old);
    constexpr std::uint32_t kTtl = 40 * 86'400;
    look(anchor, zone.set({&old, &fresh}, kNow, kTtl), kNow);
    look(anchor, zone.set({&old, &fresh}, kNow + 35 * kDay, kTtl), kNow + 35 * kDay);
    EXPECT_EQ(state_of(anchor, fresh), KeyState::addpend);
    look(anchor, zone.set({&old, &fresh}, kNow + 41 * kDay, kTtl), kNow + 41 * kDay);
    EXPECT_EQ(state_of(anchor, fresh), KeyState::valid);
}

TEST(Rfc5011, AKeyThatGoesMissingWhileItWaitsStartsAgain)
{
    const Zone zone;
    const SigningKey old = SigningKey::make(13);
    const SigningKey fresh = SigningKey::make(13);
    ManagedAnchor anchor = begun_with(old);
    look(anchor, zone.set({&old, &fresh}, kNow), kNow);
    look(anchor, zone.set({&old}, kNow + 20 * kDay), kNow + 20 * kDay);
    EXPECT_EQ(anchor.keys().size(), 1U);
    look(anchor, zone.set({&old, &fresh}, kNow + 25 * kDay), kNow + 25 * kDay);
    look(anchor, zone.set({&old, &fresh}, kNow + 50 * kDay), kNow + 50 * kDay);
    EXPECT_EQ(state_of(anchor, fresh), KeyState::addpend);
}

TEST(Rfc5011, AKeyThatWaitsMustNotCallItselfRevoked)
{
    const Zone zone;
    const SigningKey old = SigningKey::make(13);
    SigningKey fresh = SigningKey::make(13);
    ManagedAnchor anchor = begun_with(old);
    look(anchor, zone.set({&old, &fresh}, kNow), kNow);
    fresh.set_flags(385);
    OwnedRrset set = zone.set({&old, &fresh}, kNow + 31 * kDay);
    set.signatures.pop_back(); // its own: nobody has proven that it is revoked
    look(anchor, set, kNow + 31 * kDay);
    EXPECT_EQ(anchor.keys().size(), 1U);
    EXPECT_EQ(anchor.anchor().dnskeys.size(), 1U);
}

TEST(Rfc5011, AMissingKeyIsStillTrustedAndReturns)
{
    const Zone zone;
    const SigningKey one = SigningKey::make(13);
    const SigningKey two = SigningKey::make(13);
    ManagedAnchor anchor{name("example.")};
    anchor.begin({name("example."), {}, {one.dnskey(), two.dnskey()}}, kNow);
    look(anchor, zone.set({&one}, kNow), kNow);
    EXPECT_EQ(state_of(anchor, two), KeyState::missing);
    EXPECT_EQ(anchor.anchor().dnskeys.size(), 2U);
    look(anchor, zone.set({&two}, kNow + kDay), kNow + kDay);
    EXPECT_EQ(state_of(anchor, two), KeyState::valid);
    look(anchor, zone.set({&two}, kNow + 400 * kDay), kNow + 400 * kDay);
    EXPECT_EQ(anchor.keys().size(), 1U); // forgotten after a year
}

TEST(Rfc5011, ARevokedKeyIsNeverTrustedAgain)
{
    const Zone zone;
    SigningKey old = SigningKey::make(13);
    const SigningKey fresh = SigningKey::make(13);
    ManagedAnchor anchor{name("example.")};
    anchor.begin({name("example."), {}, {old.dnskey(), fresh.dnskey()}}, kNow);
    look(anchor, zone.set({&old, &fresh}, kNow), kNow);
    old.set_flags(385);
    EXPECT_TRUE(look(anchor, zone.set({&old, &fresh}, kNow + kDay), kNow + kDay));
    EXPECT_EQ(state_of(anchor, old), KeyState::revoked);
    EXPECT_EQ(anchor.anchor().dnskeys.size(), 1U);
    old.set_flags(257); // back from the dead
    look(anchor, zone.set({&old, &fresh}, kNow + 2 * kDay), kNow + 2 * kDay);
    EXPECT_EQ(state_of(anchor, old), KeyState::revoked);
    look(anchor, zone.set({&fresh}, kNow + 3 * kDay), kNow + 3 * kDay);
    look(anchor, zone.set({&fresh}, kNow + 40 * kDay), kNow + 40 * kDay);
    EXPECT_EQ(anchor.keys().size(), 1U);
}

TEST(Rfc5011, RevocationNeedsTheKeysOwnSignature)
{
    const Zone zone;
    SigningKey old = SigningKey::make(13);
    const SigningKey fresh = SigningKey::make(13);
    ManagedAnchor anchor{name("example.")};
    anchor.begin({name("example."), {}, {old.dnskey(), fresh.dnskey()}}, kNow);
    old.set_flags(385);
    OwnedRrset set = zone.set({&old, &fresh}, kNow);
    set.signatures.erase(set.signatures.begin());
    look(anchor, set, kNow);
    EXPECT_NE(state_of(anchor, old), KeyState::revoked);
}

TEST(Rfc5011, AllKeysRevokedEndsTrust)
{
    const Zone zone;
    SigningKey only = SigningKey::make(13);
    ManagedAnchor anchor = begun_with(only);
    look(anchor, zone.set({&only}, kNow), kNow);
    only.set_flags(385);
    EXPECT_TRUE(look(anchor, zone.set({&only}, kNow + kDay), kNow + kDay));
    EXPECT_TRUE(anchor.is_revoked());
    EXPECT_EQ(anchor.next_probe(), 0);
    EXPECT_NE(anchor.to_text().find(";;REVOKED\n"), std::string::npos);
    const auto again = ManagedAnchor::from_text(anchor.to_text(), "state");
    ASSERT_TRUE(again);
    EXPECT_TRUE(again->is_revoked());
    EXPECT_EQ(again->to_text(), anchor.to_text());
}

TEST(Rfc5011, ASetThatIsNotSecureChangesNothing)
{
    const Zone zone;
    const SigningKey old = SigningKey::make(13);
    const SigningKey foreign = SigningKey::make(13);
    ManagedAnchor anchor = begun_with(old);
    look(anchor, zone.set({&old}, kNow), kNow);
    look(anchor, zone.set({&foreign}, kNow + kDay), kNow + kDay);
    EXPECT_EQ(anchor.keys().size(), 1U);
    EXPECT_EQ(state_of(anchor, old), KeyState::valid);
    EXPECT_EQ(anchor.next_probe(), kNow + kDay + 3'600);
    EXPECT_NE(anchor.to_text().find(";;query_failed: 1\n"), std::string::npos);
}

TEST(Rfc5011, DsAnchorsBecomeTheKeysTheyName)
{
    const Zone zone;
    const SigningKey key = SigningKey::make(13);
    const SigningKey other = SigningKey::make(13);
    ManagedAnchor anchor{name("example.")};
    anchor.begin({name("example."), {key.ds(name("example."))}, {}}, kNow);
    EXPECT_EQ(anchor.anchor().ds.size(), 1U);
    look(anchor, zone.set({&key, &other}, kNow), kNow);
    EXPECT_EQ(state_of(anchor, key), KeyState::valid);
    EXPECT_EQ(state_of(anchor, other), KeyState::addpend);
    EXPECT_TRUE(anchor.anchor().ds.empty());
}

TEST(Rfc5011, AZoneSigningKeyAsAnchorGivesWayToTheKeySigningKey)
{
    const Zone zone;
    const SigningKey ksk = SigningKey::make(13, 257);
    const SigningKey zsk = SigningKey::make(13, 256);
    ManagedAnchor anchor = begun_with(zsk);
    look(anchor, zone.set({&ksk, &zsk}, kNow), kNow);
    EXPECT_EQ(anchor.keys().size(), 1U);
    EXPECT_EQ(state_of(anchor, ksk), KeyState::valid);
}

TEST(Rfc5011, KeysAreBounded)
{
    const Zone zone;
    const SigningKey old = SigningKey::make(13);
    ManagedAnchor anchor = begun_with(old);
    OwnedRrset set = zone.set({&old}, kNow);
    for (unsigned i = 0; i < 40; ++i) {
        Octets other = old.dnskey();
        other[10] = static_cast<std::uint8_t>(i);
        set.rdatas.push_back(other);
    }
    const Policy policy;
    anchor.update(set.view(), true, policy, kNow);
    EXPECT_EQ(anchor.keys().size(), 32U);
}

TEST(Rfc5011, QueryIntervalIsBounded)
{
    const Zone zone;
    const SigningKey key = SigningKey::make(13);
    ManagedAnchor anchor = begun_with(key);
    look(anchor, zone.set({&key}, kNow, 60), kNow);
    EXPECT_EQ(anchor.next_probe(), kNow + 3'600);
    look(anchor, zone.set({&key}, kNow, 8'000'000), kNow); // half of what the signature has left
    EXPECT_EQ(anchor.next_probe(), kNow + 15 * kDay);
}

TEST(StateFile, IsReadAsItWasWritten)
{
    const Zone zone;
    const SigningKey old = SigningKey::make(13);
    const SigningKey fresh = SigningKey::make(8);
    ManagedAnchor anchor = begun_with(old);
    look(anchor, zone.set({&old, &fresh}, kNow), kNow);
    const std::string text = anchor.to_text();
    const auto again = ManagedAnchor::from_text(text, "state");
    ASSERT_TRUE(again) << again.error().to_string();
    EXPECT_EQ(state_of(*again, old), KeyState::valid);
    EXPECT_EQ(state_of(*again, fresh), KeyState::addpend);
    EXPECT_EQ(again->next_probe(), anchor.next_probe());
    // Keys are written newest first and read so, as other validators do it: twice over is as it was.
    const auto third = ManagedAnchor::from_text(again->to_text(), "state");
    ASSERT_TRUE(third);
    EXPECT_EQ(third->to_text(), text);
}

TEST(StateFile, PlainKeysAreTrusted)
{
    const SigningKey key = SigningKey::make(13);
    const auto anchor =
        ManagedAnchor::from_text(to_text(name("example."), wire::RrType::DNSKEY, key.dnskey()) + "\n", "state");
    ASSERT_TRUE(anchor);
    EXPECT_EQ(anchor->zone(), name("example."));
    EXPECT_EQ(state_of(*anchor, key), KeyState::valid);
    EXPECT_EQ(anchor->next_probe(), 0);
}

TEST(StateFile, DamageIsReportedWithItsLine)
{
    EXPECT_FALSE(ManagedAnchor::from_text("", "state"));
    EXPECT_FALSE(ManagedAnchor::from_text("; nothing\n", "state"));
    const auto bad = ManagedAnchor::from_text("; x\nexample. IN DNSKEY 257 3 13 !!\n", "state");
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().position.line, 2U);
    const std::string digest(64, 'A');
    EXPECT_FALSE(ManagedAnchor::from_text("a. DS 1 8 2 " + digest + "\nb. DS 1 8 2 " + digest + "\n", "state"));
}

TEST(StateFile, TimesOutOfBoundsAreBroughtWithinThem)
{
    const SigningKey key = SigningKey::make(13);
    auto anchor = ManagedAnchor::from_text(";;retry_time: 9223372036854775807\n" +
                                               to_text(name("example."), wire::RrType::DNSKEY, key.dnskey()) + "\n",
                                           "state");
    ASSERT_TRUE(anchor);
    anchor->failed(kNow);
    EXPECT_EQ(anchor->next_probe(), kNow + kDay);
}

TEST(StateFile, IsReplacedWhole)
{
    const auto folder = std::filesystem::path{::testing::TempDir()} / ("rfc5011." + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const std::string path = folder / "root.key";
    ASSERT_TRUE(write_file_atomically(path, "one\n"));
    ASSERT_TRUE(write_file_atomically(path, "two\n"));
    std::ostringstream text;
    text << std::ifstream{path}.rdbuf();
    EXPECT_EQ(text.str(), "two\n");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator{folder}, {}), 1); // nothing is left beside it
    EXPECT_FALSE(write_file_atomically(folder / "no" / "root.key", "x"));
    std::filesystem::remove_all(folder);
}
