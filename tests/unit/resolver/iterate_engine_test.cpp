#include "tests/unit/resolver/iterate_world.hpp"

#include "resolver/iterate/servers.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrType;

/// Root at 192.0.2.1, example. at 192.0.2.2.
void add_example(World& world, Server example)
{
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname.is_under(name("example."))) return referral("example.", "ns.example.", "192.0.2.2");
        return name_error(".");
    };
    world.servers[address("192.0.2.2")] = std::move(example);
}

Server always(const Reply& reply)
{
    return [reply](const Sent&) { return std::optional<Reply>(reply); };
}

TEST(IterateEngine, FollowsAReferralToTheAnswer)
{
    World world(plain_options());
    add_example(world, always(Reply{}.answer("www.example.", RrType::A, "198.51.100.7")));
    const Answer answer = world.ask("www.example.");
    EXPECT_EQ(answer.rcode, Rcode::NOERROR);
    ASSERT_EQ(answer.answers.size(), 1U);
    EXPECT_EQ(world.log.size(), 2U);
    EXPECT_FALSE(answer.from_store);
    EXPECT_TRUE(world.ask("WWW.example.").from_store);
    EXPECT_EQ(world.log.size(), 2U);
}

TEST(IterateEngine, AsksTheRootForItselfFirst)
{
    Options options = plain_options();
    options.prime = true;
    World world(options);
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qtype != RrType::NS) return refuse(Rcode::SERVFAIL);
        return Reply{}.answer(".", RrType::NS, "a.root.").additional("a.root.", RrType::A, "192.0.2.9");
    };
    world.servers[address("192.0.2.9")] = always(Reply{}.answer("www.example.", RrType::A, "198.51.100.7"));
    EXPECT_EQ(world.ask("www.example.").answers.size(), 1U);
    EXPECT_EQ(world.engine.stats().priming.get(), 1U);
    EXPECT_FALSE(world.asked("192.0.2.1", "www.example."));
}

TEST(IterateEngine, RemembersThatThereIsNothing)
{
    World world(plain_options());
    add_example(world, always(name_error("example.")));
    EXPECT_EQ(world.ask("none.example.").rcode, Rcode::NXDOMAIN);
    const std::size_t sent = world.log.size();
    EXPECT_EQ(world.ask("none.example.", RrType::AAAA).rcode, Rcode::NXDOMAIN);
    EXPECT_EQ(world.log.size(), sent);
    world.clock.advance(61s); // the SOA's MINIMUM
    EXPECT_EQ(world.ask("none.example.").rcode, Rcode::NXDOMAIN);
    EXPECT_GT(world.log.size(), sent);
}

TEST(IterateEngine, AsksAnewWhereAnAliasLeads)
{
    World world(plain_options());
    add_example(world, [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname == name("www.example.")) {
            return Reply{}
                .answer("www.example.", RrType::CNAME, "web.example.")
                .answer("web.example.", RrType::A, "203.0.113.66");
        }
        return Reply{}.answer("web.example.", RrType::A, "198.51.100.7");
    });
    const Answer answer = world.ask("www.example.");
    ASSERT_EQ(answer.answers.size(), 2U);
    EXPECT_EQ((*answer.answers[1]->records.begin())[0], 198);
}

TEST(IterateEngine, MakesTheAliasThatADnameMeans)
{
    World world(plain_options());
    add_example(world, [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname.is_under(name("old.example."))) {
            return Reply{}.answer("old.example.", RrType::DNAME, "new.example.");
        }
        return Reply{}.answer("www.new.example.", RrType::A, "198.51.100.7");
    });
    const Answer answer = world.ask("www.old.example.");
    ASSERT_EQ(answer.answers.size(), 3U);
    EXPECT_EQ(answer.answers[0]->type, RrType::DNAME);
    EXPECT_EQ(answer.answers[1]->owner, name("www.old.example."));
}

