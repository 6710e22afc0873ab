#include "served.hpp"

#include <gtest/gtest.h>

namespace sallyport::zones {
namespace {

using test::Served;

constexpr std::string_view kZone = R"(
$TTL 3600
@           SOA   ns hostmaster 1 7200 600 604800 300
@           NS    ns
@           MX    10 mail
@           MX    20 mail.other.test.
ns          A     192.0.2.53
ns          AAAA  2001:db8::53
mail        A     192.0.2.25
www         A     192.0.2.80
www         AAAA  2001:db8::80
svc         HTTPS 1 . alpn=h2
svc         A     192.0.2.44
target      SVCB  1 www.a.test. alpn=h2
_x._tcp     SRV   0 0 80 www
_y._tcp     SRV   0 0 80 .

alias       CNAME www
alias2      CNAME alias
alias3      CNAME missing
alias4      CNAME ent
away        CNAME www.elsewhere.test.
across      CNAME back.b.test.
loop1       CNAME loop2
loop2       CNAME loop1
self        CNAME self
tocut       CNAME host.sub

a.b.ent     A     192.0.2.77

*.wild      A     192.0.2.99
*.wild      TXT   "wild"
x.y.wild    A     192.0.2.98
*.walias    CNAME www
*.wmx       MX    10 mail
x.*.wonly   A     192.0.2.97

sub         NS    ns.sub
sub         NS    ns.b.test.
sub         NS    mail
sub         NS    ns.elsewhere.test.
sub         TXT   "the child's"
ns.sub      A     192.0.2.10
ns.sub      AAAA  2001:db8::10
deep.sub    A     192.0.2.11
signed      NS    ns.signed
signed      DS    1 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns.signed   A     192.0.2.12
lame        NS    ns.lame

old         DNAME new
x.new       A     192.0.2.66
out         DNAME elsewhere.test.
outb        DNAME b.test.
dloop       DNAME dloop
grow        DNAME more.grow2
grow2       DNAME grow
long        DNAME aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.a.test.
)";

constexpr std::string_view kOther = R"(
$TTL 60
@     SOA   ns hostmaster 1 7200 600 604800 300
@     NS    ns
ns    A     198.51.100.53
back  CNAME www.a.test.
x     A     198.51.100.1
)";

struct Case {
    std::string_view question;
    std::string_view expected;
};

constexpr std::string_view kSoa = "AU a.test. 300 SOA ns.a.test. hostmaster.a.test. 1 7200 600 604800 300\n";

class Answer : public testing::Test {
protected:
    Answer() { served.zone("a.test", kZone).zone("b.test", kOther); }

    void check(std::initializer_list<Case> cases)
    {
        for (const Case& one : cases) EXPECT_EQ(served.ask(one.question), one.expected) << one.question;
    }
    static std::string with_soa(std::string_view head) { return std::string{head} + std::string{kSoa}; }

    Served served;
};

TEST_F(Answer, GivesDataWithoutAuthoritySection)
{
    check({
        {"www.a.test A", "NOERROR AA\nAN www.a.test. 3600 A 192.0.2.80\n"},
        {"WwW.A.tEsT AAAA", "NOERROR AA\nAN WwW.A.tEsT. 3600 AAAA 2001:db8::80\n"},
        {"a.test SOA", "NOERROR AA\nAN a.test. 3600 SOA ns.a.test. hostmaster.a.test. 1 7200 600 604800 300\n"},
        {"ns.b.test A", "NOERROR AA\nAN ns.b.test. 60 A 198.51.100.53\n"},
    });
    EXPECT_EQ(served.stats.answered.get(), 4U);
}

TEST_F(Answer, KnowsWhatIsNotItsOwn)
{
    check({{"www.elsewhere.test A", "not ours\n"},
           {"test A", "not ours\n"},
           {". NS", "not ours\n"},
           {"xa.test A", "not ours\n"}});
}

