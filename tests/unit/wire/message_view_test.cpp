#include "wire/message_view.hpp"

#include "wire_test_support.hpp"

#include <gtest/gtest.h>

namespace sallyport::wire {
namespace {

using test::name;
using test::Octets;
using test::Raw;

const Octets kAddress{192, 0, 2, 1};

ParseError error_of(const Octets& message) { return MessageView::parse(message).error(); }
ParseError error_of(const Raw& raw) { return error_of(raw.octets); }

TEST(MessageView, ReadsAQuery)
{
    Raw raw;
    raw.header(1, 0, 0, 1).question("wWw.gate.test", RrType::AAAA).opt({}, 0x8000);
    const auto view = MessageView::parse(raw.octets).value();
    EXPECT_EQ(view.id(), 0x1234);
    EXPECT_TRUE(view.header().has(flag::RD));
    EXPECT_EQ(view.header().opcode(), Opcode::QUERY);
    EXPECT_EQ(view.qname().to_name().to_text(), "wWw.gate.test.");
    EXPECT_TRUE(view.qname().equals(name("WWW.GATE.TEST")));
    EXPECT_EQ(view.qtype(), RrType::AAAA);
    EXPECT_EQ(view.qclass(), RrClass::IN);
    EXPECT_EQ(view.question_bytes().size(), 15U + 4U);
    ASSERT_NE(view.edns(), nullptr);
    EXPECT_TRUE(view.edns()->dnssec_ok);
    EXPECT_EQ(view.records().size(), 1U);
}

TEST(MessageView, ReadsAnswersThroughPointers)
{
    Raw raw;
    raw.header(1, 2, 1, 1).question("www.gate.test");
    raw.pointer(12).fields(RrType::A, kAddress, 60);                        // www.gate.test
    raw.u8(1).u8('b').pointer(16).fields(RrType::A, kAddress, 0x8000'0001); // b.gate.test
    raw.pointer(16).fields(RrType::NS, Octets{0xC0, 12});
    raw.owner("extra.test").fields(RrType::A, kAddress);
    const auto view = MessageView::parse(raw.octets).value();

    std::vector<std::string> owners;
    for (const RecordView& record : view.records()) owners.push_back(record.owner.to_name().to_text());
    EXPECT_EQ(owners, (std::vector<std::string>{"www.gate.test.", "b.gate.test.", "gate.test.", "extra.test."}));

    const RecordView first = *view.answers().begin();
    EXPECT_EQ(first.ttl, Ttl{60});
    EXPECT_EQ(test::bytes_of(first.rdata), kAddress);
    EXPECT_EQ(base::load_be32(raw.octets, first.ttl_offset), 60U);
    EXPECT_EQ(raw.octets[first.rdata_offset], 192);
    EXPECT_TRUE(first.owner.equals(name("www.gate.test")));
    EXPECT_FALSE(first.owner.equals(name("ww.gate.test")));
    EXPECT_FALSE(first.owner.equals(name("gate.test")));
    EXPECT_FALSE(first.owner.equals(name("a.www.gate.test")));
    EXPECT_EQ(view.authorities().size(), 1U);
    EXPECT_EQ(view.additionals().begin()->owner.to_name(), name("extra.test"));
    EXPECT_EQ((++view.answers().begin())->ttl, Ttl{0});
}

TEST(MessageView, ReadsMessagesWithoutQuestion)
{
    const auto view = MessageView::parse(Raw{}.header(0).octets).value();
    EXPECT_EQ(view.header().question_count, 0);
    EXPECT_TRUE(view.question_bytes().empty());
    EXPECT_EQ(view.edns(), nullptr);
    EXPECT_TRUE(view.records().begin() == view.records().end());
}

TEST(MessageView, ReadsSeveralQuestions)
{
    Raw raw;
    raw.header(2).question("a.test").pointer(12).u16(28).u16(1);
    const auto view = MessageView::parse(raw.octets).value();
    EXPECT_EQ(view.qtype(), RrType::A);
    EXPECT_EQ(view.question_bytes().size(), raw.octets.size() - kHeaderSize);
}

TEST(MessageView, RefusesEveryCutOfAMessage)
{
    Raw raw;
    raw.header(1, 1, 0, 1)
        .question("www.gate.test")
        .pointer(12)
        .fields(RrType::A, kAddress)
        .opt(Octets{0, 12, 0, 1, 0});
    ASSERT_TRUE(MessageView::parse(raw.octets).has_value());
    for (std::size_t size = 0; size < raw.octets.size(); ++size) {
        const Octets cut(raw.octets.begin(), raw.octets.begin() + static_cast<std::ptrdiff_t>(size));
        const ParseError error = error_of(cut);
        EXPECT_TRUE(error == ParseError::truncated || error == ParseError::bad_count) << size;
    }
}

TEST(MessageView, RefusesCountsThatTheSectionsDoNotHold)
{
    EXPECT_EQ(error_of(Raw{}.header(1)), ParseError::bad_count);
    EXPECT_EQ(error_of(Raw{}.header(65535).question("a.test")), ParseError::bad_count);
    EXPECT_EQ(error_of(Raw{}.header(1, 65535, 65535, 65535).question("a.test")), ParseError::bad_count);
    EXPECT_EQ(error_of(Raw{}.header(1, 0, 0, 2).question("a.test").opt({})), ParseError::bad_count);
}

TEST(MessageView, RefusesWhatFollowsTheLastRecord)
{
    EXPECT_EQ(error_of(Raw{}.header(1).question("a.test").u8(0)), ParseError::trailing_bytes);
    EXPECT_EQ(error_of(Octets(65536)), ParseError::trailing_bytes);
}

TEST(MessageView, ReadsAMessageOf65535Octets)
{
    Raw raw;
    raw.header(0, 1).u8(0).fields(RrType::TXT, Octets(65535 - 12 - 11));
    ASSERT_EQ(raw.octets.size(), 65535U);
    const auto view = MessageView::parse(raw.octets).value();
    EXPECT_EQ(view.answers().begin()->rdata.size(), 65535U - 23U);
}

TEST(MessageView, RefusesPointersThatDoNotLeadBack)
{
    const auto answer = [](unsigned target) { // the owner stands at offset 24
        return Raw{}.header(1, 1).question("a.test").pointer(target).fields(RrType::A, kAddress);
    };
    ASSERT_EQ(Raw{}.header(1).question("a.test").octets.size(), 24U);
    EXPECT_TRUE(MessageView::parse(answer(12).octets).has_value());
    EXPECT_EQ(error_of(answer(24)), ParseError::bad_pointer); // itself
    EXPECT_EQ(error_of(answer(26)), ParseError::bad_pointer); // forward
    EXPECT_EQ(error_of(answer(0x3FFF)), ParseError::bad_pointer);
    EXPECT_EQ(error_of(answer(4)), ParseError::bad_pointer); // into the header
    EXPECT_EQ(error_of(Raw{}.header(1).pointer(12).u16(1).u16(1)), ParseError::bad_pointer);
    // Labels in front do not turn a pointer to their own start into one that leads back.
    EXPECT_EQ(error_of(Raw{}.header(1, 1).question("a.test").u8(1).u8('x').pointer(24).fields(RrType::A, kAddress)),
              ParseError::bad_pointer);
}

TEST(MessageView, RefusesOtherLabelTypes)
{
    EXPECT_EQ(error_of(Raw{}.header(1).u8(0x40).u8(0).u16(1).u16(1)), ParseError::bad_label);
    EXPECT_EQ(error_of(Raw{}.header(1).u8(0x80).u8(0).u16(1).u16(1)), ParseError::bad_label);
    EXPECT_EQ(error_of(Raw{}.header(1).u8(0xC0)), ParseError::truncated);
}

TEST(MessageView, RefusesNamesOver255Octets)
{
    Raw labels; // 63, 63, 63 and 61 octets
    for (const unsigned size : {63U, 63U, 63U, 61U}) labels.u8(size).put(Octets(size, 'a'));
    const Octets longest = labels.u8(0).octets;
    Raw raw;
    raw.header(1, 1).put(longest).u16(1).u16(1);
    Raw fits = raw;
    EXPECT_TRUE(MessageView::parse(fits.pointer(12).fields(RrType::A, kAddress).octets).has_value());
    // One label more than the question's name, by pointer; and the same further inside.
    EXPECT_EQ(error_of(Raw{raw}.u8(1).u8('x').pointer(12).fields(RrType::A, kAddress)), ParseError::name_too_long);
    Raw inside = raw;
    inside.put(Octets(65, 0)).octets[raw.octets.size()] = 63;
    inside.octets.resize(raw.octets.size() + 64);
    EXPECT_EQ(error_of(inside.u8(2).u8('x').u8('y').pointer(76).fields(RrType::A, kAddress)),
              ParseError::name_too_long);
    Raw plain;
    plain.header(1);
    for (int i = 0; i < 128; ++i) plain.u8(1).u8('x');
    EXPECT_EQ(error_of(plain.u8(0).u16(1).u16(1)), ParseError::name_too_long);
}

/// A message whose first record has, in RDATA, a chain of pointers: each entry leads to the one before it.
Raw chain_of_pointers(unsigned hops, unsigned owners)
{
    Raw rdata;
    rdata.u8(0); // root, at offset 12 + 1 + 10
    const unsigned root_at = kHeaderSize + 11;
    for (unsigned i = 0; i < hops; ++i) rdata.pointer(i == 0 ? root_at : root_at + 1 + 2 * (i - 1));
    Raw raw;
    raw.header(0, 1 + owners).u8(0).fields(RrType::TXT, rdata.octets);
    for (unsigned i = 0; i < owners; ++i) raw.pointer(root_at + 1 + 2 * (hops - 1)).fields(RrType::A, kAddress);
    return raw;
}

TEST(MessageView, FollowsAtMost126PointersAName)
{
    EXPECT_TRUE(MessageView::parse(chain_of_pointers(125, 1).octets).has_value()); // and the owner's own
    EXPECT_EQ(error_of(chain_of_pointers(126, 1)), ParseError::bad_pointer);
}

TEST(MessageView, FollowsAtMost20000PointersAMessage)
{
    EXPECT_TRUE(MessageView::parse(chain_of_pointers(99, 200).octets).has_value()); // 200 owners of 100 hops
    EXPECT_EQ(error_of(chain_of_pointers(99, 201)), ParseError::pointer_budget);
}

TEST(MessageView, OptStandsOnceInTheAdditionalSectionOwnedByTheRoot)
{
    Raw two;
    two.header(1, 0, 0, 2).question("a.test").opt({}).opt({});
    EXPECT_EQ(error_of(two), ParseError::bad_opt);
    Raw in_answer;
    in_answer.header(1, 1).question("a.test").opt({});
    EXPECT_EQ(error_of(in_answer), ParseError::bad_opt);
    Raw in_authority;
    in_authority.header(1, 0, 1).question("a.test").opt({});
    EXPECT_EQ(error_of(in_authority), ParseError::bad_opt);
    Raw named;
    named.header(1, 0, 0, 1).question("a.test").pointer(12).fields(RrType::OPT, {});
    EXPECT_EQ(error_of(named), ParseError::bad_opt);
    Raw option;
    option.header(1, 0, 0, 1).question("a.test").opt(Octets{0, 10, 0, 1, 0});
    EXPECT_EQ(error_of(option), ParseError::bad_option);
}

TEST(MessageView, KnowsTheExtendedRcode)
{
    Raw raw;
    raw.header(1, 0, 0, 1).question("a.test").opt({}, 0x0100'0000);
    EXPECT_EQ(MessageView::parse(raw.octets).value().rcode(), Rcode::BADVERS);
}

TEST(MessageView, TheHeaderAloneIsReadable)
{
    EXPECT_FALSE(read_header(Octets(11)));
    EXPECT_EQ(read_header(Raw{}.header(7).octets).value().question_count, 7);
}

} // namespace
} // namespace sallyport::wire
