// fuzz: links sallyport_replay_scenario
#include "tests/replay/compare.hpp"
#include "tests/replay/expression.hpp"
#include "tests/replay/scenario.hpp"

#include "wire/message_view.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace {

using namespace sallyport;

[[noreturn]] void fault() { std::abort(); }

bool same_records(const replay::Message& left, const replay::Message& right)
{
    for (std::size_t i = 0; i < 3; ++i) {
        const auto& a = left.sections[i];
        const auto& b = right.sections[i];
        if (!std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
                return x.owner == y.owner && x.type == y.type && x.rr_class == y.rr_class && x.ttl == y.ttl &&
                       x.rdata == y.rdata;
            })) {
            return false;
        }
    }
    return left.questions.size() == right.questions.size();
}

/// What was read must be writable as a message that says the same, and that fits its own pattern.
void check_entry(const replay::Entry& entry)
{
    const auto bytes = replay::to_bytes(entry.message, 7);
    if (bytes.size() > wire::kMaxMessageSize) return;
    const auto header = wire::read_header(bytes);
    if (!header || header->id != 7 || header->question_count != entry.message.questions.size()) fault();
    // Names are checked when they are read, RDATA is not: lengths are wrong there on purpose.
    auto again = replay::to_message(bytes);
    if (!again) return;
    for (std::size_t i = 0; i < 3; ++i) {
        // An OPT that was written as a record is none of the records any more.
        if (again->sections[i].size() > entry.message.sections[i].size()) fault();
    }
    if (const auto subnet = again->subnet(); subnet && subnet->address.size() > 16) fault();
    if (!same_records(entry.message, *again)) return;
    if (again->edns && again->edns_data != entry.message.edns_data) fault();
    replay::Entry plain = entry;
    const bool whole = entry.match.whole;
    plain.match = {};
    plain.match.all = plain.match.ttl = true;
    plain.match.whole = whole;
    plain.message.rcode = again->rcode; // its upper bits stand in EDNS, where that is
    if (plain.message.compact_ok || again->edns != plain.message.edns) return;
    for (const replay::Level level : {replay::Level::semantic, replay::Level::strict}) {
        if (replay::find_difference(plain, *again, false, level)) fault();
    }
}

} // namespace

/// Scenario files: what was read holds what the format promises, and no expression goes astray.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    replay::Variables variables;
    static_cast<void>(variables.assign(text, 12.5, 3));
    if (const auto value = variables.evaluate(text, 12.5, 3)) {
        if (!(*value == *value)) fault(); // never "not a number"
    }
    for (const std::string_view word : replay::words_of(text)) {
        if (word.empty() || word.find(' ') != std::string_view::npos) fault();
    }
    const auto scenario = replay::parse_scenario(text, "input");
    if (!scenario) return 0;
    std::uint64_t last = 0;
    bool first = true;
    for (const replay::Step& step : scenario->steps) {
        if (!first && step.number <= last) fault(); // steps rise
        first = false;
        last = step.number;
        if (step.entry) check_entry(*step.entry);
        for (const std::string& line : step.text) static_cast<void>(variables.expand(line, 12.5, 3));
    }
    for (const replay::Range& range : scenario->ranges) {
        for (const replay::Entry& entry : range.entries) check_entry(entry);
    }
    return 0;
}
