#include "dnssec/verify.hpp"

#include "signer.hpp"

#include <gtest/gtest.h>

using namespace sallyport;
using namespace sallyport::dnssec;
using namespace sallyport::dnssec_testing;
using enum wire::RrType;
using enum wire::ExtendedError;
using enum wire::ValidationState;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;

/// Steps to the end, with new turns as often as wanted; counts them.
template <class Work>
Step finish(Work& work, Budget& budget, unsigned* turns = nullptr)
{
    for (unsigned turn = 1;; ++turn) {
        const Step step = work.step(budget);
        if (turns != nullptr) *turns = turn;
        if (step != Step::again) return step;
        budget.begin_turn();
    }
}

Verdict judge(const OwnedRrset& set, ZoneKeys& keys, const Policy& policy = {}, std::int64_t now = kNow)
{
    Budget budget{policy.limits};
    RrsetVerifier verifier{set.view(), keys, policy, now};
    EXPECT_EQ(finish(verifier, budget), Step::done);
    return verifier.verdict();
}

Policy with_sha1()
{
    Policy policy;
    policy.algorithms = Algorithms::recommended(true, true);
    return policy;
}

ZoneKeys keys_of(const std::vector<const SigningKey*>& keys, const Policy& policy = {},
                 std::string_view zone = "example.")
{
    std::vector<base::Bytes> rdatas;
    for (const SigningKey* key : keys) rdatas.emplace_back(key->dnskey());
    return {name(zone), rdatas, policy.algorithms};
}

SignatureFields good_dates()
{
    SignatureFields fields;
    fields.inception = kNow - 86'400;
    fields.expiration = kNow + 86'400;
    return fields;
}

/// www.example. A, signed with what is to be wrong.
struct Signed {
    explicit Signed(const SignatureFields& fields, std::string_view owner = "www.example.")
        : set(rrset(owner, A, {"192.0.2.1", "192.0.2.2"}))
    {
        set.signatures = {make_rrsig(set, key, name("example."), fields)};
    }
    Verdict judged(const Policy& policy = {}, std::int64_t now = kNow)
    {
        ZoneKeys keys = keys_of({&key}, policy);
        return judge(set, keys, policy, now);
    }
    SigningKey key = SigningKey::make(13, 256);
    OwnedRrset set;
};

class EachAlgorithm : public ::testing::TestWithParam<int> {};

} // namespace

TEST_P(EachAlgorithm, SignatureHoldsAndABrokenOneDoesNot)
{
    const SigningKey key = SigningKey::make(static_cast<std::uint8_t>(GetParam()), 256);
    OwnedRrset set = rrset("WWW.example.", MX, {"20 b.Example.", "10 A.example."});
    set.signatures = {make_rrsig(set, key, name("example."), good_dates())};
    ZoneKeys keys = keys_of({&key}, with_sha1());
    const Verdict good = judge(set, keys, with_sha1());
    EXPECT_EQ(good.state, secure) << good.reason;
    EXPECT_EQ(good.key_tag, key.tag());
    EXPECT_FALSE(good.wildcard);

    SignatureFields fields = good_dates();
    fields.broken = true;
    set.signatures = {make_rrsig(set, key, name("example."), fields)};
    const Verdict bad = judge(set, keys, with_sha1());
    EXPECT_EQ(bad.state, bogus);
    EXPECT_EQ(bad.ede, dnssec_bogus);

    set.signatures[0].resize(18 + 9); // no signature octets at all
    EXPECT_EQ(judge(set, keys, with_sha1()).state, bogus);
}

INSTANTIATE_TEST_SUITE_P(Algorithms, EachAlgorithm, ::testing::Values(5, 7, 8, 10, 13, 14, 15, 16));

