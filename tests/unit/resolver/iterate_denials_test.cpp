#include "dnssec/dnssec.hpp"
#include "resolver/iterate/denials.hpp"
#include "tests/unit/resolver/iterate_world.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace sallyport::resolver::iterate::test {
namespace {

using cache::Rrset;
using cache::RrsetKind;
using cache::RrsetPtr;
using wire::RrType;

constexpr base::Instant kNow{std::chrono::hours{1}};

Rrset secure(const std::string& owner, RrType type, const std::string& rdata, std::uint32_t ttl = 300,
             const std::string& signer = "example.")
{
    Rrset set;
    set.owner = name(owner);
    set.type = type;
    set.rank = cache::Rank::answer_auth;
    set.state = wire::ValidationState::secure;
    set.ttl = wire::Ttl{ttl};
    set.expires = kNow + std::chrono::seconds(ttl);
    set.records.add(*wire::rdata_from_text(type, rdata, wire::Name{}));
    const unsigned labels = set.owner.label_count() - (set.owner.is_wildcard() ? 1U : 0U);
    set.signatures.add(*wire::rdata_from_text(RrType::RRSIG,
                                              wire::to_string(type) + " 13 " + std::to_string(labels) +
                                                  " 300 20400101000000 20200101000000 1 " + signer + " AAAA",
                                              wire::Name{}));
    return set;
}

class IterateDenials : public ::testing::Test {
protected:
    void SetUp() override { keep(secure("example.", RrType::SOA, "ns.example. a.example. 1 2 3 4 300", 900)); }
    void keep(Rrset set) { store.put(std::move(set), kNow); }
    void add(const std::string& owner, const std::string& rdata, base::Instant until = base::Instant::max(),
             std::uint32_t ttl = 300)
    {
        denials.add(std::make_shared<const Rrset>(secure(owner, RrType::NSEC, rdata, ttl)), name("example."), until);
    }
    [[nodiscard]] RrsetPtr prove(const std::string& qname, RrType qtype = RrType::A, base::Instant now = kNow) const
    {
        return denials.prove(name(qname), qtype, store, now);
    }

    cache::RrsetStore store{cache::RrsetOptions{}};
    Denials denials;
};

TEST_F(IterateDenials, ANameBetweenTwoIsNotThere)
{
    add("example.", "b.example. NS SOA RRSIG NSEC DNSKEY");
    const RrsetPtr made = prove("a.example.");
    ASSERT_TRUE(made);
    EXPECT_EQ(made->kind, RrsetKind::nxdomain);
    EXPECT_EQ(made->authority.front()->type, RrType::SOA);
    EXPECT_FALSE(prove("c.example."));
    EXPECT_FALSE(prove("b.example."));
}

TEST_F(IterateDenials, WhatIsMadeSaysSo)
{
    add("example.", "b.example. NS SOA RRSIG NSEC DNSKEY");
    const RrsetPtr made = prove("a.example.");
    ASSERT_TRUE(made);
    EXPECT_EQ(made->ede, wire::ExtendedError::synthesized);
    EXPECT_NE(made->ede_text.find("a.example. (zone example.)"), std::string::npos) << made->ede_text;
}

TEST_F(IterateDenials, WhereItIsFullTheOldestGoes)
{
    const auto owner = [](std::size_t number) { return "n" + std::to_string(100'000 + number) + ".example."; };
    add("example.", owner(0) + " NS SOA RRSIG NSEC DNSKEY");
    for (std::size_t i = 0; i + 1 < Denials::kMaxSets; ++i) add(owner(i), owner(i + 1) + " A RRSIG NSEC");
    EXPECT_EQ(denials.size(), Denials::kMaxSets);
    add("example.", owner(0) + " NS SOA RRSIG NSEC DNSKEY"); // heard of again: not the oldest any more
    add("zz.example.", "example. A RRSIG NSEC");
    EXPECT_EQ(denials.size(), Denials::kMaxSets);
    EXPECT_TRUE(prove("a.example."));
    EXPECT_TRUE(prove("zzz.example."));
    EXPECT_FALSE(prove(owner(0), RrType::TXT)) << "it went";
    EXPECT_TRUE(prove(owner(1), RrType::TXT));
}

TEST_F(IterateDenials, ATypeThatIsNotInTheMapIsNotThere)
{
    add("b.example.", "d.example. A RRSIG NSEC");
    const RrsetPtr made = prove("b.example.", RrType::TXT);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->kind, RrsetKind::nodata);
    EXPECT_FALSE(prove("b.example.", RrType::A));
}

TEST_F(IterateDenials, NothingIsSaidOfWhatIsBelowADelegation)
{
    add("b.example.", "d.example. NS RRSIG NSEC");
    EXPECT_FALSE(prove("www.b.example."));
    EXPECT_TRUE(prove("b.example.", RrType::DS));
}

TEST_F(IterateDenials, AProofEndsWithTheSoaThatCameBesideIt)
{
    add("example.", "b.example. NS SOA RRSIG NSEC DNSKEY", kNow + 10s, 3600);
    EXPECT_TRUE(prove("a.example.", RrType::A, kNow + 9s));
    EXPECT_FALSE(prove("a.example.", RrType::A, kNow + 10s));
}

TEST_F(IterateDenials, AWildcardAnswersForNamesThatAreNotThere)
{
    add("*.w.example.", "z.example. A RRSIG NSEC", base::Instant::max(), 60);
    keep(secure("*.w.example.", RrType::A, "192.0.2.7"));
    const RrsetPtr made = prove("x.w.example.");
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->is_data());
    EXPECT_EQ(made->owner, name("x.w.example."));
    EXPECT_EQ(made->signatures.size(), 1U);
    ASSERT_EQ(made->authority.size(), 1U);
    EXPECT_EQ(made->authority.front()->type, RrType::NSEC);
    EXPECT_EQ(made->expires, kNow + 60s) << "not without its proof";
    EXPECT_TRUE(prove("y.x.w.example.")->is_data());
    const RrsetPtr none = prove("x.w.example.", RrType::TXT);
    ASSERT_TRUE(none);
    EXPECT_EQ(none->kind, RrsetKind::nodata);
}

TEST_F(IterateDenials, AnAliasFromAWildcardAnswersForAllTypes)
{
    add("*.w.example.", "z.example. CNAME RRSIG NSEC");
    keep(secure("*.w.example.", RrType::CNAME, "www.example."));
    const RrsetPtr made = prove("x.w.example.", RrType::AAAA);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->type, RrType::CNAME);
}

