#include "resolver/iterate/dns64.hpp"
#include "tests/unit/resolver/iterate_world.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sallyport::resolver::iterate::test {
namespace {

using wire::Rcode;
using wire::RrType;

base::Prefix prefix(const std::string& text) { return *base::Prefix::parse(text); }

std::vector<std::string> addresses(const cache::Rrset& set)
{
    std::vector<std::string> texts;
    for (const base::Bytes rdata : set.records) texts.push_back(base::IpAddress::from_octets(rdata).to_string());
    return texts;
}

TEST(IterateDns64, EmbedsAsInTheTableOfRfc6052)
{
    const std::pair<const char*, const char*> table[] = {
        {"2001:db8::/32", "2001:db8:c000:221::"},
        {"2001:db8:100::/40", "2001:db8:1c0:2:21::"},
        {"2001:db8:122::/48", "2001:db8:122:c000:2:2100::"},
        {"2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"},
        {"2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"},
        {"2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"},
    };
    for (const auto& [network, made] : table) {
        EXPECT_TRUE(is_dns64_prefix(prefix(network)));
        EXPECT_EQ(embed_ipv4(prefix(network), address("192.0.2.33")), address(made)) << network;
        EXPECT_EQ(extract_ipv4(prefix(network), address(made)), address("192.0.2.33")) << network;
    }
    EXPECT_FALSE(is_dns64_prefix(prefix("2001:db8::/33")));
    EXPECT_FALSE(is_dns64_prefix(prefix("10.0.0.0/32")));
    EXPECT_FALSE(is_dns64_prefix(prefix("2001:db8:0:0:100::/96")));
    EXPECT_FALSE(extract_ipv4(prefix("2001:db8::/32"), address("2001:db8:c000:221::1")));
    EXPECT_FALSE(extract_ipv4(prefix("2001:db8::/32"), address("2001:db9:c000:221::")));
}

class IterateDns64World : public ::testing::Test {
protected:
    static Options options()
    {
        Options made = plain_options();
        made.dns64.prefixes = {prefix("64:ff9b::/96")};
        made.dns64.exclude = {prefix("2001:db8:bad::/48")};
        made.dns64.ignore = {name("old.example.")};
        return made;
    }
    void SetUp() override
    {
        world.servers[address("192.0.2.1")] = [this](const Sent& sent) -> std::optional<Reply> {
            const auto it = replies.find({sent.qname.lower().to_text(), sent.qtype});
            return it == replies.end() ? no_data(".") : it->second;
        };
    }
    World world{options()};
    std::map<std::pair<std::string, RrType>, Reply> replies;
};

TEST_F(IterateDns64World, MakesAnAddressWhereThereIsNone)
{
    replies[{"v4.example.", RrType::A}] = Reply{}.answer("v4.example.", RrType::A, "198.51.100.7");
    const Answer answer = world.ask("v4.example.", RrType::AAAA);
    ASSERT_EQ(answer.answers.size(), 1U);
    EXPECT_EQ(answer.answers[0]->type, RrType::AAAA);
    EXPECT_EQ(addresses(*answer.answers[0]), std::vector<std::string>{"64:ff9b::c633:6407"});
    EXPECT_NE(answer.state, wire::ValidationState::secure);
    EXPECT_EQ(world.engine.stats().dns64.get(), 1U);
    const auto known = world.engine.find_known({name("v4.example."), RrType::AAAA});
    ASSERT_TRUE(known);
    EXPECT_EQ(known->answers.size(), 1U);
}

TEST_F(IterateDns64World, LivesNoLongerThanTheSoa)
{
    replies[{"v4.example.", RrType::A}] = Reply{}.answer("v4.example.", RrType::A, "198.51.100.7", 3000);
    replies[{"v4.example.", RrType::AAAA}] = Reply{}.authority("example.", RrType::SOA, "a. b. 1 2 3 4 70", 500);
    EXPECT_EQ(world.ask("v4.example.", RrType::AAAA).answers.at(0)->ttl.seconds(), 70U);
    replies[{"bare.example.", RrType::A}] = Reply{}.answer("bare.example.", RrType::A, "198.51.100.7", 3000);
    replies[{"bare.example.", RrType::AAAA}] = Reply{}.authority(".", RrType::NS, "a.root.");
    EXPECT_EQ(world.ask("bare.example.", RrType::AAAA).answers.at(0)->ttl.seconds(), 600U);
}

TEST_F(IterateDns64World, LeavesRealAddressesAlone)
{
    replies[{"v6.example.", RrType::AAAA}] = Reply{}.answer("v6.example.", RrType::AAAA, "2001:db8::7");
    EXPECT_EQ(addresses(*world.ask("v6.example.", RrType::AAAA).answers.at(0)),
              std::vector<std::string>{"2001:db8::7"});
    EXPECT_FALSE(
        std::any_of(world.log.begin(), world.log.end(), [](const Sent& sent) { return sent.qtype == RrType::A; }));
}

TEST_F(IterateDns64World, ExcludedAddressesDoNotCount)
{
    replies[{"x.example.", RrType::AAAA}] = Reply{}.answer("x.example.", RrType::AAAA, "2001:db8:bad::1");
    replies[{"x.example.", RrType::A}] = Reply{}.answer("x.example.", RrType::A, "198.51.100.7");
    EXPECT_EQ(addresses(*world.ask("x.example.", RrType::AAAA).answers.at(0)),
              std::vector<std::string>{"64:ff9b::c633:6407"});
    replies[{"y.example.", RrType::AAAA}] =
        Reply{}.answer("y.example.", RrType::AAAA, "2001:db8:bad::1").answer("y.example.", RrType::AAAA, "2001:db8::2");
    EXPECT_EQ(addresses(*world.ask("y.example.", RrType::AAAA).answers.at(0)), std::vector<std::string>{"2001:db8::2"});
    replies[{"mapped.example.", RrType::AAAA}] =
        Reply{}.answer("mapped.example.", RrType::AAAA, "\\# 16 00000000000000000000ffffc0000201");
    EXPECT_TRUE(world.ask("mapped.example.", RrType::AAAA).answers.empty());
}

TEST_F(IterateDns64World, WhatIsIgnoredStandsWhereThereIsNothingElse)
{
    replies[{"a.old.example.", RrType::AAAA}] = Reply{}.answer("a.old.example.", RrType::AAAA, "2001:db8::7");
    EXPECT_EQ(addresses(*world.ask("a.old.example.", RrType::AAAA).answers.at(0)),
              std::vector<std::string>{"2001:db8::7"});
    replies[{"b.old.example.", RrType::AAAA}] = Reply{}.answer("b.old.example.", RrType::AAAA, "2001:db8::7");
    replies[{"b.old.example.", RrType::A}] = Reply{}.answer("b.old.example.", RrType::A, "198.51.100.7");
    EXPECT_EQ(addresses(*world.ask("b.old.example.", RrType::AAAA).answers.at(0)),
              std::vector<std::string>{"64:ff9b::c633:6407"});
}

TEST_F(IterateDns64World, AliasesStayInTheAnswer)
{
    for (const RrType type : {RrType::A, RrType::AAAA}) {
        replies[{"www.example.", type}] = Reply{}.answer("www.example.", RrType::CNAME, "v4.example.");
    }
    replies[{"v4.example.", RrType::A}] = Reply{}.answer("v4.example.", RrType::A, "198.51.100.7");
    const Answer answer = world.ask("www.example.", RrType::AAAA);
    ASSERT_EQ(answer.answers.size(), 2U);
    EXPECT_EQ(answer.answers[0]->type, RrType::CNAME);
    EXPECT_EQ(answer.answers[1]->owner, name("v4.example."));
    EXPECT_EQ(answer.answers[1]->type, RrType::AAAA);
}

TEST_F(IterateDns64World, NothingIsMadeForNamesThatAreNotThere)
{
    replies[{"no.example.", RrType::AAAA}] = name_error(".");
    EXPECT_EQ(world.ask("no.example.", RrType::AAAA).rcode, Rcode::NXDOMAIN);
    EXPECT_EQ(world.log.size(), 1U);
}

TEST_F(IterateDns64World, TheWellKnownPrefixIsNotForPrivateAddresses)
{
    replies[{"in.example.", RrType::A}] = Reply{}.answer("in.example.", RrType::A, "10.1.2.3");
    EXPECT_TRUE(world.ask("in.example.", RrType::AAAA).answers.empty());
}

TEST_F(IterateDns64World, WhoChecksForHimselfGetsWhatIsThere)
{
    replies[{"v4.example.", RrType::A}] = Reply{}.answer("v4.example.", RrType::A, "198.51.100.7");
    std::optional<Answer> result;
    world.engine.resolve({name("v4.example."), RrType::AAAA, wire::RrClass::IN, true},
                         [&result](const Answer& answer) { result = answer; });
    world.run();
    ASSERT_TRUE(result);
    EXPECT_TRUE(result->answers.empty());
}

TEST_F(IterateDns64World, TellsThePrefixWithoutAsking)
{
    EXPECT_EQ(addresses(*world.ask("ipv4only.arpa.", RrType::AAAA).answers.at(0)),
              (std::vector<std::string>{"64:ff9b::c000:aa", "64:ff9b::c000:ab"}));
    EXPECT_EQ(addresses(*world.ask("ipv4only.arpa.", RrType::A).answers.at(0)),
              (std::vector<std::string>{"192.0.0.170", "192.0.0.171"}));
    const std::string rest = "a.a.0.0.0.0.0.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa.";
    const Answer reverse = world.ask(rest, RrType::PTR);
    EXPECT_EQ(*wire::Name::from_wire(*reverse.answers.at(0)->records.begin()), name("ipv4only.arpa."));
    EXPECT_TRUE(world.log.empty());
}

TEST_F(IterateDns64World, ReverseNamesAreThoseOfIpv4)
{
    const std::string reverse = "7.0.4.6.3.3.6.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa.";
    replies[{"7.100.51.198.in-addr.arpa.", RrType::PTR}] =
        Reply{}.answer("7.100.51.198.in-addr.arpa.", RrType::PTR, "v4.example.");
    const Answer answer = world.ask(reverse, RrType::PTR);
    ASSERT_EQ(answer.answers.size(), 1U);
    EXPECT_EQ(answer.answers[0]->type, RrType::PTR);
    EXPECT_EQ(answer.answers[0]->owner, name(reverse));
    EXPECT_EQ(*wire::Name::from_wire(*answer.answers[0]->records.begin()), name("v4.example."));
    EXPECT_TRUE(answer.answers[0]->signatures.empty());
    EXPECT_NE(answer.state, wire::ValidationState::secure);
    replies.clear();
    world.store.clear();
    EXPECT_TRUE(world.ask(reverse, RrType::PTR).answers.empty());
    EXPECT_EQ(world.log.back().qname, name(reverse));
}

TEST_F(IterateDns64World, AllIsDoneByTheMeansOfOneQuestion)
{
    Options few = options();
    few.limits.packets = 1;
    World small{few};
    small.servers = world.servers;
    replies[{"v4.example.", RrType::A}] = Reply{}.answer("v4.example.", RrType::A, "198.51.100.7");
    EXPECT_EQ(small.ask("v4.example.", RrType::AAAA).rcode, Rcode::SERVFAIL);
    EXPECT_EQ(small.log.size(), 1U);
}

} // namespace
} // namespace sallyport::resolver::iterate::test