TEST(Rrset, OrderCaseAndRepeatsDoNotMatter)
{
    const SigningKey key = SigningKey::make(13, 256);
    OwnedRrset set = rrset("example.", NS, {"b.example.", "a.example."});
    set.signatures = {make_rrsig(set, key, name("example."), good_dates())};
    OwnedRrset other = rrset("EXAMPLE.", NS, {"A.example.", "B.EXAMPLE.", "a.example."});
    other.signatures = set.signatures;
    ZoneKeys keys = keys_of({&key});
    EXPECT_EQ(judge(other, keys).state, secure);
}

TEST(Rrset, AChangedRecordIsBogus)
{
    Signed data{good_dates()};
    data.set.rdatas[0][3] ^= 1U;
    const Verdict verdict = data.judged();
    EXPECT_EQ(verdict.state, bogus);
    EXPECT_EQ(verdict.reason, "signature does not verify");
}

TEST(Rrset, WithoutSignatureIsBogusWithEde10)
{
    Signed data{good_dates()};
    data.set.signatures.clear();
    EXPECT_EQ(data.judged().state, bogus);
    EXPECT_EQ(data.judged().ede, rrsigs_missing);
}

TEST(Rrset, SignaturesOfOtherTypesArePassedOver)
{
    Signed data{good_dates()};
    base::store_be16(data.set.signatures[0], 0, static_cast<std::uint16_t>(AAAA));
    EXPECT_EQ(data.judged().ede, rrsigs_missing);
}

TEST(Rrset, DatesHaveTheirAllowances)
{
    SignatureFields fields = good_dates();
    fields.expiration = kNow - 3'600;
    EXPECT_EQ(Signed{fields}.judged().state, secure);
    fields.expiration = kNow - 3'601;
    EXPECT_EQ(Signed{fields}.judged().ede, signature_expired);
    fields = good_dates();
    fields.expiration = kNow + 3 * 86'400;
    fields.inception = kNow + 86'400;
    EXPECT_EQ(Signed{fields}.judged().state, secure);
    fields.inception = kNow + 86'401;
    EXPECT_EQ(Signed{fields}.judged().ede, signature_not_yet_valid);
    fields.expiration = kNow - 100;
    fields.inception = kNow;
    EXPECT_EQ(Signed{fields}.judged().ede, signature_expired_before_valid);
    Policy undated;
    undated.check_dates = false;
    EXPECT_EQ(Signed{fields}.judged(undated).state, secure);
}

