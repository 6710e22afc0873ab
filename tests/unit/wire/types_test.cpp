#include "wire/types.hpp"

#include <gtest/gtest.h>

namespace sallyport::wire {
namespace {

TEST(Types, EveryMnemonicReadsBackAsItself)
{
    unsigned named = 0;
    for (unsigned value = 0; value < 65536; ++value) {
        const auto type = static_cast<RrType>(value);
        const std::string text = to_string(type);
        ASSERT_EQ(parse_rr_type(text), type) << text;
        named += text.starts_with("TYPE") ? 0 : 1;
    }
    EXPECT_EQ(named, 97U);
}

TEST(Types, MnemonicsAreReadInAnyCase)
{
    EXPECT_EQ(parse_rr_type("aaaa"), RrType::AAAA);
    EXPECT_EQ(parse_rr_type("type28"), RrType::AAAA);
    EXPECT_EQ(parse_rr_class("in"), RrClass::IN);
    EXPECT_EQ(parse_rr_class("CLASS32"), static_cast<RrClass>(32));
}

TEST(Types, WhatIsNoMnemonicIsRefused)
{
    for (const char* text : {"", "TYPE", "TYPE65536", "TYPE-1", "TYPE1x", "TYPE 1", "AAAAA", "A "}) {
        EXPECT_FALSE(parse_rr_type(text)) << text;
    }
    EXPECT_FALSE(parse_rr_class("XX"));
}

TEST(Types, UnknownValuesHaveGenericNames)
{
    EXPECT_EQ(to_string(static_cast<RrType>(65280)), "TYPE65280");
    EXPECT_EQ(to_string(static_cast<RrClass>(32)), "CLASS32");
    EXPECT_EQ(to_string(static_cast<Rcode>(4000)), "RCODE4000");
    EXPECT_EQ(to_string(Rcode::BADVERS), "BADVERS");
    EXPECT_EQ(to_string(static_cast<Opcode>(15)), "RESERVED");
    EXPECT_EQ(to_string(ExtendedError::blocked), "Blocked");
    EXPECT_EQ(to_string(ExtendedError::unsupported_nsec3_iterations), "Unsupported NSEC3 Iterations Value");
    EXPECT_EQ(to_string(ExtendedError::synthesized), "Synthesized");
    EXPECT_EQ(to_string(ExtendedError::invalid_query_type), "Invalid Query Type");
    EXPECT_EQ(to_string(static_cast<ExtendedError>(9999)), "Unassigned");
    EXPECT_EQ(to_string(ParseError::bad_rdata), "bad_rdata");
}

TEST(Types, ATtlWithTheTopBitCountsAsZero)
{
    EXPECT_EQ(Ttl::from_wire(0x8000'0001U).seconds(), 0U);
    EXPECT_EQ(Ttl::from_wire(0x7FFF'FFFFU).seconds(), 0x7FFF'FFFFU);
}

TEST(Types, MetaTypesAreNeverData)
{
    for (const RrType type : {RrType{}, RrType::OPT, RrType::TSIG, RrType::ANY, RrType::AXFR})
        EXPECT_TRUE(is_meta(type));
    for (const RrType type : {RrType::A, RrType::URI, RrType::DLV, RrType::EUI48}) EXPECT_FALSE(is_meta(type));
}

} // namespace
} // namespace sallyport::wire
