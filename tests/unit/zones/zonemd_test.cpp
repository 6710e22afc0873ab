#include "zones/zonemd.hpp"

#include "zones/zone_builder.hpp"
#include "zones/zone_text.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

namespace sallyport::zones {
namespace {

/// A zone `example` of zone text.
class Example {
public:
    explicit Example(std::string_view text)
    {
        ZoneBuilder builder{*wire::Name::from_text("example"), limits_, problems_};
        ZoneTextReader reader{builder, limits_, TextOrigin::imported};
        reader.read_text(text, {"zone", 1, 1});
        zone_ = builder.finish({});
    }
    [[nodiscard]] DigestCheck check() const
    {
        EXPECT_TRUE(problems_.empty());
        return zone_ == nullptr ? DigestCheck{DigestState::mismatch, "no zone"} : check_digest(*zone_);
    }

private:
    Limits limits_;
    base::Problems problems_;
    std::unique_ptr<Zone> zone_;
};

std::string with_digests(std::string_view digests, std::string_view rest)
{
    return "example. 86400 IN SOA ns1 admin 2018031900 1800 900 604800 86400\n"
           "example. 86400 IN NS ns1\n"
           "example. 86400 IN NS ns2\n" +
           std::string{digests} + std::string{rest};
}

// RFC 8976 appendix A.1
constexpr std::string_view kSimpleDigest =
    "example. 86400 IN ZONEMD 2018031900 1 1 ( c68090d90a7aed71 6bc459f9340e3d7c 1370d4d24b7e2fc3\n"
    " a1ddc0b9a87153b9 a9713b3c9ae5cc27 777f98b8e730044c )\n";
constexpr std::string_view kSimpleRest = "ns1 3600 IN A 203.0.113.63\n"
                                         "ns2 3600 IN AAAA 2001:db8::63\n";

// RFC 8976 appendix A.2, without the record that is of another zone: no zone text of ours holds one.
constexpr std::string_view kComplexDigest =
    "example. 86400 IN ZONEMD 2018031900 1 1 ( a3b69bad980a3504 e1cffcb0fd6397f9 3848071c93151f55\n"
    " 2ae2f6b1711d4bd2 d8b39808226d7b9d b71e34b72077f8fe )\n";
constexpr std::string_view kComplexRest =
    "ns1 3600 IN A 203.0.113.63\n"
    "NS2 3600 IN AAAA 2001:db8::63\n"
    "occluded.sub 7200 IN TXT \"I'm occluded but must be digested\"\n"
    "sub 7200 IN NS ns1\n"
    "duplicate 300 IN TXT \"I must be digested just once\"\n"
    "duplicate 300 IN TXT \"I must be digested just once\"\n"
    "UPPERCASE 3600 IN TXT \"canonicalize uppercase owner names\"\n"
    "* 777 IN PTR dont-forget-about-wildcards\n"
    "mail 3600 IN MX 20 MAIL1\n"
    "mail 3600 IN MX 10 Mail2.Example.\n"
    "sortme 3600 IN AAAA 2001:db8::5:61\n"
    "sortme 3600 IN AAAA 2001:db8::3:62\n"
    "sortme 3600 IN AAAA 2001:db8::4:63\n"
    "sortme 3600 IN AAAA 2001:db8::1:65\n"
    "sortme 3600 IN AAAA 2001:db8::2:64\n"
    "non-apex 900 IN ZONEMD 2018031900 1 1 ( 616c6c6f77656420 6275742069676e6f 7265642e20616c6c\n"
    " 6f77656420627574 2069676e6f726564 2e20616c6c6f7765 )\n";

// RFC 8976 appendix A.3
constexpr std::string_view kSha384 =
    "example. 86400 IN ZONEMD 2018031900 1 1 ( 62e6cf51b02e54b9 b5f967d547ce4313 6792901f9f88e637\n"
    " 493daaf401c92c27 9dd10f0edb1c56f8 080211f8480ee306 )\n";
constexpr std::string_view kSha512 =
    "example. 86400 IN ZONEMD 2018031900 1 2 ( 08cfa1115c7b948c 4163a901270395ea 226a930cd2cbcf2f\n"
    " a9a5e6eb85f37c8a 4e114d884e66f176 eab121cb02db7d65 2e0cc4827e7a3204 f166b47e5613fd27 )\n";
constexpr std::string_view kOtherHash = "example. 86400 IN ZONEMD 2018031900 1 240 e2d523f654b9422a96c5a8f44607bbee\n";
constexpr std::string_view kOtherScheme = "example. 86400 IN ZONEMD 2018031900 241 1 ( e1846540e33a9e41\n"
                                          " 89792d18d5d131f6 05fc283e )\n";
constexpr std::string_view kMultipleRest = "ns1.example. 3600 IN A 203.0.113.63\n"
                                           "ns2.example. 86400 IN TXT \"This example has multiple digests\"\n"
                                           "NS2.EXAMPLE. 3600 IN AAAA 2001:db8::63\n";

std::string changed(std::string_view text, std::string_view what, std::string_view with)
{
    std::string made{text};
    made.replace(made.find(what), what.size(), with);
    return made;
}

TEST(Zonemd, HoldsForTheSimpleZone)
{
    EXPECT_EQ(Example{with_digests(kSimpleDigest, kSimpleRest)}.check().state, DigestState::good);
}

TEST(Zonemd, HoldsForTheComplexZone)
{
    const auto check = Example{with_digests(kComplexDigest, kComplexRest)}.check();
    EXPECT_EQ(check.state, DigestState::good) << check.why;
}

TEST(Zonemd, HoldsForEachOfSeveralDigests)
{
    for (const std::string& digests :
         {std::string{kSha384}, std::string{kSha512}, std::string{kOtherHash} + std::string{kSha512},
          std::string{kSha384} + std::string{kSha512} + std::string{kOtherHash} + std::string{kOtherScheme}})
        EXPECT_EQ(Example{with_digests(digests, kMultipleRest)}.check().state, DigestState::good) << digests;
}

TEST(Zonemd, OneGoodDigestIsEnough)
{
    const std::string wrong = changed(kSha384, "62e6", "62e7");
    EXPECT_EQ(Example{with_digests(wrong + std::string{kSha512}, kMultipleRest)}.check().state, DigestState::good);
    EXPECT_EQ(Example{with_digests(wrong, kMultipleRest)}.check().state, DigestState::mismatch);
}

TEST(Zonemd, SaysNothingWithoutADigestThatIsKnown)
{
    EXPECT_EQ(Example{with_digests("", kSimpleRest)}.check().state, DigestState::absent);
    const std::string foreign = std::string{kOtherHash} + std::string{kOtherScheme};
    EXPECT_EQ(Example{with_digests(foreign, kMultipleRest)}.check().state, DigestState::unknown);
}

TEST(Zonemd, NoticesEveryChange)
{
    for (const auto& [what, with] : {std::pair{"203.0.113.63", "203.0.113.64"},
                                     {"I'm occluded", "I was occluded"},
                                     {"777", "778"},
                                     {"dont-forget", "do-forget"},
                                     {"sub 7200 IN NS ns1", "sub 7200 IN NS ns2"},
                                     {"sortme 3600 IN AAAA 2001:db8::5:61\n", ""},
                                     {"616c6c6f77656420", "626c6c6f77656420"}}) {
        const auto check = Example{with_digests(kComplexDigest, changed(kComplexRest, what, with))}.check();
        EXPECT_EQ(check.state, DigestState::mismatch) << what;
        EXPECT_EQ(check.why, "the digest of ZONEMD is not that of the zone");
    }
}

TEST(Zonemd, IsOfTheSerialOfTheZone)
{
    const auto check = Example{with_digests(changed(kSimpleDigest, "2018031900", "2018031901"), kSimpleRest)}.check();
    EXPECT_EQ(check.state, DigestState::mismatch);
    EXPECT_EQ(check.why, "ZONEMD is of serial 2018031901, the zone of 2018031900");
}

TEST(Zonemd, TwoOfAKindDoNotCount)
{
    const std::string two = std::string{kSimpleDigest} + changed(kSimpleDigest, "c680", "c681");
    EXPECT_EQ(Example{with_digests(two, kSimpleRest)}.check().state, DigestState::mismatch);
}

TEST(Zonemd, ADigestHasTheSizeOfItsHash)
{
    EXPECT_EQ(Example{with_digests(changed(kSimpleDigest, " 777f98b8e730044c", ""), kSimpleRest)}.check().state,
              DigestState::mismatch);
}

} // namespace
} // namespace sallyport::zones