TEST(Rrset, DatesGoRoundIn2106)
{
    constexpr std::int64_t kLate = 0x1'0000'0000 + 100; // RFC 1982
    SignatureFields fields;
    fields.inception = kLate - 86'400;
    fields.expiration = kLate + 86'400;
    const Verdict verdict = Signed{fields}.judged({}, kLate);
    EXPECT_EQ(verdict.state, secure);
    EXPECT_EQ(verdict.valid_until, kLate + 86'400);
}

TEST(Rrset, TtlIsThatOfTheSignatureAtMost)
{
    SignatureFields fields = good_dates();
    EXPECT_EQ(Signed{fields}.judged().ttl.seconds(), 3'600U);
    fields.original_ttl = 120;
    EXPECT_EQ(Signed{fields}.judged().ttl.seconds(), 120U);
    fields.original_ttl = 9'999;
    EXPECT_EQ(Signed{fields}.judged().ttl.seconds(), 3'600U);
    fields.expiration = kNow + 60;
    EXPECT_EQ(Signed{fields}.judged().ttl.seconds(), 60U);
}

TEST(Rrset, WildcardIsRecognised)
{
    SignatureFields fields = good_dates();
    fields.labels = 1;
    Signed expanded{fields, "a.b.example."};
    const Verdict verdict = expanded.judged();
    EXPECT_EQ(verdict.state, secure);
    EXPECT_TRUE(verdict.wildcard);
    EXPECT_EQ(verdict.wildcard_labels, 1);

    Signed itself{good_dates(), "*.example."};
    EXPECT_EQ(itself.judged().state, secure);
    EXPECT_FALSE(itself.judged().wildcard);
}

TEST(Rrset, LabelCountHasBounds)
{
    Signed many{good_dates()};
    many.set.signatures[0][3] = 3;
    EXPECT_EQ(many.judged().reason, "label count of the signature does not fit");
    SignatureFields fields = good_dates();
    fields.labels = 0; // fewer than the signer's
    EXPECT_EQ(Signed{fields}.judged().reason, "label count of the signature does not fit");
}

TEST(Rrset, SomeTypesAreNeverExpanded)
{
    const SigningKey key = SigningKey::make(13, 256);
    SignatureFields fields = good_dates();
    fields.labels = 1;
    OwnedRrset set = rrset("a.example.", NSEC, {"b.example. A"});
    set.signatures = {make_rrsig(set, key, name("example."), fields)};
    ZoneKeys keys = keys_of({&key});
    EXPECT_EQ(judge(set, keys).state, bogus);
}

TEST(Rrset, AnNsecDoesNotReachBeyondItsZone)
{
    const SigningKey key = SigningKey::make(13, 256);
    OwnedRrset set = rrset("a.example.", NSEC, {"z.other. A"});
    set.signatures = {make_rrsig(set, key, name("example."), good_dates())};
    ZoneKeys keys = keys_of({&key});
    EXPECT_EQ(judge(set, keys).ede, dnssec_bogus);
}

TEST(Rrset, SignerIsTheZoneOfTheKeysAndAboveTheOwner)
{
    const SigningKey key = SigningKey::make(13, 256);
    OwnedRrset set = rrset("www.example.", A, {"192.0.2.1"});
    set.signatures = {make_rrsig(set, key, name("other."), good_dates())};
    ZoneKeys keys = keys_of({&key});
    EXPECT_EQ(judge(set, keys).reason, "signed by another zone");
    ZoneKeys others = keys_of({&key}, {}, "other.");
    EXPECT_EQ(judge(set, others).reason, "not a name of the zone");
}

TEST(Rrset, ADsIsNotSignedByItsOwnZone)
{
    const SigningKey key = SigningKey::make(13, 256);
    OwnedRrset set;
    set.owner = name("example.");
    set.type = DS;
    set.rdatas = {key.ds(set.owner)};
    set.signatures = {make_rrsig(set, key, name("example."), good_dates())};
    ZoneKeys keys = keys_of({&key});
    EXPECT_EQ(judge(set, keys).state, bogus);
}

TEST(Rrset, UnknownKeyIsEde9)
{
    Signed data{good_dates()};
    const SigningKey other = SigningKey::make(13, 256);
    ZoneKeys keys = keys_of({&other});
    EXPECT_EQ(judge(data.set, keys).ede, dnskey_missing);
}

TEST(Rrset, AnotherKeyWithoutTheZoneBitIsNotTheReason)
{
    Signed data{good_dates()};
    const SigningKey other = SigningKey::make(13, 0);
    ZoneKeys keys = keys_of({&other});
    EXPECT_EQ(judge(data.set, keys).ede, dnskey_missing);
}

TEST(Rrset, KeysThatAreNoneDoNotCount)
{
    Signed data{good_dates()};
    data.key.set_flags(0);
    data.set.signatures = {make_rrsig(data.set, data.key, name("example."), good_dates())};
    EXPECT_EQ(data.judged().ede, no_zone_key_bit_set);
    data.key.set_flags(256 + 128);
    data.set.signatures = {make_rrsig(data.set, data.key, name("example."), good_dates())};
    EXPECT_EQ(data.judged().ede, dnskey_missing); // revoked
}

TEST(Rrset, AlgorithmsThatPolicyRefusesAreNotThere)
{
    const SigningKey key = SigningKey::make(7, 256);
    OwnedRrset set = rrset("www.example.", A, {"192.0.2.1"});
    set.signatures = {make_rrsig(set, key, name("example."), good_dates())};
    ZoneKeys keys = keys_of({&key});
    EXPECT_TRUE(keys.empty());
    EXPECT_EQ(judge(set, keys).ede, unsupported_dnskey_algorithm);
}

TEST(Rrset, OneGoodSignatureAmongBadOnesIsEnough)
{
    Signed data{good_dates()};
    SignatureFields broken = good_dates();
    broken.broken = true;
    const Octets good = data.set.signatures[0];
    data.set.signatures = {make_rrsig(data.set, data.key, name("example."), broken), Octets{1, 2}, good};
    EXPECT_EQ(data.judged().state, secure);
}

TEST(Rrset, OddKeysDoNotExist)
{
    const auto rsa_of = [](std::size_t bits) {
        Octets octets{3, 1, 0, 1};
        octets.insert(octets.end(), bits / 8, 0xAB);
        octets.back() = 1;
        return PublicKey::make(8, octets).is_usable();
    };
    EXPECT_TRUE(rsa_of(1'024));
    EXPECT_TRUE(rsa_of(4'096));
    EXPECT_FALSE(rsa_of(1'016));
    EXPECT_FALSE(rsa_of(4'104));
    Octets point(64, 1); // off the curve
    EXPECT_FALSE(PublicKey::make(13, point).is_usable());
    EXPECT_FALSE(PublicKey::make(13, base::Bytes{point}.first(63)).is_usable());
    EXPECT_FALSE(PublicKey::make(15, base::Bytes{point}.first(31)).is_usable());
    EXPECT_FALSE(PublicKey::make(1, point).is_usable());
    // Exponents: 2^33 - 1 is the largest odd one that counts.
    Octets modulus(256, 0xAB);
    modulus.back() = 1;
    const auto with_exponent = [&](Octets exponent) {
        Octets octets{static_cast<std::uint8_t>(exponent.size())};
        octets.insert(octets.end(), exponent.begin(), exponent.end());
        octets.insert(octets.end(), modulus.begin(), modulus.end());
        return PublicKey::make(8, octets).is_usable();
    };
    EXPECT_TRUE(with_exponent({3}));
    EXPECT_TRUE(with_exponent({1, 0xFF, 0xFF, 0xFF, 0xFF}));
    EXPECT_FALSE(with_exponent({2, 0, 0, 0, 1}));
    EXPECT_FALSE(with_exponent({1}));
    EXPECT_FALSE(with_exponent({4}));
}

// --- the budget (KeyTrap, CVE-2023-50387)

namespace {

/// A set with `count` signatures that need a check each and fail.
OwnedRrset with_bad_signatures(const SigningKey& key, unsigned count)
{
    OwnedRrset set = rrset("www.example.", A, {"192.0.2.1"});
    SignatureFields fields = good_dates();
    fields.broken = true;
    for (unsigned i = 0; i < count; ++i) {
        fields.expiration += 1;
        set.signatures.push_back(make_rrsig(set, key, name("example."), fields));
    }
    return set;
}

} // namespace

TEST(BudgetOfVerification, ASetGetsEightSignatures)
{
    const SigningKey key = SigningKey::make(15, 256);
    ZoneKeys keys = keys_of({&key});
    const Policy policy;
    for (const unsigned count : {8U, 9U}) {
        const OwnedRrset set = with_bad_signatures(key, count);
        Stats stats;
        Budget budget{policy.limits, nullptr, &stats};
        RrsetVerifier verifier{set.view(), keys, policy, kNow};
        EXPECT_EQ(finish(verifier, budget), count == 8 ? Step::done : Step::spent);
        EXPECT_EQ(verifier.verdict().state, bogus);
        EXPECT_EQ(budget.checks(), 8U);
        EXPECT_EQ(stats.spent.get(), count == 8 ? 0U : 1U);
        EXPECT_EQ(verifier.step(budget), count == 8 ? Step::done : Step::spent); // and stays so
    }
}

TEST(BudgetOfVerification, AQueryGetsThirtyTwoChecks)
{
    const SigningKey key = SigningKey::make(15, 256);
    ZoneKeys keys = keys_of({&key});
    const Policy policy;
    const OwnedRrset set = with_bad_signatures(key, 7);
    Budget budget{policy.limits};
    for (unsigned i = 0; i < 4; ++i) {
        RrsetVerifier verifier{set.view(), keys, policy, kNow};
        EXPECT_EQ(finish(verifier, budget), Step::done);
    }
    RrsetVerifier verifier{set.view(), keys, policy, kNow};
    EXPECT_EQ(finish(verifier, budget), Step::spent);
    EXPECT_EQ(budget.checks(), 32U);
    EXPECT_TRUE(budget.is_spent());
}

TEST(BudgetOfVerification, EightChecksThenOthers)
{
    const SigningKey key = SigningKey::make(15, 256);
    ZoneKeys keys = keys_of({&key});
    const Policy policy;
    const OwnedRrset set = with_bad_signatures(key, 6);
    Budget budget{policy.limits};
    RrsetVerifier first{set.view(), keys, policy, kNow};
    EXPECT_EQ(first.step(budget), Step::done);
    RrsetVerifier second{set.view(), keys, policy, kNow};
    EXPECT_EQ(second.step(budget), Step::again);
    EXPECT_EQ(second.step(budget), Step::again); // nobody had a turn
    budget.begin_turn();
    EXPECT_EQ(second.step(budget), Step::done);
    EXPECT_EQ(budget.checks(), 12U);
}

TEST(BudgetOfVerification, TwoKeysOfOneTag)
{
    // Keys of the same tag are made from one by adding to one octet pair what is taken from another (RFC 4034 app. B).
    const SigningKey key = SigningKey::make(15, 256);
    std::vector<Octets> same_tag;
    for (std::uint8_t i = 1; i <= 3; ++i) {
        Octets other = key.dnskey();
        std::swap(other[4 + 2U * i], other[6 + 2U * i]); // octets of the same weight
        same_tag.push_back(other);
    }
    for (const Octets& other : same_tag) ASSERT_EQ(key_tag(other), key.tag());
    OwnedRrset set = rrset("www.example.", A, {"192.0.2.1"});
    set.signatures = {make_rrsig(set, key, name("example."), good_dates())};
    const Policy policy;
    const std::vector<base::Bytes> second{same_tag[0], key.dnskey()};
    ZoneKeys found{name("example."), second, policy.algorithms};
    EXPECT_EQ(judge(set, found).state, secure);
    const std::vector<base::Bytes> third{same_tag[0], same_tag[1], key.dnskey()};
    ZoneKeys missed{name("example."), third, policy.algorithms};
    Budget budget{policy.limits};
    RrsetVerifier verifier{set.view(), missed, policy, kNow};
    EXPECT_EQ(finish(verifier, budget), Step::done);
    EXPECT_EQ(verifier.verdict().state, bogus);
    EXPECT_EQ(budget.checks(), 2U);
}

TEST(BudgetOfVerification, ProcessorTimeEnds)
{
    class Passing final : public base::Clock {
    public:
        [[nodiscard]] base::Instant now() const noexcept override { return at += std::chrono::milliseconds{20}; }
        [[nodiscard]] base::WallTime wall() const noexcept override { return {}; }
        mutable base::Instant at{};
    };
    const SigningKey key = SigningKey::make(15, 256);
    ZoneKeys keys = keys_of({&key});
    const Policy policy;
    const OwnedRrset set = with_bad_signatures(key, 8);
    const Passing clock;
    Budget budget{policy.limits, &clock};
    RrsetVerifier verifier{set.view(), keys, policy, kNow};
    EXPECT_EQ(finish(verifier, budget), Step::spent);
    EXPECT_LT(budget.checks(), 8U);
}

// --- keys by DS and by anchor

namespace {

struct Judged {
    Verdict verdict;
    ZoneKeys keys;
};

Judged judge_keys(const OwnedRrset& dnskeys, const std::vector<Octets>& ds, const std::vector<Octets>& trusted = {},
                  const Policy& policy = {})
{
    const std::vector<base::Bytes> ds_views{ds.begin(), ds.end()};
    const std::vector<base::Bytes> key_views{trusted.begin(), trusted.end()};
    Budget budget{policy.limits};
    KeysVerifier verifier{dnskeys.view(), {ds_views, key_views}, policy, kNow};
    EXPECT_EQ(finish(verifier, budget), Step::done);
    Judged judged{verifier.verdict(), {}};
    if (judged.verdict.is_secure()) judged.keys = verifier.take_keys();
    return judged;
}

TestZone two_key_zone()
{
    TestZone zone{"example.", kNow};
    zone.add_key(13, 257);
    zone.add_key(13, 256);
    zone.add("www", A, "192.0.2.1");
    zone.sign();
    return zone;
}

} // namespace

TEST(Keys, DsLeadsToAllKeysOfTheZone)
{
    const TestZone zone = two_key_zone();
    for (const std::uint8_t digest : std::initializer_list<std::uint8_t>{1, 2, 4}) {
        auto judged = judge_keys(*zone.find("@", DNSKEY), zone.ds(digest));
        ASSERT_TRUE(judged.verdict.is_secure()) << judged.verdict.reason;
        EXPECT_EQ(judged.keys.size(), 2U);
        EXPECT_EQ(judge(*zone.find("www", A), judged.keys).state, secure);
    }
}

TEST(Keys, AnAnchorMayBeTheKeyItself)
{
    const TestZone zone = two_key_zone();
    EXPECT_TRUE(judge_keys(*zone.find("@", DNSKEY), {}, {zone.keys()[0].dnskey()}).verdict.is_secure());
    const auto other = judge_keys(*zone.find("@", DNSKEY), {}, {SigningKey::make(13).dnskey()});
    EXPECT_EQ(other.verdict.ede, dnskey_missing);
    const auto unsupported = judge_keys(*zone.find("@", DNSKEY), {}, {SigningKey::make(7).dnskey()});
    EXPECT_TRUE(unsupported.verdict.is_insecure());
}

TEST(Keys, ADsOfNoKeyIsBogus)
{
    const TestZone zone = two_key_zone();
    const auto judged = judge_keys(*zone.find("@", DNSKEY), {SigningKey::make(13).ds(zone.apex())});
    EXPECT_EQ(judged.verdict.state, bogus);
    EXPECT_EQ(judged.verdict.ede, dnskey_missing);
    OwnedRrset none;
    none.owner = zone.apex();
    none.type = DNSKEY;
    EXPECT_EQ(judge_keys(none, zone.ds()).verdict.ede, dnskey_missing);
}

TEST(Keys, TheKeyOfTheDsMustHaveSigned)
{
    TestZone zone = two_key_zone();
    OwnedRrset set = *zone.find("@", DNSKEY);
    set.signatures = {make_rrsig(set, zone.keys()[1], zone.apex(), zone.dates())}; // the ZSK alone
    EXPECT_EQ(judge_keys(set, zone.ds()).verdict.state, bogus);
}

TEST(Keys, AKeyWithoutTheZoneBitIsEde11)
{
    TestZone zone{"example.", kNow};
    zone.add_key(13, 1);
    zone.sign();
    EXPECT_EQ(judge_keys(*zone.find("@", DNSKEY), zone.ds()).verdict.ede, no_zone_key_bit_set);
}

TEST(Keys, UnsupportedMeansInsecure)
{
    TestZone zone{"example.", kNow};
    zone.add_key(7, 257);
    zone.sign();
    auto judged = judge_keys(*zone.find("@", DNSKEY), zone.ds());
    EXPECT_TRUE(judged.verdict.is_insecure());
    EXPECT_EQ(judged.verdict.ede, unsupported_dnskey_algorithm);
    EXPECT_TRUE(judge_keys(*zone.find("@", DNSKEY), zone.ds(), {}, with_sha1()).verdict.is_secure());

    const TestZone other = two_key_zone();
    auto ds = other.ds();
    ds[0][3] = 3; // GOST
    judged = judge_keys(*other.find("@", DNSKEY), ds);
    EXPECT_TRUE(judged.verdict.is_insecure());
    EXPECT_EQ(judged.verdict.ede, unsupported_ds_digest);
}

TEST(Keys, TheStrongestDigestCounts)
{
    const TestZone zone = two_key_zone();
    auto ds = zone.ds(1);
    ds.push_back(zone.ds(2)[0]);
    ds[1].back() ^= 1U; // the better digest is wrong: a downgrade (RFC 4509 §3)
    EXPECT_EQ(judge_keys(*zone.find("@", DNSKEY), ds).verdict.state, bogus);
    ds[1].back() ^= 1U;
    ds[0].back() ^= 1U;
    EXPECT_TRUE(judge_keys(*zone.find("@", DNSKEY), ds).verdict.is_secure());
}

TEST(Keys, EightDsAreLookedAt)
{
    const TestZone zone = two_key_zone();
    std::vector<Octets> ds;
    for (unsigned i = 0; i < 8; ++i) ds.push_back(SigningKey::make(13).ds(zone.apex()));
    const std::vector<base::Bytes> views{ds.begin(), ds.end()};
    EXPECT_EQ(choose_ds(views, {}).usable.size(), 8U);
    ds.push_back(zone.ds()[0]);
    EXPECT_EQ(judge_keys(*zone.find("@", DNSKEY), ds).verdict.state, bogus);
    ds.erase(ds.begin());
    EXPECT_TRUE(judge_keys(*zone.find("@", DNSKEY), ds).verdict.is_secure());
}

TEST(Keys, ManyDsDoNotHideTheOneThatCounts)
{
    const TestZone zone = two_key_zone();
    std::vector<Octets> ds;
    for (unsigned i = 0; i < 64; ++i) {
        ds.push_back(zone.ds()[0]);
        ds.back()[2] = 200; // an algorithm that nobody knows
        ds.back().back() = static_cast<std::uint8_t>(i);
    }
    const std::vector<base::Bytes> views{ds.begin(), ds.end()};
    EXPECT_TRUE(choose_ds(views, {}).verdict.is_insecure());
    ds.push_back(zone.ds()[0]);
    EXPECT_EQ(judge_keys(*zone.find("@", DNSKEY), ds).verdict.state, bogus);
}

TEST(Dname, SynthesisIsChecked)
{
    EXPECT_TRUE(is_dname_synthesis(name("a.b.old."), name("A.b.new.net."), name("old."), name("new.net.")));
    EXPECT_FALSE(is_dname_synthesis(name("a.b.old."), name("b.new.net."), name("old."), name("new.net.")));
    EXPECT_FALSE(is_dname_synthesis(name("old."), name("new.net."), name("old."), name("new.net.")));
    EXPECT_FALSE(is_dname_synthesis(name("a.other."), name("a.new.net."), name("old."), name("new.net.")));
    const std::string label(63, 'x');
    EXPECT_FALSE(is_dname_synthesis(name(label + "." + label + "." + label + ".old."), name("x."), name("old."),
                                    name(label + ".")));
}

TEST(Verdict, SaysZoneAndReason)
{
    Verdict verdict = bogus_verdict(signature_expired, "signature expired");
    verdict.key_tag = 12'345;
    EXPECT_EQ(describe(verdict, name("example."), name("www.example."), A),
              "www.example. A (zone example., key 12345): signature expired");
    const std::string label(63, 'x');
    const auto longest = name(label + "." + label + "." + label + ".");
    EXPECT_LE(describe(verdict, longest, longest, A).size(), 200U);
}
