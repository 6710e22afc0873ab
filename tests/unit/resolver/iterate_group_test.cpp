#include "iterate_world.hpp"

#include <gtest/gtest.h>

/// Zones whose names go to a group of upstreams, as the engine sees them.
namespace sallyport::resolver::iterate::test {
namespace {

using namespace std::chrono_literals;
using wire::Rcode;
using wire::RrType;

Options forwarding(bool first = false)
{
    Options options = plain_options();
    FixedZone zone;
    zone.forward = true;
    zone.first = first;
    zone.group = "up";
    options.fixed.push_back(zone);
    return options;
}

/// Keeps what the network is told of groups. A group has no address: it is the server without one.
class Groups final : public World {
public:
    explicit Groups(const Options& options) : World(options) {}
    void send(const Ask& ask) noexcept override
    {
        names.emplace_back(ask.group);
        World::send(ask);
    }
    void answer_all(const std::string& rdata)
    {
        servers[base::IpAddress{}] = [rdata](const Sent& sent) {
            Reply reply;
            reply.flags = wire::flag::QR | wire::flag::RD | wire::flag::RA;
            return std::optional{reply.answer(sent.qname.to_text(), RrType::A, rdata)};
        };
    }
    std::vector<std::string> names;
};

TEST(IterateGroup, IsAskedInThePlaceOfServers)
{
    Groups world{forwarding()};
    world.answer_all("192.0.2.7");
    const Answer answer = world.ask("www.example.");
    EXPECT_EQ(answer.rcode, Rcode::NOERROR);
    ASSERT_EQ(world.names.size(), 1U);
    EXPECT_EQ(world.names.front(), "up");
    const auto query = wire::MessageView::parse(world.log.front().bytes);
    ASSERT_TRUE(query);
    EXPECT_TRUE(query->header().has(wire::flag::RD));
    EXPECT_EQ(world.log.front().qname.to_text(), "www.example."); // whole, and in plain letters
    ASSERT_NE(query->edns(), nullptr);
    EXPECT_FALSE(query->edns()->cookie); // that is between the upstream and who asks it
}

TEST(IterateGroup, IsWaitedForAndAskedOnce)
{
    Groups world{forwarding()};
    const auto began = world.clock.now();
    const Answer answer = world.ask("www.example.");
    EXPECT_EQ(answer.rcode, Rcode::SERVFAIL);
    EXPECT_EQ(world.log.size(), 1U);
    EXPECT_GE(world.clock.now() - began, 5s);
    EXPECT_NE(answer.ede_text.find("group up"), std::string::npos) << answer.ede_text;
}

TEST(IterateGroup, IsNoServerThatPausesAfterFailures)
{
    Groups world{forwarding()};
    for (int i = 0; i < 8; ++i) (void)world.ask("n" + std::to_string(i) + ".example.");
    world.answer_all("192.0.2.7");
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::NOERROR);
}

TEST(IterateGroup, FirstGoesOnWithoutIt)
{
    Options options = forwarding(true);
    Groups world{options};
    const base::IpAddress root = options.fixed.front().servers.front().address;
    world.servers[root] = [](const Sent& sent) {
        return std::optional{Reply{}.answer(sent.qname.to_text(), sent.qtype, "192.0.2.8")};
    };
    const Answer answer = world.ask("www.example.");
    EXPECT_EQ(answer.rcode, Rcode::NOERROR) << answer.ede_text;
    ASSERT_GE(world.names.size(), 2U);
    EXPECT_EQ(world.names.front(), "up");
    EXPECT_EQ(world.names.back(), "");
}

} // namespace
} // namespace sallyport::resolver::iterate::test
