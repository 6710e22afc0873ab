#include "served.hpp"

#include "wire/message_view.hpp"
#include "wire/rdata.hpp"
#include "zones/zone.hpp"
#include "zones/zone_builder.hpp"
#include "zones/zone_lexer.hpp"
#include "zones/zone_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

namespace sallyport::zones {
namespace {

using test::Served;

struct Typed {
    std::string_view type;
    std::string_view rdata;
};

/// One of each type that has a presentation format.
constexpr Typed kTypes[] = {
    {"A", "192.0.2.1"},
    {"AAAA", "2001:db8::1"},
    {"AFSDB", "1 afs.b.test."},
    {"CAA", "0 issue \"ca.b.test; policy=ev\""},
    {"CDNSKEY", "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="},
    {"CDS", "12345 13 2 3A5AEE7D8D6DE6D8A5D5BB1A4FAC8F3D1BA4EE0F6F8EC2C1C47E3D6C2A0D1F5E"},
    {"CERT", "PKIX 65535 1 AQOppkQvFlPFLiWZc0NXX5/QY44jphv3vfX0dscHNmThNtfx0TUgfBb1"},
    {"CSYNC", "66 3 A NS AAAA"},
    {"DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="},
    {"DLV", "12345 13 2 3A5AEE7D8D6DE6D8A5D5BB1A4FAC8F3D1BA4EE0F6F8EC2C1C47E3D6C2A0D1F5E"},
    {"DNSKEY", "256 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="},
    {"EUI48", "00-00-5e-90-01-2a"},
    {"EUI64", "00-00-5e-ef-00-00-00-2a"},
    {"HINFO", "\"CPU\" \"an OS\""},
    {"HIP", "2 200100107B1A74DF365639CC39F1D578 "
            "AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+"
            "Upr1gsNrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D rvs.b.test."},
    {"HTTPS", "1 . alpn=\"h2,h3\" port=8443 ipv4hint=192.0.2.1"},
    {"IPSECKEY", "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=="},
    {"KEY", "256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3"},
    {"KX", "10 kx.b.test."},
    {"LOC", "42 21 54 N 71 06 18 W -24m 30m"},
    {"MX", "10 mail.b.test."},
    {"NAPTR", "100 50 \"s\" \"http+I2L\" \"\" _http._tcp.b.test."},
    {"NSEC", "z.a.test. A MX RRSIG NSEC TYPE1234"},
    {"OPENPGPKEY", "AQPSKmynfzW4kyBv015MUG2DeIQ3"},
    {"PTR", "host.b.test."},
    {"RP", "admin.b.test. text.b.test."},
    {"RRSIG", "A 13 3 3600 20371231235959 20200101000000 12345 a.test. "
              "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="},
    {"SIG", "A 5 3 3600 20371231235959 20200101000000 12345 a.test. AQPSKmynfzW4kyBv015MUG2DeIQ3"},
    {"SMIMEA", "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971"},
    {"SRV", "10 60 5060 sip.b.test."},
    {"SSHFP", "2 1 123456789ABCDEF67890123456789ABCDEF67890"},
    {"SVCB", "16 svc.b.test. mandatory=alpn alpn=\"dot\" port=853 dohpath=\"/dns-query{?dns}\""},
    {"TLSA", "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B97983A1D16E8A410E4561CB106618E971"},
    {"TXT", "\"one\" \"two words\" \"\\\"three\\\"\""},
    {"URI", "10 1 \"https://b.test/path\""},
    {"ZONEMD",
     "2018031900 1 1 C68090D90A7AED716BC459F9340E3D7C1370D4D24B7E2FC3A1DDC0B9A87153B9A9713B3C9AE5CC27777F98B8E730044C"},
    {"TYPE65280", "\\# 5 0102030405"},
    {"TYPE65281", "\\# 0"},
};

class Types : public testing::TestWithParam<Typed> {};

/// RDATA of the answer in presentation format, then whether more than one record came.
std::string answered(Served& served, std::string_view question)
{
    const auto text = served.ask(question);
    const auto at = text.find("\nAN ");
    if (at == std::string::npos) return text;
    const auto line = text.substr(at + 4, text.find('\n', at + 4) - at - 4);
    auto rest = line;
    for (int i = 0; i < 3; ++i) rest = rest.substr(std::min(rest.size(), rest.find(' ') + 1));
    return rest;
}

TEST_P(Types, LoadAreServedAndPrint)
{
    const std::string type{GetParam().type};
    const auto text =
        test::apex_soa() + "@ 60 NS ns.b.test.\nx 60 " + type + " " + std::string{GetParam().rdata} + "\n";
    Served served;
    served.zone("a.test", text);
    const auto printed = answered(served, "x.a.test " + type);
    // Served.ask shortens RRSIG; everything else comes back in a form that loads again and then prints the same.
    if (type == "RRSIG") {
        EXPECT_EQ(printed, "A");
        return;
    }
    Served again;
    again.zone("a.test", test::apex_soa() + "@ 60 NS ns.b.test.\nx 60 " + type + " " + printed + "\n");
    EXPECT_EQ(answered(again, "x.a.test " + type), printed);

    // The same RDATA as RFC 3597 writes unknown types.
    const auto type_value = wire::parse_rr_type(type).value();
    const auto apex = wire::Name::from_text("a.test").value();
    const auto rdata = wire::rdata_from_text(type_value, GetParam().rdata, apex).value();
    std::string generic = "\\# " + std::to_string(rdata.size()) + " ";
    for (const auto octet : rdata) {
        constexpr std::string_view kDigits = "0123456789abcdef";
        generic += kDigits[octet >> 4U];
        generic += kDigits[octet & 15U];
    }
    Served unknown;
    unknown.zone("a.test", test::apex_soa() + "@ 60 NS ns.b.test.\nx 60 TYPE" +
                               std::to_string(static_cast<unsigned>(type_value)) + " " + generic + "\n");
    EXPECT_EQ(answered(unknown, "x.a.test " + type), printed);
}

INSTANTIATE_TEST_SUITE_P(ZoneText, Types, testing::ValuesIn(kTypes),
                         [](const auto& one) { return std::string{one.param.type}; });

TEST(Types, OfApexesAndAliasesLoadToo)
{
    Served served;
    served.zone("a.test",
                test::apex_soa() +
                    "@ 60 NS ns.b.test.\n@ 60 NSEC3PARAM 1 0 2 ABCD\n"
                    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 60 NSEC3 1 1 2 ABCD 2t7b4g4vsa5smi47k61mv5bv1a22bojr A\n"
                    "c 60 CNAME x\nd 60 DNAME x\ns 60 NS ns.b.test.\n"
                    "s 60 DS 12345 13 2 3A5AEE7D8D6DE6D8A5D5BB1A4FAC8F3D1BA4EE0F6F8EC2C1C47E3D6C2A0D1F5E\n");
    EXPECT_EQ(answered(served, "a.test NSEC3PARAM"), "1 0 2 ABCD");
    EXPECT_EQ(answered(served, "c.a.test CNAME"), "x.a.test.");
    EXPECT_EQ(answered(served, "d.a.test DNAME"), "x.a.test.");
    EXPECT_TRUE(answered(served, "s.a.test DS").starts_with("12345 13 2 3A5A"));
}

struct CorpusZone {
    std::string_view file;
    std::string_view apex;
    std::string_view refused = {}; ///< the lines of other servers' files that are none of ours, with reasons below
};

/// Reads zone text as an import.
base::Problems problems_in(std::string_view text, std::string_view apex)
{
    base::Problems problems;
    const Limits limits;
    ZoneBuilder builder{wire::Name::from_text(apex).value(), limits, problems};
    ZoneTextReader{builder, limits, TextOrigin::imported}.read_text(text, {"zone", 1, 1});
    builder.make_missing_apex_records({});
    const auto zone = builder.finish({});
    EXPECT_EQ(zone == nullptr, !problems.empty());
    return problems;
}

std::string content_of(const std::string& path)
{
    std::ifstream file{path};
    EXPECT_TRUE(file) << path;
    return {std::istreambuf_iterator<char>{file}, {}};
}

/// The lines with problems, `3 7 `.
std::string refused_lines(const base::Problems& problems)
{
    std::string lines;
    for (const auto& problem : problems) lines += std::to_string(problem.position.line) + " ";
    return lines;
}

/// Zone text without the entries that `drop` is true for, each entry in one line.
std::string without(const std::string& text, const std::function<bool(const Entry&)>& drop)
{
    TextInput input{text, 1, 1};
    ZoneLexer lexer{input, Limits{}.entry_octets};
    std::string kept;
    Entry entry;
    while (lexer.next(entry) == ZoneLexer::Status::entry) {
        if (!drop(entry)) kept += (entry.starts_blank ? " " : "") + entry.text + "\n";
    }
    return kept;
}

TEST(Corpus, ZonesOfOtherServersLoad)
{
    const auto folder = test::shared_path("wire/dns");
    if (folder.empty()) GTEST_SKIP() << "the shared corpus is not here: set SALLYPORT_SHARED";
    for (const auto& [file, apex, refused] : {
             CorpusZone{"hickory-zones/0.zone", "0.in-addr.arpa"},
             CorpusZone{"hickory-zones/ipv6_1.zone", "1.ip6.arpa"},
             CorpusZone{"hickory-zones/localhost.zone", "localhost"},
             CorpusZone{"hickory-zones/implicitclass.zone", "."},
             CorpusZone{"ldns/A.1.Simple-EXAMPLE-Zone", "example"},
             CorpusZone{"ldns/A.3.EXAMPLE-Zone-with-multiple-digests", "example"},
             CorpusZone{"ldns/A.4.The-URI.ARPA-Zone", "uri.arpa"},
             CorpusZone{"ldns/A.5.The-ROOT-SERVERS.NET-Zone", "root-servers.net"},
             CorpusZone{"ldns/jelte.nlnetlabs.nl", "jelte.nlnetlabs.nl"},
             // 14, 39: `echconfig`, what a draft called `ech`; RFC 9460 §14.3.2 has `ech` alone. 54 to 56: `dohpath`
             // without a value is no URI template with `dns` in it (RFC 9461 §5). 57 to 61: _dns.doh.example. is no
             // name of this zone; the file was written for a reader of single records. 64, 65: `ech` without a value
             // and `ech=0`, Unbound's own word for that; an ECHConfigList is never empty (RFC 9848).
             CorpusZone{"unbound-svcb/svcb.success-cases.zone", "success-cases",
                        "14 39 54 55 56 57 58 59 60 61 64 65 "},
             CorpusZone{"unbound-svcb/svcb.test-vectors-pf.zone", "test-vectors"},
             CorpusZone{"unbound-svcb/svcb.test-vectors-wf.zone", "test-vectors"},
             CorpusZone{"unbound-svcb/crypto.cloudflare.com.zone", "crypto.cloudflare.com", "8 "}, // echconfig too
             CorpusZone{"nsd/svcb_uint16_wrap.zone", "victim"},
         }) {
        const auto text = content_of(folder + "/" + std::string{file});
        const auto problems = problems_in(text, apex);
        EXPECT_EQ(refused_lines(problems), refused) << file << (problems.empty() ? "" : problems[0].to_string());
        const auto is_refused = [&problems](const Entry& entry) {
            return std::any_of(problems.begin(), problems.end(),
                               [&entry](const base::Error& one) { return one.position.line == entry.line; });
        };
        if (problems.empty()) continue;
        EXPECT_EQ(refused_lines(problems_in(without(text, is_refused), apex)), "") << file;
    }
}

TEST(Corpus, WrongServiceBindingsAreRefused)
{
    const auto folder = test::shared_path("wire/dns");
    if (folder.empty()) GTEST_SKIP() << "the shared corpus is not here: set SALLYPORT_SHARED";
    unsigned read = 0;
    for (const std::string part : {"nsd", "unbound-svcb"}) {
        for (const auto& entry : std::filesystem::directory_iterator{folder + "/" + part}) {
            const auto file = part + "/" + entry.path().filename().string();
            if (file.find("failure-cases") == std::string::npos) continue;
            // 65 parameters are too many for Unbound's own table; RFC 9460 knows no limit but RDLENGTH.
            const bool takes_more_than_unbound = file == "unbound-svcb/svcb.failure-cases-03";
            const auto problems = problems_in(content_of(entry.path().string()), "failure-cases");
            EXPECT_EQ(problems.empty(), takes_more_than_unbound) << file;
            ++read;
        }
    }
    EXPECT_GT(read, 15U);
}

/// Types that have a mnemonic here and no text but that of RFC 3597: obsolete ones (WKS, NSAP, ATMA, NXT), drafts that
/// came to nothing or are not done (SINK, DOA, IPN), and APL and AMTRELAY, which no client of ours asks for.
bool has_generic_text_only(std::string_view type)
{
    constexpr std::string_view kGenericOnly[] = {"WKS", "NSAP", "APL", "SINK", "DOA", "ATMA", "AMTRELAY", "IPN", "NXT"};
    return std::find(std::begin(kGenericOnly), std::end(kGenericOnly), type) != std::end(kGenericOnly);
}

TEST(Corpus, TheRecordsOfAnotherServersTestLoadButForUnknownTypes)
{
    const auto path = test::shared_path("wire/dns/nsd/rr-test.zone");
    if (path.empty()) GTEST_SKIP() << "the shared corpus is not here: set SALLYPORT_SHARED";
    const auto text = content_of(path);
    for (const auto& problem : problems_in(text, "blaat.nl")) {
        const std::string_view message = problem.message;
        const auto at = message.rfind(": ");
        ASSERT_TRUE(message.ends_with(" has no other text") && at != std::string_view::npos) << problem.to_string();
        EXPECT_TRUE(has_generic_text_only(message.substr(at + 2, message.find(' ', at + 2) - at - 2)))
            << problem.to_string();
    }
    const auto rest = without(text, [](const Entry& entry) {
        for (std::size_t i = 0; i < std::min<std::size_t>(entry.tokens.size(), 4); ++i) {
            if (has_generic_text_only(entry.token(i))) return true;
        }
        return false;
    });
    EXPECT_EQ(refused_lines(problems_in(rest, "blaat.nl")), "");
    EXPECT_GT(std::count(rest.begin(), rest.end(), '\n'), 80);
}

} // namespace
} // namespace sallyport::zones
