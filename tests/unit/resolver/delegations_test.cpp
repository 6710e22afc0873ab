#include "resolver/iterate/delegations.hpp"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::resolver::iterate {
namespace {

using namespace std::chrono_literals;
using wire::Name;

const base::Instant kNow{1h};

Name name(const std::string& text) { return Name::from_text(text).value(); }

DelegationPtr heard(const std::string& zone, const std::string& server, std::chrono::seconds life = 300s)
{
    auto made = std::make_shared<Delegation>();
    made->zone = name(zone);
    made->servers.push_back({name(server), {{*base::IpAddress::parse("192.0.2.1"), 5300, 0}}});
    made->ttl = wire::Ttl{static_cast<std::uint32_t>(life.count())};
    made->expires = kNow + life;
    return made;
}

/// A gateway that was started again with what it had told.
class DelegationsTest : public ::testing::Test {
protected:
    DelegationsTest()
    {
        options_.port = 5300;
        options_.limits.servers = 2;
        options_.limits.addresses = 2;
    }
    void restore(const std::string& zone, unsigned servers = 1, std::chrono::seconds life = 300s)
    {
        cache::Cut cut;
        const std::vector<base::IpAddress> glue(servers, *base::IpAddress::parse("192.0.2.9"));
        for (unsigned i = 0; i < servers; ++i) cut.servers.add(name("ns" + std::to_string(i) + "." + zone), glue);
        cut.ttl = wire::Ttl{300};
        cut.expires = kNow + life;
        ASSERT_TRUE(shared_.put_back(name(zone), std::move(cut), kNow));
    }

    Options options_;
    cache::Cuts shared_{1U << 20U};
};

TEST_F(DelegationsTest, TellsOthersWhatItHeard)
{
    Delegations delegations{options_, shared_};
    delegations.put(heard("zone.example", "ns.zone.example"));
    EXPECT_EQ(shared_.counts().entries, 1U);
    Delegations another{options_, shared_};
    EXPECT_FALSE(another.find(name("zone.example"), kNow)); // each by its own word
}

TEST_F(DelegationsTest, TakesOverWhatCameOutOfAFileWithinItsLimits)
{
    restore("zone.example", 3);
    Delegations delegations{options_, shared_};
    const DelegationPtr cut = delegations.closest(name("www.zone.example"), kNow);
    ASSERT_EQ(cut->zone, name("zone.example"));
    EXPECT_FALSE(cut->fixed);
    EXPECT_EQ(cut->expires, kNow + 300s);
    ASSERT_EQ(cut->servers.size(), 2U);
    EXPECT_EQ(cut->servers[0].name, name("ns0.zone.example"));
    ASSERT_EQ(cut->servers[0].glue.size(), 2U);
    EXPECT_EQ(cut->servers[0].glue[0].port, 5300);
    EXPECT_EQ(delegations.find(name("zone.example"), kNow), cut); // the same from now on
    EXPECT_TRUE(delegations.closest(name("www.zone.example"), kNow + 300s)->zone.is_root());
}

TEST_F(DelegationsTest, GoesByWhatWasHeardLast)
{
    restore("zone.example");
    Delegations first{options_, shared_};
    Delegations second{options_, shared_};
    first.put(heard("zone.example", "ns.new.example", 10s));
    EXPECT_EQ(first.find(name("zone.example"), kNow)->servers[0].name, name("ns.new.example"));
    EXPECT_FALSE(first.find(name("zone.example"), kNow + 10s)); // the longer life of before does not count
    EXPECT_FALSE(second.find(name("zone.example"), kNow));
}

TEST_F(DelegationsTest, PutsNothingOutOfAFileOverWhatIsConfigured)
{
    restore("stub.example");
    FixedZone stub;
    stub.zone = name("stub.example");
    stub.servers.push_back({*base::IpAddress::parse("192.0.2.53"), 53, 0});
    options_.fixed.push_back(stub);
    Delegations delegations{options_, shared_};
    EXPECT_TRUE(delegations.find(name("stub.example"), kNow)->fixed);
}

} // namespace
} // namespace sallyport::resolver::iterate
