#include "dnssec/anchors.hpp"
#include "tests/unit/resolver/iterate_world.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrType;
using wire::ValidationState;

std::shared_ptr<const dnssec::TrustAnchors> anchors_at(const std::string& zone)
{
    auto anchors = std::make_shared<dnssec::TrustAnchors>();
    const auto ds = wire::rdata_from_text(RrType::DS, "1 13 2 " + std::string(64, 'A'), wire::Name{});
    anchors->add_ds(name(zone), *ds);
    return anchors;
}

/// Nothing is signed: bogus below an anchor, insecure elsewhere.
class IterateAnchors : public ::testing::Test {
protected:
    IterateAnchors()
    {
        Options options = plain_options();
        options.dnssec = true;
        options.anchors = anchors_at("elsewhere.");
        world_ = std::make_unique<World>(options);
        world_->servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
            if (sent.qtype != RrType::A) return no_data("example.");
            return Reply{}.answer(sent.qname.to_text(), RrType::A, "203.0.113.1");
        };
    }
    [[nodiscard]] std::size_t sent() const { return world_->log.size(); }

    std::unique_ptr<World> world_;
};

TEST_F(IterateAnchors, WhatWasInsecureIsJudgedAnewByOtherAnchors)
{
    EXPECT_EQ(world_->ask("www.example.").state, ValidationState::insecure);
    const std::size_t before = sent();
    EXPECT_EQ(world_->ask("www.example.").state, ValidationState::insecure);
    EXPECT_EQ(sent(), before) << "it was known";
    world_->engine.set_anchors(anchors_at("example."));
    EXPECT_EQ(world_->ask("www.example.").rcode, Rcode::SERVFAIL);
}

TEST_F(IterateAnchors, WhatWasBogusIsAskedForAnew)
{
    world_->engine.set_anchors(anchors_at("example."));
    EXPECT_EQ(world_->ask("www.example.").rcode, Rcode::SERVFAIL);
    world_->engine.set_anchors(anchors_at("elsewhere."));
    EXPECT_EQ(world_->ask("www.example.").state, ValidationState::insecure);
}

TEST_F(IterateAnchors, ADnameThatMakesTheNameTooLongIsJudged)
{
    const std::string label(62, 'x');
    const std::string target = label + '.' + label + '.' + label + ".example.";
    world_->servers[address("192.0.2.1")] = [target](const Sent& sent) -> std::optional<Reply> {
        if (sent.qtype != RrType::A) return no_data("example.");
        Reply reply;
        reply.rcode = Rcode::YXDOMAIN;
        return reply.answer("d.example.", RrType::DNAME, target);
    };
    const Answer believed = world_->ask(label + ".d.example.");
    EXPECT_EQ(believed.rcode, Rcode::YXDOMAIN);
    EXPECT_EQ(believed.answers.size(), 1U);
    world_->engine.set_anchors(anchors_at("example."));
    const Answer refused = world_->ask(label + ".d.example.");
    EXPECT_EQ(refused.rcode, Rcode::SERVFAIL);
    EXPECT_TRUE(refused.answers.empty());
}

TEST_F(IterateAnchors, WithoutAnchorsNothingIsJudged)
{
    world_->engine.set_anchors(anchors_at("example."));
    EXPECT_EQ(world_->ask("www.example.").rcode, Rcode::SERVFAIL);
    world_->engine.set_anchors(nullptr);
    EXPECT_EQ(world_->ask("www.example.").rcode, Rcode::NOERROR);
}

TEST_F(IterateAnchors, WhatWasBegunByOtherAnchorsIsNotKept)
{
    std::optional<Answer> first;
    world_->start("www.example.", RrType::A, [&](const Answer& answer) { first = answer; });
    world_->engine.set_anchors(anchors_at("example.")); // while the query is on its way
    world_->run();
    ASSERT_TRUE(first);
    EXPECT_EQ(world_->ask("www.example.").rcode, Rcode::SERVFAIL);
}

} // namespace
} // namespace sallyport::resolver::iterate::test
