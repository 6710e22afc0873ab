#include "wire/name.hpp"

#include "wire_test_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace sallyport::wire {
namespace {

using test::name;
using test::Octets;

std::string repeat(std::string_view text, unsigned times)
{
    std::string out;
    for (unsigned i = 0; i < times; ++i) out += text;
    return out;
}

/// 255 octets: three labels of 63 and one of 61.
std::string longest_text()
{
    const std::string label(63, 'a');
    return label + "." + label + "." + label + "." + std::string(61, 'b') + ".";
}

Name random_name(std::mt19937& random)
{
    Octets wire;
    for (auto labels = random() % 6; labels > 0; --labels) {
        const auto size = 1 + random() % 40;
        wire.push_back(static_cast<std::uint8_t>(size));
        for (std::size_t i = 0; i < size; ++i) wire.push_back(static_cast<std::uint8_t>(random()));
    }
    wire.push_back(0);
    return Name::from_wire(wire).value();
}

TEST(Name, IsTheRootAtFirst)
{
    const Name root;
    EXPECT_TRUE(root.is_root());
    EXPECT_EQ(root.size(), 1U);
    EXPECT_EQ(root.label_count(), 0U);
    EXPECT_EQ(root.to_text(), ".");
    EXPECT_EQ(name("."), root);
}

TEST(Name, ReadsTextAbsoluteOrNot)
{
    EXPECT_EQ(name("www.example"), name("www.example."));
    const Name origin = name("example.");
    EXPECT_EQ(Name::from_text("www", &origin).value(), name("www.example."));
    EXPECT_EQ(Name::from_text("www.", &origin).value(), name("www."));
    EXPECT_EQ(Name::from_text("@", &origin).value(), origin);
    EXPECT_EQ(name("www.example.").label_count(), 2U);
}

TEST(Name, ReadsEscapes)
{
    const Name odd = name(R"(a\.b.\092\000\255\"x.test)");
    EXPECT_EQ(odd.label_count(), 3U);
    EXPECT_EQ(test::bytes_of(odd.wire()), test::from_hex("03 61 2e 62 05 5c 00 ff 22 78 04 74657374 00"));
    EXPECT_EQ(odd.to_text(), R"(a\.b.\\\000\255\"x.test.)");
}

TEST(Name, RefusesTextThatIsNoName)
{
    EXPECT_EQ(Name::from_text("").error(), ParseError::bad_text);
    EXPECT_EQ(Name::from_text("a\\").error(), ParseError::bad_text);
    EXPECT_EQ(Name::from_text("a\\25").error(), ParseError::bad_text);
    EXPECT_EQ(Name::from_text("a\\256").error(), ParseError::bad_text);
    EXPECT_EQ(Name::from_text("a..b").error(), ParseError::bad_label);
    EXPECT_EQ(Name::from_text(".a").error(), ParseError::bad_label);
    EXPECT_EQ(Name::from_text("..").error(), ParseError::bad_label);
    EXPECT_EQ(Name::from_text(std::string(64, 'a')).error(), ParseError::bad_label);
    EXPECT_EQ(Name::from_text(std::string(400, 'a')).error(), ParseError::bad_label);
    EXPECT_EQ(Name::from_text("a" + longest_text()).error(), ParseError::bad_label);
    EXPECT_EQ(Name::from_text("a." + longest_text()).error(), ParseError::name_too_long);
}

TEST(Name, HoldsTheLargestNames)
{
    const Name longest = name(longest_text());
    EXPECT_EQ(longest.size(), 255U);
    EXPECT_EQ(longest.to_text(), longest_text());
    const Name deepest = name(repeat("x.", 127));
    EXPECT_EQ(deepest.size(), 255U);
    EXPECT_EQ(deepest.label_count(), 127U);
    EXPECT_EQ(Name::from_text(repeat("x.", 128)).error(), ParseError::name_too_long);
    EXPECT_TRUE(deepest.is_under(name("x.x.")));
    EXPECT_EQ(deepest.parent(127), Name{});
}

TEST(Name, AnOriginThatMakesItTooLongIsRefused)
{
    const Name origin = name(longest_text());
    EXPECT_EQ(Name::from_text("a", &origin).error(), ParseError::name_too_long);
}

TEST(Name, ReadsWireThatIsOneWholeName)
{
    EXPECT_EQ(Name::from_wire(test::from_hex("03777777 04 74657374 00")).value(), name("www.test."));
    EXPECT_EQ(Name::from_wire({}).error(), ParseError::truncated);
    EXPECT_EQ(Name::from_wire(test::from_hex("0377")).error(), ParseError::truncated);
    EXPECT_EQ(Name::from_wire(test::from_hex("0161")).error(), ParseError::truncated);
    EXPECT_EQ(Name::from_wire(test::from_hex("00 00")).error(), ParseError::trailing_bytes);
    EXPECT_EQ(Name::from_wire(test::from_hex("40 61 00")).error(), ParseError::bad_label);
    EXPECT_EQ(Name::from_wire(test::from_hex("c0 0c")).error(), ParseError::bad_label);
    Octets too_long;
    for (int i = 0; i < 128; ++i) too_long.insert(too_long.end(), {1, 'x'});
    too_long.push_back(0);
    EXPECT_EQ(Name::from_wire(too_long).error(), ParseError::name_too_long);
}

TEST(Name, ComparesWithoutCase)
{
    EXPECT_EQ(name("WWW.Example.COM"), name("www.eXAMPLE.com"));
    EXPECT_EQ(name("WWW.Example.COM").hash(), name("www.eXAMPLE.com").hash());
    EXPECT_NE(name("www.example.com"), name("wwx.example.com"));
    EXPECT_NE(name("a.bc"), name("ab.c"));
    EXPECT_NE(name("@.test"), name("`.test")); // 0x40 and 0x60: next to the letters, and no letters
    EXPECT_NE(name("[.test"), name("{.test"));
}

TEST(Name, EveryOctetIsLoweredAsTheTableSays)
{
    for (unsigned octet = 0; octet < 256; ++octet) {
        const std::uint64_t all = octet * 0x0101'0101'0101'0101U;
        EXPECT_EQ(lower_octets(all), lower(static_cast<std::uint8_t>(octet)) * 0x0101'0101'0101'0101U) << octet;
    }
}

TEST(Name, LowerCasesNamesOfEverySize)
{
    for (unsigned size = 1; size <= 63; ++size) {
        Name upper = name(std::string(size, 'Q') + ".Z");
        const Name lower_case = name(std::string(size, 'q') + ".z");
        EXPECT_EQ(test::bytes_of(upper.lower().wire()), test::bytes_of(lower_case.wire()));
        EXPECT_EQ(upper, lower_case);
        EXPECT_EQ(upper.hash(), hash_lower(lower_case.wire()));
        EXPECT_NE(upper, name(std::string(size - 1, 'q') + "r.z"));
        upper.make_lower();
        EXPECT_EQ(test::bytes_of(upper.wire()), test::bytes_of(lower_case.wire()));
    }
}

TEST(Name, SortsInCanonicalOrder)
{
    // The example of RFC 4034 §6.1.
    const std::vector<std::string> sorted = {"example",           "a.example",      R"(yljkjljk.a.example)",
                                             "Z.a.example",       "zABC.a.EXAMPLE", "z.example",
                                             R"(\001.z.example)", "*.z.example",    R"(\200.z.example)"};
    for (std::size_t i = 0; i < sorted.size(); ++i) {
        for (std::size_t j = 0; j < sorted.size(); ++j) {
            EXPECT_EQ(name(sorted[i]) <=> name(sorted[j]), i <=> j) << sorted[i] << " " << sorted[j];
        }
    }
    EXPECT_LT(Name{}, name("a."));
}

TEST(Name, KnowsWhatIsBelowIt)
{
    const Name zone = name("Example.com");
    EXPECT_TRUE(name("example.COM").is_under(zone));
    EXPECT_TRUE(name("a.b.example.com").is_under(zone));
    EXPECT_FALSE(name("com").is_under(zone));
    EXPECT_FALSE(name("notexample.com").is_under(zone));
    EXPECT_FALSE(name("example.org").is_under(zone));
    EXPECT_TRUE(zone.is_under(Name{}));
    // The octets of the ancestor stand at the end, but not at a label.
    EXPECT_FALSE(Name::from_wire(test::from_hex("06 61 03 636f6d 62 00")).value().is_under(name("com.")));
}

TEST(Name, GivesParents)
{
    EXPECT_EQ(name("a.b.c").parent(), name("b.c"));
    EXPECT_EQ(name("a.b.c").parent(2), name("c"));
    EXPECT_EQ(name("a.b.c").parent(9), Name{});
    EXPECT_EQ(Name{}.parent(), Name{});
}

TEST(Name, PrependsALabel)
{
    const Octets star{'*'};
    EXPECT_TRUE(name("example").prepend(star).value().is_wildcard());
    EXPECT_EQ(name("example").prepend(star).value(), name("*.example"));
    EXPECT_FALSE(name("**.example").is_wildcard());
    EXPECT_EQ(name("example").prepend({}).error(), ParseError::bad_label);
    EXPECT_EQ(name("example").prepend(Octets(64, 'a')).error(), ParseError::bad_label);
    EXPECT_EQ(name(longest_text()).prepend(star).error(), ParseError::name_too_long);
}

TEST(Name, SubstitutesAsDnameSays)
{
    EXPECT_EQ(name("a.b.old.test").substitute(name("old.test"), name("new.example")).value(), name("a.b.new.example"));
    EXPECT_EQ(name("a.old").substitute(name("old"), Name{}).value(), name("a"));
    const Name deep = name(repeat("x.", 100) + "old.");
    EXPECT_EQ(deep.substitute(name("old"), name(repeat("y.", 100))).error(), ParseError::name_too_long);
}

TEST(Name, AnyNameSurvivesTextAndBack)
{
    std::mt19937 random{1};
    for (int i = 0; i < 2000; ++i) {
        const Name original = random_name(random);
        const Name again = name(original.to_text());
        ASSERT_EQ(test::bytes_of(again.wire()), test::bytes_of(original.wire()));
    }
}

TEST(Name, OrderAgreesWithEquality)
{
    std::mt19937 random{2};
    for (int i = 0; i < 2000; ++i) {
        const Name left = random_name(random);
        const Name right = i % 3 == 0 ? left.lower() : random_name(random);
        ASSERT_EQ(left == right, (left <=> right) == 0);
        ASSERT_EQ(left<right, right> left);
    }
}

} // namespace
} // namespace sallyport::wire