TEST_F(Answer, PutsAddressesBesideNamesThatAreOurs)
{
    check({
        {"a.test NS", "NOERROR AA\nAN a.test. 3600 NS ns.a.test.\nAD ns.a.test. 3600 A 192.0.2.53\n"
                      "AD ns.a.test. 3600 AAAA 2001:db8::53\n"},
        {"a.test MX", "NOERROR AA\nAN a.test. 3600 MX 10 mail.a.test.\nAN a.test. 3600 MX 20 mail.other.test.\n"
                      "AD mail.a.test. 3600 A 192.0.2.25\n"},
        {"_x._tcp.a.test SRV", "NOERROR AA\nAN _x._tcp.a.test. 3600 SRV 0 0 80 www.a.test.\n"
                               "AD www.a.test. 3600 A 192.0.2.80\nAD www.a.test. 3600 AAAA 2001:db8::80\n"},
        {"_y._tcp.a.test SRV", "NOERROR AA\nAN _y._tcp.a.test. 3600 SRV 0 0 80 .\n"},
        {"svc.a.test HTTPS",
         "NOERROR AA\nAN svc.a.test. 3600 HTTPS 1 . alpn=\"h2\"\nAD svc.a.test. 3600 A 192.0.2.44\n"},
        {"target.a.test SVCB", "NOERROR AA\nAN target.a.test. 3600 SVCB 1 www.a.test. alpn=\"h2\"\n"
                               "AD www.a.test. 3600 A 192.0.2.80\nAD www.a.test. 3600 AAAA 2001:db8::80\n"},
    });
}

TEST_F(Answer, SaysNoDataWithTheSoa)
{
    for (const auto* question :
         {"www.a.test MX", "a.test TXT", "ent.a.test A", "b.ent.a.test A", "new.a.test A", "wild.a.test A"}) {
        EXPECT_EQ(served.ask(question), with_soa("NOERROR AA\n")) << question;
    }
    EXPECT_EQ(served.stats.nodata.get(), 6U);
}

TEST_F(Answer, SaysNameErrorWithTheSoa)
{
    for (const auto* question : {"nope.a.test A", "x.www.a.test A", "c.b.ent.a.test TXT", "nope.ent.a.test ANY"}) {
        EXPECT_EQ(served.ask(question), with_soa("NXDOMAIN AA\n")) << question;
    }
    EXPECT_EQ(served.stats.nxdomain.get(), 4U);
}

TEST_F(Answer, FollowsAliases)
{
    check({
        {"alias.a.test A", "NOERROR AA\nAN alias.a.test. 3600 CNAME www.a.test.\nAN www.a.test. 3600 A 192.0.2.80\n"},
        {"alias2.a.test A", "NOERROR AA\nAN alias2.a.test. 3600 CNAME alias.a.test.\n"
                            "AN alias.a.test. 3600 CNAME www.a.test.\nAN www.a.test. 3600 A 192.0.2.80\n"},
        {"alias.a.test CNAME", "NOERROR AA\nAN alias.a.test. 3600 CNAME www.a.test.\n"},
        {"alias.a.test ANY", "NOERROR AA\nAN alias.a.test. 3600 CNAME www.a.test.\n"},
        {"across.a.test A", "NOERROR AA\nAN across.a.test. 3600 CNAME back.b.test.\n"
                            "AN back.b.test. 60 CNAME www.a.test.\nAN www.a.test. 3600 A 192.0.2.80\n"},
        {"away.a.test A", "NOERROR AA\nAN away.a.test. 3600 CNAME www.elsewhere.test.\n-> www.elsewhere.test.\n"},
        {"away.a.test CNAME", "NOERROR AA\nAN away.a.test. 3600 CNAME www.elsewhere.test.\n"},
    });
    EXPECT_EQ(served.ask("alias3.a.test A"), with_soa("NXDOMAIN AA\nAN alias3.a.test. 3600 CNAME missing.a.test.\n"));
    EXPECT_EQ(served.ask("alias4.a.test A"), with_soa("NOERROR AA\nAN alias4.a.test. 3600 CNAME ent.a.test.\n"));
    EXPECT_EQ(served.ask("alias.a.test MX"), with_soa("NOERROR AA\nAN alias.a.test. 3600 CNAME www.a.test.\n"));
}

TEST_F(Answer, EndsLoopsWithWhatItHas)
{
    check({
        {"loop1.a.test A",
         "NOERROR AA\nAN loop1.a.test. 3600 CNAME loop2.a.test.\nAN loop2.a.test. 3600 CNAME loop1.a.test.\n"},
        {"self.a.test A", "NOERROR AA\nAN self.a.test. 3600 CNAME self.a.test.\n"},
    });
    EXPECT_EQ(served.stats.chains_cut.get(), 2U);
    const auto grown = served.ask("x.grow.a.test A");
    EXPECT_TRUE(grown.starts_with("NOERROR AA\nAN grow.a.test. 3600 DNAME more.grow2.a.test.\n")) << grown;
    EXPECT_EQ(served.stats.chains_cut.get(), 3U);
}