TEST_F(IterateDenials, AWildcardSignedByAnotherZoneIsNotUsed)
{
    add("a.example.", "z.example. A RRSIG NSEC");
    keep(secure("*.example.", RrType::A, "192.0.2.7", 300, "."));
    const RrsetPtr made = prove("x.example.");
    EXPECT_TRUE(!made || !made->is_data());
}

TEST_F(IterateDenials, AWildcardThatIsNotProvenIsNotUsed)
{
    add("*.w.example.", "z.example. A RRSIG NSEC");
    Rrset set = secure("*.w.example.", RrType::A, "192.0.2.7");
    set.state = wire::ValidationState::unchecked;
    keep(std::move(set));
    EXPECT_FALSE(prove("x.w.example."));
}

// --- NSEC3

class IterateHashedDenials : public IterateDenials {
protected:
    /// The chain of a zone with these names and types.
    void add_chain(const std::map<std::string, std::string>& types_of, bool opt_out = false)
    {
        std::map<dnssec::Nsec3Hash, std::string> chain;
        for (const auto& [owner, types] : types_of) chain.emplace(dnssec::nsec3_hash({1, 0, {}}, name(owner)), types);
        for (auto it = chain.begin(); it != chain.end(); ++it) {
            const auto next = std::next(it) == chain.end() ? chain.begin() : std::next(it);
            const std::string rdata =
                std::string("1 ") + (opt_out ? "1" : "0") + " 0 - " + label(next->first) + ' ' + it->second;
            denials.add(std::make_shared<const Rrset>(secure(label(it->first) + ".example.", RrType::NSEC3, rdata)),
                        name("example."));
        }
    }
    static std::string label(const dnssec::Nsec3Hash& hash)
    {
        const auto octets = dnssec::nsec3_label(hash);
        return {octets.begin(), octets.end()};
    }
    const std::map<std::string, std::string> names{{"example.", "NS SOA RRSIG DNSKEY NSEC3PARAM"},
                                                   {"b.example.", "A RRSIG"},
                                                   {"w.example.", ""},
                                                   {"*.w.example.", "A RRSIG"}};
};

TEST_F(IterateHashedDenials, ANameWhoseHashIsBetweenTwoIsNotThere)
{
    add_chain(names);
    EXPECT_EQ(prove("a.b.c.example.")->kind, RrsetKind::nxdomain);
    EXPECT_EQ(prove("b.example.", RrType::TXT)->kind, RrsetKind::nodata);
    EXPECT_FALSE(prove("b.example.", RrType::A));
    EXPECT_EQ(prove("w.example.")->kind, RrsetKind::nodata);
    EXPECT_EQ(prove("x.w.example.", RrType::TXT)->kind, RrsetKind::nodata);
    EXPECT_FALSE(prove("x.w.example.", RrType::A));
}

TEST_F(IterateHashedDenials, AnotherChainTakesThePlaceOfTheFirst)
{
    add_chain(names);
    EXPECT_EQ(denials.size(), names.size());
    const auto apex = dnssec::nsec3_hash({1, 1, {}}, name("example."));
    denials.add(std::make_shared<const Rrset>(secure(label(apex) + ".example.", RrType::NSEC3,
                                                     "1 0 1 - " + label(apex) + " NS SOA RRSIG DNSKEY NSEC3PARAM")),
                name("example."));
    EXPECT_EQ(denials.size(), 1U);
}

TEST_F(IterateHashedDenials, AWildcardAnswersForNamesThatAreNotThere)
{
    add_chain(names);
    keep(secure("*.w.example.", RrType::A, "192.0.2.7"));
    const RrsetPtr made = prove("x.w.example.");
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->is_data());
    EXPECT_EQ(made->authority.size(), 1U);
}

TEST_F(IterateHashedDenials, NothingIsMadeOfASpanWithOptOut)
{
    add_chain(names, true);
    keep(secure("*.w.example.", RrType::A, "192.0.2.7"));
    EXPECT_FALSE(prove("x.w.example."));
    EXPECT_FALSE(prove("a.example."));
}

} // namespace
} // namespace sallyport::resolver::iterate::test
