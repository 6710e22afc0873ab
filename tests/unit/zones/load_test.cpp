#include "served.hpp"

#include "wire/rdata.hpp"
#include "zones/zone.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace sallyport::zones {
namespace {

namespace fs = std::filesystem;

class Load : public testing::Test {
protected:
    Load()
    {
        const auto* info = testing::UnitTest::GetInstance()->current_test_info();
        directory_ = fs::temp_directory_path() / ("sallyport-zones-" + std::to_string(::getpid()) + "-" + info->name());
        fs::create_directories(directory_ / "zones");
    }
    ~Load() override { fs::remove_all(directory_); }

    std::string file(const std::string& name, std::string_view text)
    {
        const auto path = directory_ / name;
        fs::create_directories(path.parent_path());
        std::ofstream{path, std::ios::binary} << text;
        return path.string();
    }
    void add_file(const std::string& apex, const std::string& path)
    {
        options.zones.push_back({.name = apex,
                                 .file = path,
                                 .records = {},
                                 .hosts_file = {},
                                 .position = {"conf.yaml", 3, 5},
                                 .record_positions = {}});
    }
    std::string problems()
    {
        base::Problems found;
        snapshot = load(options, found);
        EXPECT_EQ(snapshot == nullptr, !found.empty());
        std::string text;
        for (const auto& problem : found) text += problem.to_string() + "\n";
        // Without the temporary directory, which differs from run to run.
        const std::string prefix = directory_.string() + "/";
        for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
            text.erase(at, prefix.size());
        return text;
    }
    [[nodiscard]] std::string first_record(std::string_view question)
    {
        const auto blank = question.find(' ');
        const auto name = wire::Name::from_text(question.substr(0, blank)).value();
        const Zone* zone = snapshot->find(name);
        if (zone == nullptr) return "not ours";
        const Node* node = zone->find(name.wire());
        const auto type = wire::parse_rr_type(question.substr(blank + 1)).value();
        const RrSet* set = node == nullptr ? nullptr : zone->find_set(*node, type);
        return set == nullptr ? "none" : wire::rdata_to_text(type, zone->first_rdata(*set));
    }

