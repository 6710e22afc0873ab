#include "dnssec/denial.hpp"

#include "signer.hpp"

#include <gtest/gtest.h>

using namespace sallyport;
using namespace sallyport::dnssec;
using namespace sallyport::dnssec_testing;
using enum wire::RrType;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;

/// A zone with one of everything that a proof can meet. No keys: the records count as verified.
TestZone make_zone(const Chain& chain)
{
    TestZone zone{"example.", kNow};
    zone.add("a", A, "192.0.2.1");
    zone.add("ns", A, "192.0.2.2");
    zone.add("deep.ent", A, "192.0.2.3");
    zone.add("*.wild", TXT, "\"x\"");
    zone.add("below.wild", TXT, "\"x\"");
    zone.add("alias", CNAME, "a.example.");
    zone.add("old", DNAME, "new.example.");
    zone.add("plain", NS, "ns.plain.example.");
    zone.add("ns.plain", A, "192.0.2.4");
    zone.add("signed", NS, "ns.signed.example.");
    zone.add("signed", DS, "12345 13 2 " + std::string(64, 'A'));
    zone.sign(chain);
    return zone;
}

Chain nsec3_chain(bool opt_out = false) { return {true, 2, {0xAA, 0xBB}, opt_out}; }

struct Asked {
    Denial denial;
    Step step;
};

Asked ask(const TestZone& zone, std::string_view qname, wire::RrType qtype, Claim claim, std::uint8_t labels = 0,
          const Limits& limits = {})
{
    const wire::Name name = dnssec_testing::name(qname);
    const auto records = zone.denial_records();
    DenialProver prover{{&name, qtype, &zone.apex(), claim, labels}, records};
    Budget budget{limits};
    Step step = prover.step(budget);
    while (step == Step::again) {
        budget.begin_turn();
        step = prover.step(budget);
    }
    return {prover.result(), step};
}

Finding found(const TestZone& zone, std::string_view qname, wire::RrType qtype, Claim claim, std::uint8_t labels = 0)
{
    const auto asked = ask(zone, qname, qtype, claim, labels);
    EXPECT_EQ(asked.step, Step::done);
    if (asked.denial.finding == Finding::nothing) {
        EXPECT_TRUE(asked.denial.verdict.is_bogus());
        EXPECT_EQ(asked.denial.verdict.ede, wire::ExtendedError::nsec_missing);
        EXPECT_FALSE(asked.denial.verdict.reason.empty());
    }
    return asked.denial.finding;
}

class BothChains : public ::testing::TestWithParam<bool> {
protected:
    TestZone zone = make_zone(GetParam() ? nsec3_chain() : Chain{});
};

} // namespace

TEST_P(BothChains, NameError)
{
    const auto asked = ask(zone, "x.y.a.example.", A, Claim::name_error);
    EXPECT_EQ(asked.denial.finding, Finding::name_error);
    EXPECT_TRUE(asked.denial.verdict.is_secure());
    EXPECT_EQ(asked.denial.closest_encloser, name("a.example."));
    EXPECT_EQ(asked.denial.next_closer, name("y.a.example."));
    EXPECT_EQ(asked.denial.wildcard, name("*.a.example."));
    EXPECT_EQ(found(zone, "zzz.example.", A, Claim::name_error), Finding::name_error);
    EXPECT_EQ(found(zone, "0.example.", A, Claim::name_error), Finding::name_error);
    EXPECT_EQ(found(zone, "x.ent.example.", A, Claim::name_error), Finding::name_error);
}

TEST_P(BothChains, NamesThatExistHaveNoNameError)
{
    for (const auto* there : {"a.example.", "ent.example.", "deep.ent.example.", "x.wild.example.", "example.",
                              "*.wild.example.", "alias.example.", "plain.example."}) {
        EXPECT_EQ(found(zone, there, A, Claim::name_error), Finding::nothing) << there;
    }
}