TEST(IterateEngine, TheLettersOfTheQueryDoNotComeBackInTheAnswer)
{
    Options options = plain_options();
    options.case_randomisation = true;
    World world(options);
    bool mixed = false;
    add_example(world, [&](const Sent& sent) -> std::optional<Reply> {
        wire::Name lower = sent.qname;
        lower.make_lower();
        mixed = mixed || !base::equal(lower.wire(), sent.qname.wire());
        return Reply{}
            .answer("www.long-enough-for-many-letters.example.", RrType::CNAME,
                    "other.www.long-enough-for-many-letters.example.")
            .answer("other.www.long-enough-for-many-letters.example.", RrType::A, "198.51.100.7");
    });
    const Answer answer = world.ask("www.long-enough-for-many-letters.example.");
    ASSERT_EQ(answer.answers.size(), 2U);
    EXPECT_TRUE(mixed) << "the query was in plain letters: this test shows nothing";
    for (const auto& set : answer.answers)
        for (const std::uint8_t octet : set->owner.wire()) EXPECT_FALSE(octet >= 'A' && octet <= 'Z');
    const auto target = wire::rdata_to_text(RrType::CNAME, *answer.answers[0]->records.begin());
    EXPECT_EQ(target, "other.www.long-enough-for-many-letters.example.");
}

TEST(IterateEngine, ADnameAboveTheZoneThatWasAskedIsNotKept)
{
    World world(plain_options());
    const std::string label(60, 'a');
    const std::string long_name = label + "." + label + "." + label + "." + label + ".";
    for (const bool too_long : {false, true}) {
        add_example(world, [](const Sent& sent) -> std::optional<Reply> {
            if (sent.qname.is_under(name("evil.example.")))
                return referral("evil.example.", "ns.evil.example.", "192.0.2.3");
            return Reply{}.answer("www.good.example.", RrType::A, "198.51.100.7");
        });
        Reply reply;
        if (too_long) reply.answer("evil.example.", RrType::DNAME, long_name);
        world.servers[address("192.0.2.3")] = always(reply.answer("example.", RrType::DNAME, "attacker."));
        static_cast<void>(world.ask(too_long ? "longer.name.evil.example." : "www.evil.example."));
        const Answer answer = world.ask("www.good.example.");
        ASSERT_EQ(answer.answers.size(), 1U);
        EXPECT_EQ(answer.answers[0]->type, RrType::A);
        EXPECT_FALSE(world.store.find(name("example."), RrType::DNAME, wire::RrClass::IN, world.clock.now()));
    }
}

TEST(IterateEngine, GlueOutsideTheZoneIsNotUsed)
{
    World world(plain_options());
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname.is_under(name("example."))) return referral("example.", "ns.example.", "192.0.2.2");
        return referral("other.", "ns.other.", "192.0.2.3");
    };
    world.servers[address("192.0.2.2")] = always(referral("sub.example.", "ns.other.", "203.0.113.66"));
    world.servers[address("192.0.2.3")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname == name("ns.other.")) return Reply{}.answer("ns.other.", RrType::A, "192.0.2.4");
        return no_data("other.");
    };
    world.servers[address("192.0.2.4")] = always(Reply{}.answer("www.sub.example.", RrType::A, "198.51.100.7"));
    EXPECT_EQ(world.ask("www.sub.example.").answers.size(), 1U);
    EXPECT_FALSE(world.asked("203.0.113.66", "www.sub.example."));
}

TEST(IterateEngine, AReferralUpwardsIsLame)
{
    World world(plain_options());
    add_example(world, always(referral(".", "a.root.", "203.0.113.66")));
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
    EXPECT_GE(world.engine.stats().lame.get(), 1U);
    EXPECT_FALSE(world.asked("203.0.113.66", "www.example."));
}

