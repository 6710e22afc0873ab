#include "tests/replay/runner.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

/// replay [--trace] [--strict] [--manifest FILE [--tier NAME]] [--at-least PERCENT] [--known FILE] [--table]
///        FILE-OR-FOLDER...
/// One line for each scenario, a summary, and exit code 1 where one failed, or was left out without a reason. With
/// `--known` each failure must stand in that file with its reason, and what stands there must fail. `--table` writes
/// what did not pass, and why, as Markdown.
namespace {

namespace fs = std::filesystem;
using sallyport::replay::Level;
using sallyport::replay::Outcome;

struct Arguments {
    bool trace = false;
    bool table = false;
    Level level = Level::semantic;
    std::string manifest;
    std::string tier;
    std::string known;
    double at_least = 100;
    std::vector<fs::path> places;
};

Arguments read_arguments(int count, char** words)
{
    Arguments arguments;
    const std::map<std::string, std::string*> texts = {
        {"--manifest", &arguments.manifest}, {"--tier", &arguments.tier}, {"--known", &arguments.known}};
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        const bool more = i + 1 < count;
        const auto text = texts.find(word);
        if (word == "--trace") {
            arguments.trace = true;
        } else if (word == "--table") {
            arguments.table = true;
        } else if (word == "--strict") {
            arguments.level = Level::strict;
        } else if (text != texts.end() && more) {
            *text->second = words[++i];
        } else if (word == "--at-least" && more) {
            arguments.at_least = std::atof(words[++i]);
        } else {
            arguments.places.emplace_back(word);
        }
    }
    return arguments;
}

/// The first two columns of each line: a file and its tier, or a file and its reason.
std::map<std::string, std::string> read_columns(const std::string& file)
{
    std::map<std::string, std::string> columns;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        const std::size_t first = line.find('\t');
        if (first == std::string::npos || line.front() == '#') continue;
        const std::size_t second = line.find('\t', first + 1);
        columns[line.substr(0, first)] = line.substr(first + 1, second - first - 1);
    }
    return columns;
}

struct Played {
    std::string name;
    std::string tier;
    Outcome outcome;
    bool strictly = false; ///< passes at the strict level, too
};

class Runner {
public:
    explicit Runner(Arguments arguments)
        : arguments_(std::move(arguments)),
          tiers_(read_columns(arguments_.manifest)),
          known_(read_columns(arguments_.known))
    {
    }

    int run()
    {
        for (const fs::path& file : find_files()) {
            played_.push_back(play(file));
            if (!arguments_.table) tell(played_.back());
        }
        if (arguments_.table) write_table();
        if (!arguments_.table) {
            std::cout << count(Outcome::Kind::passed) << " passed, " << count(Outcome::Kind::failed) << " failed, "
                      << count(Outcome::Kind::skipped) << " skipped\n";
        }
        return judge();
    }

private:
    [[nodiscard]] std::vector<fs::path> find_files() const
    {
        const auto wanted = [&](const fs::path& file) {
            const std::string extension = file.extension().string();
            if (extension != ".rpl" && extension != ".crpl") return false;
            if (arguments_.manifest.empty()) return true;
            const auto it = tiers_.find(file.filename().string());
            return it != tiers_.end() && (arguments_.tier.empty() || it->second == arguments_.tier);
        };
        std::vector<fs::path> files;
        for (const fs::path& place : arguments_.places) {
            if (!fs::is_directory(place)) {
                files.push_back(place);
                continue;
            }
            for (const auto& entry : fs::recursive_directory_iterator(place)) {
                if (entry.is_regular_file() && wanted(entry.path())) files.push_back(entry.path());
            }
        }
        std::sort(files.begin(), files.end());
        return files;
    }

    [[nodiscard]] Played play(const fs::path& file) const
    {
        Played played{file.filename().string(), {}, {}};
        if (const auto tier = tiers_.find(played.name); tier != tiers_.end()) played.tier = tier->second;
        std::ifstream in(file, std::ios::binary);
        const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
        const auto scenario = sallyport::replay::parse_scenario(text, played.name);
        if (!scenario) {
            played.outcome = {Outcome::Kind::failed, in.is_open() ? scenario.error().to_string() : "cannot be read", 0};
            return played;
        }
        played.outcome = run_scenario(*scenario, arguments_.trace, arguments_.level);
        if (played.outcome.kind == Outcome::Kind::skipped && played.outcome.reason.empty()) {
            played.outcome = {Outcome::Kind::failed, "left out without a reason", 0};
        }
        played.strictly = arguments_.table && played.outcome.kind == Outcome::Kind::passed &&
                          run_scenario(*scenario, false, Level::strict).kind == Outcome::Kind::passed;
        return played;
    }

