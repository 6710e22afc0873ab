#include "dnssec/rfc5011.hpp"
#include "dnssec/verify.hpp"

#include "old_algorithms.hpp"
#include "signer.hpp"
#include "wire/rdata.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

using namespace sallyport;
using namespace sallyport::dnssec;
using namespace sallyport::dnssec_testing;

namespace {

struct Record {
    wire::Name owner;
    wire::RrType type{};
    std::uint32_t ttl = 0;
    Octets rdata;
};

std::filesystem::path corpus()
{
    const char* shared = std::getenv("SALLYPORT_SHARED");
    const std::filesystem::path root = shared != nullptr ? shared : SALLYPORT_SOURCE_DIR "/../shared";
    return root / "corpus" / "rpl";
}

/// One line of a section: `owner [ttl] [class] type rdata`.
std::optional<Record> read_line(const std::string& line, const wire::Name& origin, std::uint32_t default_ttl)
{
    std::istringstream words{line};
    std::string owner;
    std::string word;
    words >> owner;
    const auto parsed_owner = wire::Name::from_text(owner, &origin);
    Record record;
    record.ttl = default_ttl;
    std::optional<wire::RrType> type;
    while (!type && words >> word) {
        if (word.find_first_not_of("0123456789") == std::string::npos) {
            record.ttl = static_cast<std::uint32_t>(std::stoul(word));
        } else if (!wire::parse_rr_class(word)) {
            type = wire::parse_rr_type(word);
            if (!type) return std::nullopt;
        }
    }
    std::string rest;
    std::getline(words, rest);
    if (!type || !parsed_owner) return std::nullopt;
    auto rdata = wire::rdata_from_text(*type, rest, origin);
    if (!rdata) return std::nullopt;
    record.owner = *parsed_owner;
    record.type = *type;
    record.rdata = *rdata;
    return record;
}

/// The records of one scenario, each section of each entry by itself.
std::vector<std::vector<Record>> read_scenario(const std::filesystem::path& path)
{
    std::vector<std::vector<Record>> sections(1);
    std::ifstream file{path};
    bool in_scenario = false;
    bool in_records = false;
    wire::Name origin;
    std::uint32_t ttl = 3600;
    for (std::string line; std::getline(file, line);) {
        line.erase(0, line.find_first_not_of(" \t"));
        if (line.empty() || line[0] == ';' || line[0] == '#') continue;
        const auto starts = [&](std::string_view word) { return line.compare(0, word.size(), word) == 0; };
        if (starts("SCENARIO_BEGIN")) in_scenario = true;
        if (!in_scenario) continue;
        if (starts("SECTION") || starts("ENTRY_") || starts("HEX_") || starts("EXTRA_PACKET")) {
            in_records = starts("SECTION") && line.find("QUESTION") == std::string::npos;
            sections.emplace_back();
            continue;
        }
        if (starts("$ORIGIN")) origin = wire::Name::from_text(line.substr(8, line.find_last_not_of(" \t") - 7)).value();
        if (starts("$TTL")) ttl = static_cast<std::uint32_t>(std::stoul(line.substr(5)));
        if (!in_records || line[0] == '$') continue;
        if (auto record = read_line(line, origin, ttl)) {
            if (record->type == wire::RrType::RRSIG) fix_dsa_signature(record->rdata);
            sections.back().push_back(std::move(*record));
        }
    }
    return sections;
}

/// Scenarios in which the manifest says that a signature does not hold.
std::set<std::string> scenarios_with_bad_signatures()
{
    std::set<std::string> names;
    std::ifstream manifest{corpus() / "MANIFEST.tsv"};
    for (std::string line; std::getline(manifest, line);) {
        if (line.find("has-bad-sig") != std::string::npos) names.insert(line.substr(0, line.find('\t')));
    }
    return names;
}

enum class Outcome { good, bad, refused, no_key, no_rrset };

struct Scenario {
    std::vector<std::vector<Record>> sections;
    std::map<std::string, ZoneKeys> keys; // by zone, in lower case

    void collect_keys(const Policy& policy)
    {
        std::map<std::string, std::vector<base::Bytes>> found;
        for (const auto& section : sections) {
            for (const Record& record : section) {
                if (record.type == wire::RrType::DNSKEY)
                    found[record.owner.lower().to_text()].emplace_back(record.rdata);
            }
        }
        for (const auto& [zone, rdatas] : found) {
            std::vector<base::Bytes> once;
            for (const base::Bytes key : rdatas) {
                if (std::none_of(once.begin(), once.end(),
                                 [&](base::Bytes other) { return base::equal(key, other); })) {
                    once.push_back(key);
                }
            }
            keys.emplace(zone, ZoneKeys{name(zone), once, policy.algorithms, true});
        }
    }