TEST(IterateEngine, AChildCannotProlongItsDelegation)
{
    World world(plain_options());
    bool there = true;
    world.servers[address("192.0.2.1")] = [&there](const Sent& sent) -> std::optional<Reply> {
        if (there && sent.qname.is_under(name("example."))) return referral("example.", "ns.example.", "192.0.2.2", 60);
        return name_error(".");
    };
    world.servers[address("192.0.2.2")] = [](const Sent& sent) -> std::optional<Reply> {
        Reply reply;
        reply.answer(sent.qname.to_text(), sent.qtype, sent.qtype == RrType::NS ? "ns.example." : "198.51.100.7",
                     86'400);
        return reply.authority("example.", RrType::NS, "ns.example.", 86'400);
    };
    EXPECT_EQ(world.ask("a.example.").rcode, Rcode::NOERROR);
    EXPECT_EQ(world.ask("example.", RrType::NS).rcode, Rcode::NOERROR);
    there = false;
    world.clock.advance(61s);
    EXPECT_EQ(world.ask("b.example.").rcode, Rcode::NXDOMAIN);
}

TEST(IterateEngine, UselessAddressesAreNeverAsked)
{
    for (const char* useless : {"0.1.2.3", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255"}) {
        World world(plain_options());
        world.servers[address("192.0.2.1")] = always(referral("example.", "ns.example.", useless));
        EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
        EXPECT_FALSE(world.asked(useless, "www.example.")) << useless;
    }
}

TEST(IterateEngine, TruncatedRepliesAreAskedForOverTcp)
{
    World world(plain_options());
    add_example(world, [](const Sent& sent) -> std::optional<Reply> {
        Reply reply;
        if (sent.tcp) return reply.answer("www.example.", RrType::A, "198.51.100.7");
        reply.flags |= wire::flag::TC;
        return reply;
    });
    EXPECT_EQ(world.ask("www.example.").answers.size(), 1U);
    EXPECT_EQ(world.engine.stats().truncated.get(), 1U);
}

TEST(IterateEngine, TcpIsTriedTwiceAtMost)
{
    World world(plain_options());
    add_example(world, [](const Sent&) -> std::optional<Reply> {
        Reply reply;
        reply.flags |= wire::flag::TC;
        return reply;
    });
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
    const auto tries = std::count_if(world.log.begin(), world.log.end(),
                                     [](const Sent& sent) { return sent.tcp && sent.qname == name("www.example."); });
    EXPECT_LE(tries, 2);
}

TEST(IterateEngine, FormerrIsAskedOnceWithoutEdns)
{
    World world(plain_options());
    add_example(world, [](const Sent& sent) -> std::optional<Reply> {
        if (sent.edns) return refuse(Rcode::FORMERR);
        return Reply{}.answer(sent.qname.to_text(), RrType::A, "198.51.100.7");
    });
    EXPECT_EQ(world.ask("www.example.").answers.size(), 1U);
    EXPECT_EQ(world.engine.stats().retries_without_edns.get(), 1U);
    world.ask("next.example."); // what the server is like is known now
    EXPECT_EQ(world.engine.stats().retries_without_edns.get(), 1U);
    // One reply does not take DNSSEC from a server for good.
    world.clock.advance(world.engine.options().lame_for + 1s);
    world.ask("after.example.");
    EXPECT_EQ(world.engine.stats().retries_without_edns.get(), 2U);
}

TEST(IterateEngine, GoesOnToTheNextServer)
{
    for (const Rcode rcode : {Rcode::SERVFAIL, Rcode::REFUSED, Rcode::NOTIMP, Rcode::FORMERR, Rcode::NOTAUTH}) {
        World world(plain_options());
        Reply both = referral("example.", "ns.example.", "192.0.2.2");
        both.additional("ns.example.", RrType::A, "192.0.2.3");
        world.servers[address("192.0.2.1")] = always(both);
        world.servers[address("192.0.2.2")] = always(refuse(rcode));
        world.servers[address("192.0.2.3")] = always(Reply{}.answer("www.example.", RrType::A, "198.51.100.7"));
        EXPECT_EQ(world.ask("www.example.").rcode, Rcode::NOERROR) << wire::to_string(rcode);
    }
}

TEST(IterateEngine, ASilentServerIsTriedThreeTimesAtMost)
{
    World world(plain_options());
    add_example(world, [](const Sent&) { return std::nullopt; });
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
    const auto tries = std::count_if(world.log.begin(), world.log.end(), [](const Sent& sent) {
        return sent.server == address("192.0.2.2") && sent.qname == name("www.example.");
    });
    EXPECT_GE(tries, 1);
    EXPECT_LE(tries, 3);
}

TEST(IterateEngine, AFailureIsRememberedForAMoment)
{
    World world(plain_options());
    add_example(world, always(refuse(Rcode::SERVFAIL)));
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
    const std::size_t sent = world.log.size();
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
    EXPECT_EQ(world.log.size(), sent);
    EXPECT_EQ(world.engine.stats().cached_failures.get(), 1U);
    world.clock.advance(6s);
    world.ask("www.example.");
    EXPECT_GT(world.log.size(), sent);
}

TEST(IterateEngine, EqualQuestionsAreAskedOnce)
{
    World world(plain_options());
    int answers = 0;
    for (int i = 0; i < 5; ++i) world.start("www.example.", RrType::A, [&](const Answer&) { ++answers; });
    EXPECT_EQ(world.log.size(), 1U);
    add_example(world, always(Reply{}.answer("www.example.", RrType::A, "198.51.100.7")));
    world.run();
    EXPECT_EQ(answers, 5);
    EXPECT_EQ(world.log.size(), 2U);
}

// --- forged replies

class IterateForgery : public ::testing::Test {
protected:
    void SetUp() override
    {
        world.start("www.example.", RrType::A, [this](const Answer& answer) { result = answer; });
        ASSERT_EQ(world.log.size(), 1U);
        sent = world.log.front();
        good = world.message(sent, Reply{}.answer("www.example.", RrType::A, "198.51.100.7"));
    }
    World world{plain_options()};
    std::optional<Answer> result;
    Sent sent;
    std::vector<std::uint8_t> good;
};

TEST_F(IterateForgery, AReplyThatFitsCounts)
{
    EXPECT_TRUE(world.engine.answer(sent.token, good));
    EXPECT_TRUE(result);
}

TEST_F(IterateForgery, AnotherIdIsIgnoredAndTheWaitGoesOn)
{
    good[0] ^= 1;
    EXPECT_FALSE(world.engine.answer(sent.token, good));
    EXPECT_FALSE(result);
    EXPECT_EQ(world.log.size(), 1U);
    good[0] ^= 1;
    EXPECT_TRUE(world.engine.answer(sent.token, good));
    EXPECT_TRUE(result);
}

TEST_F(IterateForgery, AQueryIsNoReply)
{
    good[2] &= 0x7F;
    EXPECT_FALSE(world.engine.answer(sent.token, good));
}

TEST_F(IterateForgery, AnotherTypeIsIgnored)
{
    good[wire::kHeaderSize + sent.qname.size() + 1] = 28;
    EXPECT_FALSE(world.engine.answer(sent.token, good));
}

TEST_F(IterateForgery, LettersInAnotherCaseAreIgnored)
{
    good[wire::kHeaderSize + 1] ^= 0x20;
    EXPECT_FALSE(world.engine.answer(sent.token, good));
}

TEST_F(IterateForgery, TwoNearMissesLeadToTcp)
{
    good[0] ^= 1;
    EXPECT_FALSE(world.engine.answer(sent.token, good));
    EXPECT_FALSE(world.engine.answer(sent.token, good));
    ASSERT_EQ(world.log.size(), 2U);
    EXPECT_TRUE(world.log.back().tcp);
    EXPECT_EQ(world.engine.stats().foreign_replies.get(), 2U);
}

// --- limits of work

TEST(IterateLimits, PacketsOfOneQuestion)
{
    Options options = plain_options();
    options.limits.packets = 20;
    options.limits.referrals = 1000;
    World world(options);
    // Each zone is served by one that is not known yet, and so on.
    unsigned next = 0;
    world.servers[address("192.0.2.1")] = [&next](const Sent& sent) -> std::optional<Reply> {
        const wire::Name cut = sent.qname.parent(sent.qname.label_count() - 1);
        Reply reply;
        reply.flags = wire::flag::QR;
        for (int i = 0; i < 10; ++i) reply.authority(cut.to_text(), RrType::NS, "ns.z" + std::to_string(next++) + ".");
        return reply;
    };
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
    EXPECT_LE(world.log.size(), 20U);
}

TEST(IterateLimits, AliasesOfOneQuestion)
{
    World world(plain_options());
    unsigned next = 0;
    world.servers[address("192.0.2.1")] = [&next](const Sent& sent) -> std::optional<Reply> {
        return Reply{}.answer(sent.qname.to_text(), RrType::CNAME, "a" + std::to_string(next++) + ".example.");
    };
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
    EXPECT_EQ(world.log.size(), plain_options().limits.aliases + 1U);
    EXPECT_EQ(world.engine.stats().budget_aliases.get(), 1U);
}

TEST(IterateLimits, AnAliasOfItselfIsSeenAtOnce)
{
    World world(plain_options());
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        return Reply{}.answer(sent.qname.to_text(), RrType::CNAME,
                              sent.qname == name("a.example.") ? "b.example." : "a.example.");
    };
    EXPECT_EQ(world.ask("a.example.").rcode, Rcode::SERVFAIL);
    EXPECT_EQ(world.log.size(), 2U);
    EXPECT_EQ(world.engine.stats().loops.get(), 1U);
}

TEST(IterateLimits, NamesOfServersLookedUp)
{
    World world(plain_options());
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (!sent.qname.is_under(name("example."))) return name_error(".");
        Reply reply;
        reply.flags = wire::flag::QR;
        for (int i = 0; i < 40; ++i) reply.authority("example.", RrType::NS, "ns" + std::to_string(i) + ".victim.");
        return reply;
    };
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL);
    EXPECT_LE(world.log.size(), 1U + plain_options().limits.failing_lookups);
    EXPECT_GE(world.engine.stats().budget_lookups.get(), 1U);
    EXPECT_GE(world.engine.stats().budget_servers.get(), 1U);
}

