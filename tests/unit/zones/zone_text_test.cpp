#include "served.hpp"

#include "zones/zone_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sallyport::zones {
namespace {

using test::problems_of;
using test::Served;

std::string zone(std::string_view rest) { return test::apex_soa() + "@ 3600 NS ns.a.test.\n" + std::string{rest}; }

struct Reads {
    std::string_view text; ///< after SOA and NS
    std::string_view question;
    std::string_view record; ///< of the answer
};

class ReadsText : public testing::TestWithParam<Reads> {};

TEST_P(ReadsText, AsRfc1035Says)
{
    Served served;
    served.zone("a.test", zone(GetParam().text));
    EXPECT_EQ(served.ask(GetParam().question), "NOERROR AA\nAN " + std::string{GetParam().record} + "\n");
}

constexpr Reads kReads[] = {
    {"x 60 IN A 192.0.2.1", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"x IN 60 A 192.0.2.1\n", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"x 1h2m3s A 192.0.2.1\n", "x.a.test A", "x.a.test. 3723 A 192.0.2.1"},
    {"x 1W A 192.0.2.1\n", "x.a.test A", "x.a.test. 604800 A 192.0.2.1"},
    {"x 2147483647 A 192.0.2.1\n", "x.a.test A", "x.a.test. 2147483647 A 192.0.2.1"},
    {"$TTL 5m\nx A 192.0.2.1\n", "x.a.test A", "x.a.test. 300 A 192.0.2.1"},
    {"y 77 A 192.0.2.2\nx A 192.0.2.1\n", "x.a.test A", "x.a.test. 77 A 192.0.2.1"},
    {"y 77 A 192.0.2.2\n$TTL 5\nx A 192.0.2.1\n", "x.a.test A", "x.a.test. 5 A 192.0.2.1"},
    {"x.a.test. 60 A 192.0.2.1\n", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"@ 60 A 192.0.2.1\n", "a.test A", "a.test. 60 A 192.0.2.1"},
    {"x 60 TXT one\n\n ; comment\n\tA 192.0.2.1\n", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"x 60 TXT one\r\n\t60 A 192.0.2.1\r\n", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"x 60 A ( ; comment )\n  192.0.2.1 ; another\n ) ; end\n", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"x 60 MX (10\nmail.b.test.)\n", "x.a.test MX", "x.a.test. 60 MX 10 mail.b.test."},
    {"x 60 MX 10 @\n", "x.a.test MX", "x.a.test. 60 MX 10 a.test."},
    {"x 60 MX 10 mail\n", "x.a.test MX", "x.a.test. 60 MX 10 mail.a.test."},
    {"x 60 TXT \"a;b (c)\" d\\;e\n", "x.a.test TXT", "x.a.test. 60 TXT \"a;b (c)\" \"d;e\""},
    {"x 60 TXT \"quote \\\" and \\\\\" \"\"\n", "x.a.test TXT", "x.a.test. 60 TXT \"quote \\\" and \\\\\" \"\""},
    {"x 60 TXT \\065\\066\n", "x.a.test TXT", "x.a.test. 60 TXT \"AB\""},
    {"a\\.b 60 A 192.0.2.1\n", "a\\.b.a.test A", "a\\.b.a.test. 60 A 192.0.2.1"},
    {"\\088 60 A 192.0.2.1\n", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"a\\;b 60 A 192.0.2.1\n", "a\\;b.a.test A", "a\\;b.a.test. 60 A 192.0.2.1"},
    {"$ORIGIN sub\nx 60 A 192.0.2.1\n", "x.sub.a.test A", "x.sub.a.test. 60 A 192.0.2.1"},
    {"$ORIGIN sub.a.test.\n@ 60 MX 1 m\n", "sub.a.test MX", "sub.a.test. 60 MX 1 m.sub.a.test."},
    {"x 60 A 192.0.2.1\n$ORIGIN sub\nx 60 A 192.0.2.2\n", "x.sub.a.test A", "x.sub.a.test. 60 A 192.0.2.2"},
    {"X 60 A 192.0.2.1\n", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"in 60 in a 192.0.2.1\n", "in.a.test A", "in.a.test. 60 A 192.0.2.1"},
    {"a 60 CLASS1 TYPE1 \\# 4 c0000201\n", "a.a.test A", "a.a.test. 60 A 192.0.2.1"},
    {"x 60 TYPE65280 \\# 3 010203\n", "x.a.test TYPE65280", "x.a.test. 60 TYPE65280 \\# 3 010203"},
    {"x 60 SVCB 1 y.b.test. alpn=\"h2,h3\" port=8443\n", "x.a.test SVCB",
     "x.a.test. 60 SVCB 1 y.b.test. alpn=\"h2,h3\" port=8443"},
    {"x 60 A 192.0.2.1\nx 60 A 192.0.2.1\n", "x.a.test A", "x.a.test. 60 A 192.0.2.1"},
    {"x 60 A 192.0.2.1\ny 5 A 192.0.2.9\nX.A.Test. 30 A 192.0.2.1\n", "x.a.test A", "x.a.test. 30 A 192.0.2.1"},
    {"$GENERATE 1-3 h$ 60 A 192.0.2.$\n", "h3.a.test A", "h3.a.test. 60 A 192.0.2.3"},
    {"$GENERATE 0-8/4 h${8,3} 60 IN CNAME x${-0,2,X}.b.test.\n", "h016.a.test CNAME",
     "h016.a.test. 60 CNAME x08.b.test."},
    {"$GENERATE 10-10 h${0,4,x} 60 TXT \"\\$ $$ $\"\n", "h000a.a.test TXT", "h000a.a.test. 60 TXT \"$ $ 10\""},
    {"$GENERATE 26-26 ${0,5,n}.r 60 PTR h${0,3,o}.b.test.\n", "a.1.0.r.a.test PTR",
     "a.1.0.r.a.test. 60 PTR h032.b.test."},
};

INSTANTIATE_TEST_SUITE_P(ZoneText, ReadsText, testing::ValuesIn(kReads));

TEST(ZoneText, TakesTheSoaMinimumWhereNothingElseGivesATtl)
{
    Served served;
    served.zone("a.test", "@ SOA ns h 1 2 3 4 299\n@ NS ns\nx A 192.0.2.1\n");
    EXPECT_EQ(served.ask("x.a.test A"), "NOERROR AA\nAN x.a.test. 299 A 192.0.2.1\n");
}

TEST(ZoneText, ReadsTtls)
{
    EXPECT_EQ(parse_ttl("0"), 0U);
    EXPECT_EQ(parse_ttl("1w2d3h4m5s"), 604800U + 172800U + 10800U + 240U + 5U);
    EXPECT_EQ(parse_ttl("1H30"), 3630U);
    for (const auto* bad : {"", "h", "1x", "1hh", "-1", "1.5h"}) EXPECT_FALSE(parse_ttl(bad)) << bad;
    EXPECT_GT(parse_ttl("99999999999999999999w").value(), 0x7FFFFFFFU);
}

struct Wrong {
    std::string_view text; ///< begins in line 3
    std::string_view problems;
};

class RefusesText : public testing::TestWithParam<Wrong> {};

TEST_P(RefusesText, WithPositionAndExpectation)
{
    EXPECT_EQ(problems_of(zone(GetParam().text)), GetParam().problems) << GetParam().text;
}

constexpr Wrong kWrong[] = {
    {"x 60 IN\n", "3:6: the record ends here, expected a type\n"},
    {"x\n", "3:1: the record ends here, expected a type\n"},
    {"x 60 IN AX 1\n", "3:9: 'AX' is no record type, expected a type like A or TYPE65280\n"},
    {"x 60 IN ANY 1\n", "3:9: 'ANY' is no type of zone data, expected a type like A or TYPE65280\n"},
    {"x 60 OPT 1\n", "3:6: 'OPT' is no type of zone data, expected a type like A or TYPE65280\n"},
    {"x 60 60 A 192.0.2.1\n", "3:6: '60' is no record type, expected a type like A or TYPE65280\n"},
    {"x 60 IN IN A 192.0.2.1\n", "3:9: 'IN' is no record type, expected a type like A or TYPE65280\n"},
    {"x 60 CH TXT x\n", "3:6: class 'CH' is not served, expected IN\n"},
    {"x HS TXT x\n", "3:3: class 'HS' is not served, expected IN\n"},
    {"x 2147483648 A 192.0.2.1\n", "3:3: TTL '2147483648' is too large, expected at most 2147483647 seconds\n"},
    {"x 5000w A 192.0.2.1\n", "3:3: TTL '5000w' is too large, expected at most 2147483647 seconds\n"},
    {"$TTL soon\n", "3:6: 'soon' is no TTL, expected seconds or a time like 1h30m\n"},
    {"$TTL\n", "3:1: $TTL takes one thing, expected a TTL\n"},
    {"$ORIGIN\n", "3:1: $ORIGIN takes one thing, expected a domain name\n"},
    {"$ORIGIN a..b\n", "3:9: 'a..b' is no domain name, expected labels of 1 to 63 octets\n"},
    {"$FOO bar\n", "3:1: '$FOO' is no directive, expected $ORIGIN, $TTL, $INCLUDE or $GENERATE\n"},
    {"$INCLUDE /etc/passwd\n", "3:1: $INCLUDE is not taken here, expected records; only zone files may include\n"},
    {"x.b.test. 60 A 192.0.2.1\n", "3:1: x.b.test. is outside the zone, expected a name at or below a.test.\n"},
    {"xa.test. 60 A 192.0.2.1\n", "3:1: xa.test. is outside the zone, expected a name at or below a.test.\n"},
    {"a..b 60 A 192.0.2.1\n", "3:1: 'a..b' is no domain name, expected labels of 1 to 63 octets\n"},
    {"\"x\" 60 A 192.0.2.1\n", "3:1: '\"x\"' is no domain name, expected a domain name\n"},
    {"x 60 TXT \"open\ny 60 A 192.0.2.1\n", "3:10: quoted text is not closed, expected '\"' in the same line\n"},
    {"x 60 A ( 192.0.2.1\n", "3:8: parenthesis is not closed, expected ')'\n"},
    {"x 60 A 192.0.2.1 )\n", "3:18: ')' without '(', expected a record or the end of the line\n"},
    {"x 60 TXT a\\\n", "3:12: line ends after '\\', expected the character it escapes\n"},
    {"$GENERATE 1-3 h$\n", "3:15: $GENERATE is not whole, expected $GENERATE RANGE OWNER [TTL] [CLASS] TYPE RDATA\n"},
    {"$GENERATE 3-1 h$ A 192.0.2.$\n", "3:11: '3-1' is no range, expected START-STOP or START-STOP/STEP\n"},
    {"$GENERATE 1-3/0 h$ A 192.0.2.$\n", "3:11: '1-3/0' is no range, expected START-STOP or START-STOP/STEP\n"},
    {"$GENERATE x h$ A 192.0.2.$\n", "3:11: 'x' is no range, expected START-STOP or START-STOP/STEP\n"},
    {"$GENERATE 0-65535 h$ A 192.0.2.1\n", "3:11: $GENERATE makes 65536 names, expected at most 65535\n"},
    {"$GENERATE 1-3 h${0,2,z} A 192.0.2.$\n",
     "3:15: '${0,2,z}' is no modifier, expected ${OFFSET,WIDTH,BASE} with base d, o, x, X, n or N\n"},
    {"$GENERATE 1-3 h${0 A 192.0.2.$\n",
     "3:15: '${0' is no modifier, expected ${OFFSET,WIDTH,BASE} with base d, o, x, X, n or N\n"},
    {"$GENERATE 1-3 h${-2} A 192.0.2.$\n", "3:15: the offset makes -1, expected 0 or more\n"},
};

INSTANTIATE_TEST_SUITE_P(ZoneText, RefusesText, testing::ValuesIn(kWrong));

TEST(ZoneText, RefusesWrongRdataAtItsPlace)
{
    for (const auto* text :
         {"x 60 A 192.0.2\n", "x 60 A\n", "x 60 MX mail\n", "x 60 AAAA 1.2.3.4\n", "x 60 SOA ns h 1 2 3 4\n",
          "x 60 A 192.0.2.1 192.0.2.2\n", "x 60 TYPE1 \\# 3 010203\n", "x 60 CAA 0 issue\n"}) {
        const auto problems = problems_of(zone(text));
        EXPECT_TRUE(problems.starts_with("3:")) << problems;
        EXPECT_NE(problems.find("expected"), std::string::npos) << problems;
        EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 1) << problems;
    }
    EXPECT_TRUE(problems_of(zone("x 60 A 192.0.2\n")).starts_with("3:8: "));
}