    Outcome judge(const std::vector<Record>& section, const Record& record, const Policy& policy)
    {
        const auto signature = read_rrsig(record.rdata);
        if (!signature) return Outcome::bad;
        const auto zone = keys.find(signature->signer.lower().to_text());
        if (zone == keys.end() || zone->second.find(signature->key_tag, signature->algorithm, 0) < 0)
            return Outcome::no_key;
        OwnedRrset set;
        set.owner = record.owner;
        set.type = signature->type_covered;
        set.ttl = record.ttl;
        for (const Record& other : section) {
            if (other.type == set.type && other.owner == set.owner) set.rdatas.push_back(other.rdata);
        }
        if (set.rdatas.empty()) return Outcome::no_rrset;
        set.signatures = {record.rdata};
        Budget budget{policy.limits};
        RrsetVerifier verifier{set.view(), zone->second, policy, 0};
        EXPECT_EQ(verifier.step(budget), Step::done);
        if (verifier.verdict().is_secure()) return Outcome::good;
        const std::string_view reason = verifier.verdict().reason;
        if (reason.starts_with("signature") || reason.starts_with("malformed")) return Outcome::bad;
        return Outcome::refused; // without looking at it: denials and aliases from wildcards, NSEC beyond its zone
    }
};

} // namespace

// State files of RFC 5011 as another validator has written them.
TEST(Corpus, StateFilesAreRead)
{
    if (!std::filesystem::exists(corpus())) GTEST_SKIP() << "no corpus at " << corpus();
    unsigned files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{corpus()}) {
        if (entry.path().extension() != ".rpl") continue;
        std::ifstream file{entry.path()};
        std::string text;
        bool inside = false;
        for (std::string line; std::getline(file, line);) {
            if (line.starts_with("AUTOTRUST_END")) break;
            if (inside) text += line + '\n';
            inside = inside || line.starts_with("AUTOTRUST_FILE");
        }
        if (text.empty()) continue;
        ++files;
        const auto anchor = ManagedAnchor::from_text(text, entry.path().filename());
        ASSERT_TRUE(anchor) << anchor.error().to_string();
        EXPECT_EQ(anchor->zone(), name("example.com."));
        EXPECT_FALSE(anchor->anchor().ds.empty() && anchor->anchor().dnskeys.empty());
    }
    std::cout << files << " state files\n";
    EXPECT_GT(files, 0U);
}

// Signatures that other implementations have made, of many kinds: those whose key stands in the same scenario hold, but
// for the scenarios that have bad ones on purpose.
TEST(Corpus, SignaturesHold)
{
    if (!std::filesystem::exists(corpus())) GTEST_SKIP() << "no corpus at " << corpus();
    Policy policy;
    policy.algorithms = all_algorithms();
    policy.check_dates = false;
    policy.limits.keys_per_tag = 16;
    policy.limits.checks_per_turn = 16;
    const auto bad_scenarios = scenarios_with_bad_signatures();
    std::map<Outcome, unsigned> totals;
    std::map<int, unsigned> by_algorithm;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{corpus()}) {
        const std::string file = entry.path().filename();
        if (entry.path().extension() != ".rpl") continue;
        Scenario scenario{read_scenario(entry.path()), {}};
        scenario.collect_keys(policy);
        for (const auto& section : scenario.sections) {
            for (const Record& record : section) {
                if (record.type != wire::RrType::RRSIG) continue;
                const Outcome outcome = scenario.judge(section, record, policy);
                ++totals[outcome];
                if (outcome == Outcome::good) ++by_algorithm[record.rdata[2]];
                if (outcome != Outcome::bad) continue;
                EXPECT_TRUE(bad_scenarios.contains(file)) << file << ": " << record.owner.to_text() << " RRSIG "
                                                          << wire::rdata_to_text(wire::RrType::RRSIG, record.rdata);
            }
        }
    }
    std::cout << totals[Outcome::good] << " signatures hold, " << totals[Outcome::bad] << " do not, "
              << totals[Outcome::refused] << " refused before, " << totals[Outcome::no_key] << " without key, "
              << totals[Outcome::no_rrset] << " without records\n";
    for (const auto& [algorithm, count] : by_algorithm) std::cout << "algorithm " << algorithm << ": " << count << '\n';
    EXPECT_GT(totals[Outcome::good], 500U);
}
