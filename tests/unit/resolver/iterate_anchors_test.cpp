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

TEST_F(IterateAnchors, WhatOthersJudgeByAnchorsOfBeforeIsNotBelieved)
{
    Options options = plain_options();
    options.dnssec = true;
    options.anchors = anchors_at("elsewhere.");
    World other{options, *world_};
    EXPECT_EQ(other.ask("one.example.").state, ValidationState::insecure);
    world_->engine.set_anchors(anchors_at("example."));
    // The other worker has not come to it yet.
    EXPECT_EQ(other.ask("two.example.").state, ValidationState::insecure);
    EXPECT_EQ(world_->ask("one.example.").rcode, Rcode::SERVFAIL);
    EXPECT_EQ(world_->ask("two.example.").rcode, Rcode::SERVFAIL);
    const std::size_t before = sent();
    other.engine.set_anchors(anchors_at("example."));
    EXPECT_EQ(world_->ask("two.example.").rcode, Rcode::SERVFAIL);
    EXPECT_EQ(sent(), before) << "the same anchors: what was found out by them stays";
    EXPECT_EQ(other.ask("two.example.").rcode, Rcode::SERVFAIL);
    EXPECT_EQ(other.ask("one.example.").rcode, Rcode::SERVFAIL);
}

TEST_F(IterateAnchors, AnchorsOfBeforeMayComeBack)
{
    Options options = plain_options();
    options.dnssec = true;
    options.anchors = anchors_at("elsewhere.");
    World other{options, *world_};
    EXPECT_EQ(other.ask("one.example.").state, ValidationState::insecure);
    world_->engine.set_anchors(anchors_at("example."));
    world_->engine.set_anchors(anchors_at("elsewhere."));
    EXPECT_EQ(other.ask("two.example.").state, ValidationState::insecure);
    const std::size_t before = sent();
    EXPECT_EQ(world_->ask("two.example.").state, ValidationState::insecure);
    EXPECT_EQ(sent(), before);
}

TEST(TrustAnchorMarks, SayWhetherTheSameIsTrusted)
{
    dnssec::TrustAnchors one = *anchors_at("example.");
    const dnssec::TrustAnchors same = *anchors_at("EXAMPLE.");
    EXPECT_EQ(one.mark(), same.mark());
    EXPECT_NE(one.mark(), anchors_at("elsewhere.")->mark());
    one.add_insecure(name("www.example."), 7);
    EXPECT_NE(one.mark(), same.mark());
}

/// Names under `d.other.` become too long.
class IterateLongNames : public ::testing::Test {
protected:
    static constexpr const char* kLong = "a-name-that-a-dname-makes-too-long.d.other.";
    static std::string target()
    {
        const std::string label(62, 'x');
        return label + '.' + label + '.' + label + '.' + std::string(40, 'y') + '.';
    }
    static Options options(const std::string& anchor, bool forward)
    {
        Options made = plain_options();
        made.dnssec = true;
        made.anchors = anchors_at(anchor);
        made.fixed.front().forward = forward;
        return made;
    }
    /// All of it at once, as one who serves both zones, or recurses, tells it.
    static std::optional<Reply> whole(const Sent& sent)
    {
        if (sent.qtype != RrType::A) return no_data("other.");
        Reply reply;
        reply.rcode = Rcode::YXDOMAIN;
        if (sent.qname == name("www.example.")) reply.answer("www.example.", RrType::CNAME, kLong);
        return reply.answer("d.other.", RrType::DNAME, target());
    }
};

TEST_F(IterateLongNames, BehindAnAliasTheDnameIsJudged)
{
    for (const bool forward : {false, true}) {
        World believing{options("nowhere.", forward)};
        believing.servers[address("192.0.2.1")] = whole;
        const Answer answer = believing.ask("www.example.");
        EXPECT_EQ(answer.rcode, Rcode::YXDOMAIN) << forward;
        ASSERT_EQ(answer.answers.size(), 2U) << forward;
        EXPECT_EQ(answer.answers[1]->type, RrType::DNAME);
        World doubting{options("other.", forward)};
        doubting.servers[address("192.0.2.1")] = whole;
        EXPECT_EQ(doubting.ask("www.example.").rcode, Rcode::SERVFAIL) << forward;
        EXPECT_TRUE(doubting.ask("www.example.").answers.empty()) << forward;
    }
}

TEST_F(IterateLongNames, ARcodeWithoutDnameProvesNothing)
{
    for (const bool forward : {false, true}) {
        World world{options("nowhere.", forward)};
        world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
            std::optional<Reply> reply = whole(sent);
            if (reply && !reply->lines.empty()) reply->lines.pop_back();
            return reply;
        };
        EXPECT_EQ(world.ask(kLong).rcode, Rcode::SERVFAIL) << forward;
        EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL) << forward;
    }
}

TEST_F(IterateLongNames, ADnameAboveTheZoneThatWasAskedSaysNothing)
{
    World world{options("nowhere.", false)};
    world.servers[address("192.0.2.1")] = [](const Sent&) -> std::optional<Reply> {
        return referral("d.other.", "ns.d.other.", "192.0.2.2");
    };
    world.servers[address("192.0.2.2")] = [](const Sent&) -> std::optional<Reply> {
        return Reply{}.answer("other.", RrType::DNAME, "elsewhere.");
    };
    EXPECT_EQ(world.ask("www.d.other.").rcode, Rcode::SERVFAIL);
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
