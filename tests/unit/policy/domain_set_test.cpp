#include "policy/client_set.hpp"
#include "policy/domain_list.hpp"
#include "policy/domain_set.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace sallyport::policy {
namespace {

wire::Name name(const std::string& text) { return *wire::Name::from_text(text); }

DomainSet parsed(std::string_view text)
{
    auto set = parse_domain_list(text, "list.txt", ListLimits{});
    EXPECT_TRUE(set) << (set ? "" : set.error().to_string());
    return set ? std::move(*set) : DomainSet{};
}

TEST(DomainSet, HoldsNamesByTheirLabels)
{
    DomainSetBuilder builder{100};
    EXPECT_TRUE(builder.add(name("Example.COM"), Reach::both));
    EXPECT_TRUE(builder.add(name("exact.example.org"), Reach::itself));
    EXPECT_TRUE(builder.add(name("below.example.org"), Reach::below));
    const DomainSet set = builder.take();
    EXPECT_TRUE(set.covers(name("example.com")));
    EXPECT_TRUE(set.covers(name("a.b.example.com")));
    EXPECT_FALSE(set.covers(name("notexample.com")));
    EXPECT_FALSE(set.covers(name("com")));
    EXPECT_FALSE(set.covers(wire::Name{}));
    EXPECT_TRUE(set.covers(name("exact.example.org")));
    EXPECT_FALSE(set.covers(name("a.exact.example.org")));
    EXPECT_FALSE(set.covers(name("below.example.org")));
    EXPECT_TRUE(set.covers(name("a.below.example.org")));
    EXPECT_EQ(set.size(), 3U);
}

TEST(DomainSet, AnEmptyOneCoversNothing)
{
    EXPECT_FALSE(DomainSet{}.covers(name("example.com")));
    EXPECT_FALSE(DomainSet{}.covers(wire::Name{}));
}

TEST(DomainSet, TheRootCoversAll)
{
    DomainSetBuilder builder{1};
    builder.add(wire::Name{}, Reach::both);
    EXPECT_TRUE(builder.take().covers(name("example.com")));
}

TEST(DomainSet, NamesGivenTwiceAreOneThatReachesAsFarAsBoth)
{
    DomainSetBuilder builder{10};
    builder.add(name("example.com"), Reach::itself);
    builder.add(name("EXAMPLE.com"), Reach::below);
    const DomainSet set = builder.take();
    EXPECT_EQ(set.size(), 1U);
    EXPECT_TRUE(set.covers(name("example.com")));
    EXPECT_TRUE(set.covers(name("a.example.com")));
}

TEST(DomainSet, GrowsAndKeepsAll)
{
    DomainSetBuilder builder{20'000};
    for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(builder.add(name("n" + std::to_string(i) + ".example"), Reach::both));
    EXPECT_FALSE(builder.add(name("one.more.example"), Reach::both));
    EXPECT_TRUE(builder.full());
    const DomainSet set = builder.take();
    for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(set.covers(name("x.n" + std::to_string(i) + ".example")));
    EXPECT_FALSE(set.covers(name("n20000.example")));
    EXPECT_LT(set.octets(), 20'000U * 64);
}

TEST(DomainList, ReadsPlainHostsAndBlockerLines)
{
    const DomainSet set = parsed("# a comment\n! another\n[Adblock Plus 2.0]\n\n"
                                 "plain.example\r\n"
                                 "*.star.example # and why\n"
                                 "0.0.0.0 host.example alias.example\n"
                                 "::1 localhost ip6-loopback\n"
                                 "0.0.0.0 0.0.0.0\n"
                                 "||blocker.example^\n"
                                 "||part.example^$third-party\n"
                                 "@@||good.example^\n");
    EXPECT_EQ(set.size(), 5U);
    EXPECT_TRUE(set.covers(name("www.plain.example")));
    EXPECT_FALSE(set.covers(name("star.example")));
    EXPECT_TRUE(set.covers(name("a.star.example")));
    EXPECT_TRUE(set.covers(name("host.example")));
    EXPECT_FALSE(set.covers(name("www.host.example")));
    EXPECT_TRUE(set.covers(name("alias.example")));
    EXPECT_TRUE(set.covers(name("x.blocker.example")));
    EXPECT_FALSE(set.covers(name("part.example")));
    EXPECT_FALSE(set.covers(name("good.example")));
    EXPECT_FALSE(set.covers(name("localhost")));
}

TEST(DomainList, PassesOverAFewOddLinesButNotAnotherKindOfFile)
{
    EXPECT_EQ(parsed("a.example\nb.example\nnot a name\nc..example\n").size(), 2U);
    const auto other = parse_domain_list("one.example\nroot:x:0:0:root:/root\ndaemon:x:1\nbin:x:2\n", "list.txt", {});
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().position.line, 2U);
    EXPECT_EQ(other.error().message.find("root:x"), std::string::npos) << "what stands there is nobody's business";
}

TEST(DomainList, HasLimits)
{
    const auto many = parse_domain_list("a\nb\nc\n", "list.txt", {.names = 2});
    ASSERT_FALSE(many);
    EXPECT_EQ(many.error().code, base::ErrorCode::limit);
    EXPECT_EQ(parsed(std::string(5000, 'a') + "\nb\nc\n").size(), 2U);
    const auto file = std::filesystem::temp_directory_path() / ("sallyport-list-" + std::to_string(::getpid()));
    std::ofstream{file} << "a.example\nb.example\n";
    EXPECT_EQ(load_domain_list(file, {})->size(), 2U);
    EXPECT_EQ(load_domain_list(file, {.octets = 10}).error().code, base::ErrorCode::limit);
    std::filesystem::remove(file);
    EXPECT_FALSE(load_domain_list(file, {}));
    EXPECT_FALSE(load_domain_list("/dev/null", {}));
}

TEST(ClientSet, HoldsByNetworkOrByName)
{
    ClientSet set;
    set.networks = {*base::Prefix::parse("10.0.7.0/24")};
    set.server_names = {"kids.gate.test", "*.kids.gate.test"};
    Facts facts;
    facts.client.address = *base::IpAddress::parse("192.0.2.1");
    EXPECT_FALSE(set.holds(facts));
    facts.server_name = "kids.gate.test";
    EXPECT_TRUE(set.holds(facts));
    facts.server_name = "a.kids.gate.test";
    EXPECT_TRUE(set.holds(facts));
    facts.server_name = ".kids.gate.test";
    EXPECT_FALSE(set.holds(facts));
    facts.server_name = {};
    facts.client.address = *base::IpAddress::parse("10.0.7.1");
    EXPECT_TRUE(set.holds(facts));
}

} // namespace
} // namespace sallyport::policy