    static void tell(const Played& played)
    {
        constexpr const char* kWords[] = {"pass ", "FAIL ", "skip "};
        const Outcome& outcome = played.outcome;
        std::cout << kWords[static_cast<std::size_t>(outcome.kind)] << played.name;
        if (outcome.kind != Outcome::Kind::passed) std::cout << ": " << outcome.reason;
        if (outcome.unanswered > 0) {
            std::cout << " (" << outcome.unanswered << " queries without answer";
            if (outcome.kind == Outcome::Kind::passed) std::cout << ", first " << outcome.reason;
            std::cout << ')';
        }
        std::cout << std::endl;
    }

    [[nodiscard]] unsigned count(Outcome::Kind kind, const std::string& tier = {}) const
    {
        return static_cast<unsigned>(std::count_if(played_.begin(), played_.end(), [&](const Played& played) {
            return played.outcome.kind == kind && (tier.empty() || played.tier == tier);
        }));
    }

    [[nodiscard]] std::string reason_of(const Played& played) const
    {
        if (played.outcome.kind == Outcome::Kind::skipped) return played.outcome.reason;
        const auto it = known_.find(played.name);
        return it == known_.end() ? "NO REASON KNOWN: " + played.outcome.reason : it->second;
    }

    void write_table() const
    {
        std::cout << "| tier | passed | of these strictly | failed | of those that apply | not applicable |\n"
                     "| --- | --- | --- | --- | --- | --- |\n";
        for (const char* tier : {"core", "next", "extra"}) {
            const unsigned passed = count(Outcome::Kind::passed, tier);
            const unsigned failed = count(Outcome::Kind::failed, tier);
            const auto strictly = std::count_if(played_.begin(), played_.end(), [&](const Played& played) {
                return played.strictly && played.tier == tier;
            });
            std::array<char, 16> share{};
            std::snprintf(share.data(), share.size(), "%.1f %%",
                          passed == 0 ? 0.0 : 100.0 * passed / static_cast<double>(passed + failed));
            std::cout << "| " << tier << " | " << passed << " | " << strictly << " | " << failed << " | "
                      << share.data() << " | " << count(Outcome::Kind::skipped, tier) << " |\n";
        }
        write_list("Failing", "why it differs", Outcome::Kind::failed);
        write_list("Not applicable", "what it needs", Outcome::Kind::skipped);
    }

    void write_list(const char* title, const char* column, Outcome::Kind kind) const
    {
        std::cout << "\n### " << title << "\n\n| scenario | tier | " << column << " |\n| --- | --- | --- |\n";
        for (const char* tier : {"core", "next", "extra"}) {
            for (const Played& played : played_) {
                if (played.outcome.kind != kind || played.tier != tier) continue;
                std::cout << "| " << played.name << " | " << played.tier << " | " << reason_of(played) << " |\n";
            }
        }
    }

    /// The exit code.
    [[nodiscard]] int judge() const
    {
        bool good = true;
        if (!arguments_.known.empty()) {
            for (const Played& played : played_) {
                const bool fails = played.outcome.kind == Outcome::Kind::failed;
                if (fails == known_.contains(played.name)) continue;
                std::cerr << played.name
                          << (fails ? " fails, and nobody said why\n" : " is said to fail, and does not\n");
                good = false;
            }
        }
        const unsigned passed = count(Outcome::Kind::passed);
        const unsigned failed = count(Outcome::Kind::failed);
        if (passed + failed == 0) return played_.empty() ? 1 : 77;
        return good && 100.0 * passed >= arguments_.at_least * (passed + failed) ? 0 : 1;
    }

    Arguments arguments_;
    std::map<std::string, std::string> tiers_;
    std::map<std::string, std::string> known_;
    std::vector<Played> played_;
};

} // namespace

int main(int count, char** words) { return Runner(read_arguments(count, words)).run(); }
