#include "support.hpp"

namespace sallyport::cache {
namespace {

using namespace testing;
using wire::Rcode;
using wire::RrType;
using wire::Section;

constexpr std::string_view kSoa = "ns.example. admin.example. 1 7200 3600 1209600 600";

std::vector<std::string> lines_of(const Ready& made)
{
    Reply reply;
    reply.message.assign(made.prepared->message.begin(), made.prepared->message.end());
    return reply.lines();
}

Ready prepared_of(Response& response, const Options& options = {})
{
    const wire::Name qname = response.view().qname().to_name().lower();
    return ready(response.view(), key_of(qname, response.view().qtype()), options);
}

TEST(Prepare, KeepsAnswersWithoutOptAndId)
{
    Response response{"www.example"};
    response.answer("www.example", RrType::A, 300, "192.0.2.1").opt();
    const Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    EXPECT_EQ(made.view().id(), 0);
    EXPECT_EQ(made.view().edns(), nullptr);
    EXPECT_EQ(lines_of(made), std::vector<std::string>{"www.example. 300 A 192.0.2.1"});
    EXPECT_EQ(made.prepared->lifetime, 300s);
    EXPECT_FALSE(made.prepared->negative);
}

TEST(Prepare, TakesTheQuestionInAnyCase)
{
    Response response{"wWw.eXample"};
    response.answer("wWw.eXample", RrType::A, 300, "192.0.2.1");
    const Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    EXPECT_EQ(made.view().qname().to_name().to_text(), "www.example.");
}

TEST(Prepare, RefusesWhatAnswersAnotherQuestion)
{
    Response response{"www.example"};
    response.answer("www.example", RrType::A, 300, "192.0.2.1");
    const wire::Name other = name("www.example.net");
    const wire::Name same = name("www.example");
    EXPECT_FALSE(ready(response.view(), key_of(other)));
    EXPECT_FALSE(ready(response.view(), key_of(same, RrType::AAAA)));
    Key chaos = key_of(same);
    chaos.qclass = wire::RrClass::CH;
    EXPECT_FALSE(ready(response.view(), chaos));
    response.writer().clear_flags(wire::flag::QR);
    EXPECT_FALSE(ready(response.view(), key_of(same)));
    response.writer().set_flags(wire::flag::QR | 0x2800); // UPDATE
    EXPECT_FALSE(ready(response.view(), key_of(same)));
}

TEST(Prepare, RefusesRdataThatDoesNotFitItsType)
{
    Response response{"www.example"};
    constexpr std::uint8_t kThree[3] = {1, 2, 3};
    ASSERT_TRUE(response.writer().record(Section::answer, name("www.example"), RrType::A, wire::RrClass::IN,
                                         wire::Ttl{300}, kThree));
    EXPECT_FALSE(prepared_of(response));
}

TEST(Prepare, FollowsAliasesAndDropsWhatNobodyAskedFor)
{
    Response response{"www.example"};
    response.answer("b.example.net", RrType::A, 60, "192.0.2.1")
        .answer("www.example", RrType::CNAME, 300, "a.example.net.")
        .answer("a.example.net", RrType::CNAME, 200, "b.example.net.")
        .answer("bank.example", RrType::A, 300, "192.0.2.66")
        .authority("example", RrType::NS, 300, "ns.example.")
        .authority("other", RrType::NS, 300, "ns.other.")
        .additional("ns.example", RrType::A, 300, "192.0.2.53")
        .additional("bank.example", RrType::A, 300, "192.0.2.66");
    const Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    const std::vector<std::string> expected{"b.example.net. 60 A 192.0.2.1", "www.example. 300 CNAME a.example.net.",
                                            "a.example.net. 200 CNAME b.example.net.", "example. 300 NS ns.example.",
                                            "ns.example. 300 A 192.0.2.53"};
    EXPECT_EQ(lines_of(made), expected);
    EXPECT_EQ(made.prepared->lifetime, 60s);
}

TEST(Prepare, KeepsDnameAndItsSignature)
{
    Response response{"www.old.example"};
    response.answer("old.example", RrType::DNAME, 300, "new.example.")
        .answer("old.example", RrType::RRSIG, 300, "DNAME 13 2 300 20300101000000 20200101000000 1 example. AAAA")
        .answer("www.old.example", RrType::CNAME, 300, "www.new.example.")
        .answer("www.new.example", RrType::A, 300, "192.0.2.1");
    const Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    EXPECT_EQ(made.view().header().answer_count, 4);
}

TEST(Prepare, EndsLoopsAndLongChainsOfAliases)
{
    Response loop{"a.example"};
    loop.answer("a.example", RrType::CNAME, 300, "b.example.").answer("b.example", RrType::CNAME, 300, "a.example.");
    EXPECT_FALSE(prepared_of(loop));

    const auto chain = [](unsigned aliases) {
        Response response{"n0.example"};
        for (unsigned i = 0; i < aliases; ++i) {
            response.answer("n" + std::to_string(i) + ".example", RrType::CNAME, 300,
                            "n" + std::to_string(i + 1) + ".example.");
        }
        response.answer("n" + std::to_string(aliases) + ".example", RrType::A, 300, "192.0.2.1");
        return static_cast<bool>(prepared_of(response));
    };
    EXPECT_TRUE(chain(Options{}.max_aliases));
    EXPECT_FALSE(chain(Options{}.max_aliases + 1U));
}

TEST(Prepare, NegativeAnswersLiveAsTheirSoaSays)
{
    Response response{"no.example", RrType::A, wire::flag::RA, Rcode::NXDOMAIN};
    response.authority("example", RrType::SOA, 3600, kSoa);
    Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->negative);
    EXPECT_EQ(made->rcode, Rcode::NXDOMAIN);
    EXPECT_EQ(made->lifetime, 600s);
    EXPECT_EQ(lines_of(made)[0].substr(0, 17), "example. 600 SOA ");

