#include "tests/unit/resolver/iterate_world.hpp"

#include <gtest/gtest.h>

#include <algorithm>

/// How the addresses of name servers are come by.
namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrType;

/// `example.` is served by names in `other.`, whose server is slow to tell of IPv4 addresses.
class IterateAddresses : public ::testing::Test {
protected:
    IterateAddresses()
    {
        world.servers[address("192.0.2.1")] = [this](const Sent&) -> std::optional<Reply> {
            Reply reply = referral("example.", "one.other.");
            for (unsigned i = 1; i < servers_; ++i)
                reply.authority("example.", RrType::NS, "ns" + std::to_string(i) + ".other.");
            return reply;
        };
        world.servers[address("192.0.2.2")] = [this](const Sent& sent) -> std::optional<Reply> {
            if (sent.qtype == RrType::A && !(tells_a_ && sent.qname == name("one.other."))) return std::nullopt;
            if (sent.qtype == RrType::A) return Reply{}.answer(sent.qname.to_text(), RrType::A, "192.0.2.3");
            if (!tells_aaaa_) return std::nullopt;
            return Reply{}.answer(sent.qname.to_text(), RrType::AAAA, "2001:db8::3");
        };
        const auto serve = [](const Sent& sent) -> std::optional<Reply> {
            return Reply{}.answer(sent.qname.to_text(), sent.qtype, "203.0.113.1");
        };
        world.servers[address("2001:db8::3")] = serve;
        world.servers[address("192.0.2.3")] = serve;
    }
    [[nodiscard]] std::size_t asked_for(RrType type) const
    {
        return static_cast<std::size_t>(std::count_if(world.log.begin(), world.log.end(), [type](const Sent& sent) {
            return sent.qtype == type && sent.server == address("192.0.2.2");
        }));
    }
    static Options options()
    {
        Options made = plain_options();
        FixedZone other;
        other.zone = name("other.");
        other.servers.push_back({address("192.0.2.2"), 53, 0});
        made.fixed.push_back(other);
        return made;
    }

    unsigned servers_ = 1;
    bool tells_a_ = false;
    bool tells_aaaa_ = true;
    World world{options()};
};

TEST_F(IterateAddresses, WhereOneFamilyIsSlowTheOtherIsAskedForBesideIt)
{
    const base::Instant before = world.clock.now();
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::NOERROR);
    EXPECT_EQ(asked_for(RrType::AAAA), 1U);
    // One time-out, not the end of all tries.
    EXPECT_LE(world.clock.now() - before, 400ms);
    EXPECT_EQ(asked_for(RrType::A), 2U);
}

TEST_F(IterateAddresses, WhereItIsQuickNobodyIsAskedForMore)
{
    tells_a_ = true;
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::NOERROR);
    EXPECT_EQ(asked_for(RrType::A), 1U);
    EXPECT_EQ(asked_for(RrType::AAAA), 0U);
}

TEST_F(IterateAddresses, NoMoreThanTwoAreOnTheirWay)
{
    servers_ = 6;
    tells_aaaa_ = false;
    std::size_t most = 0;
    std::optional<Answer> result;
    world.start("www.example.", RrType::A, [&](const Answer& answer) { result = answer; });
    for (int i = 0; i < 1000 && !result && world.engine.due(); ++i) {
        if (*world.engine.due() > world.clock.now()) world.clock.advance(*world.engine.due() - world.clock.now());
        world.engine.expire(world.clock.now());
        world.run();
        most = std::max(most, world.waiting.size());
    }
    ASSERT_TRUE(result);
    EXPECT_EQ(result->rcode, Rcode::SERVFAIL);
    EXPECT_EQ(most, 2U);
}

} // namespace
} // namespace sallyport::resolver::iterate::test