TEST(ZoneText, RefusesABlankOwnerBeforeAny)
{
    EXPECT_EQ(problems_of("\n $TTL 5\n"),
              "2:2: line begins with a blank but no owner came before, expected an owner name\n");
}

TEST(ZoneText, GivesNoRecordToTheOwnerBeforeAWrongOne)
{
    EXPECT_EQ(problems_of(zone("a..b 60 A 192.0.2.1\n 60 TXT x\n")),
              "3:1: 'a..b' is no domain name, expected labels of 1 to 63 octets\n"
              "4:2: line begins with a blank but no owner came before, expected an owner name\n");
}

TEST(ZoneText, RefusesNul)
{
    using namespace std::string_view_literals;
    const auto problems = problems_of(zone("x 60 TXT a\0b\ny 60 A 192.0.2\n"sv));
    EXPECT_TRUE(problems.starts_with("3:11: octet 0 in zone text, expected text")) << problems;
    EXPECT_NE(problems.find("\n4:8: "), std::string::npos) << problems;
}

TEST(ZoneText, TellsAllProblemsInOneRun)
{
    const auto problems = problems_of(zone("x 60 A nope\ny 60 NOPE\nz 60 AAAA nope\nw 60 A 192.0.2.1\n"));
    EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 3);
}

TEST(ZoneText, GivesUpAfterTooManyProblems)
{
    std::string text = zone("");
    for (int i = 0; i < 200; ++i) text += "x 60 NOPE\n";
    const auto problems = problems_of(text);
    EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 101);
    EXPECT_NE(problems.find("102:6: 100 problems in zone a.test., the rest is not looked at"), std::string::npos);
    Limits limits;
    limits.problems = 3;
    const auto few = problems_of(text, "a.test", limits);
    EXPECT_EQ(std::count(few.begin(), few.end(), '\n'), 4);
}

