#include "wire/rdata.hpp"

#include "wire_test_support.hpp"

#include <gtest/gtest.h>

namespace sallyport::wire {
namespace {

using test::from_hex;
using test::name;
using test::Octets;
using test::Raw;

ParseError error_of(RrType type, std::string_view hex) { return check_rdata(type, from_hex(hex)).error(); }
bool is_good(RrType type, std::string_view hex) { return check_rdata(type, from_hex(hex)).has_value(); }

TEST(Rdata, FixedSizesFillExactly)
{
    EXPECT_TRUE(is_good(RrType::A, "c0000201"));
    EXPECT_EQ(error_of(RrType::A, "c00002"), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::A, ""), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::A, "c000020100"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::AAAA, "c0000201"), ParseError::truncated);
}

TEST(Rdata, NamesInItArePlain)
{
    EXPECT_TRUE(is_good(RrType::NS, "01 61 00"));
    EXPECT_EQ(error_of(RrType::NS, "c00c"), ParseError::bad_label);
    EXPECT_EQ(error_of(RrType::NS, "01 61"), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::NS, "01 61 00 00"), ParseError::bad_rdata);
    Octets long_name;
    for (int i = 0; i < 130; ++i) {
        long_name.push_back(1);
        long_name.push_back('x');
    }
    long_name.push_back(0);
    EXPECT_EQ(check_rdata(RrType::PTR, long_name).error(), ParseError::name_too_long);
}

TEST(Rdata, StringsStayInside)
{
    EXPECT_TRUE(is_good(RrType::TXT, "00"));
    EXPECT_TRUE(is_good(RrType::TXT, "01 61 02 6262"));
    EXPECT_EQ(error_of(RrType::TXT, ""), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::TXT, "05 6161"), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::HINFO, "01 61"), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::HINFO, "01 61 00 00"), ParseError::bad_rdata);
}

TEST(Rdata, TypeBitMapsAreInOrderWithoutZeros)
{
    EXPECT_TRUE(is_good(RrType::NSEC, "00 0001 40 0101 40"));
    EXPECT_TRUE(is_good(RrType::NSEC, "00"));
    EXPECT_EQ(error_of(RrType::NSEC, "00 0101 40 0001 40"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::NSEC, "00 0001 40 0001 40"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::NSEC, "00 0000"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::NSEC, "00 0002 40 00"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::NSEC, "00 0021 40"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::NSEC, "00 0003 4000"), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::NSEC, "00 00"), ParseError::truncated);
}

TEST(Rdata, WhatTheLayoutDoesNotSayIsCheckedToo)
{
    EXPECT_EQ(error_of(RrType::NSEC3, "01 00 0000 00 00"), ParseError::bad_rdata); // no hash
    EXPECT_TRUE(is_good(RrType::NSEC3, "01 00 0000 00 01 aa"));
    EXPECT_EQ(error_of(RrType::CAA, "00 00 61"), ParseError::bad_rdata);      // no tag
    EXPECT_EQ(error_of(RrType::CAA, "00 02 6120 61"), ParseError::bad_rdata); // a blank in it
    EXPECT_EQ(error_of(RrType::ZONEMD, "00000001 01 01 00"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::IPSECKEY, "0a 04 02"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::IPSECKEY, "0a 01 02 c00002"), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::IPSECKEY, "0a 02 02 c0000200"), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::IPSECKEY, "0a 03 02 c00c"), ParseError::bad_label);
    EXPECT_EQ(error_of(RrType::HIP, "00 02 0001 aa"), ParseError::bad_rdata);
    EXPECT_EQ(error_of(RrType::HIP, "01 02 0002 aa bb"), ParseError::truncated);
    EXPECT_EQ(error_of(RrType::HIP, "01 02 0001 aa bb 05"), ParseError::truncated);
}