TEST(IterateLimits, ZonesServedByEachOther)
{
    World world(plain_options());
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname.is_under(name("left."))) return referral("left.", "ns.right.");
        return referral("right.", "ns.left.");
    };
    EXPECT_EQ(world.ask("www.left.").rcode, Rcode::SERVFAIL);
    EXPECT_GE(world.engine.stats().loops.get(), 1U);
    EXPECT_LT(world.log.size(), 10U);
}

TEST(IterateLimits, DepthOfLookups)
{
    Options options = plain_options();
    options.limits.depth = 4;
    World world(options);
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        // z1 is served from z2, that from z3, …
        const std::string zone = sent.qname.parent(sent.qname.label_count() - 1).to_text();
        const int number = std::atoi(zone.c_str() + 1);
        return referral(zone, "ns.z" + std::to_string(number + 1) + ".");
    };
    EXPECT_EQ(world.ask("www.z1.").rcode, Rcode::SERVFAIL);
    EXPECT_GE(world.engine.stats().budget_depth.get(), 1U);
}

TEST(IterateLimits, TimeOfOneQuestion)
{
    World world(plain_options());
    const base::Instant before = world.clock.now();
    EXPECT_EQ(world.ask("www.example.").rcode, Rcode::SERVFAIL); // nobody says anything
    EXPECT_LE(world.clock.now() - before, plain_options().limits.time);
}

