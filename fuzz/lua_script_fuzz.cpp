// fuzz: links sallyport_lua
#include "lua/lua.hpp"

#include <chrono>
#include <cstdlib>
#include <string>

using namespace sallyport;

namespace {

/// Counts looks instead of time, so that a slow machine finds what a fast one does.
class LookingClock final : public base::Clock {
public:
    [[nodiscard]] base::Instant now() const noexcept override { return now_ += std::chrono::microseconds{1}; }
    [[nodiscard]] base::WallTime wall() const noexcept override { return {}; }

private:
    mutable base::Instant now_{std::chrono::hours{1}};
};

void check_verdict(const policy::Verdict& verdict)
{
    if (verdict.reason.size() > 200 || verdict.group.size() > 100 || verdict.records.size() > 64) std::abort();
    if (verdict.action == policy::Verdict::Action::forward && verdict.group.empty()) std::abort();
    for (const auto& record : verdict.records)
        if (wire::is_meta(record.type)) std::abort();
}

} // namespace

// Any text as a script: it ends, its state keeps to its memory, it reads no file, and the state serves the next query.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 8192) return 0;
    base::log::set_level(base::log::Level::error);
    lua::Options options;
    options.script = "/nonexistent/fuzz.lua";
    options.instructions = 5'000;
    options.start_instructions = 5'000;
    options.memory = 1U << 20U;
    const auto began = std::chrono::steady_clock::now();
    const auto script = lua::Script::compile(options, std::string(base::as_text({data, size})));
    if (!script) {
        if (script.error().message.empty()) std::abort();
        return 0;
    }
    if (!(*script)->files().empty()) std::abort();
    const LookingClock clock;
    lua::Stats stats;
    const auto runtime = lua::Runtime::make(*script, clock, stats);
    if (runtime == nullptr) return 0; // what it makes while read may hang on chance
    const auto name = *wire::Name::from_text("www.example.com");
    policy::Facts facts;
    facts.qname = &name;
    facts.qtype = wire::RrType::A;
    facts.client.address = *base::IpAddress::parse("192.0.2.7");
    policy::Verdict verdict;
    for (int i = 0; i < 3; ++i) {
        runtime->on_query(facts, verdict);
        check_verdict(verdict);
        if (runtime->memory() > options.memory) std::abort();
    }
    if (stats.calls.get() != 3) std::abort();
    if (std::chrono::steady_clock::now() - began > std::chrono::seconds{5}) std::abort();
    return 0;
}
