#include "cache/snapshot.hpp"
#include "cache/snapshot_format.hpp"
#include "cache/snapshot_sets.hpp"
#include "snapshot_in_memory.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <thread>

/// Record sets and zone cuts in a snapshot.
namespace sallyport::cache {
namespace {

using namespace testing;
using wire::RrType;
using wire::ValidationState;

const base::WallTime kWall{std::chrono::hours{24 * 365 * 50}};
const Cancelled kGoOn{false};
constexpr std::uint64_t kFingerprint = 7;
/// Another process: its monotonic clock has nothing to do with ours.
constexpr base::Instant kElsewhere{std::chrono::seconds{500'000}};

Octets signature_over(RrType type)
{
    return rdata(RrType::RRSIG, wire::to_string(type) + " 13 2 300 20300101000000 20200101000000 12345 example. AAAA");
}

Rrset set_of(std::string_view owner, RrType type, std::string_view text, Rank rank = Rank::answer_auth,
             std::uint32_t ttl = 300)
{
    Rrset set;
    set.owner = name(owner);
    set.type = type;
    set.rank = rank;
    set.ttl = wire::Ttl{ttl};
    set.zone = name("example");
    set.records.add(rdata(type, text));
    set.signatures.add(signature_over(type));
    return set;
}

Rrset denial_of(std::string_view owner, RrsetKind kind)
{
    Rrset set;
    set.owner = name(owner);
    set.type = RrType::A;
    set.kind = kind;
    set.rank = Rank::answer_auth;
    set.ttl = wire::Ttl{60};
    set.zone = name("example");
    set.authority.push_back(std::make_shared<Rrset>(
        set_of("example", RrType::SOA, "ns.example. admin.example. 1 2 3 4 60", Rank::authority_auth)));
    set.authority.push_back(
        std::make_shared<Rrset>(set_of("a.example", RrType::NSEC, "z.example. NS RRSIG NSEC", Rank::authority_auth)));
    return set;
}

class SnapshotSets : public ::testing::Test {
protected:
    [[nodiscard]] Octets written(base::Instant now = kStart) const
    {
        return write_to_memory(cache_, &store_, kFingerprint, {now, kWall}, kGoOn);
    }
    SnapshotRead read_back(RrsetStore* store, base::Bytes octets, base::Duration later = {},
                           std::uint64_t fingerprint = kFingerprint)
    {
        const auto wall = kWall + std::chrono::duration_cast<base::WallTime::duration>(later);
        return read_from_memory(other_, store, octets, fingerprint, {kElsewhere, wall}, kGoOn);
    }
    void put_judged(Rrset set, ValidationState state)
    {
        const RrsetPtr kept = store_.put(set, kStart);
        Rrset judged = *kept;
        judged.state = state;
        (void)store_.replace(kept, std::move(judged), kStart);
    }
    /// A file of some record sets, with every checksum right.
    static Octets file_of(base::Bytes payload, std::uint32_t sets)
    {
        format::Writer out;
        out.append(format::kMagic);
        out.number(format::kVersion);
        out.number(std::uint32_t{0});
        out.number(std::chrono::duration_cast<std::chrono::milliseconds>(kWall.time_since_epoch()).count());
        out.number(kFingerprint);
        out.number(format::checksum(out.octets));
        out.append(
            format::head_of(format::kSets, payload, sets, out.octets.size() ^ format::mark_of(out.octets)).octets);
        out.append(payload);
        format::Writer end;
        for (const std::uint64_t count : {std::uint64_t{0}, std::uint64_t{sets}, std::uint64_t{0}}) end.number(count);
        out.append(
            format::head_of(format::kEnd, end.octets, 1, out.octets.size() ^ format::mark_of(out.octets)).octets);
        out.append(end.octets);
        return out.octets;
    }
    /// What a reader makes of one set that was written as it is.
    SnapshotRead read_alone(const Rrset& set)
    {
        format::Writer payload;
        EXPECT_TRUE(format::append(payload, set, kStart, 0s));
        RrsetStore store{options_};
        return read_back(&store, file_of(payload.octets, 1));
    }

    RrsetOptions options_;
    Cache cache_{small_options()};
    RrsetStore store_{options_};
    Cache other_{small_options()};
};

TEST_F(SnapshotSets, GivesBackEveryRankAndNoState)
{
    const std::array ranks{Rank::referral, Rank::answer, Rank::authority_auth, Rank::answer_auth};
    const std::array states{ValidationState::unchecked, ValidationState::secure, ValidationState::insecure,
                            ValidationState::indeterminate};
    const auto host = [](std::size_t rank, std::size_t state) {
        return "h" + std::to_string(rank) + std::to_string(state) + ".example";
    };
    for (std::size_t r = 0; r < ranks.size(); ++r)
        for (std::size_t s = 0; s < states.size(); ++s)
            put_judged(set_of(host(r, s), RrType::A, "192.0.2.1", ranks[r]), states[s]);
    RrsetStore store{options_};
    const SnapshotRead read = read_back(&store, written());
    EXPECT_FALSE(read.trouble) << *read.trouble;
    EXPECT_EQ(read.sets, ranks.size() * states.size());
    for (std::size_t r = 0; r < ranks.size(); ++r) {
        for (std::size_t s = 0; s < states.size(); ++s) {
            const RrsetPtr set = store.find(name(host(r, s)), RrType::A, wire::RrClass::IN, kElsewhere);
            ASSERT_TRUE(set);
            EXPECT_EQ(set->rank, ranks[r]);
            EXPECT_EQ(set->state, ValidationState::unchecked);
            EXPECT_EQ(set->records.size(), 1U);
            EXPECT_EQ(set->signatures.size(), 1U);
            EXPECT_EQ(set->zone, name("example"));
        }
    }
}

TEST_F(SnapshotSets, WritesNothingBogusNothingWithoutALifetimeAndNothingForOneNetwork)
{
    put_judged(set_of("bogus.example", RrType::A, "192.0.2.1"), ValidationState::bogus);
    store_.put(set_of("once.example", RrType::DNAME, "other.example.", Rank::answer_auth, 0), kStart);
    store_.put(set_of("beside.example", RrType::A, "192.0.2.1", Rank::additional), kStart);
    store_.put(set_of("old.example", RrType::A, "192.0.2.1", Rank::answer_auth, 10), kStart);
    RrsetStore store{options_};
    const SnapshotRead read = read_back(&store, written(kStart + 10s));
    EXPECT_FALSE(read.trouble);
    EXPECT_EQ(read.sets + read.sets_left_out, 0U);
}

TEST_F(SnapshotSets, GrowOlderAsTheWallClockWentOn)
{
    store_.put(set_of("www.example", RrType::A, "192.0.2.1"), kStart);
    const Octets file = written(kStart + 40s);
    RrsetStore store{options_};
    EXPECT_EQ(read_back(&store, file, 60s).sets, 1U);
    const RrsetPtr set = store.find(name("www.example"), RrType::A, wire::RrClass::IN, kElsewhere);
    ASSERT_TRUE(set);
    EXPECT_EQ(set->ttl_left(kElsewhere), wire::Ttl{200});
    EXPECT_FALSE(store.find(name("www.example"), RrType::A, wire::RrClass::IN, kElsewhere + 200s));
    RrsetStore late{options_};
    const SnapshotRead read = read_back(&late, file, 260s);
    EXPECT_EQ(read.sets, 0U);
    EXPECT_EQ(read.sets_left_out, 1U);
}

TEST_F(SnapshotSets, KeepWhatIsPastItsTimeAsTheStoreDoes)
{
    options_.keep_stale = true;
    options_.stale_for = 100;
    RrsetStore keeps{options_};
    keeps.put(set_of("www.example", RrType::A, "192.0.2.1", Rank::answer_auth, 10), kStart);
    format::Writer payload;
    const RrsetPtr set = keeps.find(name("www.example"), RrType::A, wire::RrClass::IN, kStart);
    ASSERT_TRUE(format::append(payload, *set, kStart + 20s, 100s));
    const Octets file = file_of(payload.octets, 1);
    RrsetStore store{options_};
    EXPECT_EQ(read_back(&store, file, 80s).sets, 1U);
    EXPECT_FALSE(store.find(name("www.example"), RrType::A, wire::RrClass::IN, kElsewhere));
    EXPECT_TRUE(store.find_stale(name("www.example"), RrType::A, wire::RrClass::IN, kElsewhere));
    RrsetStore third{options_};
    EXPECT_EQ(read_back(&third, file, 91s).sets, 0U);
    RrsetStore strict{RrsetOptions{}};
    EXPECT_EQ(read_back(&strict, file).sets, 0U);
}

TEST_F(SnapshotSets, KeepDenialsWithWhatProvesThem)
{
    put_judged(denial_of("gone.example", RrsetKind::nxdomain), ValidationState::secure);
    put_judged(denial_of("there.example", RrsetKind::nodata), ValidationState::secure);
    RrsetStore store{options_};
    EXPECT_EQ(read_back(&store, written(), 10s).sets, 2U);
    const RrsetPtr gone = store.find_nxdomain(name("gone.example"), wire::RrClass::IN, kElsewhere);
    ASSERT_TRUE(gone);
    EXPECT_EQ(gone->ttl_left(kElsewhere), wire::Ttl{50});
    ASSERT_EQ(gone->authority.size(), 2U);
    for (const RrsetPtr& beside : gone->authority) EXPECT_EQ(beside->state, ValidationState::unchecked);
    EXPECT_EQ(gone->authority[1]->type, RrType::NSEC);
    EXPECT_EQ(gone->authority[1]->ttl_left(kElsewhere), wire::Ttl{290});
    EXPECT_TRUE(store.find(name("there.example"), RrType::A, wire::RrClass::IN, kElsewhere));
}

TEST_F(SnapshotSets, NeverTakeThePlaceOfWhatIsThereNorMakeItGo)
{
    store_.put(set_of("www.example", RrType::A, "192.0.2.1"), kStart);
    RrsetStore store{options_};
    store.put(set_of("www.example", RrType::A, "192.0.2.2", Rank::referral), kElsewhere);
    const SnapshotRead read = read_back(&store, written());
    EXPECT_EQ(read.sets, 0U);
    EXPECT_EQ(read.sets_left_out, 1U);
    EXPECT_EQ(store.find(name("www.example"), RrType::A, wire::RrClass::IN, kElsewhere)->rank, Rank::referral);

    for (unsigned i = 0; i < 5000; ++i)
        store_.put(set_of("h" + std::to_string(i) + ".example", RrType::A, "192.0.2.1"), kStart);
    RrsetOptions few = options_;
    few.bytes = 1U << 20U;
    RrsetStore small{few};
    for (unsigned i = 0; i < 100; ++i)
        small.put(set_of("live" + std::to_string(i) + ".example", RrType::A, "192.0.2.1"), kElsewhere);
    const SnapshotRead some = read_back(&small, written());
    EXPECT_GT(some.sets, 100U);
    EXPECT_GT(some.sets_left_out, 1000U);
    EXPECT_EQ(small.counts().evicted, 0U);
    EXPECT_LE(small.counts().octets, few.bytes);
    EXPECT_TRUE(small.find(name("live0.example"), RrType::A, wire::RrClass::IN, kElsewhere));
}

TEST_F(SnapshotSets, OfOneNameMakeNoneOfItGo)
{
    RrsetStore store{options_};
    const auto of_type = [](unsigned number) {
        return set_of("www.example", RrType{static_cast<std::uint16_t>(1000 + number)}, "\\# 1 00");
    };
    for (unsigned i = 0; i < 100; ++i) store.put(of_type(i), kElsewhere);
    store_.put(of_type(100), kStart);
    EXPECT_EQ(read_back(&store, written()).sets_left_out, 1U);
    EXPECT_EQ(store.counts().entries, 100U);
    EXPECT_EQ(store.counts().evicted, 0U);
}

TEST_F(SnapshotSets, AreCutToTodaysLimits)
{
    store_.put(set_of("www.example", RrType::A, "192.0.2.1", Rank::answer_auth, 80'000), kStart);
    options_.max_ttl = 600;
    RrsetStore store{options_};
    EXPECT_EQ(read_back(&store, written(), 100s).sets, 1U);
    const RrsetPtr set = store.find(name("www.example"), RrType::A, wire::RrClass::IN, kElsewhere);
    EXPECT_EQ(set->ttl_left(kElsewhere), wire::Ttl{600});
    options_.max_octets = 64;
    RrsetStore tiny{options_};
    Rrset large = set_of("large.example", RrType::TXT, "\"" + std::string(200, 'x') + "\"");
    store_.put(large, kStart);
    EXPECT_EQ(read_back(&tiny, written()).sets, 1U); // the small one
}

TEST_F(SnapshotSets, OfAnotherConfigurationDoNotComeBack)
{
    store_.put(set_of("www.example", RrType::A, "192.0.2.1"), kStart);
    RrsetStore store{options_};
    const SnapshotRead read = read_back(&store, written(), {}, kFingerprint + 1);
    EXPECT_EQ(read.trouble, "made under another configuration of who is asked and what is believed");
    EXPECT_EQ(store.counts().entries, 0U);
}

TEST_F(SnapshotSets, ThatNoStoreCouldHaveHadAreLeftOut)
{
    EXPECT_EQ(read_alone([] {
                  Rrset set = set_of("www.example", RrType::A, "192.0.2.1");
                  set.expires = kStart + 1h;
                  return set;
              }())
                  .sets,
              1U);
    const auto refused = [&](Rrset set) {
        set.expires = kStart + 1h;
        const SnapshotRead read = read_alone(set);
        EXPECT_FALSE(read.trouble) << *read.trouble;
        return read.sets == 0 && read.sets_left_out == 1;
    };
    Rrset outside = set_of("www.other", RrType::A, "192.0.2.1"); // than the zone that was asked
    EXPECT_TRUE(refused(outside));
    Rrset empty = set_of("www.example", RrType::A, "192.0.2.1");
    empty.records = {};
    EXPECT_TRUE(refused(empty));
    Rrset broken = set_of("www.example", RrType::A, "192.0.2.1");
    broken.records.add(Octets{1, 2, 3});
    EXPECT_TRUE(refused(broken));
    Rrset other_signature = set_of("www.example", RrType::A, "192.0.2.1");
    other_signature.signatures.add(signature_over(RrType::AAAA));
    EXPECT_TRUE(refused(other_signature));
    Rrset both = denial_of("www.example", RrsetKind::nodata);
    both.records.add(rdata(RrType::A, "192.0.2.1"));
    EXPECT_TRUE(refused(both));
    Rrset beside = denial_of("www.example", RrsetKind::nodata);
    beside.authority.push_back(std::make_shared<Rrset>(set_of("www.example", RrType::A, "192.0.2.1")));
    EXPECT_TRUE(refused(beside));
    Rrset klass = set_of("www.example", RrType::A, "192.0.2.1");
    klass.rr_class = wire::RrClass::ANY;
    EXPECT_TRUE(refused(klass));
    Rrset elsewhere = denial_of("www.example", RrsetKind::nodata);
    elsewhere.authority.push_back(std::make_shared<Rrset>(set_of("other", RrType::NSEC, "z.other. NSEC")));
    EXPECT_TRUE(refused(elsewhere));
}

TEST_F(SnapshotSets, BesideOthersHaveTheirLimits)
{
    Rrset crowd = denial_of("www.example", RrsetKind::nodata);
    crowd.expires = kStart + 1h;
    while (crowd.authority.size() <= 64) crowd.authority.push_back(crowd.authority.front());
    format::Writer payload;
    EXPECT_FALSE(format::append(payload, crowd, kStart, 0s));
    Rrset deep = set_of("d0.example", RrType::DNAME, "x.example.");
    deep.expires = kStart + 1h;
    for (int i = 1; i < 4; ++i) {
        Rrset outer = set_of("d" + std::to_string(i) + ".example", RrType::DNAME, "x.example.");
        outer.expires = kStart + 1h;
        outer.authority.push_back(std::make_shared<Rrset>(deep));
        EXPECT_EQ(format::append(payload, outer, kStart, 0s), i < 3) << i;
        deep = outer;
    }
    Rrset large = set_of("large.example", RrType::A, "192.0.2.1");
    large.expires = kStart + 1h;
    for (unsigned i = 0; i < 20'000; ++i) large.signatures.add(signature_over(RrType::A));
    const std::size_t before = payload.octets.size();
    EXPECT_FALSE(format::append(payload, large, kStart, 0s));
    EXPECT_EQ(payload.octets.size(), before);
}

TEST_F(SnapshotSets, CutsComeBackWithTheTimeThatTheirParentGaveThem)
{
    Cut cut;
    const base::IpAddress glue[] = {*base::IpAddress::parse("192.0.2.1"), *base::IpAddress::parse("2001:db8::1")};
    cut.servers.add(name("ns1.zone.example"), glue);
    cut.servers.add(name("ns2.elsewhere.test"), {});
    cut.ttl = wire::Ttl{300};
    cut.expires = kStart + 300s;
    store_.cuts().put(name("zone.example"), cut);
    cut.expires = kStart;
    store_.cuts().put(name("past.example"), cut);
    RrsetStore store{options_};
    const SnapshotRead read = read_back(&store, written(kStart + 40s), 60s);
    EXPECT_FALSE(read.trouble) << *read.trouble;
    EXPECT_EQ(read.cuts, 1U);
    const CutPtr found = store.cuts().find_restored(name("zone.example"), kElsewhere);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->expires, kElsewhere + 200s);
    EXPECT_EQ(found->ttl, wire::Ttl{300});
    std::size_t servers = 0;
    found->servers.each([&](const wire::Name& server, std::span<const base::IpAddress> addresses) {
        EXPECT_EQ(addresses.size(), servers == 0 ? 2U : 0U);
        EXPECT_EQ(server, name(servers++ == 0 ? "ns1.zone.example" : "ns2.elsewhere.test"));
    });
    EXPECT_EQ(servers, 2U);
    RrsetOptions shorter = options_;
    shorter.max_ttl = 100;
    RrsetStore third{shorter};
    EXPECT_EQ(read_back(&third, written()).cuts, 1U);
    EXPECT_EQ(third.cuts().find_restored(name("zone.example"), kElsewhere)->expires, kElsewhere + 100s);
}

TEST_F(SnapshotSets, DamageInOnePartLosesNoOther)
{
    ASSERT_TRUE(keep_address(cache_, "www.example.org", kStart));
    store_.put(set_of("www.example", RrType::A, "192.0.2.1"), kStart);
    Cut cut;
    cut.servers.add(name("ns.zone.example"), {});
    cut.ttl = wire::Ttl{300};
    cut.expires = kStart + 300s;
    store_.cuts().put(name("zone.example"), cut);
    const Octets file = written();
    for (std::size_t at = format::kHeaderSize; at < file.size(); ++at) {
        Octets damaged = file;
        damaged[at] ^= 0x01;
        RrsetStore store{options_};
        (void)other_.flush_all();
        const SnapshotRead read = read_back(&store, damaged);
        EXPECT_TRUE(read.trouble) << at;
        EXPECT_GE(read.entries + read.sets + read.cuts, 2U) << at;
    }
    for (std::size_t size = 0; size < file.size(); ++size) {
        RrsetStore store{options_};
        EXPECT_TRUE(read_back(&store, base::Bytes{file}.first(size)).trouble) << size;
    }
}

TEST_F(SnapshotSets, AreNotEvenLookedAtWhereThereIsNoStore)
{
    ASSERT_TRUE(keep_address(cache_, "www.example.org", kStart));
    store_.put(set_of("www.example", RrType::A, "192.0.2.1"), kStart);
    const SnapshotRead read = read_back(nullptr, written());
    EXPECT_FALSE(read.trouble) << *read.trouble;
    EXPECT_EQ(read.entries, 1U);
    EXPECT_EQ(read.sets + read.sets_left_out, 0U);
}

TEST_F(SnapshotSets, AreWrittenWhileOthersUseTheStore)
{
    options_.bytes = 4U << 20U;
    RrsetStore busy{options_};
    std::atomic<bool> stop{false};
    std::thread worker{[&] {
        for (unsigned i = 0; !stop; i = (i + 1) % 20'000) {
            const std::string host = "h" + std::to_string(i) + ".example";
            busy.put(set_of(host, RrType::A, "192.0.2.1"), kStart);
            (void)busy.find(name(host), RrType::A, wire::RrClass::IN, kStart);
            if (i % 1000 == 999) busy.forget_states();
            Cut cut;
            cut.servers.add(name("ns." + host), {});
            cut.ttl = wire::Ttl{300};
            cut.expires = kStart + 300s;
            busy.cuts().put(name(host), std::move(cut));
        }
    }};
    const SnapshotSink nowhere = [](base::Bytes) { return base::Result<void>{}; };
    for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(write_snapshot(cache_, &busy, nowhere, kFingerprint, {kStart, kWall}, kGoOn));
    stop = true;
    worker.join();
}

TEST_F(SnapshotSets, OfAllPagesAreAllSets)
{
    for (unsigned i = 0; i < 3000; ++i)
        store_.put(set_of("h" + std::to_string(i) + ".example", RrType::A, "192.0.2.1"), kStart);
    std::vector<RrsetPtr> sets;
    unsigned pages = 0;
    for (std::optional<RrsetStore::Position> next{std::in_place}; next; ++pages) next = store_.page(*next, sets);
    EXPECT_EQ(sets.size(), 3000U);
    EXPECT_GT(pages, 16U);
}

} // namespace
} // namespace sallyport::cache
