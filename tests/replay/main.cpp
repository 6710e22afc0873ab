#include "tests/replay/runner.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

/// replay [--trace] [--manifest FILE --tier NAME [--at-least PERCENT]] FILE-OR-FOLDER...
/// One line for each scenario, a summary, and exit code 1 where one failed.
namespace {

namespace fs = std::filesystem;
using sallyport::replay::Outcome;

struct Arguments {
    bool trace = false;
    std::string manifest;
    std::string tier;
    double at_least = 100;
    std::vector<fs::path> places;
};

Arguments read_arguments(int count, char** words)
{
    Arguments arguments;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        const bool more = i + 1 < count;
        if (word == "--trace") {
            arguments.trace = true;
        } else if (word == "--manifest" && more) {
            arguments.manifest = words[++i];
        } else if (word == "--tier" && more) {
            arguments.tier = words[++i];
        } else if (word == "--at-least" && more) {
            arguments.at_least = std::atof(words[++i]);
        } else {
            arguments.places.emplace_back(word);
        }
    }
    return arguments;
}

/// Names of the files of a tier: the first two columns.
std::map<std::string, std::string> read_manifest(const std::string& file)
{
    std::map<std::string, std::string> tiers;
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        const std::size_t first = line.find('\t');
        if (first == std::string::npos) continue;
        const std::size_t second = line.find('\t', first + 1);
        tiers[line.substr(0, first)] = line.substr(first + 1, second - first - 1);
    }
    return tiers;
}

std::vector<fs::path> find_files(const Arguments& arguments)
{
    std::vector<fs::path> files;
    const auto tiers =
        arguments.manifest.empty() ? std::map<std::string, std::string>{} : read_manifest(arguments.manifest);
    const auto wanted = [&](const fs::path& file) {
        const std::string extension = file.extension().string();
        if (extension != ".rpl" && extension != ".crpl") return false;
        if (arguments.manifest.empty()) return true;
        const auto it = tiers.find(file.filename().string());
        return it != tiers.end() && it->second == arguments.tier;
    };
    for (const fs::path& place : arguments.places) {
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

Outcome play(const fs::path& file, bool trace)
{
    std::ifstream in(file, std::ios::binary);
    if (!in) return {Outcome::Kind::failed, "cannot be read", 0};
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto scenario = sallyport::replay::parse_scenario(text, file.filename().string());
    if (!scenario) return {Outcome::Kind::failed, scenario.error().to_string(), 0};
    return sallyport::replay::run_scenario(*scenario, trace);
}

} // namespace

int main(int count, char** words)
{
    const Arguments arguments = read_arguments(count, words);
    unsigned passed = 0;
    unsigned failed = 0;
    unsigned skipped = 0;
    for (const fs::path& file : find_files(arguments)) {
        const Outcome outcome = play(file, arguments.trace);
        const std::string name = file.filename().string();
        if (outcome.kind == Outcome::Kind::passed) {
            ++passed;
            std::cout << "pass " << name;
            if (outcome.unanswered > 0) {
                std::cout << " (" << outcome.unanswered << " queries without answer, first " << outcome.reason << ')';
            }
            std::cout << '\n';
        } else if (outcome.kind == Outcome::Kind::skipped) {
            ++skipped;
            std::cout << "skip " << name << ": " << outcome.reason << '\n';
        } else {
            ++failed;
            std::cout << "FAIL " << name << ": " << outcome.reason;
            if (outcome.unanswered > 0) std::cout << " (" << outcome.unanswered << " queries without answer)";
            std::cout << '\n';
        }
        std::cout.flush();
    }
    std::cout << passed << " passed, " << failed << " failed, " << skipped << " skipped\n";
    if (passed + failed == 0) return skipped > 0 ? 77 : 1;
    return 100.0 * passed >= arguments.at_least * (passed + failed) ? 0 : 1;
}
