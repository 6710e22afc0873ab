#include "cache/cuts.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::cache {
namespace {

using namespace std::chrono_literals;
using wire::Name;

const base::Instant kNow{1h};

Name name(const std::string& text) { return Name::from_text(text).value(); }

Cut cut_of(const std::string& server, base::Duration life = 300s)
{
    Cut cut;
    const base::IpAddress glue[] = {base::IpAddress::v4({192, 0, 2, 1})};
    cut.servers.add(name(server), glue);
    cut.ttl = wire::Ttl{static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(life).count())};
    cut.expires = kNow + life;
    return cut;
}

std::string text_of(const CutServers& servers)
{
    std::string text;
    servers.each([&](const Name& server, std::span<const base::IpAddress> glue) {
        text += server.to_text();
        for (const base::IpAddress& address : glue) text += ' ' + address.to_string();
        text += ';';
    });
    return text;
}

TEST(CutServers, GivesBackWhatWasAdded)
{
    CutServers servers;
    const base::IpAddress both[] = {*base::IpAddress::parse("192.0.2.1"), *base::IpAddress::parse("2001:db8::1")};
    servers.add(name("ns1.example"), both);
    servers.add(name("ns.elsewhere.test"), {});
    EXPECT_EQ(text_of(servers), "ns1.example. 192.0.2.1 2001:db8::1;ns.elsewhere.test.;");
    const auto read = CutServers::from_octets(servers.octets());
    ASSERT_TRUE(read);
    EXPECT_EQ(text_of(*read), text_of(servers));
}

TEST(CutServers, TakesNothingThatIsCutOffOrTooMuch)
{
    CutServers servers;
    const base::IpAddress glue[] = {*base::IpAddress::parse("192.0.2.1")};
    servers.add(name("ns1.example"), glue);
    for (std::size_t size = 0; size < servers.octets().size(); ++size)
        EXPECT_FALSE(CutServers::from_octets(servers.octets().first(size))) << size;
    const std::vector<base::IpAddress> many(CutServers::kMaxAddresses + 1, base::IpAddress::v4({192, 0, 2, 1}));
    CutServers full;
    for (std::size_t i = 0; i <= CutServers::kMaxServers; ++i) full.add(name("ns" + std::to_string(i)), many);
    std::size_t count = 0;
    full.each([&](const Name&, std::span<const base::IpAddress> each) {
        ++count;
        EXPECT_EQ(each.size(), CutServers::kMaxAddresses);
    });
    EXPECT_EQ(count, CutServers::kMaxServers);
    EXPECT_LE(full.octets().size(), CutServers::kMaxOctets);
    std::vector<std::uint8_t> more(full.octets().begin(), full.octets().end());
    more.insert(more.end(), servers.octets().begin(), servers.octets().end());
    EXPECT_FALSE(CutServers::from_octets(more));
}

TEST(Cuts, FindsOnlyWhatCameOutOfAFileUntilItIsHeardOfAnew)
{
    Cuts cuts{1U << 20U};
    cuts.put(name("heard.example"), cut_of("ns.heard.example"));
    EXPECT_FALSE(cuts.find_restored(name("heard.example"), kNow));
    ASSERT_TRUE(cuts.put_back(name("kept.example"), cut_of("ns.kept.example"), kNow));
    const CutPtr found = cuts.find_restored(name("KEPT.example"), kNow);
    ASSERT_TRUE(found);
    EXPECT_EQ(text_of(found->servers), "ns.kept.example. 192.0.2.1;");
    cuts.put(name("kept.example"), cut_of("ns.other.example", 10s));
    EXPECT_FALSE(cuts.find_restored(name("kept.example"), kNow));
    EXPECT_EQ(cuts.counts().entries, 2U);
}

TEST(Cuts, NeverPutsAnythingBackOverWhatWasHeard)
{
    Cuts cuts{1U << 20U};
    cuts.put(name("a.example"), cut_of("ns.a.example"));
    EXPECT_FALSE(cuts.put_back(name("a.example"), cut_of("ns.old.example"), kNow));
    EXPECT_FALSE(cuts.find_restored(name("a.example"), kNow));
    EXPECT_FALSE(cuts.put_back(name("b.example"), cut_of("ns.b.example", 0s), kNow));
}

TEST(Cuts, ForgetsWhenTheTtlIsOverAndWhenTold)
{
    Cuts cuts{1U << 20U};
    ASSERT_TRUE(cuts.put_back(name("a.example"), cut_of("ns.a.example", 10s), kNow));
    ASSERT_TRUE(cuts.put_back(name("b.example"), cut_of("ns.b.example", 20s), kNow));
    EXPECT_TRUE(cuts.find_restored(name("a.example"), kNow + 9s));
    EXPECT_FALSE(cuts.find_restored(name("a.example"), kNow + 10s));
    EXPECT_TRUE(cuts.find_restored(name("b.example"), kNow + 10s));
    cuts.clear();
    EXPECT_FALSE(cuts.find_restored(name("b.example"), kNow));
    EXPECT_EQ(cuts.counts().octets, 0U);
}

TEST(Cuts, KeepsNoMoreThanItMay)
{
    constexpr std::uint64_t kLimit = 1U << 20U;
    Cuts cuts{kLimit};
    for (unsigned i = 0; i < 10'000; ++i) cuts.put(name("z" + std::to_string(i) + ".example"), cut_of("ns.example"));
    EXPECT_LE(cuts.counts().octets, kLimit);
    EXPECT_GT(cuts.counts().entries, 1000U);
    EXPECT_EQ(cuts.counts().entries + cuts.counts().evicted, 10'000U);
    // What is kept for later makes nobody go.
    const std::uint64_t evicted = cuts.counts().evicted;
    for (unsigned i = 0; i < 10'000; ++i)
        (void)cuts.put_back(name("y" + std::to_string(i) + ".example"), cut_of("ns.example"), kNow);
    EXPECT_LE(cuts.counts().octets, kLimit);
    EXPECT_EQ(cuts.counts().evicted, evicted);
    std::size_t listed = 0;
    for (unsigned shard = 0; shard < Cuts::kShards; ++shard) listed += cuts.list(shard).size();
    EXPECT_EQ(listed, cuts.counts().entries);
}

} // namespace
} // namespace sallyport::cache