TEST_P(BothChains, NoData)
{
    EXPECT_EQ(found(zone, "a.example.", AAAA, Claim::no_data), Finding::no_data);
    EXPECT_EQ(found(zone, "example.", A, Claim::no_data), Finding::no_data);
    EXPECT_EQ(found(zone, "ent.example.", A, Claim::no_data), Finding::empty_non_terminal);
    EXPECT_EQ(found(zone, "x.wild.example.", A, Claim::no_data), Finding::wildcard_no_data);
    EXPECT_EQ(found(zone, "x.y.wild.example.", A, Claim::no_data), Finding::wildcard_no_data);
    EXPECT_EQ(found(zone, "signed.example.", DS, Claim::no_data), Finding::nothing);
    EXPECT_EQ(found(zone, "plain.example.", DS, Claim::no_data), Finding::no_data);
}

TEST_P(BothChains, NoDataThatIsNone)
{
    EXPECT_EQ(found(zone, "a.example.", ANY, Claim::no_data), Finding::nothing);
    EXPECT_EQ(found(zone, "ent.example.", ANY, Claim::no_data), Finding::empty_non_terminal);
    EXPECT_EQ(found(zone, "a.example.", A, Claim::no_data), Finding::nothing);
    EXPECT_EQ(found(zone, "alias.example.", A, Claim::no_data), Finding::nothing);    // CNAME
    EXPECT_EQ(found(zone, "x.wild.example.", TXT, Claim::no_data), Finding::nothing); // the wildcard has it
    EXPECT_EQ(found(zone, "missing.example.", A, Claim::no_data), Finding::nothing);  // it is NXDOMAIN
    EXPECT_EQ(found(zone, "a.other.", A, Claim::no_data), Finding::nothing);          // another zone
}

TEST_P(BothChains, TheParentSaysNothingAboutTheChild)
{
    EXPECT_EQ(found(zone, "plain.example.", A, Claim::no_data), Finding::nothing);
    EXPECT_EQ(found(zone, "x.plain.example.", A, Claim::name_error), Finding::nothing);
    EXPECT_EQ(found(zone, "signed.example.", A, Claim::no_data), Finding::nothing);
    EXPECT_EQ(found(zone, "x.signed.example.", A, Claim::name_error), Finding::nothing);
    EXPECT_EQ(found(zone, "x.old.example.", A, Claim::name_error), Finding::nothing); // DNAME
}

TEST_P(BothChains, TheChildSaysNothingAboutItsDs)
{
    EXPECT_EQ(found(zone, "example.", DS, Claim::no_data), Finding::nothing);
    EXPECT_EQ(found(zone, "example.", DS, Claim::no_ds), Finding::nothing);
}

TEST_P(BothChains, DsAbsence)
{
    EXPECT_EQ(found(zone, "plain.example.", DS, Claim::no_ds), Finding::unsigned_delegation);
    EXPECT_EQ(found(zone, "a.example.", DS, Claim::no_ds), Finding::no_delegation);
    EXPECT_EQ(found(zone, "ent.example.", DS, Claim::no_ds), Finding::no_delegation);
    EXPECT_EQ(found(zone, "signed.example.", DS, Claim::no_ds), Finding::nothing);
    EXPECT_EQ(found(zone, "missing.example.", DS, Claim::no_ds), Finding::name_error);
    EXPECT_EQ(found(zone, "alias.example.", DS, Claim::no_ds), Finding::nothing);
}

TEST_P(BothChains, WildcardAnswer)
{
    EXPECT_EQ(found(zone, "x.wild.example.", TXT, Claim::wildcard_answer, 2), Finding::wildcard_expansion);
    EXPECT_EQ(found(zone, "x.y.wild.example.", TXT, Claim::wildcard_answer, 2), Finding::wildcard_expansion);
    // A wildcard of example. does not stand for names below wild.example.
    EXPECT_EQ(found(zone, "x.wild.example.", TXT, Claim::wildcard_answer, 1), Finding::nothing);
    // A name that exists has no wildcard.
    EXPECT_EQ(found(zone, "below.wild.example.", TXT, Claim::wildcard_answer, 2), Finding::nothing);
    EXPECT_EQ(found(zone, "x.below.wild.example.", TXT, Claim::wildcard_answer, 2), Finding::nothing);
    EXPECT_EQ(found(zone, "a.example.", TXT, Claim::wildcard_answer, 2), Finding::nothing);
}