TEST(ZoneText, LimitsTheLengthOfAnEntry)
{
    Limits limits;
    limits.entry_octets = 100;
    EXPECT_EQ(problems_of(zone("x 60 TXT " + std::string(200, 'x') + "\n"), "a.test", limits),
              "3:1: entry is longer than 100 octets\n");
    EXPECT_EQ(problems_of(zone("x 60 TXT (\n" + std::string(200, 'x') + "\n"), "a.test", limits),
              "3:10: entry is longer than 100 octets, expected the parenthesis opened here to be closed\n");
    // Comments do not count.
    EXPECT_EQ(problems_of(zone("x 60 TXT x ;" + std::string(2000, 'x') + "\n"), "a.test", limits), "");
}

TEST(ZoneText, RefusesATtlThatNobodyGives)
{
    EXPECT_EQ(problems_of("@ NS ns\n"), "1:1: the record has no TTL and none came before, expected a TTL or $TTL\n");
}

TEST(ZoneText, LimitsRecords)
{
    Limits limits;
    limits.records = 3;
    EXPECT_EQ(problems_of(zone("x 60 A 192.0.2.1\ny 60 A 192.0.2.1\nz 60 A 192.0.2.1\n"), "a.test", limits),
              "4:1: zone a.test. is too large, expected at most 3 records and 4 GiB\n");
    limits = {};
    limits.records_per_set = 2;
    EXPECT_EQ(problems_of(zone("x 60 A 192.0.2.1\nx 60 A 192.0.2.2\nx 60 A 192.0.2.3\n"), "a.test", limits),
              "3:1: x.a.test. A has 3 records, expected at most 2\n");
    limits = {};
    limits.sets_per_name = 2;
    EXPECT_EQ(problems_of(zone("x 60 A 192.0.2.1\nx 60 TXT x\nx 60 AAAA ::1\n"), "a.test", limits),
              "5:1: x.a.test. has too many record sets, expected at most 2\n");
    limits = {};
    limits.generate_names = 2;
    EXPECT_EQ(problems_of(zone("$GENERATE 1-3 h$ 60 A 192.0.2.$\n"), "a.test", limits),
              "3:11: $GENERATE makes 3 names, expected at most 2\n");
}