TEST_F(Answer, CutsChainsAtTheirLimit)
{
    Served chain;
    std::string text = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nend A 192.0.2.1\nc20 CNAME end\n";
    for (int i = 0; i < 20; ++i) text += "c" + std::to_string(i) + " CNAME c" + std::to_string(i + 1) + "\n";
    chain.zone("c.test", text);
    // Eleven aliases by default: from c10 the end is reached, from c9 it is not.
    EXPECT_NE(chain.ask("c10.c.test A").find("192.0.2.1"), std::string::npos);
    EXPECT_EQ(chain.stats.chains_cut.get(), 0U);
    EXPECT_EQ(chain.ask("c9.c.test A").find("192.0.2.1"), std::string::npos);
    EXPECT_EQ(chain.stats.chains_cut.get(), 1U);
    chain.options.limits.cname_chain = 1;
    EXPECT_EQ(chain.ask("c0.c.test A"),
              "NOERROR AA\nAN c0.c.test. 60 CNAME c1.c.test.\nAN c1.c.test. 60 CNAME c2.c.test.\n");
    chain.options.limits.cname_chain = 1000; // never more than 16
    const auto longest = chain.ask("c0.c.test A");
    EXPECT_NE(longest.find("CNAME c17."), std::string::npos);
    EXPECT_EQ(longest.find("CNAME c18."), std::string::npos);
}

TEST_F(Answer, SynthesisesFromWildcards)
{
    check({
        {"foo.wild.a.test A", "NOERROR AA\nAN foo.wild.a.test. 3600 A 192.0.2.99\n"},
        {"foo.bar.wild.a.test TXT", "NOERROR AA\nAN foo.bar.wild.a.test. 3600 TXT \"wild\"\n"},
        {"*.wild.a.test A", "NOERROR AA\nAN *.wild.a.test. 3600 A 192.0.2.99\n"},
        {"x.y.wild.a.test A", "NOERROR AA\nAN x.y.wild.a.test. 3600 A 192.0.2.98\n"},
        {"foo.walias.a.test A",
         "NOERROR AA\nAN foo.walias.a.test. 3600 CNAME www.a.test.\nAN www.a.test. 3600 A 192.0.2.80\n"},
        {"foo.wmx.a.test MX",
         "NOERROR AA\nAN foo.wmx.a.test. 3600 MX 10 mail.a.test.\nAD mail.a.test. 3600 A 192.0.2.25\n"},
    });
    EXPECT_EQ(served.ask("foo.wild.a.test MX"), with_soa("NOERROR AA\n"));
    // An empty non-terminal exists, so the wildcard does not reach below it (RFC 4592 §2.2.2).
    EXPECT_EQ(served.ask("y.wild.a.test A"), with_soa("NOERROR AA\n"));
    EXPECT_EQ(served.ask("z.y.wild.a.test A"), with_soa("NXDOMAIN AA\n"));
    // A name below an asterisk makes the asterisk an empty non-terminal, which matches without data.
    EXPECT_EQ(served.ask("foo.wonly.a.test A"), with_soa("NOERROR AA\n"));
    // A wildcard does not match what stands below one of its own kind by name.
    EXPECT_EQ(served.ask("foo.x.*.wonly.a.test A"), with_soa("NXDOMAIN AA\n"));
}

TEST_F(Answer, RefersToDelegatedChildren)
{
    constexpr std::string_view kReferral =
        "NOERROR\n"
        "AU sub.a.test. 3600 NS ns.sub.a.test.\nAU sub.a.test. 3600 NS ns.b.test.\n"
        "AU sub.a.test. 3600 NS mail.a.test.\nAU sub.a.test. 3600 NS ns.elsewhere.test.\n"
        "AD ns.sub.a.test. 3600 A 192.0.2.10\nAD ns.sub.a.test. 3600 AAAA 2001:db8::10\n"
        "AD mail.a.test. 3600 A 192.0.2.25\n";
    for (const auto* question : {"sub.a.test A", "sub.a.test NS", "sub.a.test TXT", "ns.sub.a.test A",
                                 "deep.sub.a.test A", "nothing.at.all.sub.a.test ANY"}) {
        EXPECT_EQ(served.ask(question), kReferral) << question;
    }
    EXPECT_EQ(served.stats.referrals.get(), 6U);
    // A delegation whose servers have no address is all that can be said.
    EXPECT_EQ(served.ask("x.lame.a.test A"), "NOERROR\nAU lame.a.test. 3600 NS ns.lame.a.test.\n");
    EXPECT_TRUE(
        served.ask("tocut.a.test A")
            .starts_with(
                "NOERROR AA\nAN tocut.a.test. 3600 CNAME host.sub.a.test.\nAU sub.a.test. 3600 NS ns.sub.a.test.\n"));
}

