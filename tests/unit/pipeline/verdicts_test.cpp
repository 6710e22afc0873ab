#include "asking.hpp"
#include "pipeline/remote_stages.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

namespace sallyport::pipeline {
namespace {

using testing::Gate;
using testing::Octets;
using testing::option_of;
using testing::query_for;
using testing::text_of;
using wire::Rcode;
using wire::RrType;

struct Ruled : Gate {
    /// The answer to a query for `name` that a rule decides with `verdict`.
    Step decide(const policy::Verdict& verdict, const BlockOptions& block, RrType qtype = RrType::A,
                base::Transport transport = base::Transport::udp)
    {
        message = query_for("ads.example.", {.qtype = qtype});
        query.request = *wire::MessageView::parse(message);
        query.qname = *wire::Name::from_text("ads.example.");
        query.qtype = qtype;
        query.qclass = wire::RrClass::IN;
        query.client = client;
        query.client.transport = transport;
        query.answer = &writer;
        query.ede.reset();
        writer.reset(512);
        EXPECT_TRUE(writer.begin_response(1, 0, query.request.question_bytes(), 1));
        return apply(verdict, block, texts, query);
    }
    [[nodiscard]] wire::MessageView written() { return *wire::MessageView::parse(writer.message()); }

    Octets message;
    std::vector<std::uint8_t> buffer = std::vector<std::uint8_t>(4096);
    wire::MessageWriter writer{buffer, buffer.size()};
    Texts texts;
    Query query;
};

TEST(PipelineVerdicts, EachWayToBlock)
{
    Ruled ruled;
    policy::Verdict verdict;
    verdict.action = policy::Verdict::Action::block;
    verdict.rule = "script.lua:3";
    BlockOptions block;
    EXPECT_EQ(ruled.decide(verdict, block), Step::answered);
    EXPECT_EQ(ruled.written().rcode(), Rcode::NXDOMAIN);
    ASSERT_EQ(ruled.written().authorities().size(), 1U);
    const auto soa = *ruled.written().authorities().begin();
    std::vector<std::uint8_t> rdata;
    ASSERT_TRUE(wire::decompress_rdata(ruled.written().bytes(), soa.rdata_offset,
                                       static_cast<std::uint16_t>(soa.rdata.size()), soa.type, rdata));
    EXPECT_EQ(wire::rdata_to_text(RrType::SOA, rdata), "localhost. nobody.invalid. 1 3600 600 86400 60");
    EXPECT_EQ(ruled.query.rule, "script.lua:3");
    EXPECT_EQ(ruled.query.ede->code, wire::ExtendedError::blocked);

    block.kind = BlockOptions::Kind::zero_address;
    (void)ruled.decide(verdict, block);
    EXPECT_EQ(text_of(*ruled.written().answers().begin(), ruled.writer.message()), "ads.example. 0.0.0.0");
    (void)ruled.decide(verdict, block, RrType::AAAA);
    EXPECT_EQ(text_of(*ruled.written().answers().begin(), ruled.writer.message()), "ads.example. ::");
    (void)ruled.decide(verdict, block, RrType::TXT);
    EXPECT_EQ(ruled.written().answers().size(), 0U);
    EXPECT_EQ(ruled.written().rcode(), Rcode::NOERROR);

    block.kind = BlockOptions::Kind::address;
    block.addresses = {*base::IpAddress::parse("192.0.2.80"), *base::IpAddress::parse("2001:db8::80")};
    (void)ruled.decide(verdict, block);
    EXPECT_EQ(ruled.written().answers().size(), 1U);
    block.kind = BlockOptions::Kind::refused;
    (void)ruled.decide(verdict, block);
    EXPECT_EQ(ruled.written().rcode(), Rcode::REFUSED);
    block.kind = BlockOptions::Kind::nodata;
    (void)ruled.decide(verdict, block);
    EXPECT_EQ(ruled.written().rcode(), Rcode::NOERROR);
    EXPECT_EQ(ruled.written().authorities().size(), 1U);
}

TEST(PipelineVerdicts, DroppingIsForDatagramsOnly)
{
    Ruled ruled;
    policy::Verdict verdict;
    verdict.action = policy::Verdict::Action::drop;
    EXPECT_EQ(ruled.decide(verdict, {}), Step::drop);
    EXPECT_EQ(ruled.decide(verdict, {}, RrType::A, base::Transport::dot), Step::answered);
    EXPECT_EQ(ruled.written().rcode(), Rcode::REFUSED);
}

TEST(PipelineVerdicts, AnAnswerThatDoesNotFitIsTruncatedWhole)
{
    Ruled ruled;
    policy::Verdict verdict;
    verdict.action = policy::Verdict::Action::answer;
    for (int i = 0; i < 60; ++i)
        verdict.records.push_back({RrType::A, wire::Ttl{60}, {192, 0, 2, static_cast<std::uint8_t>(i)}});
    EXPECT_EQ(ruled.decide(verdict, {}), Step::answered);
    EXPECT_TRUE(ruled.written().header().has(wire::flag::TC));
    EXPECT_EQ(ruled.written().answers().size(), 0U);
}

TEST(PipelineVerdicts, NamesOfRulesAreKeptUpToALimit)
{
    Texts texts;
    const auto first = texts.group("corp");
    EXPECT_EQ(texts.group("corp").data(), first.data());
    for (std::size_t i = 1; i < Texts::kMost; ++i) EXPECT_FALSE(texts.group("g" + std::to_string(i)).empty());
    EXPECT_TRUE(texts.group("one too many").empty());
    EXPECT_EQ(texts.group("corp"), "corp");
    EXPECT_EQ(texts.rule("script.lua:1"), "script.lua:1") << "rules have room of their own";
}

} // namespace
} // namespace sallyport::pipeline