struct Inconsistent {
    std::string_view text;
    std::string_view problems;
};

class RefusesZone : public testing::TestWithParam<Inconsistent> {};

TEST_P(RefusesZone, ThatContradictsItself) { EXPECT_EQ(problems_of(GetParam().text), GetParam().problems); }

constexpr Inconsistent kInconsistent[] = {
    {"",
     "0:0: zone a.test. has no SOA, expected one at its apex\n0:0: zone a.test. has no NS, expected one at its apex\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n", "0:0: zone a.test. has no NS, expected one at its apex\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\n@ 60 SOA ns h 2 2 3 4 5\n",
     "1:1: a.test. SOA is there more than once, expected one\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx 60 SOA ns h 2 2 3 4 5\n",
     "3:1: x.a.test. SOA is not at the apex, expected it at a.test. only\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx 60 CNAME y\nx 60 A 192.0.2.1\n",
     "4:1: x.a.test. A stands beside a CNAME, expected no other data there (RFC 1034 §3.6.2)\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx 60 CNAME y\nx 60 CNAME z\n",
     "3:1: x.a.test. CNAME is there more than once, expected one\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx 60 DNAME y\nx 60 DNAME z\n",
     "3:1: x.a.test. DNAME is there more than once, expected one\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx 60 DNAME y\nw.x 60 A 192.0.2.1\n",
     "4:1: w.x.a.test. A is below a DNAME, expected no data there (RFC 6672 §2.4)\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx 60 DNAME y\nx 60 NS z\n",
     "3:1: x.a.test. DNAME stands beside NS, expected it there at the apex only\n"},
    {"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nx 60 NSEC3 1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A\n",
     "3:1: x.a.test. NSEC3 has an owner that is no hash, expected 32 characters of base32hex below the apex\n"},
};

INSTANTIATE_TEST_SUITE_P(ZoneCheck, RefusesZone, testing::ValuesIn(kInconsistent));

TEST(ZoneCheck, TakesWhatMayStandThere)
{
    EXPECT_EQ(problems_of(zone("x 60 CNAME y\nx 60 NSEC z CNAME NSEC\n")), "");
    EXPECT_EQ(problems_of(zone("sub 60 NS ns.sub\nns.sub 60 A 192.0.2.1\nns.sub 60 TXT occluded\n")), "");
    EXPECT_EQ(problems_of(zone("mail 60 CNAME y\n@ 60 MX 1 mail\n@ 60 DNAME b.test.\n")),
              "3:1: mail.a.test. CNAME is below a DNAME, expected no data there (RFC 6672 §2.4)\n");
    EXPECT_EQ(problems_of(zone("mail 60 CNAME y\n@ 60 MX 1 mail\n")), "");
}

} // namespace
} // namespace sallyport::zones