TEST(Rdata, UnknownTypesFitAlways)
{
    EXPECT_TRUE(is_good(static_cast<RrType>(65280), ""));
    EXPECT_TRUE(is_good(static_cast<RrType>(65280), "c00c"));
    EXPECT_TRUE(is_good(RrType::TSIG, "ff"));
    EXPECT_EQ(check_rdata(static_cast<RrType>(65280), Octets(65536)).error(), ParseError::bad_rdata);
}

TEST(Rdata, KnowsTheNameThatAdditionalDataFollow)
{
    EXPECT_EQ(target_name(RrType::NS, from_hex("01 61 00")).value(), name("a"));
    EXPECT_EQ(target_name(RrType::MX, from_hex("000a 01 61 00")).value(), name("a"));
    EXPECT_EQ(target_name(RrType::SRV, from_hex("0001 0002 0003 01 61 00")).value(), name("a"));
    EXPECT_EQ(target_name(RrType::HTTPS, from_hex("0001 01 61 00 0003 0002 01bb")).value(), name("a"));
    EXPECT_EQ(target_name(RrType::NAPTR, from_hex("0001 0002 00 00 00 01 61 00")).value(), name("a"));
    EXPECT_EQ(target_name(RrType::A, from_hex("c0000201")).error(), ParseError::bad_rdata);
    EXPECT_EQ(target_name(RrType::MX, from_hex("000a")).error(), ParseError::truncated);
}

/// A message whose only answer has this RDATA; the question's name stands at 12, RDATA at 12 + 11 + 4 + 12.
Octets message_with(RrType type, const Octets& rdata)
{
    return Raw{}.header(1, 1).question("gate.test").pointer(12).fields(type, rdata).octets;
}
constexpr std::uint16_t kRdataAt = 12 + 11 + 4 + 12;

base::Result<void, ParseError> expand(RrType type, const Octets& rdata, Octets& out)
{
    return decompress_rdata(message_with(type, rdata), kRdataAt, static_cast<std::uint16_t>(rdata.size()), type, out);
}

TEST(Rdata, Decompresses)
{
    Octets out{1, 2, 3};
    ASSERT_TRUE(expand(RrType::MX, from_hex("000a 02 6d78 c00c"), out));
    EXPECT_EQ(out, from_hex("010203 000a 02 6d78 04 67617465 04 74657374 00"));
    out.clear();
    ASSERT_TRUE(expand(static_cast<RrType>(65280), from_hex("c00c"), out));
    EXPECT_EQ(out, from_hex("c00c"));
    out.clear();
    ASSERT_TRUE(expand(static_cast<RrType>(14), from_hex("c00c c011"), out)); // MINFO
    EXPECT_EQ(out, from_hex("04 67617465 04 74657374 00 04 74657374 00"));
}

TEST(Rdata, RefusesToDecompressWhatIsBroken)
{
    Octets out{7};
    EXPECT_EQ(expand(RrType::NS, from_hex("c0ff"), out).error(), ParseError::bad_pointer);
    EXPECT_EQ(expand(RrType::NS, from_hex("c027"), out).error(), ParseError::bad_pointer); // itself
    EXPECT_EQ(expand(RrType::NS, from_hex("c00c 00"), out).error(), ParseError::bad_rdata);
    EXPECT_EQ(expand(RrType::NS, from_hex("05 61"), out).error(), ParseError::truncated);
    EXPECT_EQ(expand(RrType::NS, from_hex("c0"), out).error(), ParseError::truncated);
    EXPECT_EQ(expand(RrType::NS, from_hex("41 61 00"), out).error(), ParseError::bad_label);
    EXPECT_EQ(expand(RrType::NS, {}, out).error(), ParseError::truncated);
    EXPECT_EQ(expand(RrType::SOA, from_hex("c00c c00c 00000001"), out).error(), ParseError::truncated);
    EXPECT_EQ(decompress_rdata(Octets(20), 10, 11, RrType::A, out).error(), ParseError::truncated);
    EXPECT_EQ(out, Octets{7}); // nothing is left of what failed
}

} // namespace
} // namespace sallyport::wire
