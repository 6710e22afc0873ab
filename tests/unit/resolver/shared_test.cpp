#include "net/worker.hpp"
#include "resolver/shared.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::resolver {
namespace {

FlightKey key(std::string_view name, wire::RrType type = wire::RrType::A)
{
    FlightKey made;
    made.inquiry.qname = *wire::Name::from_text(name);
    made.inquiry.qtype = type;
    return made;
}

struct Ear {
    static void hear(void* self, const FlightKey& key, std::uint64_t flight, const FlightResult& result) noexcept
    {
        static_cast<Ear*>(self)->heard.push_back(key.inquiry.qname.to_text() + std::to_string(flight) +
                                                 (result.abandoned ? " abandoned" : " " + result.upstream));
    }
    std::vector<std::string> heard;
};

class SharedFlights : public testing::Test {
protected:
    std::shared_ptr<Mailbox> box() { return std::make_shared<Mailbox>(worker_, &ear_, Ear::hear); }

    base::ManualClock clock_;
    net::Worker worker_{0, clock_};
    Ear ear_;
    Shared shared_;
};

TEST_F(SharedFlights, TheFirstOwnsTheOthersFollow)
{
    const auto one = box();
    const auto two = box();
    const auto first = shared_.join(key("a."), one);
    EXPECT_TRUE(first.is_owner);
    const auto second = shared_.join(key("a."), two);
    EXPECT_FALSE(second.is_owner);
    EXPECT_EQ(second.flight, first.flight);
    (void)shared_.join(key("a."), two);
    EXPECT_TRUE(shared_.join(key("b."), two).is_owner);
    EXPECT_EQ(shared_.in_flight(), 2U);
    const auto followers = shared_.end(key("a."), first.flight);
    ASSERT_EQ(followers.size(), 1U) << "each once";
    EXPECT_EQ(followers[0], two);
    EXPECT_EQ(shared_.in_flight(), 1U);
}

TEST_F(SharedFlights, WhatDiffersIsAskedApart)
{
    EXPECT_TRUE(shared_.join(key("a."), box()).is_owner);
    EXPECT_TRUE(shared_.join(key("a.", wire::RrType::AAAA), box()).is_owner);
    auto other = key("a.");
    other.inquiry.dnssec_ok = true;
    EXPECT_TRUE(shared_.join(other, box()).is_owner);
    other = key("a.");
    other.inquiry.checking_disabled = true;
    EXPECT_TRUE(shared_.join(other, box()).is_owner);
    other = key("a.");
    other.partition = 7;
    EXPECT_TRUE(shared_.join(other, box()).is_owner);
}

TEST_F(SharedFlights, AFlightThatIsOverIsNotEndedTwice)
{
    const auto first = shared_.join(key("a."), box());
    (void)shared_.end(key("a."), first.flight);
    const auto second = shared_.join(key("a."), box());
    EXPECT_TRUE(second.is_owner);
    EXPECT_NE(second.flight, first.flight);
    (void)shared_.join(key("a."), box());
    EXPECT_TRUE(shared_.end(key("a."), first.flight).empty());
    EXPECT_EQ(shared_.in_flight(), 1U);
}

TEST_F(SharedFlights, ResultsArriveOnTheWorkerAndNotAfterItsEnd)
{
    const auto one = box();
    auto result = std::make_shared<FlightResult>();
    result->upstream = "u";
    Mailbox::send(one, key("a."), 3, result);
    EXPECT_TRUE(ear_.heard.empty()) << "not from within";
    worker_.run_for(0ms);
    worker_.run_for(0ms);
    EXPECT_EQ(ear_.heard, std::vector<std::string>{"a.3 u"});
    Mailbox::send(one, key("b."), 4, result);
    one->close();
    Mailbox::send(one, key("c."), 5, result);
    worker_.run_for(0ms);
    worker_.run_for(0ms);
    EXPECT_EQ(ear_.heard.size(), 1U);
}

TEST_F(SharedFlights, PrepareNamesTheUpstreamThatCanNotBe)
{
    Options options;
    GroupOptions group;
    group.name = "g";
    UpstreamOptions upstream;
    upstream.name = "tls://192.0.2.1";
    upstream.transport = base::Transport::dot;
    upstream.host = "192.0.2.1";
    upstream.ca_file = "/nonexistent/ca.pem";
    upstream.position.line = 9;
    group.upstreams = {upstream};
    options.groups = {group};
    base::Problems problems;
    EXPECT_FALSE(shared_.prepare(options, problems));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].position.line, 9U);
    EXPECT_NE(problems[0].message.find("tls://192.0.2.1"), std::string::npos);
    options.groups[0].upstreams[0].ca_file.clear();
    problems.clear();
    EXPECT_TRUE(shared_.prepare(options, problems));
    EXPECT_TRUE(shared_.factories_for(options.groups[0].upstreams[0], options.limits));
}

} // namespace
} // namespace sallyport::resolver