    Response short_soa{"no.example"};
    short_soa.authority("example", RrType::SOA, 30, kSoa);
    made = prepared_of(short_soa);
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->negative); // no data
    EXPECT_EQ(made->lifetime, 30s);

    Options options;
    options.max_negative_ttl = 10s;
    options.min_ttl = 20s;
    made = prepared_of(response, options);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->lifetime, 10s);
}

TEST(Prepare, NegativeAnswersWithoutTheirSoaAreNotKept)
{
    Response bare{"no.example", RrType::A, wire::flag::RA, Rcode::NXDOMAIN};
    Response foreign{"no.example", RrType::A, wire::flag::RA, Rcode::NXDOMAIN};
    foreign.authority("example.net", RrType::SOA, 3600, kSoa);
    Response referral{"www.sub.example"};
    referral.authority("sub.example", RrType::NS, 300, "ns.sub.example.");
    for (Response* response : {&bare, &foreign, &referral}) {
        Ready made = prepared_of(*response);
        ASSERT_TRUE(made);
        EXPECT_TRUE(made->negative);
        EXPECT_EQ(made->lifetime, 0s);
    }
}

TEST(Prepare, AliasWithoutDataIsNegative)
{
    Response response{"www.example", RrType::AAAA};
    response.answer("www.example", RrType::CNAME, 50, "a.example.net.")
        .authority("example.net", RrType::SOA, 3600, kSoa);
    Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    EXPECT_TRUE(made->negative);
    EXPECT_EQ(made->lifetime, 50s);
}

TEST(Prepare, LifetimesByRcodeAndTruncation)
{
    const auto lifetime = [](Rcode rcode, std::uint16_t flags) {
        Response response{"www.example", RrType::A, flags, rcode};
        response.answer("www.example", RrType::A, 300, "192.0.2.1");
        Ready made = prepared_of(response);
        EXPECT_TRUE(made);
        return made->lifetime;
    };
    EXPECT_EQ(lifetime(Rcode::NOERROR, wire::flag::TC), 0s);
    EXPECT_EQ(lifetime(Rcode::SERVFAIL, wire::flag::TC), 0s);
    EXPECT_EQ(lifetime(Rcode::SERVFAIL, 0), Options{}.failure_ttl);
    EXPECT_EQ(lifetime(Rcode::REFUSED, 0), 0s);
    EXPECT_EQ(lifetime(Rcode::NOTIMP, 0), 0s);
    EXPECT_EQ(lifetime(Rcode::YXDOMAIN, 0), 0s);
}

