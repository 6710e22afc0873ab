#include "cache/rrset_store.hpp"

#include <gtest/gtest.h>

#include <array>

namespace sallyport::cache {
namespace {

using namespace std::chrono_literals;
using wire::Name;
using wire::RrClass;
using wire::RrType;

Name name(const char* text) { return *Name::from_text(text); }

Rrset address(const char* owner, std::uint8_t last, Rank rank, std::uint32_t ttl = 300)
{
    Rrset set;
    set.owner = name(owner);
    set.type = RrType::A;
    set.rank = rank;
    set.ttl = wire::Ttl{ttl};
    const std::uint8_t octets[4] = {192, 0, 2, last};
    set.records.add(octets);
    return set;
}

class RrsetStoreTest : public ::testing::Test {
protected:
    [[nodiscard]] RrsetPtr find(const char* owner) const
    {
        return store_.find(name(owner), RrType::A, RrClass::IN, now_);
    }
    base::Instant now_{1h};
    RrsetOptions options_;
    RrsetStore store_{options_};
};

TEST_F(RrsetStoreTest, FindsWhatWasPutWhateverTheCase)
{
    store_.put(address("www.example.", 1, Rank::answer_auth), now_);
    ASSERT_TRUE(find("WWW.example."));
    EXPECT_FALSE(find("example."));
    EXPECT_FALSE(store_.find(name("www.example."), RrType::AAAA, RrClass::IN, now_));
    EXPECT_FALSE(store_.find(name("www.example."), RrType::A, RrClass::CH, now_));
}

TEST_F(RrsetStoreTest, ForgetsWhenTheTtlIsOver)
{
    store_.put(address("www.example.", 1, Rank::answer_auth, 10), now_);
    now_ += 9s;
    EXPECT_EQ(find("www.example.")->ttl_left(now_), wire::Ttl{1});
    now_ += 1s;
    EXPECT_FALSE(find("www.example."));
}

TEST_F(RrsetStoreTest, LessTrustedDataNeverReplacesMoreTrusted)
{
    store_.put(address("www.example.", 1, Rank::answer_auth, 10), now_);
    const RrsetPtr kept = store_.put(address("www.example.", 2, Rank::additional), now_);
    EXPECT_EQ((*kept->records.begin())[3], 1);
    EXPECT_EQ(store_.counts().outranked, 1U);
    now_ += 10s; // the better one is past its time
    store_.put(address("www.example.", 2, Rank::additional), now_);
    EXPECT_EQ((*find("www.example.")->records.begin())[3], 2);
}

TEST_F(RrsetStoreTest, EquallyTrustedDataReplaces)
{
    store_.put(address("www.example.", 1, Rank::answer_auth), now_);
    store_.put(address("www.example.", 2, Rank::answer_auth), now_);
    EXPECT_EQ((*find("www.example.")->records.begin())[3], 2);
}

TEST_F(RrsetStoreTest, ProvenDataIsNotReplacedByUnprovenOfTheSameRank)
{
    Rrset proven = address("www.example.", 1, Rank::answer_auth);
    proven.state = wire::ValidationState::secure;
    store_.put(std::move(proven), now_);
    store_.put(address("www.example.", 2, Rank::answer_auth), now_);
    EXPECT_EQ((*find("www.example.")->records.begin())[3], 1);
}

TEST_F(RrsetStoreTest, ProvenDataIsRenewedByWhatIsProvenLater)
{
    Rrset proven = address("www.example.", 1, Rank::answer_auth, 10);
    proven.state = wire::ValidationState::secure;
    store_.put(std::move(proven), now_);
    const RrsetPtr fresh = store_.put(address("www.example.", 2, Rank::answer_auth), now_);
    EXPECT_EQ((*fresh->records.begin())[3], 2); // to be judged
    Rrset bogus = *fresh;
    bogus.state = wire::ValidationState::bogus;
    store_.replace(fresh, std::move(bogus), now_);
    EXPECT_EQ((*find("www.example.")->records.begin())[3], 1);
    Rrset judged = *fresh;
    judged.state = wire::ValidationState::secure;
    store_.replace(fresh, std::move(judged), now_);
    EXPECT_EQ((*find("www.example.")->records.begin())[3], 2);
    EXPECT_EQ(store_.counts().entries, 1U);
}

TEST_F(RrsetStoreTest, BogusDataIsReplacedByAnything)
{
    Rrset bogus = address("www.example.", 1, Rank::answer_auth);
    bogus.state = wire::ValidationState::bogus;
    store_.put(std::move(bogus), now_);
    store_.put(address("www.example.", 2, Rank::additional), now_);
    EXPECT_EQ((*find("www.example.")->records.begin())[3], 2);
}

TEST_F(RrsetStoreTest, CutsTtlsToTheCaps)
{
    store_.put(address("www.example.", 1, Rank::answer_auth, 0x7FFF'FFFF), now_);
    EXPECT_EQ(find("www.example.")->ttl, wire::Ttl{options_.max_ttl});
    Rrset none = address("none.example.", 1, Rank::answer_auth, 100'000);
    none.kind = RrsetKind::nxdomain;
    none.records = {};
    store_.put(std::move(none), now_);
    EXPECT_EQ(store_.find_nxdomain(name("none.example."), RrClass::IN, now_)->ttl,
              wire::Ttl{options_.max_negative_ttl});
}

TEST_F(RrsetStoreTest, NameErrorStandsForAllTypes)
{
    Rrset none = address("none.example.", 1, Rank::answer_auth);
    none.kind = RrsetKind::nxdomain;
    store_.put(std::move(none), now_);
    EXPECT_TRUE(store_.find_nxdomain(name("none.example."), RrClass::IN, now_));
    EXPECT_FALSE(find("none.example."));
}

TEST_F(RrsetStoreTest, ReplacesOnlyWhatIsStillThere)
{
    const RrsetPtr first = store_.put(address("www.example.", 1, Rank::answer_auth), now_);
    store_.put(address("www.example.", 2, Rank::answer_auth), now_);
    Rrset judged = *first;
    judged.state = wire::ValidationState::secure;
    store_.replace(first, std::move(judged), now_);
    EXPECT_EQ((*find("www.example.")->records.begin())[3], 2);
}

TEST_F(RrsetStoreTest, StaleSetsAreThereOnlyForWhoAsksForThem)
{
    options_.keep_stale = true;
    RrsetStore store(options_);
    store.put(address("www.example.", 1, Rank::answer_auth, 10), now_);
    now_ += 60s;
    EXPECT_FALSE(store.find(name("www.example."), RrType::A, RrClass::IN, now_));
    EXPECT_TRUE(store.find_stale(name("www.example."), RrType::A, RrClass::IN, now_));
    now_ += std::chrono::seconds(options_.stale_for);
    EXPECT_FALSE(store.find_stale(name("www.example."), RrType::A, RrClass::IN, now_));
}

TEST(RrsetStore, StaysWithinItsOctets)
{
    RrsetOptions options;
    options.bytes = 64U << 10U;
    options.shards = 1;
    RrsetStore store(options);
    const base::Instant now{1h};
    for (int i = 0; i < 2000; ++i) {
        store.put(address(("n" + std::to_string(i) + ".example.").c_str(), 1, Rank::answer_auth), now);
    }
    EXPECT_LE(store.counts().octets, options.bytes);
    EXPECT_GT(store.counts().evicted, 0U);
    EXPECT_TRUE(store.find(name("n1999.example."), RrType::A, RrClass::IN, now));
}

TEST_F(RrsetStoreTest, FindsSeveralTypesOfANameAtOnce)
{
    store_.put(address("www.example.", 1, Rank::answer_auth, 10), now_);
    Rrset none = address("www.example.", 1, Rank::answer_auth);
    none.kind = RrsetKind::nxdomain;
    store_.put(std::move(none), now_);
    const std::array types{RrType::CNAME, RrType::A, RrsetStore::kNameError};
    std::array<RrsetPtr, 3> found;
    store_.find_all(name("WWW.example."), types, RrClass::IN, now_, false, found);
    EXPECT_FALSE(found[0]);
    ASSERT_TRUE(found[1]);
    EXPECT_EQ(found[1]->type, RrType::A);
    ASSERT_TRUE(found[2]);
    EXPECT_EQ(found[2]->kind, RrsetKind::nxdomain);
    EXPECT_EQ(store_.counts().hits, 2U);
    EXPECT_EQ(store_.counts().misses, 1U);
    found = {};
    store_.find_all(name("www.example."), types, RrClass::IN, now_ + 10s, false, found);
    EXPECT_FALSE(found[1]);
    EXPECT_TRUE(found[2]);
}

TEST_F(RrsetStoreTest, KeepsTheLatestHundredTypesOfAName)
{
    for (std::uint16_t type = 1000; type < 1250; ++type) {
        Rrset set = address("www.example.", 1, Rank::answer_auth);
        set.type = RrType{type};
        store_.put(std::move(set), now_);
    }
    store_.put(address("other.example.", 1, Rank::answer_auth), now_);
    EXPECT_EQ(store_.counts().entries, 101U);
    EXPECT_EQ(store_.counts().evicted, 150U);
    EXPECT_FALSE(store_.find(name("www.example."), RrType{1000}, RrClass::IN, now_));
    EXPECT_TRUE(store_.find(name("www.example."), RrType{1249}, RrClass::IN, now_));
}

TEST(RrsetStore, FindsAllOfManyAndEvictsTheOneUnusedLongest)
{
    RrsetOptions options;
    options.shards = 1;
    options.bytes = 4U << 20U;
    RrsetStore store(options);
    const base::Instant now{1h};
    const auto put = [&](int i) {
        store.put(address(("n" + std::to_string(i) + ".example.").c_str(), 1, Rank::answer_auth), now);
    };
    const auto has = [&](int i) {
        return store.find(name(("n" + std::to_string(i) + ".example.").c_str()), RrType::A, RrClass::IN, now) !=
               nullptr;
    };
    for (int i = 0; i < 1000; ++i) put(i);
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(has(i)) << i;
    ASSERT_EQ(store.counts().evicted, 0U);
    int next = 1000;
    for (; store.counts().evicted < 10; ++next) {
        put(next);
        EXPECT_TRUE(has(0)); // in use
    }
    EXPECT_FALSE(has(1));
    EXPECT_TRUE(has(next - 1));
    EXPECT_LE(store.counts().octets, options.bytes);
}

TEST(RrsetStore, CountsTheMemoryThatASetHolds)
{
    Rrset set = address("www.example.", 1, Rank::answer_auth);
    const std::size_t small = set.octets();
    EXPECT_EQ(small, sizeof(Rrset) + set.records.memory() + set.ede_text.capacity());
    set.ede_text.reserve(1000);
    set.authority.reserve(10);
    EXPECT_GE(set.octets(), small + 1000 - 15 + 10 * sizeof(RrsetPtr));
}

TEST(RrsetStore, DoesNotKeepWhatIsTooLarge)
{
    RrsetOptions options;
    options.max_octets = 1000;
    RrsetStore store(options);
    const base::Instant now{1h};
    Rrset set = address("www.example.", 1, Rank::answer_auth);
    const std::vector<std::uint8_t> large(4000, 7);
    set.records.add(large);
    EXPECT_TRUE(store.put(std::move(set), now)); // usable for the question it answers
    EXPECT_FALSE(store.find(name("www.example."), RrType::A, RrClass::IN, now));
    EXPECT_EQ(store.counts().too_large, 1U);
}

TEST(RdataList, HandsOutWhatWasAdded)
{
    RdataList list;
    const std::uint8_t one[] = {1, 2, 3};
    list.add(one);
    list.add({});
    EXPECT_EQ(list.size(), 2U);
    EXPECT_TRUE(list.contains(one));
    auto it = list.begin();
    EXPECT_EQ((*it).size(), 3U);
    EXPECT_TRUE((*++it).empty());
    EXPECT_TRUE(++it == RdataList::end());
}

} // namespace
} // namespace sallyport::cache
