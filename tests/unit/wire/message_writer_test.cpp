#include "wire/message_writer.hpp"

#include "wire/rdata.hpp"
#include "wire_test_support.hpp"

#include <gtest/gtest.h>

#include <random>

namespace sallyport::wire {
namespace {

using test::name;
using test::Octets;

const Octets kAddress{192, 0, 2, 1};

/// A writer with its buffer, and the way back.
struct Fixture : testing::Test {
    std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(kMaxMessageSize);
    MessageWriter writer{buffer, buffer.size()};

    void respond(const Name& qname, RrType qtype = RrType::A)
    {
        Octets question = test::bytes_of(qname.wire());
        for (const unsigned octet : {0U, static_cast<unsigned>(qtype), 0U, 1U}) {
            question.push_back(static_cast<std::uint8_t>(octet));
        }
        ASSERT_TRUE(writer.begin_response(0x1234, flag::RD, question, 1));
    }
    bool add(Section section, std::string_view owner, RrType type, const Octets& rdata, std::uint32_t ttl = 300)
    {
        return writer.record(section, name(owner), type, RrClass::IN, Ttl{ttl}, rdata);
    }
    bool answer(std::string_view owner, RrType type, const Octets& rdata)
    {
        return add(Section::answer, owner, type, rdata);
    }
    Octets rdata_of_name(std::string_view text) { return test::bytes_of(name(text).wire()); }
    MessageView view() { return MessageView::parse(writer.message()).value(); }
};
using MessageWriterTest = Fixture;

TEST_F(MessageWriterTest, BeginsAResponseFromItsQuery)
{
    const auto query_flags = static_cast<std::uint16_t>(flag::RD | flag::CD | flag::AD | flag::TC | (4U << 11U));
    ASSERT_TRUE(writer.begin_response(7, query_flags, {}, 0));
    EXPECT_EQ(writer.flags(), flag::QR | flag::RD | flag::CD | (4U << 11U));
    EXPECT_EQ(view().id(), 7);
    writer.set_id(9);
    writer.set_flags(flag::AA | flag::RA);
    writer.clear_flags(flag::RD);
    writer.set_rcode(Rcode::NXDOMAIN);
    EXPECT_EQ(view().id(), 9);
    EXPECT_TRUE(view().header().has(flag::AA | flag::RA));
    EXPECT_FALSE(view().header().has(flag::RD));
    EXPECT_EQ(view().rcode(), Rcode::NXDOMAIN);
}

TEST_F(MessageWriterTest, KeepsTheSpellingOfTheClient)
{
    respond(name("wWw.GaTe.test"));
    ASSERT_TRUE(answer("www.gate.test", RrType::A, kAddress));
    const auto record = *view().answers().begin();
    EXPECT_EQ(record.owner.to_name().to_text(), "wWw.GaTe.test.");
    EXPECT_EQ(base::load_be16(writer.message(), record.owner.offset()), 0xC00C);
}

TEST_F(MessageWriterTest, CompressesNamesOfRfc1035Types)
{
    respond(name("www.gate.test"));
    Octets mx{0, 10};
    const Name exchange = name("mail.gate.test");
    mx.insert(mx.end(), exchange.wire().begin(), exchange.wire().end());
    ASSERT_TRUE(answer("www.gate.test", RrType::CNAME, rdata_of_name("a.gate.test")));
    ASSERT_TRUE(answer("a.gate.test", RrType::MX, mx));
    ASSERT_TRUE(answer("A.Gate.Test", RrType::MX, mx));
    std::vector<std::size_t> sizes;
    for (const RecordView& record : view().answers()) sizes.push_back(record.rdata.size());
    EXPECT_EQ(sizes, (std::vector<std::size_t>{4, 9, 4}));
    for (const RecordView& record : view().answers()) {
        Octets plain;
        ASSERT_TRUE(decompress_rdata(writer.message(), record.rdata_offset,
                                     static_cast<std::uint16_t>(record.rdata.size()), record.type, plain));
        EXPECT_EQ(plain, record.type == RrType::MX ? mx : rdata_of_name("a.gate.test"));
    }
}

TEST_F(MessageWriterTest, WritesNamesOfOtherTypesPlain)
{
    respond(name("gate.test"));
    const Octets target = rdata_of_name("gate.test");
    ASSERT_TRUE(answer("gate.test", RrType::DNAME, target));
    EXPECT_EQ(test::bytes_of(view().answers().begin()->rdata), target);
}

TEST_F(MessageWriterTest, WritesRdataThatIsNoNameAsItStands)
{
    respond(name("gate.test"));
    for (const Octets& odd : {Octets{}, Octets{5, 'a'}, Octets{0xC0, 0x0C}}) {
        ASSERT_TRUE(answer("gate.test", RrType::NS, odd));
        ASSERT_TRUE(answer("gate.test", RrType::SOA, odd));
        ASSERT_TRUE(answer("gate.test", RrType::MX, odd));
    }
    for (const RecordView& record : view().answers()) EXPECT_LE(record.rdata.size(), 2U);
}

TEST_F(MessageWriterTest, TheRootIsWrittenPlain)
{
    respond(Name{}, RrType::NS);
    ASSERT_TRUE(answer(".", RrType::NS, rdata_of_name(".")));
    const auto record = *view().answers().begin();
    EXPECT_EQ(writer.message()[record.owner.offset()], 0);
    EXPECT_EQ(record.rdata.size(), 1U);
}

TEST_F(MessageWriterTest, NamesBeyondThePointerRangeAreNoTargets)
{
    respond(name("gate.test"));
    while (writer.size() < 0x4000) ASSERT_TRUE(answer("gate.test", RrType::TXT, Octets(250, 1)));
    ASSERT_TRUE(answer("far.other.example", RrType::A, kAddress));
    ASSERT_TRUE(answer("far.other.example", RrType::A, kAddress));
    ASSERT_TRUE(answer("x.gate.test", RrType::NS, rdata_of_name("far.other.example")));
    std::vector<std::string> owners;
    for (const RecordView& record : view().answers()) owners.push_back(record.owner.to_name().to_text());
    ASSERT_GE(owners.size(), 3U);
    EXPECT_EQ(owners[owners.size() - 1], "x.gate.test.");
    EXPECT_EQ(owners[owners.size() - 2], "far.other.example.");
    EXPECT_EQ(owners[owners.size() - 3], "far.other.example.");
}

TEST_F(MessageWriterTest, AfterTheBudgetOfSearchesNamesAreWrittenPlain)
{
    respond(name("gate.test"));
    unsigned plain = 0;
    for (unsigned i = 0; i < kMaxCompressionSearches + 5; ++i) {
        const std::size_t before = writer.size();
        ASSERT_TRUE(answer("n" + std::to_string(100 + i) + ".gate.test", RrType::A, kAddress));
        const std::size_t owner_size = writer.size() - before - 14;
        plain += owner_size == 1 + 4 + 11 ? 1 : 0;
        EXPECT_EQ(owner_size, i < kMaxCompressionSearches ? 7U : 16U) << i;
    }
    EXPECT_EQ(plain, 5U);
    // What needs no search is compressed for ever.
    const std::size_t before = writer.size();
    ASSERT_TRUE(answer("gate.test", RrType::A, kAddress));
    EXPECT_EQ(writer.size() - before, 16U);
    EXPECT_EQ(view().answers().size(), kMaxCompressionSearches + 6);
}

TEST_F(MessageWriterTest, LargeSetsOfAnotherOwnerStayCompressed)
{
    respond(name("alias.test"));
    ASSERT_TRUE(answer("alias.test", RrType::CNAME, rdata_of_name("target.elsewhere.example")));
    for (unsigned i = 0; i < 1400; ++i) {
        const std::size_t before = writer.size();
        ASSERT_TRUE(answer("target.elsewhere.example", RrType::A,
                           {192, 0, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i & 0xFFU)}));
        ASSERT_EQ(writer.size() - before, 16U) << i;
    }
    EXPECT_EQ(view().answers().size(), 1401U);
}

TEST_F(MessageWriterTest, WhatDoesNotFitIsNotWrittenAtAll)
{
    respond(name("gate.test"));
    ASSERT_TRUE(answer("gate.test", RrType::NS, rdata_of_name("ns1.gate.test")));
    const Octets whole = test::bytes_of(writer.message());
    Octets soa = rdata_of_name("ns9.gate.test");
    const Name mailbox = name("hostmaster.other.test");
    soa.insert(soa.end(), mailbox.wire().begin(), mailbox.wire().end());
    soa.resize(soa.size() + 20);
    for (std::size_t room = 0;; ++room) {
        writer.set_limit(whole.size() + room);
        if (add(Section::authority, "sub.gate.test", RrType::SOA, soa)) break;
        ASSERT_EQ(test::bytes_of(writer.message()), whole) << room;
        ASSERT_LT(room, 100U);
    }
    EXPECT_EQ(writer.size(), writer.limit());
    EXPECT_EQ(view().authorities().begin()->owner.to_name(), name("sub.gate.test"));
}

TEST_F(MessageWriterTest, RollbackForgetsTheNamesWrittenSince)
{
    respond(name("gate.test"));
    const auto start = writer.mark();
    for (int pass = 0; pass < 3; ++pass) {
        ASSERT_TRUE(answer("a.b.other.test", RrType::NS, rdata_of_name("ns.b.other.test")));
        const auto middle = writer.mark();
        ASSERT_TRUE(add(Section::authority, "b.other.test", RrType::NS, rdata_of_name("deep.ns.b.other.test"), 5));
        EXPECT_EQ(writer.smallest_ttl(Ttl{0}), Ttl{5});
        writer.rollback(middle);
        EXPECT_EQ(writer.smallest_ttl(Ttl{0}), Ttl{300});
        EXPECT_EQ(writer.count(Section::authority), 0);
        // The end of a name that is gone must not be a target, although its octets are still in the buffer.
        ASSERT_TRUE(add(Section::answer, "ns.gate.test", RrType::NS, rdata_of_name("deep.ns.b.other.test")));
        const auto records = view().answers();
        EXPECT_EQ((++records.begin())->owner.to_name(), name("ns.gate.test"));
        writer.rollback(start);
        EXPECT_EQ(writer.count(Section::answer), 0);
        EXPECT_EQ(view().question_bytes().size(), 11U + 4U);
    }
}

TEST_F(MessageWriterTest, SectionsAreWrittenInOrder)
{
    respond(name("gate.test"));
    ASSERT_TRUE(add(Section::additional, "gate.test", RrType::A, kAddress));
#ifdef NDEBUG
    EXPECT_FALSE(add(Section::answer, "gate.test", RrType::A, kAddress));
#endif
    EXPECT_EQ(writer.count(Section::additional), 1);
}

TEST_F(MessageWriterTest, WritesQuestions)
{
    writer.begin(1, flag::RD);
    ASSERT_TRUE(writer.question(name("gate.test"), RrType::AAAA, RrClass::IN));
    ASSERT_TRUE(answer("gate.test", RrType::A, kAddress));
    EXPECT_EQ(view().qtype(), RrType::AAAA);
    EXPECT_EQ(base::load_be16(writer.message(), view().answers().begin()->owner.offset()), 0xC00C);
    writer.reset(30);
    EXPECT_FALSE(writer.question(name("much-too-long.gate.test"), RrType::A, RrClass::IN));
    EXPECT_EQ(writer.message().size(), kHeaderSize);
}

TEST_F(MessageWriterTest, WritesOptWithOptions)
{
    respond(name("gate.test"));
    ASSERT_TRUE(writer.begin_opt(1232, true));
    EXPECT_FALSE(writer.begin_opt(1232, true));
    ASSERT_TRUE(writer.option(EdnsOptionCode::COOKIE, Octets(16, 'c')));
    ASSERT_TRUE(writer.extended_error(ExtendedError::blocked, "on a list"));
    writer.set_rcode(Rcode::BADCOOKIE);
    writer.end_opt();
    const auto message = view();
    EXPECT_EQ(message.rcode(), Rcode::BADCOOKIE);
    EXPECT_EQ(message.edns()->udp_payload_size, 1232);
    EXPECT_TRUE(message.edns()->dnssec_ok);
    EXPECT_EQ(message.edns()->cookie.value().size(), 16U);
    EXPECT_EQ(base::as_text(message.edns()->options.last(9)), "on a list");
    EXPECT_EQ(writer.smallest_ttl(Ttl{77}), Ttl{77});
    EXPECT_FALSE(writer.option(EdnsOptionCode::NSID, {}));
}

TEST_F(MessageWriterTest, PadsToWholeBlocks)
{
    for (const std::size_t block : {std::size_t{128}, std::size_t{468}}) {
        for (std::size_t text = 1; text <= 255; ++text) {
            writer.reset(buffer.size());
            respond(name("gate.test"));
            ASSERT_TRUE(answer("gate.test", RrType::TXT, Octets(text)));
            ASSERT_TRUE(writer.begin_opt(1232, false));
            writer.pad_to(block);
            writer.end_opt();
            ASSERT_EQ(writer.message().size() % block, 0U) << text;
            ASSERT_TRUE(view().edns()->padding);
        }
    }
}

TEST_F(MessageWriterTest, PaddingNeverPassesTheLimit)
{
    for (std::size_t limit = 30; limit < 140; ++limit) {
        writer.reset(limit);
        respond(name("g.test"));
        if (!writer.begin_opt(1232, false)) continue;
        writer.pad_to(128);
        writer.end_opt();
        const std::size_t size = writer.message().size();
        EXPECT_LE(size, std::min<std::size_t>(limit, 128));
        EXPECT_TRUE(size == limit || size == 128 || limit < 35 + 4) << limit;
        static_cast<void>(view());
    }
}

TEST_F(MessageWriterTest, TextOfAnErrorIsCutAtACharacter)
{
    const std::string_view text = "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x94\x92"; // 2, 3 and 4 octets
    const std::size_t kept[] = {0, 0, 2, 2, 2, 5, 5, 5, 5, 9};
    for (std::size_t room = 0; room < std::size(kept); ++room) {
        writer.reset(buffer.size());
        respond(name("gate.test"));
        ASSERT_TRUE(writer.begin_opt(1232, false));
        writer.set_limit(writer.size() + 6 + room);
        ASSERT_TRUE(writer.extended_error(ExtendedError::other, text));
        writer.end_opt();
        EXPECT_EQ(view().edns()->options.size(), 6 + kept[room]) << room;
    }
    writer.reset(buffer.size());
    ASSERT_TRUE(writer.begin_opt(1232, false));
    writer.set_limit(writer.size() + 5);
    EXPECT_FALSE(writer.extended_error(ExtendedError::other, text));
    EXPECT_FALSE(writer.option(EdnsOptionCode::NSID, Octets(2)));
    EXPECT_TRUE(writer.option(EdnsOptionCode::NSID, Octets(1)));
}

TEST_F(MessageWriterTest, RollbackTakesOptBack)
{
    respond(name("gate.test"));
    const auto mark = writer.mark();
    ASSERT_TRUE(writer.begin_opt(1232, false));
    writer.rollback(mark);
    EXPECT_EQ(view().edns(), nullptr);
    ASSERT_TRUE(answer("gate.test", RrType::A, kAddress));
    ASSERT_TRUE(writer.begin_opt(1232, false));
    EXPECT_NE(view().edns(), nullptr);
}

TEST_F(MessageWriterTest, AdoptsAMessageAndAddsOpt)
{
    respond(name("gate.test"));
    ASSERT_TRUE(answer("gate.test", RrType::A, kAddress));
    writer.set_rcode(Rcode::NXDOMAIN);
    const Octets stored = test::bytes_of(writer.message());

    std::vector<std::uint8_t> other(600);
    MessageWriter second{other, 512};
    std::copy(stored.begin(), stored.end(), second.buffer().begin());
    second.adopt(stored.size(), Ttl{17});
    EXPECT_EQ(second.rcode(), Rcode::NXDOMAIN);
    EXPECT_EQ(second.count(Section::answer), 1);
    EXPECT_EQ(second.smallest_ttl(Ttl{0}), Ttl{17});
    ASSERT_TRUE(second.begin_opt(1232, false));
    second.end_opt();
    const auto message = MessageView::parse(second.message()).value();
    EXPECT_EQ(message.answers().size(), 1U);
    EXPECT_NE(message.edns(), nullptr);
}

TEST_F(MessageWriterTest, AResponseWhoseQuestionDoesNotFitIsRefused)
{
    writer.reset(20);
    EXPECT_FALSE(writer.begin_response(1, 0, Octets(9), 1));
    EXPECT_EQ(writer.message().size(), kHeaderSize);
}

TEST_F(MessageWriterTest, FillsAMessageOf65535Octets)
{
    respond(name("gate.test"));
    while (answer("gate.test", RrType::TXT, Octets(100))) {}
    const std::size_t room = writer.limit() - writer.size();
    ASSERT_GE(room, 12U);
    ASSERT_TRUE(answer("gate.test", RrType::TXT, Octets(room - 12)));
    EXPECT_EQ(writer.message().size(), 65535U);
    EXPECT_FALSE(answer(".", RrType::A, {}));
    static_cast<void>(view());
}

TEST_F(MessageWriterTest, WhatIsWrittenIsReadBack)
{
    std::mt19937 random{3};
    const std::vector<std::string> labels = {"a", "B", "cc", "Dd", "www", "mail", "ns1", "test", "example", "x.y"};
    const auto random_text = [&] {
        std::string text;
        for (auto count = 1 + random() % 5; count > 0; --count) text += labels[random() % labels.size()] + ".";
        return text;
    };
    for (int round = 0; round < 300; ++round) {
        writer.reset(buffer.size());
        respond(name(random_text()));
        std::vector<std::pair<Name, Octets>> written;
        for (auto count = random() % 60; count > 0; --count) {
            const Name owner = name(random_text());
            const Octets rdata = rdata_of_name(random_text());
            const auto mark = writer.mark();
            ASSERT_TRUE(writer.record(Section::answer, owner, RrType::NS, RrClass::IN, Ttl{1}, rdata));
            if (random() % 4 == 0) {
                writer.rollback(mark);
            } else {
                written.emplace_back(owner, rdata);
            }
        }
        const auto message = view();
        ASSERT_EQ(message.answers().size(), written.size());
        std::size_t i = 0;
        for (const RecordView& record : message.answers()) {
            EXPECT_EQ(record.owner.to_name(), written[i].first);
            Octets plain;
            ASSERT_TRUE(decompress_rdata(message.bytes(), record.rdata_offset,
                                         static_cast<std::uint16_t>(record.rdata.size()), record.type, plain));
            EXPECT_EQ(Name::from_wire(plain).value(), Name::from_wire(written[i++].second).value());
        }
    }
}

} // namespace
} // namespace sallyport::wire