TEST(Prepare, TtlsAreCappedRaisedAndReadUnsigned)
{
    const auto made_of = [](std::uint32_t ttl, const Options& options) {
        Response response{"www.example"};
        response.answer("www.example", RrType::A, ttl, "192.0.2.1");
        return prepared_of(response, options);
    };
    Options options;
    Ready made = made_of(10'000'000, options);
    EXPECT_EQ(made->lifetime, 86'400s);
    EXPECT_EQ(lines_of(made)[0], "www.example. 86400 A 192.0.2.1");
    EXPECT_EQ(made_of(0x8000'0001, options)->lifetime, 0s); // RFC 2181 §8
    EXPECT_EQ(made_of(0, options)->lifetime, 0s);
    options.min_ttl = 60s;
    made = made_of(5, options);
    EXPECT_EQ(made->lifetime, 60s);
    EXPECT_EQ(lines_of(made)[0], "www.example. 60 A 192.0.2.1");
}

TEST(Prepare, LimitsRecordsOfASetAndTypes)
{
    const auto of_set = [](unsigned records) {
        Response response{"www.example", RrType::TXT};
        for (unsigned i = 0; i < records; ++i) response.answer("www.example", RrType::TXT, 300, std::to_string(i));
        return static_cast<bool>(prepared_of(response));
    };
    EXPECT_TRUE(of_set(Options{}.max_set));
    EXPECT_FALSE(of_set(Options{}.max_set + 1U));

    const auto of_types = [](unsigned types) {
        Response response{"www.example", RrType::ANY};
        constexpr std::uint8_t kOctet[1] = {1};
        for (unsigned i = 0; i < types; ++i) {
            EXPECT_TRUE(response.writer().record(Section::answer, name("www.example"),
                                                 RrType{static_cast<std::uint16_t>(60'000 + i)}, wire::RrClass::IN,
                                                 wire::Ttl{300}, kOctet));
        }
        return static_cast<bool>(prepared_of(response));
    };
    EXPECT_TRUE(of_types(Options{}.max_types));
    EXPECT_FALSE(of_types(Options{}.max_types + 1U));
}

TEST(Prepare, LargeSetsGetNoAdditionalData)
{
    const auto additionals = [](unsigned names) {
        Response response{"example", RrType::MX};
        for (unsigned i = 0; i < names; ++i)
            response.answer("example", RrType::MX, 300, "10 mx" + std::to_string(i) + ".example.");
        for (unsigned i = 0; i < names; ++i)
            response.additional("mx" + std::to_string(i) + ".example", RrType::A, 300, "192.0.2.1");
        return prepared_of(response).view().header().additional_count;
    };
    EXPECT_EQ(additionals(13), 13);
    EXPECT_EQ(additionals(14), 0);
}

TEST(Prepare, ServiceRecordsBringTheAddressesOfTheirOwner)
{
    Response response{"www.example", RrType::HTTPS};
    response.answer("www.example", RrType::HTTPS, 300, "1 . alpn=h3")
        .additional("www.example", RrType::AAAA, 300, "2001:db8::1")
        .additional("www.example", RrType::TXT, 300, "no");
    const Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    EXPECT_EQ(made.view().header().additional_count, 1);
}

TEST(Prepare, DropsOtherClasses)
{
    Response response{"www.example"};
    response.answer("www.example", RrType::A, 300, "192.0.2.1")
        .put(Section::answer, "www.example", RrType::A, 300, "192.0.2.2", wire::RrClass::HS);
    const Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    EXPECT_EQ(made.view().header().answer_count, 1);
}

TEST(Give, WritesBehindTheClientsQuestion)
{
    Response response{"www.example", RrType::A, wire::flag::AD};
    response.answer("www.example", RrType::CNAME, 300, "web.www.example.")
        .answer("web.www.example", RrType::A, 300, "192.0.2.1");
    Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    Octets buffer(512);
    wire::MessageWriter writer{buffer, buffer.size()};
    ASSERT_TRUE(writer.begin_response(7, wire::flag::RD, question_of(name("WWW.Example"), RrType::A), 1));
    give(*made, writer);
    Reply reply;
    reply.message.assign(writer.message().begin(), writer.message().end());
    const std::vector<std::string> expected{"WWW.Example. 300 CNAME web.WWW.Example.",
                                            "web.WWW.Example. 300 A 192.0.2.1"};
    EXPECT_EQ(reply.lines(), expected);
    EXPECT_TRUE(reply.has(wire::flag::AD));
    EXPECT_EQ(reply.view().id(), 7);
}

TEST(Give, KeepsExtendedRcodes)
{
    Response response{"www.example"};
    response.writer().set_rcode(Rcode::BADCOOKIE);
    ASSERT_TRUE(response.writer().begin_opt(1232, false));
    response.writer().end_opt();
    Ready made = prepared_of(response);
    ASSERT_TRUE(made);
    EXPECT_EQ(made->rcode, Rcode::BADCOOKIE);
    EXPECT_EQ(made->lifetime, 0s);
    Octets buffer(512);
    wire::MessageWriter writer{buffer, buffer.size()};
    ASSERT_TRUE(writer.begin_response(7, wire::flag::RD, question_of(name("www.example"), RrType::A), 1));
    give(*made, writer);
    EXPECT_EQ(writer.rcode(), Rcode::BADCOOKIE);
}

TEST(Give, RefusesAnswersBegunForAnotherQuestion)
{
    Response response{"www.example"};
    response.answer("www.example", RrType::A, 300, "192.0.2.1");
    Ready made = prepared_of(response);
    Octets buffer(512);
    wire::MessageWriter writer{buffer, buffer.size()};
    ASSERT_TRUE(writer.begin_response(7, wire::flag::RD, question_of(name("w.example"), RrType::A), 1));
    give(*made, writer);
    EXPECT_EQ(writer.rcode(), Rcode::SERVFAIL);
    EXPECT_EQ(writer.count(Section::answer), 0);
}

} // namespace
} // namespace sallyport::cache
