#include "dnssec/anchors.hpp"
#include "dnssec/sentinel.hpp"

#include "signer.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdio>
#include <fstream>

using namespace sallyport;
using namespace sallyport::dnssec;
using namespace sallyport::dnssec_testing;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;
const std::string kDigest(64, 'a');

std::string problems_text(const base::Problems& problems)
{
    std::string text;
    for (const auto& problem : problems) text += problem.to_string() + '\n';
    return text;
}

} // namespace

TEST(Anchors, TheBuiltInOnesAreThoseOfTheRoot)
{
    TrustAnchors anchors;
    anchors.add_built_in();
    const auto trust = anchors.find(name("www.example."), kNow);
    ASSERT_EQ(trust.status, TrustAnchors::Status::anchored);
    EXPECT_TRUE(trust.anchor->zone.is_root());
    EXPECT_EQ(trust.anchor->key_tags(), (std::vector<std::uint16_t>{20'326, 38'696}));
    // KSK-2017 as it stands in the root zone.
    const Octets key =
        rdata(wire::RrType::DNSKEY,
              "257 3 8 "
              "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlN"
              "Vz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/"
              "b58Da+sqqls3eNbu"
              "v7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/"
              "ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn"
              "6UwNR1AkUTV74bU=");
    EXPECT_EQ(key_tag(key), 20'326);
    EXPECT_TRUE(ds_matches(*read_ds(trust.anchor->ds[0]), wire::Name{}, key));
}

TEST(Anchors, TheClosestCounts)
{
    TrustAnchors anchors;
    anchors.add_built_in();
    anchors.add_ds(name("corp.example."), rdata(wire::RrType::DS, "1 13 2 " + kDigest));
    EXPECT_EQ(anchors.find(name("a.CORP.example."), kNow).anchor->zone, name("corp.example."));
    EXPECT_TRUE(anchors.find(name("example."), kNow).anchor->zone.is_root());
    EXPECT_EQ(TrustAnchors{}.find(name("example."), kNow).status, TrustAnchors::Status::none);
}

TEST(Anchors, NegativeAnchorsEndByThemselves)
{
    TrustAnchors anchors;
    anchors.add_built_in();
    anchors.add_insecure(name("broken.example."), kNow + 10);
    anchors.add_insecure(name("lab.example."));
    EXPECT_EQ(anchors.find(name("www.broken.example."), kNow).status, TrustAnchors::Status::insecure);
    EXPECT_EQ(*anchors.find(name("www.broken.example."), kNow).negative, name("broken.example."));
    EXPECT_EQ(anchors.find(name("www.broken.example."), kNow + 10).status, TrustAnchors::Status::anchored);
    EXPECT_EQ(anchors.find(name("lab.example."), kNow + 1'000'000'000).status, TrustAnchors::Status::insecure);
    EXPECT_EQ(anchors.find(name("example."), kNow).status, TrustAnchors::Status::anchored);
    // An anchor below a negative one is trusted again; at the same name the negative one wins.
    anchors.add_ds(name("good.lab.example."), rdata(wire::RrType::DS, "1 13 2 " + kDigest));
    EXPECT_EQ(anchors.find(name("a.good.lab.example."), kNow).status, TrustAnchors::Status::anchored);
    anchors.add_ds(name("lab.example."), rdata(wire::RrType::DS, "1 13 2 " + kDigest));
    EXPECT_EQ(anchors.find(name("a.lab.example."), kNow).status, TrustAnchors::Status::insecure);
}

TEST(AnchorText, ZoneTextIsRead)
{
    TrustAnchors anchors;
    base::Problems problems;
    const SigningKey key = SigningKey::make(13);
    const std::string key_text = to_text(name("a.example."), wire::RrType::DNSKEY, key.dnskey());
    read_anchors("; a comment\n"
                 "$ORIGIN example.\n$TTL 3600\n"
                 "@ 3600 IN DS 12345 13 2 (\n  " +
                     kDigest.substr(0, 32) + " ; half\n  " + kDigest.substr(32) +
                     " )\n"
                     "     IN DS 12346 13 2 " +
                     kDigest +
                     "\n"
                     "b DS 12347 8 2 " +
                     kDigest + "\n" + key_text + "\n",
                 "anchors", kNow, anchors, problems);
    EXPECT_EQ(problems_text(problems), "");
    ASSERT_EQ(anchors.points().size(), 3U);
    EXPECT_EQ(anchors.at(name("example."))->ds.size(), 2U);
    EXPECT_EQ(anchors.at(name("b.example."))->ds.size(), 1U);
    EXPECT_EQ(anchors.at(name("a.example."))->dnskeys[0], key.dnskey());
}

TEST(AnchorText, FaultsHaveTheirPlaces)
{
    TrustAnchors anchors;
    base::Problems problems;
    read_anchors(". IN A 192.0.2.1\n"
                 "\n"
                 ". IN DS 20326 8 2 xyz\n"
                 "a..b IN DS 1 8 2 00\n"
                 ". IN DS\n"
                 ". IN DNSKEY 0 3 13 " +
                     std::string(86, 'A') +
                     "==\n"
                     ". IN DNSKEY 385 3 13 " +
                     std::string(86, 'A') +
                     "==\n"
                     "$INCLUDE other\n"
                     ". DS ( 1 8 2\n",
                 "my.key", kNow, anchors, problems);
    EXPECT_EQ(anchors.points().size(), 0U);
    ASSERT_EQ(problems.size(), 8U) << problems_text(problems);
    EXPECT_EQ(problems[0].to_string(), "my.key:1:6: expected DS or DNSKEY instead of \"A\"");
    EXPECT_EQ(problems[1].position, (base::SourcePosition{"my.key", 3, 9}));
    EXPECT_EQ(problems[2].position, (base::SourcePosition{"my.key", 4, 1}));
    EXPECT_EQ(problems[3].position.line, 5U);
    EXPECT_EQ(problems[4].position.line, 6U);
    EXPECT_EQ(problems[5].position.line, 7U);
    EXPECT_EQ(problems[6].position.line, 8U);
    EXPECT_EQ(problems[7].position.line, 9U);
}

TEST(AnchorText, TheXmlOfIanaIsRead)
{
    const std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                            "<TrustAnchor id=\"X\" source=\"http://data.iana.org/root-anchors/root-anchors.xml\">\n"
                            "<Zone>.</Zone>\n"
                            "<KeyDigest id=\"A\" validFrom=\"2010-07-15T00:00:00+00:00\" "
                            "validUntil=\"2019-01-11T00:00:00+00:00\">\n"
                            "<KeyTag>19036</KeyTag>\n<Algorithm>8</Algorithm>\n<DigestType>2</DigestType>\n"
                            "<Digest>49AAC11D7B6F6446702E54A1607371607A1A41855200FD2CE1CDDE32F24E8FB5</Digest>\n"
                            "</KeyDigest>\n"
                            "<KeyDigest id=\"B\" validFrom=\"2017-02-02T00:00:00+00:00\">\n"
                            "<KeyTag>20326</KeyTag>\n<Algorithm>8</Algorithm>\n<DigestType>2</DigestType>\n"
                            "<Digest>E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D</Digest>\n"
                            "<PublicKey>AwEA</PublicKey>\n<Flags>257</Flags>\n"
                            "</KeyDigest>\n</TrustAnchor>\n";
    TrustAnchors anchors;
    base::Problems problems;
    read_anchors(xml, "root-anchors.xml", kNow, anchors, problems);
    EXPECT_EQ(problems_text(problems), "");
    ASSERT_NE(anchors.at(wire::Name{}), nullptr);
    EXPECT_EQ(anchors.at(wire::Name{})->key_tags(), std::vector<std::uint16_t>{20'326});
    TrustAnchors early;
    read_anchors(xml, "root-anchors.xml", 1'514'764'800, early, problems); // 2018: both
    EXPECT_EQ(early.at(wire::Name{})->ds.size(), 2U);
    read_anchors("<TrustAnchor><Zone>.</Zone>\n<KeyDigest id=\"B\"><KeyTag>x</KeyTag></KeyDigest></TrustAnchor>",
                 "x.xml", kNow, anchors, problems);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].position.line, 2U);
}

TEST(AnchorText, CommentsOfTheXmlAreNotTrusted)
{
    const std::string digest =
        "<KeyDigest><KeyTag>1</KeyTag><Algorithm>8</Algorithm><DigestType>2</DigestType><Digest>" + kDigest +
        "</Digest></KeyDigest>\n";
    TrustAnchors anchors;
    base::Problems problems;
    read_anchors("<TrustAnchor><!-- <Zone>test.</Zone> --><Zone>.</Zone>\n<!--" + digest + "-->" + digest +
                     "<KeyDigest/>\n<!-- open " + digest,
                 "x.xml", kNow, anchors, problems);
    ASSERT_NE(anchors.at(wire::Name{}), nullptr);
    EXPECT_EQ(anchors.at(wire::Name{})->ds.size(), 1U);
    EXPECT_EQ(anchors.points().size(), 1U);
}

TEST(Anchors, OptionsAreLoaded)
{
    const std::string path = ::testing::TempDir() + "anchors_test." + std::to_string(::getpid()) + ".key";
    std::ofstream{path} << "example. IN DS 1 13 2 " << kDigest << '\n';
    Options options;
    options.anchor_files = {path, path + ".missing"};
    options.anchors = {"test. DS 2 13 2 " + kDigest, "nonsense"};
    options.anchor_positions = {{"conf.yaml", 3, 5}, {"conf.yaml", 4, 5}};
    options.insecure = {{"lab.example", 0, {}}, {"a..b", 0, {"conf.yaml", 9, 1}}};
    base::Problems problems;
    const TrustAnchors anchors = load_anchors(options, kNow, problems);
    std::remove(path.c_str());
    EXPECT_EQ(anchors.points().size(), 3U); // and the root's
    ASSERT_EQ(problems.size(), 3U) << problems_text(problems);
    EXPECT_EQ(problems[1].position, (base::SourcePosition{"conf.yaml", 4, 5}));
    EXPECT_EQ(problems[2].position.line, 9U);
    EXPECT_EQ(anchors.find(name("a.lab.example."), kNow).status, TrustAnchors::Status::insecure);
}

TEST(Sentinel, LabelsAreRecognised)
{
    const auto is = find_sentinel(name("Root-Key-Sentinel-Is-TA-20326.example."));
    ASSERT_TRUE(is);
    EXPECT_TRUE(is->is_ta);
    EXPECT_EQ(is->key_tag, 20'326);
    const auto is_not = find_sentinel(name("root-key-sentinel-not-ta-00001.example."));
    ASSERT_TRUE(is_not);
    EXPECT_FALSE(is_not->is_ta);
    EXPECT_EQ(is_not->key_tag, 1);
    for (const auto* other :
         {"root-key-sentinel-is-ta-1.example.", "root-key-sentinel-is-ta-99999.example.",
          "root-key-sentinel-is-ta-2032x.example.", "x.root-key-sentinel-is-ta-20326.example.", "."}) {
        EXPECT_FALSE(find_sentinel(name(other))) << other;
    }
    const std::vector<std::uint16_t> tags{20'326};
    EXPECT_FALSE(sentinel_refuses({true, 20'326}, tags));
    EXPECT_TRUE(sentinel_refuses({true, 1}, tags));
    EXPECT_TRUE(sentinel_refuses({false, 20'326}, tags));
    EXPECT_FALSE(sentinel_refuses({false, 1}, tags));
}

TEST(Sentinel, KeyTagQueryHasSortedTags)
{
    const std::vector<std::uint16_t> tags{0x9728, 0x4F66, 0x4F66};
    EXPECT_EQ(key_tag_query_name(wire::Name{}, tags).to_text(), "_ta-4f66-9728.");
    EXPECT_EQ(key_tag_query_name(name("example."), {}).to_text(), "example.");
    std::vector<std::uint16_t> many;
    for (std::uint16_t i = 0; i < 20; ++i) many.push_back(i);
    EXPECT_EQ(key_tag_query_name(wire::Name{}, many).to_text(), ".");
}