TEST_P(BothChains, WhateverTheRecordsSay)
{
    EXPECT_EQ(found(zone, "missing.example.", A, Claim::whatever), Finding::name_error);
    EXPECT_EQ(found(zone, "a.example.", AAAA, Claim::whatever), Finding::no_data);
    EXPECT_EQ(found(zone, "ent.example.", A, Claim::whatever), Finding::empty_non_terminal);
    EXPECT_EQ(found(zone, "x.wild.example.", A, Claim::whatever), Finding::wildcard_no_data);
    EXPECT_EQ(found(zone, "a.example.", A, Claim::whatever), Finding::nothing);
    EXPECT_EQ(found(zone, "x.wild.example.", TXT, Claim::whatever), Finding::nothing);
    EXPECT_EQ(found(zone, "x.plain.example.", A, Claim::whatever), Finding::nothing);
}

TEST_P(BothChains, EveryRecordIsNeeded)
{
    // Of the records that prove a name error none may be missing.
    const wire::Name qname = name("x.y.a.example.");
    auto records = zone.denial_records();
    const auto proves = [&](const std::vector<DenialRecord>& some) {
        DenialProver prover{{&qname, A, &zone.apex(), Claim::name_error, 0}, some};
        Limits limits;
        limits.hashes_per_turn = 600;
        Budget budget{limits};
        EXPECT_EQ(prover.step(budget), Step::done);
        return prover.result().finding == Finding::name_error;
    };
    for (std::size_t i = 0; i < records.size();) { // make it minimal
        auto fewer = records;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        if (proves(fewer)) {
            records = fewer;
        } else {
            ++i;
        }
    }
    EXPECT_TRUE(proves(records));
    EXPECT_GE(records.size(), 1U);
    EXPECT_LE(records.size(), 3U);
    for (std::size_t i = 0; i < records.size(); ++i) {
        auto fewer = records;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(proves(fewer));
    }
}

INSTANTIATE_TEST_SUITE_P(Chains, BothChains, ::testing::Bool());

TEST(Nsec, NamesOfOtherZonesDoNotCount)
{
    const wire::Name zone = name("example.");
    const wire::Name qname = name("m.example.");
    for (const auto& [owner, next] : {std::pair{"a.example.", "z.other."}, {"a.other.", "z.example."}}) {
        const wire::Name owner_name = name(owner);
        const Octets octets = rdata(NSEC, std::string{next} + " A");
        const DenialRecord record{&owner_name, NSEC, octets};
        DenialProver prover{{&qname, A, &zone, Claim::whatever, 0}, {&record, 1}};
        Budget budget{{}};
        EXPECT_EQ(prover.step(budget), Step::done);
        EXPECT_EQ(prover.result().finding, Finding::nothing);
    }
}

TEST(Nsec, CoversRoundTheEnd)
{
    const wire::Name zone = name("example.");
    const NsecView last{name("example."), {}};
    EXPECT_TRUE(nsec_covers(name("w.example."), last, zone, name("z.example.")));
    EXPECT_TRUE(nsec_covers(name("w.example."), last, zone, name("x.w.example.")));
    EXPECT_FALSE(nsec_covers(name("w.example."), last, zone, name("w.example.")));
    EXPECT_FALSE(nsec_covers(name("w.example."), last, zone, name("a.example.")));
    EXPECT_FALSE(nsec_covers(name("w.example."), last, zone, name("z.other.")));
    const NsecView backwards{name("b.example."), {}}; // not the apex: no chain ends so
    EXPECT_FALSE(nsec_covers(name("w.example."), backwards, zone, name("z.example.")));
    const NsecView alone{name("example."), {}}; // the only name of its zone
    EXPECT_TRUE(nsec_covers(zone, alone, zone, name("a.example.")));
    EXPECT_FALSE(nsec_covers(zone, alone, zone, zone));
}

TEST(Nsec, MinimalCoveringRecordsProveToo)
{
    // Online signers answer so (RFC 4470): the name itself, with a next name just behind it.
    const wire::Name zone = name("example.");
    const wire::Name qname = name("m.example.");
    const Octets octets = rdata(NSEC, "\\000.m.example. RRSIG NSEC");
    const DenialRecord record{&qname, NSEC, octets};
    DenialProver prover{{&qname, A, &zone, Claim::no_data, 0}, {&record, 1}};
    Budget budget{{}};
    EXPECT_EQ(prover.step(budget), Step::done);
    EXPECT_EQ(prover.result().finding, Finding::no_data);
}