TEST_F(Answer, AnswersDsOnTheParentsSide)
{
    EXPECT_EQ(served.ask("sub.a.test DS"), with_soa("NOERROR AA\n"));
    EXPECT_TRUE(served.ask("signed.a.test DS").starts_with("NOERROR AA\nAN signed.a.test. 3600 DS 1 13 2 0000"));
    EXPECT_TRUE(served.ask("x.signed.a.test DS").starts_with("NOERROR\nAU signed.a.test. 3600 NS"));
    EXPECT_EQ(served.ask("a.test DS"), with_soa("NOERROR AA\n"));
    Served both;
    both.zone("a.test", kZone).zone("signed.a.test", kOther);
    EXPECT_TRUE(both.ask("signed.a.test DS").starts_with("NOERROR AA\nAN signed.a.test. 3600 DS 1 13 2 0000"));
    EXPECT_EQ(both.ask("x.signed.a.test A"), "NOERROR AA\nAN x.signed.a.test. 60 A 198.51.100.1\n");
}

TEST_F(Answer, RedirectsByDname)
{
    check({
        {"x.old.a.test A", "NOERROR AA\nAN old.a.test. 3600 DNAME new.a.test.\n"
                           "AN x.old.a.test. 3600 CNAME x.new.a.test.\nAN x.new.a.test. 3600 A 192.0.2.66\n"},
        {"x.old.a.test CNAME",
         "NOERROR AA\nAN old.a.test. 3600 DNAME new.a.test.\nAN x.old.a.test. 3600 CNAME x.new.a.test.\n"},
        {"old.a.test DNAME", "NOERROR AA\nAN old.a.test. 3600 DNAME new.a.test.\n"},
        {"p.q.out.a.test A", "NOERROR AA\nAN out.a.test. 3600 DNAME elsewhere.test.\n"
                             "AN p.q.out.a.test. 3600 CNAME p.q.elsewhere.test.\n-> p.q.elsewhere.test.\n"},
        {"x.outb.a.test A", "NOERROR AA\nAN outb.a.test. 3600 DNAME b.test.\n"
                            "AN x.outb.a.test. 3600 CNAME x.b.test.\nAN x.b.test. 60 A 198.51.100.1\n"},
        {"x.dloop.a.test A",
         "NOERROR AA\nAN dloop.a.test. 3600 DNAME dloop.a.test.\nAN x.dloop.a.test. 3600 CNAME x.dloop.a.test.\n"},
    });
    EXPECT_EQ(served.ask("old.a.test A"), with_soa("NOERROR AA\n")); // the owner itself is not redirected
    EXPECT_EQ(served.ask("y.old.a.test A"), with_soa("NXDOMAIN AA\nAN old.a.test. 3600 DNAME new.a.test.\n"
                                                     "AN y.old.a.test. 3600 CNAME y.new.a.test.\n"));
}

TEST_F(Answer, SaysYxdomainWhereTheNewNameIsTooLong)
{
    const std::string label(60, 'x');
    const auto text = served.ask(label + ".long.a.test A");
    EXPECT_TRUE(text.starts_with("YXDOMAIN AA\nAN long.a.test. 3600 DNAME aaaa")) << text;
    EXPECT_EQ(text.find("CNAME"), std::string::npos);
}

TEST_F(Answer, GivesAnyAsRfc8482Says)
{
    EXPECT_EQ(served.ask("www.a.test ANY"),
              "NOERROR AA\nAN www.a.test. 3600 A 192.0.2.80\nAN www.a.test. 3600 AAAA 2001:db8::80\n");
    EXPECT_EQ(served.ask("www.a.test ANY", {.over_udp = true}), "NOERROR AA\nAN www.a.test. 3600 A 192.0.2.80\n");
    EXPECT_EQ(served.ask("foo.wild.a.test ANY", {.over_udp = true}),
              "NOERROR AA\nAN foo.wild.a.test. 3600 A 192.0.2.99\n");
    EXPECT_EQ(served.ask("ent.a.test ANY"), with_soa("NOERROR AA\n"));
}

TEST_F(Answer, RefusesWhatIsNoType)
{
    check({{"a.test AXFR", "REFUSED\n"},
           {"a.test IXFR", "REFUSED\n"},
           {"a.test MAILB", "NOTIMP\n"},
           {"a.test TYPE250", "NOTIMP\n"}});
}