TEST(IterateLimits, LookupsInFlight)
{
    Options options = plain_options();
    options.max_fetches = 3;
    World world(options);
    int failed = 0;
    for (int i = 0; i < 10; ++i) {
        world.start("n" + std::to_string(i) + ".example.", RrType::A,
                    [&](const Answer& answer) { failed += answer.rcode == Rcode::SERVFAIL ? 1 : 0; });
    }
    EXPECT_EQ(world.log.size(), 3U);
    EXPECT_EQ(failed, 7);
    EXPECT_EQ(world.engine.stats().budget_fetches.get(), 7U);
}

TEST(IterateLimits, LookupsInOneZone)
{
    Options options = plain_options();
    options.max_fetches_per_zone = 3;
    World world(options);
    add_example(world, [](const Sent&) { return std::nullopt; });
    for (int i = 0; i < 10; ++i) world.start("n" + std::to_string(i) + ".example.", RrType::A, [](const Answer&) {});
    EXPECT_EQ(world.engine.stats().budget_zone_fetches.get(), 7U);
}

TEST(IterateLimits, StepsOfMinimisation)
{
    Options options = plain_options();
    options.qname_minimisation = true;
    World world(options);
    const std::string deep = "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.example.";
    world.servers[address("192.0.2.1")] = [&deep](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname == name(deep)) return Reply{}.answer(deep, RrType::A, "198.51.100.7");
        return no_data(".");
    };
    EXPECT_EQ(world.ask(deep).answers.size(), 1U);
    EXPECT_LE(world.log.size(), 11U);
    EXPECT_EQ(world.log.front().qname, name("example."));
}