TEST(Nsec3, HashesOfRfc5155)
{
    const Octets salt{0xAA, 0xBB, 0xCC, 0xDD};
    const auto label = [&](std::string_view owner) {
        const auto text = nsec3_label(nsec3_hash({1, 12, salt}, name(owner)));
        return std::string{text.begin(), text.end()};
    };
    // Appendix A.
    EXPECT_EQ(label("example."), "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom");
    EXPECT_EQ(label("a.example."), "35mthgpgcu1qg68fab165klnsnk3dpvl");
    EXPECT_EQ(label("ai.example."), "gjeqe526plbf1g8mklp59enfd789njgi");
    EXPECT_EQ(label("NS1.example."), "2t7b4g4vsa5smi47k61mv5bv1a22bojr");
    EXPECT_EQ(label("*.w.example."), "r53bq7cc2uvmubfu5ocmm6pers9tk9en");
    EXPECT_EQ(label("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example."), "kohar7mbb8dc2ce8a9qvl8hon4k53uhi");
    const auto back = nsec3_owner_hash(name("0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM.example."));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, nsec3_hash({1, 12, salt}, name("example.")));
    EXPECT_FALSE(nsec3_owner_hash(name("0p9mhaveqvm6t7vbl5lop2u3t2rp3to.example.")));
    EXPECT_FALSE(nsec3_owner_hash(name("wp9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.")));
    EXPECT_FALSE(nsec3_owner_hash(wire::Name{}));
}

TEST(Nsec3, OptOutIsInsecure)
{
    const TestZone zone = make_zone(nsec3_chain(true));
    // The unsigned delegation is not in the chain.
    const auto delegation = ask(zone, "plain.example.", DS, Claim::no_ds).denial;
    EXPECT_EQ(delegation.finding, Finding::opt_out);
    EXPECT_TRUE(delegation.verdict.is_insecure());
    EXPECT_TRUE(delegation.opt_out);
    EXPECT_EQ(ask(zone, "plain.example.", DS, Claim::no_data).denial.finding, Finding::opt_out);

    const auto missing = ask(zone, "missing.example.", A, Claim::name_error).denial;
    EXPECT_EQ(missing.finding, Finding::name_error);
    EXPECT_TRUE(missing.verdict.is_insecure()); // RFC 5155 §9.2
    const auto expanded = ask(zone, "x.wild.example.", TXT, Claim::wildcard_answer, 2).denial;
    EXPECT_EQ(expanded.finding, Finding::wildcard_expansion);
    EXPECT_TRUE(expanded.verdict.is_insecure());
    // What is in the chain is certain.
    EXPECT_TRUE(ask(zone, "a.example.", AAAA, Claim::no_data).denial.verdict.is_secure());
    EXPECT_EQ(ask(zone, "signed.example.", DS, Claim::no_ds).denial.finding, Finding::nothing);
    // A cache may not answer other names from such a span (RFC 8198 §5.2): it sees the flag.
    EXPECT_TRUE(ask(zone, "missing.example.", A, Claim::whatever).denial.opt_out);
}

TEST(Nsec3, TooManyIterationsAreNotHashed)
{
    const TestZone zone = make_zone({true, 51, {}, false});
    const wire::Name qname = name("missing.example.");
    const auto records = zone.denial_records();
    DenialProver prover{{&qname, A, &zone.apex(), Claim::name_error, 0}, records};
    Stats stats;
    Budget budget{{}, nullptr, &stats};
    EXPECT_EQ(prover.step(budget), Step::done);
    EXPECT_EQ(prover.result().finding, Finding::unhashed);
    EXPECT_TRUE(prover.result().verdict.is_insecure());
    EXPECT_EQ(prover.result().verdict.ede, wire::ExtendedError::unsupported_nsec3_iterations);
    EXPECT_EQ(budget.hashes(), 0U);
    EXPECT_EQ(stats.unhashed.get(), 1U);
    EXPECT_EQ(found(make_zone({true, 50, {}, false}), "missing.example.", A, Claim::name_error), Finding::name_error);
    EXPECT_EQ(found(make_zone({true, 0, Octets(65), false}), "missing.example.", A, Claim::name_error),
              Finding::unhashed);
    EXPECT_EQ(found(make_zone({true, 0, Octets(64), false}), "missing.example.", A, Claim::name_error),
              Finding::name_error);
}