TEST_F(Answer, ServesTheRoot)
{
    Served root;
    root.zone(".", "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n*.x A 192.0.2.2\n");
    EXPECT_EQ(root.ask(". NS"), "NOERROR AA\nAN . 60 NS ns.\nAD ns. 60 A 192.0.2.1\n");
    EXPECT_EQ(root.ask("a.b.x A"), "NOERROR AA\nAN a.b.x. 60 A 192.0.2.2\n");
    EXPECT_EQ(root.ask("nope A"), "NXDOMAIN AA\nAU . 5 SOA ns. h. 1 2 3 4 5\n");
    EXPECT_EQ(root.ask(". DS"), "NOERROR AA\nAU . 5 SOA ns. h. 1 2 3 4 5\n");
}

TEST_F(Answer, PrefersTheNearestZone)
{
    Served nested;
    nested.zone("a.test", kZone).zone("ent.a.test", kOther);
    EXPECT_EQ(nested.ask("x.ent.a.test A"), "NOERROR AA\nAN x.ent.a.test. 60 A 198.51.100.1\n");
    EXPECT_TRUE(nested.ask("a.b.ent.a.test A").starts_with("NXDOMAIN AA\nAU ent.a.test. 60 SOA"));
}

TEST_F(Answer, LooksUpTheLongestNames)
{
    std::string deep;
    for (int i = 0; i < 121; ++i) deep += "x.";
    EXPECT_EQ(served.ask(deep + "wild.a.test A").substr(0, 11), "NOERROR AA\n");
    EXPECT_EQ(served.ask(deep + "www.a.test A"), with_soa("NXDOMAIN AA\n"));
}

std::string many(std::string_view line, int count)
{
    std::string text = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n";
    for (int i = 0; i < count; ++i) {
        std::string one{line};
        for (auto at = one.find('#'); at != std::string::npos; at = one.find('#'))
            one.replace(at, 1, std::to_string(i));
        text += one + "\n";
    }
    return text;
}

TEST(Truncation, WritesLargeSetsWhole)
{
    Served served;
    served.zone("t.test", many("big TXT \"# " + std::string(230, 'x') + "\"", 100));
    const auto whole = served.ask("big.t.test TXT");
    EXPECT_GT(served.last_size, 24'000U);
    EXPECT_EQ(std::count(whole.begin(), whole.end(), '\n'), 101);
    // The smallest limit that holds it holds it; one octet less and nothing of the set is left.
    const std::size_t size = served.last_size;
    EXPECT_EQ(served.ask("big.t.test TXT", {.limit = size}), whole);
    EXPECT_EQ(served.ask("big.t.test TXT", {.limit = size - 1}), "NOERROR AA TC\n");
    EXPECT_EQ(served.stats.truncated.get(), 1U);
}

TEST(Truncation, KeepsTheSetsThatFit)
{
    Served served;
    served.zone("t.test", many("big TXT \"# " + std::string(230, 'x') + "\"", 10) + "alias CNAME big\n");
    EXPECT_EQ(served.ask("alias.t.test TXT", {.limit = 512}), "NOERROR AA TC\nAN alias.t.test. 60 CNAME big.t.test.\n");
}

TEST(Truncation, NeverComesFromOptionalAddresses)
{
    Served served;
    served.zone("t.test", many("@ MX 10 mail#\nmail# AAAA 2001:db8::#", 20));
    const auto whole = served.ask("t.test MX");
    EXPECT_EQ(whole.substr(0, 11), "NOERROR AA\n");
    // At most 16 names beside one answer by default.
    EXPECT_NE(whole.find("AD mail15.t.test."), std::string::npos);
    EXPECT_EQ(whole.find("AD mail16.t.test."), std::string::npos);
    const auto part = served.ask("t.test MX", {.limit = 512});
    EXPECT_EQ(part.substr(0, 11), "NOERROR AA\n");
    EXPECT_LT(part.size(), whole.size());
}

TEST(Truncation, ComesFromMissingGlue)
{
    Served served;
    served.zone("t.test", many("sub NS ns#.sub\nns#.sub AAAA 2001:db8::#", 13));
    const auto whole = served.ask("x.sub.t.test A");
    EXPECT_NE(whole.find("AD ns12.sub.t.test."), std::string::npos);
    // RFC 9471 §3: servers below the cut come with their addresses, or TC is set.
    EXPECT_EQ(served.ask("x.sub.t.test A", {.limit = 512}), "NOERROR TC\n");
}

TEST(Truncation, DoesNotComeFromGlueElsewhere)
{
    Served served;
    served.zone("t.test", many("sub NS ns#\nns# AAAA 2001:db8::#", 13));
    const auto part = served.ask("x.sub.t.test A", {.limit = 512});
    EXPECT_TRUE(part.starts_with("NOERROR\nAU sub.t.test. 60 NS ns0.t.test.\n")) << part;
}

} // namespace
} // namespace sallyport::zones
