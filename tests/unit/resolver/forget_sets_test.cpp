#include "resolver/recursion.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace sallyport::resolver {
namespace {

using namespace std::chrono_literals;
using cache::Rrset;
using wire::Name;
using wire::RrClass;
using wire::RrType;

const base::Instant kNow{1h};

Name name(const std::string& text) { return Name::from_text(text).value(); }

class ForgetSets : public ::testing::Test {
protected:
    ForgetSets()
    {
        for (const char* owner : {"example.org", "www.example.org", "example.net"}) {
            put(owner, cache::RrsetKind::data);
            put(std::string{"no."} + owner, cache::RrsetKind::nxdomain);
        }
        cache::Cut cut;
        cut.servers.add(name("ns.example.org"), {});
        cut.expires = kNow + 300s;
        (void)store_.cuts().put_back(name("example.org"), cut, kNow);
    }
    static cache::RrsetOptions options()
    {
        cache::RrsetOptions made;
        made.keep_stale = true;
        return made;
    }
    void put(const std::string& owner, cache::RrsetKind kind)
    {
        Rrset set;
        set.owner = name(owner);
        set.type = RrType::A;
        set.kind = kind;
        set.rank = cache::Rank::answer_auth;
        set.ttl = wire::Ttl{60};
        if (set.is_data()) set.records.add(std::array<std::uint8_t, 4>{192, 0, 2, 1});
        (void)store_.put(std::move(set), kNow);
    }
    bool has(const std::string& owner, base::Instant at) const
    {
        return store_.find_stale(name(owner), RrType::A, RrClass::IN, at) ||
               store_.find_stale_nxdomain(name(owner), RrClass::IN, at);
    }

    cache::RrsetStore store_{options()};
};

TEST_F(ForgetSets, TakesOutWhatIsPastItsTimeToo)
{
    const base::Instant later = kNow + 10min; // all of it may be given out as stale
    ASSERT_TRUE(has("www.example.org", later) && has("no.example.org", later));
    forget_sets(store_, name("example.org"), true);
    for (const char* gone : {"example.org", "www.example.org", "no.example.org", "no.www.example.org"})
        EXPECT_FALSE(has(gone, later)) << gone;
    EXPECT_TRUE(has("example.net", later) && has("no.example.net", later));
    EXPECT_EQ(store_.counts().entries, 2U);
    EXPECT_EQ(store_.cuts().counts().entries, 0U);
}

TEST_F(ForgetSets, LeavesWhatIsBelowWhereOneNameIsMeant)
{
    forget_sets(store_, name("Example.ORG"), false);
    EXPECT_FALSE(has("example.org", kNow));
    EXPECT_TRUE(has("www.example.org", kNow) && has("no.example.org", kNow));
}

} // namespace
} // namespace sallyport::resolver
