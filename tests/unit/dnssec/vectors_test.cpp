#include "dnssec/verify.hpp"

#include "signer.hpp"

#include <gtest/gtest.h>

using namespace sallyport;
using namespace sallyport::dnssec;
using namespace sallyport::dnssec_testing;
using enum wire::RrType;

namespace {

/// An example of an RFC: a key, what it signed, and the signature.
struct Example {
    const char* where;
    const char* zone;
    const char* dnskey;
    const char* owner;
    wire::RrType type;
    const char* data;
    const char* rrsig;
};

// RFC 8080 with verified erratum 4935, which puts the label count of the Edwards signatures right.
constexpr Example kExamples[] = {
    {"RFC 5702 6.2", "example.net.",
     "256 3 10 "
     "AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6pnWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDtJCQ5P"
     "Cl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQBlZ3PFY12ZTSncorffcGmhOL",
     "www.example.net.", A, "192.0.2.91",
     "A 10 3 3600 20300101000000 20000101000000 3740 example.net. "
     "tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0Cbxr"
     "VDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm/"
     "zpq+9fOuagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDL"
     "w="},
    {"RFC 6605 6.1", "example.net.",
     "257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==",
     "www.example.net.", A, "192.0.2.1",
     "A 13 3 3600 20100909100439 20100812100439 55648 example.net. "
     "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPF"
     "KG7tZoLBLlUzGGus7ZwmwWep666VCw=="},
    {"RFC 6605 6.2", "example.net.",
     "257 3 14 "
     "xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur"
     "8I/mlVNgF6W/qTI37m40",
     "www.example.net.", A, "192.0.2.1",
     "A 14 3 3600 20100909102025 20100812102025 10771 example.net. "
     "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGC"
     "eZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm"},
    {"RFC 8080 6.1", "example.com.", "257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=", "example.com.", MX,
     "10 mail.example.com.",
     "MX 15 2 3600 1440021600 1438207200 3613 example.com. "
     "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M"
     "3e23mRZ9VrbpMngwcrqNAg=="},
    {"RFC 8080 6.1", "example.com.", "257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=", "example.com.", MX,
     "10 mail.example.com.",
     "MX 15 2 3600 1440021600 1438207200 35217 example.com. "
     "zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5p"
     "oJ7gD7AQR0O7KuI5k2pcBg=="},
    {"RFC 8080 6.2", "example.com.",
     "257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA", "example.com.", MX,
     "10 mail.example.com.",
     "MX 16 2 3600 1440021600 1438207200 9713 example.com. "
     "3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndk"
     "mnBZ6SKiwZSAxGILn/NBtOXft0+Gj7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA"},
};

Verdict judge(const Example& example)
{
    OwnedRrset set = rrset(example.owner, example.type, {example.data});
    set.signatures = {rdata(RRSIG, example.rrsig)};
    const Octets key = rdata(DNSKEY, example.dnskey);
    const base::Bytes view = key;
    const Policy policy;
    ZoneKeys keys{name(example.zone), {&view, 1}, policy.algorithms};
    Budget budget{policy.limits};
    RrsetVerifier verifier{set.view(), keys, policy, read_rrsig(set.signatures[0])->inception + std::int64_t{60}};
    EXPECT_EQ(verifier.step(budget), Step::done);
    return verifier.verdict();
}

} // namespace

TEST(Vectors, SignaturesOfTheRfcsHold)
{
    for (const Example& example : kExamples) {
        const Verdict verdict = judge(example);
        EXPECT_TRUE(verdict.is_secure()) << example.where << ": " << verdict.reason;
        EXPECT_EQ(verdict.key_tag, key_tag(rdata(DNSKEY, example.dnskey)));
    }
}

TEST(Vectors, AKeyOf512BitsIsNone)
{
    // RFC 5702 §6.1 has one.
    const Verdict verdict =
        judge({"RFC 5702 6.1", "example.net.",
               "256 3 8 AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=",
               "www.example.net.", A, "192.0.2.91",
               "A 8 3 3600 20300101000000 20000101000000 9033 example.net. "
               "kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriSh"
               "ZNz85mwlMgNEacFYK/lPtPiVYP4bwg=="});
    EXPECT_TRUE(verdict.is_bogus());
}

TEST(Vectors, DigestsOfTheRfcsFit)
{
    struct Case {
        const char* owner;
        const char* dnskey;
        const char* ds;
    };
    constexpr Case kCases[] = {
        // RFC 4034 §5.4, RFC 4509 §2.3
        {"dskey.example.com.",
         "256 3 5 "
         "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7"
         "OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
         "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118"},
        {"dskey.example.com.",
         "256 3 5 "
         "AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7"
         "OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==",
         "60485 5 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A"},
        // RFC 6605 §6
        {"example.net.", kExamples[1].dnskey,
         "55648 13 2 B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17"},
        {"Example.NET.", kExamples[2].dnskey,
         "10771 14 4 72D7B62976CE06438E9C0BF319013CF801F09ECC84B8D7E9495F27E305C6A9B0563A9B5F4D288405C3008A946DF983D6"},
        // RFC 8080 §6
        {"example.com.", kExamples[3].dnskey,
         "3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b"},
        {"example.com.", kExamples[4].dnskey,
         "35217 15 2 401781b934e392de492ec77ae2e15d70f6575a1c0bc59c5275c04ebe80c6614c"},
    };
    for (const Case& one : kCases) {
        const Octets key = rdata(DNSKEY, one.dnskey);
        Octets ds = rdata(DS, one.ds);
        EXPECT_EQ(read_ds(ds)->key_tag, key_tag(key)) << one.ds;
        EXPECT_TRUE(ds_matches(*read_ds(ds), name(one.owner), key)) << one.ds;
        EXPECT_EQ(make_ds(name(one.owner), key, ds[3]), ds);
        ds.back() ^= 1U;
        EXPECT_FALSE(ds_matches(*read_ds(ds), name(one.owner), key));
        ds.pop_back();
        EXPECT_FALSE(ds_matches(*read_ds(ds), name(one.owner), key));
    }
}

