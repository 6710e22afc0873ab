// fuzz: links sallyport_replay_scenario
#include "tests/replay/expression.hpp"
#include "tests/replay/scenario.hpp"

#include "wire/message_view.hpp"

#include <cstdlib>
#include <string>

/// Scenario files: what was read must be writable as messages that parse, and no expression goes astray.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace sallyport;
    const std::string text(reinterpret_cast<const char*>(data), size);
    replay::Variables variables;
    if (const auto value = variables.evaluate(text, 12.5, 3)) {
        if (!(*value == *value)) std::abort(); // never "not a number"
    }
    const auto scenario = replay::parse_scenario(text, "input");
    if (!scenario) return 0;
    std::uint64_t last = 0;
    bool first = true;
    for (const replay::Step& step : scenario->steps) {
        if (!first && step.number <= last) std::abort(); // steps rise
        first = false;
        last = step.number;
    }
    for (const replay::Range& range : scenario->ranges) {
        for (const replay::Entry& entry : range.entries) {
            const auto bytes = replay::to_bytes(entry.message, 7);
            if (bytes.size() > wire::kMaxMessageSize) continue;
            const auto header = wire::read_header(bytes);
            if (!header || header->id != 7 || header->question_count != entry.message.questions.size()) std::abort();
            // Names are checked when they are read, RDATA is not: lengths are wrong there on purpose.
            if (const auto again = replay::to_message(bytes)) {
                if (again->sections[0].size() != entry.message.sections[0].size()) std::abort();
            }
        }
    }
    return 0;
}
