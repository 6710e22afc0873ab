#pragma once

/// Module `lua`: what operators write.
///
/// A `Script` is a file that was read and tried once; each worker runs it in a sandboxed `Runtime` of its own. A
/// script sees plain facts and gives a verdict; it can reach no file, no process and no other query, and what it may
/// take of time, steps and memory is bounded. Start reading at `Runtime::on_query`; `docs/lua.md` is its language.

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "lua/options.hpp"
#include "policy/facts.hpp"
#include "policy/verdict.hpp"
#include "wire/message_view.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct lua_State;

namespace sallyport::policy {
class DomainSet;
}

namespace sallyport::lua {

/// Sets of names by what they were made from: a file, or the names themselves.
using DomainSets = std::map<std::string, std::shared_ptr<const policy::DomainSet>, std::less<>>;

/// A script's text, its compiled sets of names and its options, immutable: what a reload publishes.
class Script {
public:
    /// Reads the file and runs it once in a state of its own, so that what is wrong is known before anything changes.
    /// Errors name file and line.
    [[nodiscard]] static base::Result<std::shared_ptr<const Script>> load(const Options& options);
    /// The same with the text handed in; `options.script` only names it.
    [[nodiscard]] static base::Result<std::shared_ptr<const Script>> compile(const Options& options, std::string text);

    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] const Options& options() const noexcept { return options_; }
    /// Shared by the states of all workers.
    [[nodiscard]] const DomainSets& domain_sets() const noexcept { return domain_sets_; }
    /// Lists it read, for whoever watches files.
    [[nodiscard]] const std::vector<std::string>& files() const noexcept { return files_; }

private:
    friend class Runtime;
    Script() = default;
    std::string text_;
    Options options_;
    DomainSets domain_sets_;
    std::vector<std::string> files_;
    mutable base::log::Limiter errors_; ///< one line a minute for all workers
};

struct Stats {
    base::Counter calls, blocked, refused, answered, forwarded, dropped;
    base::Counter errors, over_instructions, over_time, over_memory;

    template <class V>
    void each(V&& visit) const
    {
        visit("script_calls_total", "Calls of policy scripts", calls);
        visit("script_blocked_total", "Queries a script blocked", blocked);
        visit("script_refused_total", "Queries a script refused", refused);
        visit("script_answered_total", "Queries a script answered", answered);
        visit("script_forwarded_total", "Queries a script sent to a group of upstreams", forwarded);
        visit("script_dropped_total", "Queries a script dropped", dropped);
        visit("script_errors_total", "Calls that ended with an error", errors);
        visit("script_over_instructions_total", "Calls over their instructions", over_instructions);
        visit("script_over_time_total", "Calls over their time", over_time);
        visit("script_over_memory_total", "Calls over the memory of their state", over_memory);
    }
};

/// A worker's state of one script. Its thread only, but for the counters.
class Runtime {
public:
    /// Null where the script can not be run (it could, when it was loaded); the reason is logged. `clock` and `stats`
    /// are borrowed; the counters outlive the runtime, which goes with its script.
    [[nodiscard]] static std::unique_ptr<Runtime> make(std::shared_ptr<const Script> script, const base::Clock& clock,
                                                       Stats& stats);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    [[nodiscard]] bool has_query_hook() const noexcept;
    [[nodiscard]] bool has_answer_hook() const noexcept;
    /// Fills the verdict. An error or an overrun is counted, logged once a minute with file and line, and gives what
    /// `Options::on_error` says.
    void on_query(const policy::Facts& facts, policy::Verdict& verdict) noexcept;
    /// `answer` is the response as it stands, without OPT.
    void on_answer(const policy::Facts& facts, const wire::MessageView& answer, policy::Verdict& verdict) noexcept;
    /// Octets that the state holds.
    [[nodiscard]] std::size_t memory() const noexcept;

private:
    Runtime() = default;
    void call(int (*trampoline)(lua_State*), policy::Verdict& verdict) noexcept;
    void count(const policy::Verdict& verdict) noexcept;
    void failed(int status, policy::Verdict& verdict) noexcept;

    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::lua