TEST(Vectors, KeyTagOfAlgorithmOneIsOfTheModulus)
{
    const Octets key{1, 0, 3, 1, 1, 3, 0xAA, 0x12, 0x34, 0x56};
    EXPECT_EQ(key_tag(key), 0x1234); // RFC 4034 appendix B.1
    EXPECT_EQ(key_tag(Octets{1, 0}), 0);
}

TEST(Canonical, NamesOfTheListedTypesAreLowered)
{
    const auto lowered = [](wire::RrType type, std::string_view text) {
        const Octets octets = rdata(type, text);
        const base::Bytes view = octets;
        CanonicalRrset set;
        EXPECT_TRUE(set.set(type, {&view, 1}));
        return Octets{set.rdatas()[0].begin(), set.rdatas()[0].end()};
    };
    EXPECT_EQ(lowered(NS, "NS.Example."), rdata(NS, "ns.example."));
    EXPECT_EQ(lowered(SOA, "NS.Example. H.Example. 1 2 3 4 5"), rdata(SOA, "ns.example. h.example. 1 2 3 4 5"));
    EXPECT_EQ(lowered(SRV, "1 2 3 SIP.Example."), rdata(SRV, "1 2 3 sip.example."));
    EXPECT_EQ(lowered(NAPTR, "1 2 \"U\" \"X\" \"AbC\" Example."), rdata(NAPTR, "1 2 \"U\" \"X\" \"AbC\" example."));
    EXPECT_EQ(lowered(RP, "A.Example. B.Example."), rdata(RP, "a.example. b.example."));
    // RFC 6840 §5.1: not the next name of NSEC; and what is not listed stays.
    EXPECT_EQ(lowered(NSEC, "Next.Example. A"), rdata(NSEC, "Next.Example. A"));
    EXPECT_EQ(lowered(SVCB, "1 SVC.Example."), rdata(SVCB, "1 SVC.Example."));
    EXPECT_EQ(lowered(TXT, "\"ABC\""), rdata(TXT, "\"ABC\""));
}

TEST(Canonical, OrderIsThatOfOctets)
{
    const std::vector<Octets> octets{{2}, {1, 0}, {1}, {1, 0}, {0xFF}, {}};
    const std::vector<base::Bytes> views{octets.begin(), octets.end()};
    CanonicalRrset set;
    ASSERT_TRUE(set.set(wire::RrType{65'400}, views));
    std::vector<Octets> sorted;
    for (const base::Bytes rdata : set.rdatas()) sorted.emplace_back(rdata.begin(), rdata.end());
    EXPECT_EQ(sorted, (std::vector<Octets>{{}, {1}, {1, 0}, {2}, {0xFF}}));
}

TEST(Canonical, MalformedNamesAreRefused)
{
    const Octets octets{0, 10, 5, 'a'};
    const base::Bytes view = octets;
    CanonicalRrset set;
    EXPECT_FALSE(set.set(MX, {&view, 1}));
}

TEST(Records, TypeBitmaps)
{
    const Octets bitmap = type_bitmap({A, NS, NSEC, CAA, wire::RrType{65'535}});
    EXPECT_TRUE(check_type_bitmap(bitmap));
    EXPECT_TRUE(has_type(bitmap, A));
    EXPECT_TRUE(has_type(bitmap, CAA));
    EXPECT_TRUE(has_type(bitmap, wire::RrType{65'535}));
    EXPECT_FALSE(has_type(bitmap, AAAA));
    EXPECT_FALSE(has_type(bitmap, wire::RrType{700}));
    EXPECT_TRUE(check_type_bitmap({}));
    EXPECT_FALSE(check_type_bitmap(Octets{0}));
    EXPECT_FALSE(check_type_bitmap(Octets{0, 0}));
    EXPECT_FALSE(check_type_bitmap(Octets{0, 2, 1}));
    EXPECT_FALSE(check_type_bitmap(Octets{1, 1, 1, 0, 1, 1}));
    EXPECT_FALSE(check_type_bitmap(Octets(40, 33)));
}

TEST(Records, MalformedOnesAreNotRead)
{
    EXPECT_FALSE(read_rrsig(Octets(18)));
    EXPECT_TRUE(read_rrsig(Octets(19))); // the root as signer, no signature
    Octets rrsig(19);
    rrsig[18] = 64;
    EXPECT_FALSE(read_rrsig(rrsig));
    EXPECT_FALSE(read_dnskey(Octets(4)));
    EXPECT_FALSE(read_ds(Octets(4)));
    EXPECT_FALSE(read_nsec(Octets{1, 'a'}));
    EXPECT_FALSE(read_nsec3(Octets{1, 0, 0, 0}));
    EXPECT_FALSE(read_nsec3(Octets{1, 0, 0, 0, 5, 1}));
    EXPECT_FALSE(read_nsec3(Octets{1, 0, 0, 0, 0, 0}));
    EXPECT_FALSE(read_nsec3(Octets{1, 0, 0, 0, 0, 2, 1}));
    EXPECT_TRUE(read_nsec3(Octets{1, 0, 0, 0, 0, 1, 1}));
}
