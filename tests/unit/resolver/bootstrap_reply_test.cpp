#include "resolver/bootstrap_reply.hpp"

#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::resolver {
namespace {

using wire::Rcode;
using wire::RrType;

wire::Name name(std::string_view text) { return *wire::Name::from_text(text); }

/// A reply, a record a line of "owner ttl type data"; SOA goes to the authority section.
struct Reply {
    struct Record {
        const char* owner;
        std::uint32_t ttl;
        RrType type;
        const char* data;
    };

    explicit Reply(std::vector<Record> records, Rcode rcode = Rcode::NOERROR, RrType qtype = RrType::A) : asked(qtype)
    {
        wire::MessageWriter writer{room, room.size()};
        writer.begin(1, wire::flag::QR | wire::flag::RD | wire::flag::RA);
        EXPECT_TRUE(writer.question(name("dns.example."), qtype, wire::RrClass::IN));
        writer.set_rcode(rcode);
        for (const Record& one : records) {
            const auto rdata = wire::rdata_from_text(one.type, one.data, wire::Name{});
            const auto section = one.type == RrType::SOA ? wire::Section::authority : wire::Section::answer;
            EXPECT_TRUE(rdata && writer.record(section, name(one.owner), one.type, wire::RrClass::IN,
                                               wire::Ttl{one.ttl}, *rdata));
        }
        const auto message = writer.message();
        octets.assign(message.begin(), message.end());
    }

    AddressReply read(unsigned aliases = 8) const
    {
        return read_addresses(*wire::MessageView::parse(octets), name("dns.example."), asked, aliases);
    }

    RrType asked;
    std::vector<std::uint8_t> room = std::vector<std::uint8_t>(4096);
    std::vector<std::uint8_t> octets;
};

constexpr const char* kSoa = "ns.example. h.example. 1 2 3 4 5";

TEST(BootstrapReply, TakesAddressesOfTheNameAlone)
{
    const Reply reply{{{"dns.example.", 300, RrType::A, "192.0.2.1"},
                       {"other.example.", 5, RrType::A, "192.0.2.66"},
                       {"DNS.example.", 200, RrType::A, "192.0.2.2"},
                       {"dns.example.", 5, RrType::AAAA, "2001:db8::1"}}};
    const auto read = reply.read();
    ASSERT_EQ(read.finding.kind, Finding::Kind::found);
    ASSERT_EQ(read.finding.addresses.size(), 2U);
    EXPECT_EQ(read.finding.addresses[0].to_string(), "192.0.2.1");
    EXPECT_EQ(read.finding.addresses[1].to_string(), "192.0.2.2");
    EXPECT_EQ(read.finding.ttl, std::chrono::seconds{200});
    EXPECT_FALSE(read.next);
}

TEST(BootstrapReply, FollowsAliasesInAnyOrder)
{
    const Reply reply{{{"b.example.", 900, RrType::AAAA, "2001:db8::1"},
                       {"a.example.", 30, RrType::CNAME, "b.example."},
                       {"dns.example.", 300, RrType::CNAME, "a.example."}},
                      Rcode::NOERROR,
                      RrType::AAAA};
    const auto read = reply.read();
    EXPECT_EQ(read.finding.kind, Finding::Kind::found);
    EXPECT_EQ(read.finding.ttl, std::chrono::seconds{30}) << "the shortest of the chain";
    EXPECT_EQ(read.aliases, 2U);
}

TEST(BootstrapReply, AnAliasThatEndsTheReplyIsToBeAsked)
{
    const auto read = Reply{{{"dns.example.", 30, RrType::CNAME, "a.example."}}}.read();
    ASSERT_TRUE(read.next);
    EXPECT_EQ(*read.next, name("a.example."));
    EXPECT_EQ(read.aliases, 1U);
    const auto nothing =
        Reply{{{"dns.example.", 30, RrType::CNAME, "a.example."}, {"example.", 30, RrType::SOA, kSoa}}}.read();
    EXPECT_FALSE(nothing.next) << "the SOA says that there is nothing";
    EXPECT_EQ(nothing.finding.kind, Finding::Kind::none);
}

TEST(BootstrapReply, AliasesAreCounted)
{
    const Reply loop{
        {{"dns.example.", 30, RrType::CNAME, "a.example."}, {"a.example.", 30, RrType::CNAME, "dns.example."}}};
    EXPECT_TRUE(loop.read().too_many_aliases);
    EXPECT_EQ(loop.read().finding.kind, Finding::Kind::failed);
    const Reply one{{{"dns.example.", 30, RrType::CNAME, "a.example."}, {"a.example.", 30, RrType::A, "192.0.2.1"}}};
    EXPECT_TRUE(one.read(0).too_many_aliases);
    EXPECT_FALSE(one.read(1).too_many_aliases);
}

TEST(BootstrapReply, NothingAndFailure)
{
    EXPECT_EQ(Reply({{"dns.example.", 30, RrType::AAAA, "::ffff:192.0.2.1"}}, Rcode::NOERROR, RrType::AAAA)
                  .read()
                  .finding.kind,
              Finding::Kind::none);
    EXPECT_EQ(Reply({}).read().finding.kind, Finding::Kind::none);
    EXPECT_EQ(Reply({{"example.", 30, RrType::SOA, kSoa}}, Rcode::NXDOMAIN).read().finding.kind, Finding::Kind::none);
    EXPECT_EQ(Reply({}, Rcode::SERVFAIL).read().finding.kind, Finding::Kind::failed);
    EXPECT_EQ(Reply({}, Rcode::REFUSED).read().finding.kind, Finding::Kind::failed);
}

TEST(BootstrapReply, KnowsWhatNoHostHas)
{
    for (const char* text : {"0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::", "ff02::1"})
        EXPECT_TRUE(is_nobody(*base::IpAddress::parse(text))) << text;
    for (const char* text : {"127.0.0.1", "192.0.2.1", "10.0.0.1", "::1", "2001:db8::1", "fe80::1"})
        EXPECT_FALSE(is_nobody(*base::IpAddress::parse(text))) << text;
}

} // namespace
} // namespace sallyport::resolver
