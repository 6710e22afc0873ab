#include "wire/rdata.hpp"

#include "wire_test_support.hpp"

#include <gtest/gtest.h>

#include <random>

namespace sallyport::wire {
namespace {

using test::from_hex;
using test::name;
using test::Octets;

// Types without an enumerator.
constexpr RrType kMb{7};
constexpr RrType kMinfo{14};
constexpr RrType kX25{19};
constexpr RrType kIsdn{20};
constexpr RrType kRt{21};
constexpr RrType kPx{26};
constexpr RrType kGpos{27};
constexpr RrType kDsync{66};
constexpr RrType kSpf{99};
constexpr RrType kNid{104};
constexpr RrType kL32{105};
constexpr RrType kL64{106};
constexpr RrType kLp{107};

/// A text, and how it is printed: one of each type the gateway serves.
struct Sample {
    RrType type;
    const char* text;
    const char* printed; ///< null: as it was read
};

const Sample kSamples[] = {
    {RrType::A, "192.0.2.1", nullptr},
    {RrType::AAAA, "2001:DB8:0:0::1", "2001:db8::1"},
    {RrType::AFSDB, "1 afs", "1 afs.gate.test."},
    {RrType::CAA, "128 issue \"ca.test; policy=ev\"", nullptr},
    {RrType::CAA, "0 iodef mailto:a@b.test", "0 iodef \"mailto:a@b.test\""},
    {RrType::CDNSKEY, "257 3 13 AwEAAQ==", nullptr},
    {RrType::CDNSKEY, "0 3 0 AA==", nullptr},
    {RrType::CDS, "0 0 0 00", nullptr},
    {RrType::CERT, "PKIX 65535 RSASHA256 AwEA AQ==", "1 65535 8 AwEAAQ=="},
    {RrType::CNAME, "www", "www.gate.test."},
    {RrType::CSYNC, "66 3 A NS AAAA", nullptr},
    {RrType::DHCID, "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", nullptr},
    {RrType::DLV, "12345 8 2 00FF", nullptr},
    {RrType::DNAME, "@", "gate.test."},
    {RrType::DNSKEY, "257 3 ECDSAP256SHA256 ( AwEA\n AQ== )", "257 3 13 AwEAAQ=="},
    {RrType::DS, "12345 13 2 0011 2233 4 4", "12345 13 2 0011223344"},
    {RrType::EUI48, "00-00-5E-00-53-2a", "00-00-5e-00-53-2a"},
    {RrType::EUI64, "00-00-5e-ef-10-00-00-2a", nullptr},
    {RrType::HINFO, "PC-Intel \"De bian\"", "\"PC-Intel\" \"De bian\""},
    {RrType::HIP, "2 200100107B1A74DF365639CC39F1D578 AwEAAbdx rvs1 rvs2.",
     "2 200100107B1A74DF365639CC39F1D578 AwEAAbdx rvs1.gate.test. rvs2."},
    {RrType::HTTPS, "1 . alpn=h2,h3 port=8443", "1 . alpn=\"h2,h3\" port=8443"},
    {RrType::IPSECKEY, "10 0 2 . AQNR", nullptr},
    {RrType::IPSECKEY, "10 1 2 192.0.2.38 AQNR", nullptr},
    {RrType::IPSECKEY, "10 2 2 2001:db8::38 AQNR", nullptr},
    {RrType::IPSECKEY, "10 3 0 gw", "10 3 0 gw.gate.test."},
    {RrType::KEY, "256 3 8 AwEAAQ==", nullptr},
    {RrType::KX, "10 kx.test.", nullptr},
    {RrType::LOC, "42 21 54 N 71 06 18 W -24m 30m 10000m 10m", "42 21 54.000 N 71 06 18.000 W -24m 30m 10000m 10m"},
    {RrType::MX, "10 mail", "10 mail.gate.test."},
    {RrType::NAPTR, "100 10 \"u\" \"E2U+sip\" \"!^.*$!sip:\\\\1@x!\" .", nullptr},
    {RrType::NS, "ns1", "ns1.gate.test."},
    {RrType::NSEC, "b A NS TYPE1234 RRSIG", "b.gate.test. A NS RRSIG TYPE1234"},
    {RrType::NSEC3, "1 1 10 AABBCCDD 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM A RRSIG",
     "1 1 10 AABBCCDD 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom A RRSIG"},
    {RrType::NSEC3, "1 0 0 - 0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", nullptr},
    {RrType::NSEC3PARAM, "1 0 0 -", nullptr},
    {RrType::OPENPGPKEY, "AwEAAQ==", nullptr},
    {RrType::PTR, "host.test.", nullptr},
    {RrType::RP, "admin txt", "admin.gate.test. txt.gate.test."},
    {RrType::RRSIG, "AAAA RSASHA256 3 1h 20260131235959 1700000000 12345 gate.test. AwEAAQ==",
     "AAAA 8 3 3600 20260131235959 20231114221320 12345 gate.test. AwEAAQ=="},
    {RrType::SIG, "A 8 3 300 21060207062815 19700101000000 1 . AwEAAQ==", nullptr},
    {RrType::SMIMEA, "3 1 1 00FF", nullptr},
    {RrType::SOA, "ns admin 4294967295 1h 10M 1w2d 300",
     "ns.gate.test. admin.gate.test. 4294967295 3600 600 777600 300"},
    {RrType::SRV, "1 2 65535 host", "1 2 65535 host.gate.test."},
    {RrType::SSHFP, "4 2 00FF", nullptr},
    {RrType::SVCB, "0 alias.test.", nullptr},
    {RrType::TLSA, "3 1 1 00ff", "3 1 1 00FF"},
    {RrType::TXT, "\"a b\" c\\\"d \"\" \"\\007\\255;\"", "\"a b\" \"c\\\"d\" \"\" \"\\007\\255;\""},
    {RrType::URI, "10 1 \"https://gate.test/?a;b\"", nullptr},
    {RrType::ZONEMD, "1 1 1 000102030405060708090A0B", nullptr},
    {kMb, "mail", "mail.gate.test."},
    {kMinfo, "admin .", "admin.gate.test. ."},
    {kX25, "\"311061700956\"", nullptr},
    {kIsdn, "150862028003217 004", "\"150862028003217\" \"004\""},
    {kRt, "2 relay", "2 relay.gate.test."},
    {kPx, "10 a.test. b.test.", nullptr},
    {kGpos, "-32.6882 116.8652 10.0", "\"-32.6882\" \"116.8652\" \"10.0\""},
    {kDsync, "CDS 1 5359 scanner.test.", nullptr},
    {kSpf, "\"v=spf1 -all\"", nullptr},
    {kNid, "10 14:4fff:FF20:ee64", "10 0014:4fff:ff20:ee64"},
    {kL32, "10 10.1.2.0", nullptr},
    {kL64, "10 2001:0db8:1140:1000", nullptr},
    {kLp, "10 l64", "10 l64.gate.test."},
    {static_cast<RrType>(65280), "\\# 3 00 1122", "\\# 3 001122"},
    {static_cast<RrType>(65280), "\\# 0", nullptr},
    {RrType::A, "\\# 4 C0000201", "192.0.2.1"},
    {RrType::A, "( 192.0.2.1 ) ; a comment", "192.0.2.1"},
};

TEST(RdataText, EveryTypeReadsAndPrints)
{
    const Name origin = name("gate.test.");
    for (const Sample& sample : kSamples) {
        const auto rdata = rdata_from_text(sample.type, sample.text, origin);
        ASSERT_TRUE(rdata) << to_string(sample.type) << " " << sample.text << ": " << rdata.error().message;
        EXPECT_TRUE(check_rdata(sample.type, *rdata)) << sample.text;
        const std::string printed = rdata_to_text(sample.type, *rdata);
        EXPECT_EQ(printed, sample.printed != nullptr ? sample.printed : sample.text);
        const auto again = rdata_from_text(sample.type, printed, Name{});
        ASSERT_TRUE(again) << printed;
        EXPECT_EQ(*again, *rdata) << printed;
    }
}

TEST(RdataText, WritesTheOctetsOfItsRfc)
{
    const Name origin;
    EXPECT_EQ(rdata_from_text(RrType::MX, "10 a.b.", origin).value(), from_hex("000a 01 61 01 62 00"));
    EXPECT_EQ(rdata_from_text(RrType::TXT, "ab \"c d\"", origin).value(), from_hex("02 6162 03 632064"));
    EXPECT_EQ(rdata_from_text(RrType::NSEC, "a. TYPE1234 A", origin).value(),
              from_hex("01 61 00 0001 40 041b 000000000000000000000000000000000000000000000000000020"));
    EXPECT_EQ(rdata_from_text(RrType::CAA, "0 issue \"ca\"", origin).value(), from_hex("00 05 6973737565 6361"));
    EXPECT_EQ(rdata_from_text(RrType::NSEC3PARAM, "1 0 12 aabb", origin).value(), from_hex("01 00 000c 02 aabb"));
}

TEST(RdataText, WhatDoesNotFitItsTypeIsAProblemThatSaysWhatWasExpected)
{
    struct Bad {
        RrType type;
        const char* text;
        const char* message;
    };
    const Bad bad[] = {
        {RrType::A, "", "expected an IPv4 address, found the end"},
        {RrType::A, "192.0.2", "expected an IPv4 address, found \"192.0.2\""},
        {RrType::A, "192.0.2.256", "expected an IPv4 address"},
        {RrType::A, "192.0.2.0001", "expected an IPv4 address"},
        {RrType::A, "192.0.2.1 x", "expected nothing more, found \"x\""},
        {RrType::AAAA, "2001:db8::1::2", "expected an IPv6 address"},
        {RrType::AAAA, "192.0.2.1", "expected an IPv6 address"},
        {RrType::MX, "mail", "expected a number from 0 to 65535, found \"mail\""},
        {RrType::MX, "65536 mail", "expected a number from 0 to 65535"},
        {RrType::MX, "-1 mail", "expected a number from 0 to 65535"},
        {RrType::NS, "a..b", "expected a domain name"},
        {RrType::TXT, "\"open", "expected \" at the end of a string"},
        {RrType::TXT, "\\25", "expected a string of at most 255 octets"},
        {RrType::TXT, "", "expected a string of at most 255 octets, found the end"},
        {RrType::SOA, "a. b. 1 2x 3 4 5", "expected seconds"},
        {RrType::DS, "1 2 3", "expected hexadecimal digits, found the end"},
        {RrType::DS, "1 2 3 abc", "expected hexadecimal digits"},
        {RrType::DNSKEY, "257 3 8 AwE", "expected base64"},
        {RrType::DNSKEY, "257 3 8 AwF=", "expected base64"},
        {RrType::DNSKEY, "257 3 NONSENSE AwEA", "expected a DNSSEC algorithm"},
        {RrType::RRSIG, "A 8 1 1 20261331235959 1 1 . AwEA", "expected a time"},
        {RrType::RRSIG, "A 8 1 1 99991231235959 1 1 . AwEA", "expected a time"},
        {RrType::NSEC, "a. NONSENSE", "expected record types"},
        {RrType::NSEC3, "1 0 0 zz aa", "expected a salt"},
        {RrType::EUI48, "00-00-5e-00-53", "expected an EUI-48"},
        {RrType::EUI48, "00-00-5e-00-53.2a", "expected an EUI-48"},
        {kIsdn, "1 2 3", "expected values that fit ISDN data"},
        {kNid, "10 0014:4fff:ff20", "expected four groups"},
        {kNid, "10 0:0:0:0:0", "expected four groups"},
        {kNid, "10 0:0::0", "expected four groups"},
        {kNid, "10 0:0:0:00000", "expected four groups"},
        {kNid, "10 0:0:0:g", "expected four groups"},
        {RrType::CAA, "0 \"is sue\" x", "expected values that fit CAA data"},
        {RrType::IPSECKEY, "10 1 2 gw. AQNR", "expected a gateway"},
        {RrType::IPSECKEY, "10 9 2 . AQNR", "expected a gateway"},
        {RrType::HIP, "2 00", "expected algorithm, HIT"},
        {RrType::LOC, "nowhere", "expected LOC data"},
        {RrType::A, "\\# 3 c00002", "expected octets that are A data"},
        {RrType::A, "\\# 5 c0000201", "expected 5 octets of data, found 4"},
        {RrType::A, "\\# x", "expected the length"},
        {RrType::A, "\\# 1 zz", "expected hexadecimal digits"},
        {static_cast<RrType>(65280), "1 2", "expected \\# with length"},
        {RrType::TSIG, "x", "expected \\# with length"},
    };
    for (const Bad& entry : bad) {
        const auto rdata = rdata_from_text(entry.type, entry.text, Name{});
        ASSERT_FALSE(rdata) << entry.text;
        EXPECT_TRUE(rdata.error().message.starts_with(entry.message)) << entry.text << ": " << rdata.error().message;
    }
    EXPECT_FALSE(rdata_from_text(RrType::TXT, std::string(256, 'a'), Name{}));
    EXPECT_TRUE(rdata_from_text(RrType::TXT, std::string(255, 'a'), Name{}));
}

TEST(RdataText, ProblemsShowNoControlCharacters)
{
    const auto rdata = rdata_from_text(RrType::A, "\x1b[31m" + std::string(100, 'x'), Name{});
    EXPECT_EQ(rdata.error().message, "expected an IPv4 address, found \"\\027[31m" + std::string(35, 'x') + "\"");
}

TEST(RdataText, TooMuchDataIsRefused)
{
    std::string text;
    for (int i = 0; i < 256; ++i) text += std::string(255, 'a') + " ";
    EXPECT_FALSE(rdata_from_text(RrType::TXT, text, Name{}));
}

TEST(RdataText, WhatHasNoOtherTextPrintsAsOctets)
{
    EXPECT_EQ(rdata_to_text(RrType::A, from_hex("c00002")), "\\# 3 C00002");
    EXPECT_EQ(rdata_to_text(RrType::DS, from_hex("0001 08 02")), "\\# 4 00010802"); // a digest of no octets
    EXPECT_EQ(rdata_to_text(RrType::NS, from_hex("c00c")), "\\# 2 C00C");
    EXPECT_EQ(rdata_to_text(RrType::LOC, from_hex("01 000000 00000000 00000000 00000000")),
              "\\# 16 01000000000000000000000000000000"); // a version that is not known
}

TEST(RdataText, AnyOctetsPrintAndReadBack)
{
    std::mt19937 random{4};
    for (unsigned type = 1; type < 300; ++type) {
        for (int i = 0; i < 50; ++i) {
            Octets rdata(random() % 40);
            for (auto& octet : rdata) octet = static_cast<std::uint8_t>(random() % 4 == 0 ? random() : random() % 5);
            const auto rr_type = static_cast<RrType>(type);
            const std::string text = rdata_to_text(rr_type, rdata);
            if (!check_rdata(rr_type, rdata)) continue;
            const auto again = rdata_from_text(rr_type, text, Name{});
            ASSERT_TRUE(again) << to_string(rr_type) << " " << text << ": " << again.error().message;
            ASSERT_EQ(*again, rdata) << to_string(rr_type) << " " << text;
        }
    }
}

} // namespace
} // namespace sallyport::wire
