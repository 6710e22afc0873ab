#include "cache/rrset_store.hpp"

#include <gtest/gtest.h>

namespace sallyport::cache {
namespace {

using namespace std::chrono_literals;
using wire::RrClass;
using wire::RrType;
using wire::ValidationState;

wire::Name name(const char* text) { return *wire::Name::from_text(text); }

Rrset address(const char* owner, ValidationState state)
{
    Rrset set;
    set.owner = name(owner);
    set.type = RrType::A;
    set.rank = Rank::answer_auth;
    set.state = state;
    set.ttl = wire::Ttl{300};
    const std::uint8_t rdata[] = {192, 0, 2, 1};
    set.records.add(rdata);
    return set;
}

class RrsetStates : public ::testing::Test {
protected:
    [[nodiscard]] RrsetPtr find(const char* owner) const
    {
        return store_.find(name(owner), RrType::A, RrClass::IN, now_);
    }

    base::Instant now_{1h};
    RrsetStore store_{RrsetOptions{}};
};

TEST_F(RrsetStates, WhatWasBelievedIsUncheckedAgain)
{
    Rrset judged = address("www.example.", ValidationState::secure);
    auto proof = std::make_shared<Rrset>(address("proof.example.", ValidationState::secure));
    judged.authority.push_back(proof);
    store_.put(std::move(judged), now_);
    ASSERT_EQ(find("www.example.")->state, ValidationState::secure);
    store_.forget_states();
    const RrsetPtr known = find("www.example.");
    ASSERT_TRUE(known);
    EXPECT_EQ(known->state, ValidationState::unchecked);
    EXPECT_EQ(known->authority.at(0)->state, ValidationState::unchecked);
    EXPECT_EQ(known->expires, now_ + 300s);
    EXPECT_EQ(proof->state, ValidationState::secure) << "shared by others, who hold it";
}

TEST_F(RrsetStates, WhyItWasInsecureIsForgotten)
{
    Rrset judged = address("www.example.", ValidationState::insecure);
    judged.ede = wire::ExtendedError::unsupported_nsec3_iterations;
    judged.ede_text = "too many";
    store_.put(std::move(judged), now_);
    store_.forget_states();
    EXPECT_FALSE(find("www.example.")->ede);
    EXPECT_TRUE(find("www.example.")->ede_text.empty());
}

TEST_F(RrsetStates, WhatWasBogusIsGone)
{
    store_.put(address("www.example.", ValidationState::bogus), now_);
    store_.put(address("other.example.", ValidationState::bogus), now_);
    store_.forget_states();
    EXPECT_FALSE(find("www.example."));
    unsigned visited = 0;
    store_.each(now_, [&](const Rrset&) { return ++visited > 0; });
    EXPECT_EQ(visited, 0U);
    EXPECT_EQ(store_.counts().entries, 0U);
}

TEST_F(RrsetStates, WhatIsJudgedLaterStays)
{
    store_.put(address("www.example.", ValidationState::secure), now_);
    store_.forget_states();
    const RrsetPtr unchecked = find("www.example.");
    Rrset judged = *unchecked;
    judged.state = ValidationState::secure;
    store_.replace(unchecked, std::move(judged), now_);
    EXPECT_EQ(find("www.example.")->state, ValidationState::secure);
}

TEST_F(RrsetStates, WhatIsTrustedHasANumber)
{
    store_.trust_by(7);
    const auto number = store_.trusted_by(7);
    ASSERT_TRUE(number);
    store_.put(address("www.example.", ValidationState::secure), now_, number);
    store_.trust_by(7); // another worker, the same anchors
    EXPECT_EQ(store_.trusted_by(7), number);
    EXPECT_EQ(find("www.example.")->state, ValidationState::secure);
    store_.trust_by(8);
    EXPECT_EQ(store_.trusted_by(7), std::nullopt);
    EXPECT_EQ(find("www.example.")->state, ValidationState::unchecked);
}

TEST_F(RrsetStates, WhatWasJudgedByOtherAnchorsIsNotBelieved)
{
    store_.trust_by(7);
    const auto before = store_.trusted_by(7);
    store_.put(address("www.example.", ValidationState::unchecked), now_);
    const RrsetPtr unchecked = find("www.example.");
    store_.trust_by(8); // between the verdict and the place it is put in
    Rrset judged = *unchecked;
    judged.state = ValidationState::secure;
    store_.replace(unchecked, judged, now_, before);
    EXPECT_EQ(find("www.example.")->state, ValidationState::unchecked);
    store_.replace(find("www.example."), judged, now_, store_.trusted_by(8));
    EXPECT_EQ(find("www.example.")->state, ValidationState::secure);
}

TEST_F(RrsetStates, NewsTakesThePlaceOfWhatIsProvenNoMore)
{
    store_.put(address("www.example.", ValidationState::secure), now_);
    store_.forget_states();
    const RrsetPtr news = store_.put(address("www.example.", ValidationState::unchecked), now_ + 1s);
    EXPECT_EQ(find("www.example."), news);
}

} // namespace
} // namespace sallyport::cache