TEST(IterateMinimisation, FallsBackWhereANameIsSaidToBeMissing)
{
    Options options = plain_options();
    options.qname_minimisation = true;
    World world(options);
    world.servers[address("192.0.2.1")] = [](const Sent& sent) -> std::optional<Reply> {
        if (sent.qname.label_count() < 3) return name_error(".");
        return Reply{}.answer("www.sub.example.", RrType::A, "198.51.100.7");
    };
    EXPECT_EQ(world.ask("www.sub.example.").answers.size(), 1U);
    EXPECT_EQ(world.engine.stats().minimisation_fallbacks.get(), 1U);
}

TEST(IterateServers, APausedServerIsLeftAloneForAWhile)
{
    World world(plain_options());
    Reply both = referral("example.", "ns.example.", "192.0.2.2");
    both.additional("ns.example.", RrType::A, "192.0.2.3");
    world.servers[address("192.0.2.1")] = always(both);
    world.servers[address("192.0.2.3")] = [](const Sent& sent) -> std::optional<Reply> {
        return Reply{}.answer(sent.qname.to_text(), sent.qtype, "198.51.100.7");
    };
    for (int i = 0; i < 60; ++i) world.ask("n" + std::to_string(i) + ".example.");
    const auto count = [&world] {
        return std::count_if(world.log.begin(), world.log.end(),
                             [](const Sent& sent) { return sent.server == address("192.0.2.2"); });
    };
    EXPECT_LE(count(), 6);
}

TEST(IterateServers, TheTableStaysWithinItsSize)
{
    Options options = plain_options();
    options.max_servers_kept = 10;
    Servers servers{options};
    const auto now = base::Instant{} + 1h;
    for (int i = 0; i < 100; ++i) {
        const auto server = address("198.51.100." + std::to_string(i));
        servers.answered(server, 20ms);
        servers.set_lame(server, name("example."), RrType::A, now);
        EXPECT_LE(servers.size(), 10U);
    }
    EXPECT_EQ(servers.size(), 10U);
    EXPECT_NE(servers.find(address("198.51.100.99")), nullptr);
    EXPECT_EQ(servers.find(address("198.51.100.89")), nullptr) << "the one unused longest goes";
    unsigned lame = 0;
    for (int i = 0; i < 100; ++i)
        if (servers.is_lame(address("198.51.100." + std::to_string(i)), name("example."), RrType::A, now)) ++lame;
    EXPECT_EQ(lame, 10U);
}

TEST(IterateEngine, AnswersFromWhatIsStaleWhenNobodyElseDoes)
{
    Options options = plain_options();
    options.serve_stale = true;
    cache::RrsetOptions store;
    store.keep_stale = true;
    World world(options, store);
    world.servers[address("192.0.2.1")] = always(Reply{}.answer("www.example.", RrType::A, "198.51.100.7", 10));
    EXPECT_EQ(world.ask("www.example.").answers.size(), 1U);
    world.servers.clear();
    world.clock.advance(60s);
    const base::Instant before = world.clock.now();
    const Answer answer = world.ask("www.example.");
    EXPECT_TRUE(answer.stale);
    EXPECT_EQ(answer.ede, wire::ExtendedError::stale_answer);
    EXPECT_LE(world.clock.now() - before, 1800ms);
}

TEST(IterateEngine, TakesPrivateAddressesOut)
{
    Options options = plain_options();
    options.private_addresses.push_back(*base::Prefix::parse("10.0.0.0/8"));
    World world(options);
    world.servers[address("192.0.2.1")] = always(Reply{}.answer("www.example.", RrType::A, "10.1.2.3"));
    EXPECT_TRUE(world.ask("www.example.").answers.empty());
}

TEST(IterateEngine, LetsGoOfEverythingAtItsEnd)
{
    auto world = std::make_unique<World>(plain_options());
    world->start("www.example.", RrType::A, [](const Answer&) {});
    EXPECT_EQ(world->engine.in_flight(), 1U);
    world.reset(); // no leak, no call into what is gone: sanitizers look on
}

} // namespace
} // namespace sallyport::resolver::iterate::test
