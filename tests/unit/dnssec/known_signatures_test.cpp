#include "dnssec/known_signatures.hpp"

#include "dnssec/verify.hpp"

#include "signer.hpp"

#include <gtest/gtest.h>

using namespace sallyport;
using namespace sallyport::dnssec;
using namespace sallyport::dnssec_testing;
using enum wire::RrType;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;

class KnownSignaturesTest : public ::testing::Test {
protected:
    KnownSignaturesTest()
    {
        fields_.inception = kNow - 86'400;
        fields_.expiration = kNow + 86'400;
        const std::vector<base::Bytes> rdatas{key_.dnskey()};
        keys_ = ZoneKeys{name("example."), rdatas, policy_.algorithms};
    }
    Verdict judge(const OwnedRrset& set, std::int64_t now = kNow)
    {
        Budget budget{policy_.limits, nullptr, &stats_, &known_};
        RrsetVerifier verifier{set.view(), keys_, policy_, now};
        while (verifier.step(budget) == Step::again) budget.begin_turn();
        return verifier.verdict();
    }
    OwnedRrset signed_set(std::string_view owner)
    {
        OwnedRrset set = rrset(owner, A, {"192.0.2.1"});
        set.signatures.push_back(make_rrsig(set, key_, name("example."), fields_));
        return set;
    }

    base::SystemRandom random_;
    KnownSignatures known_{random_};
    Policy policy_;
    Stats stats_;
    SigningKey key_ = SigningKey::make(13);
    SignatureFields fields_;
    ZoneKeys keys_;
};

TEST_F(KnownSignaturesTest, WhatHasVerifiedIsNotComputedAgain)
{
    const OwnedRrset set = signed_set("www.example.");
    EXPECT_TRUE(judge(set).is_secure());
    EXPECT_TRUE(judge(set).is_secure());
    EXPECT_EQ(stats_.signature_checks.get(), 1U);
    EXPECT_EQ(stats_.signatures_known.get(), 1U);
}

TEST_F(KnownSignaturesTest, AllThatAWildcardMakesHasOneSignature)
{
    fields_.labels = 1;
    const OwnedRrset first = signed_set("a.example.");
    OwnedRrset second = rrset("b.example.", A, {"192.0.2.1"});
    second.signatures = first.signatures;
    EXPECT_TRUE(judge(first).wildcard);
    EXPECT_TRUE(judge(second).wildcard);
    EXPECT_EQ(stats_.signature_checks.get(), 1U);
}

TEST_F(KnownSignaturesTest, AnyOtherOctetIsComputed)
{
    OwnedRrset set = signed_set("www.example.");
    EXPECT_TRUE(judge(set).is_secure());
    set.rdatas.front().back() ^= 1U;
    EXPECT_TRUE(judge(set).is_bogus());
    set.rdatas.front().back() ^= 1U;
    set.signatures.front().back() ^= 1U;
    EXPECT_TRUE(judge(set).is_bogus());
    EXPECT_TRUE(judge(set).is_bogus()); // what failed is not remembered
    EXPECT_EQ(stats_.signature_checks.get(), 4U);
    EXPECT_EQ(stats_.signatures_known.get(), 0U);
}

TEST_F(KnownSignaturesTest, ADateThatHasPassedCountsAllTheSame)
{
    const OwnedRrset set = signed_set("www.example.");
    EXPECT_TRUE(judge(set).is_secure());
    const Verdict late = judge(set, kNow + 30 * 86'400);
    EXPECT_TRUE(late.is_bogus());
    EXPECT_EQ(late.ede, wire::ExtendedError::signature_expired);
}

TEST_F(KnownSignaturesTest, ANewOneTakesThePlaceOfAnOldOne)
{
    const KnownSignatures::Mark old{5, 1};
    const KnownSignatures::Mark fresh{5 + KnownSignatures::kSlots, 2};
    known_.add(old);
    EXPECT_TRUE(known_.contains(old));
    EXPECT_FALSE(known_.contains(fresh));
    known_.add(fresh);
    EXPECT_FALSE(known_.contains(old));
    EXPECT_TRUE(known_.contains(fresh));
    EXPECT_FALSE(known_.contains({})); // an empty slot knows nothing
}

} // namespace