    fs::path directory_;
    Options options;
    std::shared_ptr<const Snapshot> snapshot;
};

using test::apex_records;

TEST_F(Load, GivesAnEmptySnapshotForNoZones)
{
    EXPECT_EQ(problems(), "");
    EXPECT_EQ(snapshot->zone_count(), 0U);
    EXPECT_EQ(first_record("a.test A"), "not ours");
}

TEST_F(Load, ReadsFilesInlineRecordsAndHosts)
{
    // A byte order mark, CRLF, and no newline at the end.
    add_file("a.test", file("zones/a", "\xEF\xBB\xBF$TTL 60\r\n@ SOA ns h 1 2 3 4 5\r\n@ NS ns\r\nx A 192.0.2.1"));
    options.zones.push_back({.name = "lan",
                             .file = {},
                             .records = {"nas A 192.168.1.9", "  nas 5 TXT \"a box\""},
                             .hosts_file = {},
                             .position = {},
                             .record_positions = {}});
    options.zones.push_back({.name = "home.arpa",
                             .file = {},
                             .records = {},
                             .hosts_file = file("hosts", "192.168.1.1 router gw\nfd00::1 router\n"),
                             .position = {},
                             .record_positions = {}});
    EXPECT_EQ(problems(), "");
    EXPECT_EQ(snapshot->zone_count(), 5U);
    EXPECT_EQ(snapshot->record_count(), 3U + 4U + 5U + 3U + 3U);
    EXPECT_GT(snapshot->memory_bytes(), 1000U);
    EXPECT_EQ(first_record("x.a.test A"), "192.0.2.1");
    EXPECT_EQ(first_record("nas.lan TXT"), "\"a box\"");
    EXPECT_EQ(first_record("lan SOA"), "localhost. hostmaster.lan. 1 3600 600 604800 300");
    EXPECT_EQ(first_record("lan NS"), "localhost.");
    EXPECT_EQ(first_record("gw.home.arpa A"), "192.168.1.1");
    EXPECT_EQ(first_record("1.1.168.192.in-addr.arpa PTR"), "router.home.arpa.");
    EXPECT_EQ(first_record("1.1.168.192.in-addr.arpa SOA"),
              "localhost. hostmaster.1.1.168.192.in-addr.arpa. 1 3600 600 604800 300");
    // The names beside it are not taken over.
    EXPECT_EQ(first_record("2.1.168.192.in-addr.arpa PTR"), "not ours");
    EXPECT_EQ(first_record("1.168.192.in-addr.arpa SOA"), "not ours");
}

TEST_F(Load, LeavesReverseNamesToTheOperatorsZone)
{
    add_file("168.192.in-addr.arpa", file("zones/r", apex_records()));
    options.zones.push_back({.name = "home.arpa",
                             .file = {},
                             .records = {},
                             .hosts_file = file("hosts", "192.168.1.1 router\n10.0.0.1 other\n"),
                             .position = {},
                             .record_positions = {}});
    EXPECT_EQ(problems(), "");
    EXPECT_EQ(snapshot->zone_count(), 3U);
    EXPECT_EQ(first_record("1.1.168.192.in-addr.arpa PTR"), "none");
    EXPECT_EQ(first_record("1.0.0.10.in-addr.arpa PTR"), "other.home.arpa.");
}

TEST_F(Load, TellsWhereInlineRecordsAreWrong)
{
    options.zones.push_back({.name = "lan",
                             .file = {},
                             .records = {"nas A 192.168.1.9", "nas A nine"},
                             .hosts_file = {},
                             .position = {"conf.yaml", 4, 3},
                             .record_positions = {{"conf.yaml", 5, 9}, {"conf.yaml", 6, 9}}});
    EXPECT_TRUE(problems().starts_with("conf.yaml:6:15: ")) << problems();
    options.zones.front().records = {"$INCLUDE x"};
    EXPECT_EQ(problems(), "conf.yaml:5:9: $INCLUDE is not taken here, expected records; only zone files may include\n");
}

TEST_F(Load, RefusesWrongOptions)
{
    const auto good = file("zones/a", apex_records());
    add_file("", good);
    add_file("a..test", good);
    add_file("none.test", "");
    add_file("both.test", good);
    options.zones.back().records = {"x A 192.0.2.1"};
    add_file("gone.test", (directory_ / "zones/gone").string());
    add_file("dir.test", (directory_ / "zones").string());
    add_file("a.test", good);
    add_file("A.test.", good);
    EXPECT_EQ(problems(),
              "conf.yaml:3:5: '' is no zone name, expected a domain name\n"
              "conf.yaml:3:5: 'a..test' is no zone name, expected a domain name\n"
              "conf.yaml:3:5: zone 'none.test' has no data, expected exactly one of file, records, hosts_file\n"
              "conf.yaml:3:5: zone 'both.test' has data from several places, expected exactly one of file, records, "
              "hosts_file\n"
              "conf.yaml:3:5: cannot open zones/gone: No such file or directory, expected the zone file\n"
              "conf.yaml:3:5: zones is no regular file, expected the zone file\n"
              "conf.yaml:3:5: zone A.test. is there already, expected each zone once\n");
}

TEST_F(Load, IncludesFilesBelowTheZoneFile)
{
    file("zones/sub/more", "x A 192.0.2.1\n$INCLUDE deeper/last deep\nz A 192.0.2.3\n");
    file("zones/sub/deeper/last", "$ORIGIN changed\ny A 192.0.2.2\n");
    add_file("a.test", file("zones/a", apex_records() + "w TXT w\n$INCLUDE sub/more inc.a.test.\n A 192.0.2.4\n"
                                                        "v A 192.0.2.5\n"));
    EXPECT_EQ(problems(), "");
    EXPECT_EQ(first_record("x.inc.a.test A"), "192.0.2.1");
    EXPECT_EQ(first_record("y.changed.deep.inc.a.test A"), "192.0.2.2");
    EXPECT_EQ(first_record("z.inc.a.test A"), "192.0.2.3");
    // Owner and origin are again what they were before.
    EXPECT_EQ(first_record("w.a.test A"), "192.0.2.4");
    EXPECT_EQ(first_record("v.a.test A"), "192.0.2.5");
}

TEST_F(Load, TellsTheIncludedFileWhereItIsWrong)
{
    file("zones/more", "x A nope\n");
    add_file("a.test", file("zones/a", apex_records() + "$INCLUDE more\ny A nope\n"));
    const auto text = problems();
    EXPECT_TRUE(text.starts_with("zones/more:1:5: ")) << text;
    EXPECT_NE(text.find("\nzones/a:5:5: "), std::string::npos) << text;
}

TEST_F(Load, IncludesNothingOutside)
{
    const auto outside = file("secret", "x A 192.0.2.1\n");
    fs::create_symlink(outside, directory_ / "zones/link");
    fs::create_symlink(directory_, directory_ / "zones/up");
    file("zones-more/x", "x A 192.0.2.1\n");
    for (const auto& name : {std::string{"../secret"}, outside, std::string{"link"}, std::string{"up/secret"},
                             std::string{"../zones-more/x"}, std::string{"\"../secret\""}}) {
        options.zones.clear();
        add_file("a.test", file("zones/a", apex_records() + "$INCLUDE " + name + "\n"));
        const auto text = problems();
        EXPECT_TRUE(text.starts_with("zones/a:4:10: ")) << text;
        EXPECT_NE(text.find("is outside the directory of the zone file, expected a file below"), std::string::npos)
            << text;
    }
    options.zones.clear();
    add_file("a.test", file("zones/a", apex_records() + "$INCLUDE gone\n$INCLUDE .\n$INCLUDE\n"));
    const auto text = problems();
    EXPECT_TRUE(text.starts_with("zones/a:4:10: 'gone': No such file or directory")) << text;
    EXPECT_NE(text.find("\nzones/a:5:10: "), std::string::npos) << text;
    EXPECT_NE(text.find("\nzones/a:6:1: $INCLUDE takes a file"), std::string::npos) << text;
}

TEST_F(Load, LimitsTheDepthOfIncludes)
{
    add_file("a.test", file("zones/a", apex_records() + "$INCLUDE self\n"));
    file("zones/self", "$INCLUDE self\n");
    EXPECT_EQ(problems(), "zones/self:1:1: $INCLUDE nested too deep, expected at most 8 levels\n");
}

TEST_F(Load, TellsTheProblemsOfAllZones)
{
    add_file("a.test", file("zones/a", apex_records() + "x A nope\n"));
    add_file("b.test", file("zones/b", "@ 60 SOA ns h 1 2 3 4 5\n"));
    const auto text = problems();
    EXPECT_TRUE(text.starts_with("zones/a:4:5: ")) << text;
    EXPECT_NE(text.find("conf.yaml:3:5: zone b.test. has no NS, expected one at its apex"), std::string::npos) << text;
}

TEST_F(Load, HoldsManySmallZones)
{
    for (int i = 0; i < 10'000; ++i) {
        options.zones.push_back({.name = "z" + std::to_string(i) + ".test",
                                 .file = {},
                                 .records = {"www 60 A 192.0.2.1"},
                                 .hosts_file = {},
                                 .position = {},
                                 .record_positions = {}});
    }
    EXPECT_EQ(problems(), "");
    EXPECT_EQ(snapshot->zone_count(), 10'000U);
    EXPECT_EQ(first_record("www.z0.test A"), "192.0.2.1");
    EXPECT_EQ(first_record("www.z9999.test A"), "192.0.2.1");
    EXPECT_EQ(first_record("www.z10000.test A"), "not ours");
    EXPECT_LT(snapshot->memory_bytes() / 10'000, 1500U);
}

TEST_F(Load, ReadsTheExamples)
{
    add_file("gate.test", SALLYPORT_SOURCE_DIR "/conf/examples/gate.test.zone");
    options.zones.push_back({.name = "home.arpa",
                             .file = {},
                             .records = {},
                             .hosts_file = SALLYPORT_SOURCE_DIR "/conf/examples/home.hosts",
                             .position = {},
                             .record_positions = {}});
    EXPECT_EQ(problems(), "");
    EXPECT_EQ(first_record("page.gate.test A"), "127.0.0.1");
    EXPECT_EQ(first_record("gate.test AAAA"), "::1");
    EXPECT_EQ(first_record("nas.home.arpa A"), "192.168.1.10");
}

} // namespace
} // namespace sallyport::zones
