#pragma once

#include "base/clock.hpp"
#include "lua/lua.hpp"
#include "wire/message_writer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>

namespace sallyport::lua {

/// Moves on at each look.
class RunningClock final : public base::Clock {
public:
    [[nodiscard]] base::Instant now() const noexcept override { return now_ += step; }
    [[nodiscard]] base::WallTime wall() const noexcept override { return {}; }
    base::Duration step{0};

private:
    mutable base::Instant now_{std::chrono::hours{1}};
};

/// A script and one worker's state of it.
class Running {
public:
    explicit Running(const std::string& text, Options with = {}) : options(std::move(with))
    {
        if (options.script.empty()) options.script = "/nonexistent/test.lua";
        auto compiled = Script::compile(options, text);
        if (!compiled) {
            error = compiled.error();
            return;
        }
        script = *compiled;
        runtime = Runtime::make(script, clock, stats);
        name = *wire::Name::from_text("www.example.com");
        facts.qname = &name;
        facts.qtype = wire::RrType::A;
        facts.client.address = *base::IpAddress::parse("192.0.2.7");
        facts.now = base::Instant{std::chrono::hours{1}};
    }

    const policy::Verdict& ask()
    {
        runtime->on_query(facts, verdict);
        return verdict;
    }
    const policy::Verdict& ask(const std::string& qname)
    {
        name = *wire::Name::from_text(qname);
        return ask();
    }
    /// The reason that the script gave: how tests look into it.
    std::string reason() { return ask().reason; }

    Options options;
    RunningClock clock;
    Stats stats;
    base::Error error;
    std::shared_ptr<const Script> script;
    std::unique_ptr<Runtime> runtime;
    wire::Name name;
    policy::Facts facts;
    policy::Verdict verdict;
};

/// A script that puts the value of an expression into the reason.
inline std::string query(const std::string& expression)
{
    return "on.query(function(q) return q:refuse(tostring(" + expression + ")) end)";
}

inline std::string evaluated(const std::string& expression)
{
    Running run{query(expression)};
    if (run.runtime == nullptr) return "error: " + run.error.message;
    const std::string reason = run.reason();
    return run.stats.errors.get() == 0 ? reason : "error";
}

/// The body of a function that runs in a query: true where it ends with an error.
inline bool fails(const std::string& body)
{
    Running run{"on.query(function(q)\n" + body + "\nend)"};
    if (run.runtime == nullptr) return true;
    static_cast<void>(run.ask());
    return run.stats.errors.get() == 1;
}

} // namespace sallyport::lua
