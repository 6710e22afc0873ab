#include "zones/transfer.hpp"

#include "wire/framing.hpp"
#include "wire/message_writer.hpp"
#include "wire/rdata.hpp"
#include "zones/zones.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::zones {
namespace {

using wire::RrClass;
using wire::RrType;
using wire::Section;
using Octets = std::vector<std::uint8_t>;
using Step = TransferReader::Step;

constexpr std::uint16_t kId = 4711;
constexpr TransferLimits kLimits{1U << 20U, 1000};

wire::Name name(std::string_view text) { return *wire::Name::from_text(text); }

/// One message of a transfer of `a.test`, to be changed before it is sent.
class Message {
public:
    explicit Message(std::uint16_t flags = wire::flag::QR | wire::flag::AA) { writer_.begin(kId, flags); }

    Message& question(std::string_view qname = "a.test", RrType type = RrType::AXFR, RrClass rr_class = RrClass::IN)
    {
        EXPECT_TRUE(writer_.question(name(qname), type, rr_class));
        return *this;
    }
    Message& id(std::uint16_t id)
    {
        writer_.set_id(id);
        return *this;
    }
    Message& rcode(wire::Rcode rcode)
    {
        writer_.set_rcode(rcode);
        return *this;
    }
    Message& add(std::string_view owner, RrType type, std::string_view rdata, RrClass rr_class = RrClass::IN,
                 Section section = Section::answer)
    {
        const auto octets = wire::rdata_from_text(type, rdata, wire::Name{});
        EXPECT_TRUE(octets.has_value());
        EXPECT_TRUE(writer_.record(section, name(owner), type, rr_class, wire::Ttl{300}, *octets));
        return *this;
    }
    Message& soa(std::string_view serial = "7", std::string_view server = "ns.a.test.")
    {
        return add("a.test", RrType::SOA,
                   std::string{server} + " host.a.test. " + std::string{serial} + " 1800 900 604800 60");
    }
    Message& address(std::string_view owner = "www.a.test") { return add(owner, RrType::A, "192.0.2.1"); }
    [[nodiscard]] Octets octets()
    {
        const base::Bytes message = writer_.message();
        return {message.begin(), message.end()};
    }

private:
    Octets room_ = Octets(wire::kMaxMessageSize);
    wire::MessageWriter writer_{room_, room_.size()};
};

struct Read {
    explicit Read(std::initializer_list<Octets> messages, const TransferLimits& limits = kLimits)
        : reader(name("a.test"), kId, limits)
    {
        for (const Octets& message : messages) {
            EXPECT_EQ(step, Step::more);
            step = reader.take(message);
        }
    }
    TransferReader reader;
    Step step = Step::more;
};

void expect_fault(std::initializer_list<Octets> messages, TransferError error, const TransferLimits& limits = kLimits)
{
    Read read{messages, limits};
    EXPECT_EQ(read.step, Step::failed);
    EXPECT_EQ(to_string(read.reader.error()), to_string(error));
}

TEST(Transfer, TakesAZoneInOneMessage)
{
    Read read{{Message{}.question().soa().add("a.test", RrType::NS, "ns.a.test.").address().soa().octets()}};
    ASSERT_EQ(read.step, Step::done);
    const auto zone = read.reader.take_zone();
    EXPECT_EQ(zone.count(), 3U);
    EXPECT_EQ(zone.soa().serial, 7U);
    EXPECT_EQ(zone.soa().refresh, 1800U);
    EXPECT_EQ(zone.soa().retry, 900U);
    EXPECT_EQ(zone.soa().expire, 604800U);
}

TEST(Transfer, TakesAZoneInSeveralMessages)
{
    // RFC 5936 §2.2.1: the question may be left out behind the first message. AA is, by some servers.
    Read read{{Message{}.question().soa().octets(), Message{}.address().octets(),
               Message{wire::flag::QR}.question("A.TEST").address("b.a.test").soa("7", "NS.a.test.").octets()}};
    ASSERT_EQ(read.step, Step::done);
    EXPECT_EQ(read.reader.take_zone().count(), 3U);
}

TEST(Transfer, IsNotOverBeforeTheLastSoa)
{
    Read read{{Message{}.question().soa().address().octets(), Message{}.address("b.a.test").octets()}};
    EXPECT_EQ(read.step, Step::more);
}

TEST(Transfer, LooksWhetherItIsTheResponse)
{
    using enum TransferError;
    expect_fault({Message{}.question().soa().id(1).octets()}, not_a_response);
    expect_fault({Message{wire::flag::AA}.question().soa().octets()}, not_a_response);
    expect_fault({Message{wire::flag::QR | wire::flag::AA | 0x2000}.question().soa().octets()}, not_a_response);
    expect_fault({Message{}.soa().octets()}, not_a_response);
    expect_fault({Message{}.question("b.test").soa().octets()}, not_a_response);
    expect_fault({Message{}.question("a.test", RrType::IXFR).soa().octets()}, not_a_response);
    expect_fault({Message{}.question("a.test", RrType::AXFR, RrClass{3}).soa().octets()}, not_a_response);
    expect_fault({Message{}.question().soa().octets(), Message{}.question("b.test").address().octets()},
                 not_a_response);
    expect_fault({Message{wire::flag::QR | wire::flag::AA | wire::flag::TC}.question().soa().octets()}, truncated);
    expect_fault({Octets{1, 2, 3}}, malformed);
    expect_fault({Octets{}}, malformed);
}

TEST(Transfer, SaysWithWhatItWasRefused)
{
    Read read{{Message{}.question().rcode(wire::Rcode::NOTAUTH).octets()}};
    EXPECT_EQ(read.step, Step::failed);
    EXPECT_EQ(read.reader.error(), TransferError::refused);
    EXPECT_EQ(read.reader.rcode(), wire::Rcode::NOTAUTH);
    // Also in the middle.
    expect_fault({Message{}.question().soa().octets(), Message{}.rcode(wire::Rcode::SERVFAIL).octets()},
                 TransferError::refused);
}

TEST(Transfer, BeginsAndEndsWithTheSameSoa)
{
    using enum TransferError;
    expect_fault({Message{}.question().address().soa().octets()}, no_soa_first);
    expect_fault({Message{}.question().soa().address().soa("8").octets()}, other_soa);
    expect_fault({Message{}.question().soa().soa("7", "ns2.a.test.").octets()}, other_soa);
    expect_fault({Message{}.question().soa().address().soa().address("b.a.test").octets()}, after_the_end);
}

TEST(Transfer, TakesNothingThatIsNotOfTheZone)
{
    using enum TransferError;
    expect_fault({Message{}.question().soa().address("www.b.test").octets()}, out_of_zone);
    expect_fault({Message{}.question().soa().address("xa.test").octets()}, out_of_zone);
    expect_fault({Message{}.question().soa().add("b.a.test", RrType::A, "192.0.2.1", RrClass{3}).octets()},
                 not_zone_data);
    expect_fault({Message{}.question().soa().add("b.a.test", RrType::ANY, "\\# 0").octets()}, not_zone_data);
    expect_fault({Message{}.question().octets()}, bad_section);
    expect_fault(
        {Message{}.question().soa().add("a.test", RrType::NS, "ns.a.test.", RrClass::IN, Section::authority).octets()},
        bad_section);
}

TEST(Transfer, LooksIntoRdata)
{
    auto message = Message{}.question().soa().address().octets();
    message[message.size() - 5] = 3; // the length of the address
    message.pop_back();
    expect_fault({message}, TransferError::malformed);
}

TEST(Transfer, KeepsItsLimits)
{
    const auto begin = Message{}.question().soa().octets();
    const auto more = Message{}.address().octets();
    expect_fault({begin, more, more}, TransferError::too_many_records, {1U << 20U, 2});
    expect_fault({begin, more}, TransferError::too_many_octets, {begin.size() + 2 + more.size() + 1, 1000});
    Read read{{begin, more}, {begin.size() + 2 + more.size() + 2, 2}};
    EXPECT_EQ(read.step, Step::more);
}

TEST(Transfer, WhatIsSmallOnTheWireMayBeLargeInMemory)
{
    // Owners that are two octets each, and ten times that once they are written out.
    const std::string deep = std::string(60, 'x') + "." + std::string(60, 'y') + "." + std::string(60, 'z') + ".a.test";
    Message message;
    message.question().soa();
    for (int i = 0; i < 100; ++i) message.address(deep);
    const auto octets = message.octets();
    expect_fault({octets}, TransferError::too_many_octets, {octets.size() + 100, 1000});
}

TEST(Transfer, IsReadAsItIsWritten)
{
    TransferredZone zone{name("a.test")};
    const auto add = [&](std::string_view owner, RrType type, std::string_view rdata) {
        zone.add(name(owner), type, wire::Ttl{300}, *wire::rdata_from_text(type, rdata, wire::Name{}));
    };
    add("a.test", RrType::SOA, "ns.a.test. host.a.test. 7 1800 900 604800 60");
    add("a.test", RrType::NS, "ns.a.test.");
    for (int i = 0; i < 2000; ++i) add("n" + std::to_string(i) + ".a.test", RrType::TXT, "\"some text for this\"");
    const Octets large(60'000, 7);
    zone.add(name("large.a.test"), RrType{65'280}, wire::Ttl{1}, large);
    add("last.a.test", RrType::A, "192.0.2.1");

    const auto stream = write_transfer(zone, kId);
    TransferReader reader{name("a.test"), kId, {1U << 20U, 5000}};
    wire::FrameReader frames{stream};
    std::size_t messages = 0;
    auto step = Step::more;
    while (const auto message = frames.next()) {
        ASSERT_EQ(step, Step::more);
        step = reader.take(*message);
        ++messages;
    }
    ASSERT_EQ(step, Step::done);
    EXPECT_TRUE(frames.rest().empty());
    EXPECT_GT(messages, 3U);
    const auto again = reader.take_zone();
    EXPECT_EQ(again.count(), zone.count());
    EXPECT_EQ(again.octets(), zone.octets());
    EXPECT_EQ(write_transfer(again, kId), stream);
}

TEST(Transfer, BecomesAZoneThatAnswers)
{
    Read read{{Message{}.question().soa().add("a.test", RrType::NS, "ns.a.test.").address().soa().octets()}};
    ASSERT_EQ(read.step, Step::done);
    base::Problems problems;
    const auto snapshot = build_zone(read.reader.take_zone(), "192.0.2.1:53", Limits{}, problems);
    ASSERT_NE(snapshot, nullptr);
    EXPECT_EQ(snapshot->record_count(), 3U);
    EXPECT_NE(snapshot->find(name("www.a.test")), nullptr);
}

TEST(Transfer, SaysWhereAZoneCameFromThatIsNone)
{
    Read read{{Message{}.question().soa().soa().octets()}};
    ASSERT_EQ(read.step, Step::done);
    base::Problems problems;
    EXPECT_EQ(build_zone(read.reader.take_zone(), "192.0.2.1:53", Limits{}, problems), nullptr);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].to_string().find("192.0.2.1:53"), std::string::npos);
}

TEST(Transfer, IsNoZoneOfNamesWithoutRecords)
{
    TransferredZone zone{name("a.test")};
    const auto add = [&](std::string_view owner, RrType type, std::string_view rdata) {
        zone.add(name(owner), type, wire::Ttl{300}, *wire::rdata_from_text(type, rdata, wire::Name{}));
    };
    add("a.test", RrType::SOA, "ns.a.test. host.a.test. 7 1800 900 604800 60");
    add("a.test", RrType::NS, "ns.a.test.");
    std::string labels;
    for (int i = 0; i < 110; ++i) labels += "x.";
    const auto build = [&] {
        base::Problems problems;
        const bool built = build_zone(zone, "192.0.2.1:53", Limits{}, problems) != nullptr;
        EXPECT_EQ(built, problems.empty());
        return built;
    };
    for (int i = 0; i < 5; ++i) add(labels + std::to_string(i) + ".a.test", RrType::A, "192.0.2.1");
    EXPECT_TRUE(build());
    for (int i = 5; i < 20; ++i) add(labels + std::to_string(i) + ".a.test", RrType::A, "192.0.2.1");
    EXPECT_FALSE(build());
}

TEST(Transfer, AsksForTheZone)
{
    const auto query = write_zone_query(name("a.test"), RrType::AXFR, kId);
    const auto view = wire::MessageView::parse(query);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->id(), kId);
    EXPECT_EQ(view->qtype(), RrType::AXFR);
    EXPECT_EQ(view->header().flags, 0);
}

TEST(Serial, GoesRoundInACircle)
{
    EXPECT_TRUE(is_newer_serial(2, 1));
    EXPECT_FALSE(is_newer_serial(1, 1));
    EXPECT_FALSE(is_newer_serial(1, 2));
    EXPECT_TRUE(is_newer_serial(0, 0xFFFF'FFFF));
    EXPECT_FALSE(is_newer_serial(0xFFFF'FFFF, 0));
    EXPECT_TRUE(is_newer_serial(0x7FFF'FFFF, 0));
    EXPECT_FALSE(is_newer_serial(0x8000'0000, 0)); // RFC 1982 §3.2: undefined
    EXPECT_FALSE(is_newer_serial(0, 0x8000'0000));
}

} // namespace
} // namespace sallyport::zones
