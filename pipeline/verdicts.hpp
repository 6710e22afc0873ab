#pragma once

#include "pipeline/options.hpp"
#include "pipeline/pipeline.hpp"
#include "policy/facts.hpp"
#include "policy/verdict.hpp"

#include <string>
#include <string_view>
#include <unordered_set>

/// Between queries and rules: what a rule may know, and what its verdict means for the answer.
namespace sallyport::pipeline {

[[nodiscard]] policy::Facts facts_of(const Query& query, base::Instant now, base::WallTime wall) noexcept;

/// Texts that outlive the call of the rule that made them: names of rules and groups, each kept once. They come from
/// scripts, so there is a limit to them.
class Texts {
public:
    static constexpr std::size_t kMost = 4096; ///< of each
    /// The same text, kept; empty where there are too many already.
    [[nodiscard]] std::string_view rule(const std::string& text) { return keep(rules_, text); }
    [[nodiscard]] std::string_view group(const std::string& text) { return keep(groups_, text); }

private:
    [[nodiscard]] static std::string_view keep(std::unordered_set<std::string>& texts, const std::string& text);
    // Apart: a gateway that saw many reloads has many rules, and must not run out of groups by it.
    std::unordered_set<std::string> rules_, groups_;
};

/// Does what the verdict says; `next` where it says nothing, or sends the query to a group of upstreams. The answer has
/// been begun and has no records. `verdict` lives until the query is delivered.
[[nodiscard]] Step apply(const policy::Verdict& verdict, const BlockOptions& block, Texts& texts,
                         Query& query) noexcept;

} // namespace sallyport::pipeline