TEST(Nsec3, ParametersMustBeTheSame)
{
    const TestZone zone = make_zone(nsec3_chain());
    auto records = zone.denial_records();
    Octets other{records[0].rdata.begin(), records[0].rdata.end()};
    other[3] = 7; // iterations
    records.push_back({records[0].owner, NSEC3, other});
    const wire::Name qname = name("missing.example.");
    DenialProver prover{{&qname, A, &zone.apex(), Claim::name_error, 0}, records};
    Budget budget{{}};
    EXPECT_EQ(prover.step(budget), Step::done);
    EXPECT_EQ(prover.result().finding, Finding::nothing);
    EXPECT_EQ(budget.hashes(), 0U);
}

TEST(Nsec3, UnknownHashesAndFlagsAreNotThere)
{
    for (const std::size_t at : {0U, 1U}) { // hash algorithm, flags
        const TestZone zone = make_zone(nsec3_chain());
        std::vector<Octets> changed;
        auto records = zone.denial_records();
        changed.reserve(records.size());
        for (auto& record : records) {
            changed.emplace_back(record.rdata.begin(), record.rdata.end());
            changed.back()[at] = 2;
            record.rdata = changed.back();
        }
        const wire::Name qname = name("missing.example.");
        DenialProver prover{{&qname, A, &zone.apex(), Claim::name_error, 0}, records};
        Budget budget{{}};
        EXPECT_EQ(prover.step(budget), Step::done);
        EXPECT_EQ(prover.result().finding, Finding::nothing);
    }
}

TEST(Nsec3, EightHashesThenOthers)
{
    const TestZone zone = make_zone(nsec3_chain());
    std::string deep = "missing.example.";
    for (unsigned i = 0; i < 20; ++i) deep.insert(0, "x.");
    const wire::Name qname = name(deep);
    const auto records = zone.denial_records();
    DenialProver prover{{&qname, A, &zone.apex(), Claim::name_error, 0}, records};
    Budget budget{{}};
    unsigned turns = 1;
    while (prover.step(budget) == Step::again) {
        EXPECT_EQ(budget.hashes(), 8 * turns); // nothing is hashed twice
        budget.begin_turn();
        ++turns;
    }
    EXPECT_EQ(turns, 3U);
    EXPECT_EQ(budget.hashes(), 23U); // 20 and the name, the apex, the wildcard
    EXPECT_EQ(prover.result().finding, Finding::name_error);
}

TEST(Nsec3, HashesOfAQueryEnd)
{
    const TestZone zone = make_zone(nsec3_chain());
    std::string deep = "missing.example.";
    for (unsigned i = 0; i < 20; ++i) deep.insert(0, "x.");
    Limits limits;
    limits.nsec3_hashes = 10;
    const auto asked = ask(zone, deep, A, Claim::name_error, 0, limits);
    EXPECT_EQ(asked.step, Step::spent);
    EXPECT_EQ(asked.denial.finding, Finding::nothing);
    EXPECT_TRUE(asked.denial.verdict.is_bogus());
}

TEST(Nsec3, CoversRoundTheEnd)
{
    const auto hash = [](std::uint8_t first) { return Nsec3Hash{first}; };
    EXPECT_TRUE(nsec3_covers(hash(1), hash(5), hash(3)));
    EXPECT_FALSE(nsec3_covers(hash(1), hash(5), hash(5)));
    EXPECT_FALSE(nsec3_covers(hash(1), hash(5), hash(6)));
    EXPECT_TRUE(nsec3_covers(hash(9), hash(1), hash(10)));
    EXPECT_TRUE(nsec3_covers(hash(9), hash(1), hash(0)));
    EXPECT_FALSE(nsec3_covers(hash(9), hash(1), hash(5)));
    EXPECT_TRUE(nsec3_covers(hash(9), hash(9), hash(5)));
    EXPECT_FALSE(nsec3_covers(hash(9), hash(9), hash(9)));
}
