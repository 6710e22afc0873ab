#pragma once

#include "admin/admin.hpp"
#include "apps/ask.hpp"
#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "base/transport.hpp"
#include "pipeline/observer.hpp"
#include "pipeline/pipeline.hpp"
#include "resolver/resolver.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

/// `sallyport explain`: what each stage decides about one query, and why.
namespace sallyport::apps {

class Gateway;

/// A query as somebody would ask it, in words.
struct ExplainRequest {
    std::string name;
    std::string type = "A";
    std::string client = "127.0.0.1";
    std::string door = "do53"; ///< do53, dot, doh, doq, or a transport: udp, tcp, doh1, doh2, doh3
    std::string server_name;
    std::string path; ///< of a DoH request
    bool dnssec_ok = false;
    bool checking_disabled = false;
};

/// The same understood.
struct ExplainQuestion {
    AskQuestion question;
    base::IpAddress client;
    base::Transport transport = base::Transport::udp;
    std::string server_name, path;
    bool dnssec_ok = false, checking_disabled = false;
};

/// Errors say what was expected.
[[nodiscard]] base::Result<ExplainQuestion> understand(const ExplainRequest& request);
/// The body of POST /api/v1/explain, both ways.
[[nodiscard]] std::string to_json(const ExplainRequest& request);
[[nodiscard]] base::Result<ExplainRequest> read_explain_request(std::string_view json);

struct ExplainStep {
    std::string stage, decision, why;
};

/// A zone of the chain of trust.
struct TrustStep {
    std::string zone, state, why;
};

/// What became of it.
struct Explanation {
    enum class End : std::uint8_t {
        none,     ///< not yet; in the end: nobody answered in time
        answered, ///< `rcode` and what follows
        dropped,  ///< silence
        ignored,  ///< not taken as a query
        upstream, ///< without asking: upstreams would have been asked now
    };
    std::vector<ExplainStep> steps;
    End end = End::none;
    std::string rcode, source, rule;
    std::vector<std::string> errors;  ///< Extended DNS Errors: `18 Prohibited: bedtime`
    std::vector<std::string> records; ///< of answer and authority, as text
    std::vector<TrustStep> trust;     ///< from an anchor towards the name, as far as it is known
    double milliseconds = 0;
};

[[nodiscard]] std::string to_json(const Explanation& explanation);
[[nodiscard]] base::Result<Explanation> read_explanation(std::string_view json);
/// Lines for people.
[[nodiscard]] std::string to_text(const ExplainRequest& request, const Explanation& explanation);

/// Sends one query through a pipeline and writes down what happens. The pipeline's thread only; outlives its query, or
/// has abandoned it.
class ExplainWalk final : public pipeline::Trace, public pipeline::ReplySink {
public:
    static constexpr std::size_t kMostSteps = 200;

    explicit ExplainWalk(ExplainQuestion question) : question_(std::move(question)) {}

    /// `done` is called when the end is known, perhaps from within.
    void begin(pipeline::Pipeline& pipeline, const base::Clock& clock, std::function<void()> done);
    /// Lets go of the query if it still waits.
    void abandon(pipeline::Pipeline& pipeline) noexcept { pipeline.abandon(waiting_); }
    [[nodiscard]] Explanation& result() noexcept { return result_; }
    [[nodiscard]] const ExplainQuestion& question() const noexcept { return question_; }

    void step(std::string_view stage, std::string_view decision, std::string_view why) override;
    void reply(const pipeline::Reply& reply) noexcept override;
    void dropped(std::uint64_t tag) noexcept override;

private:
    void end(Explanation::End end) noexcept;

    ExplainQuestion question_;
    pipeline::QueryList waiting_;
    const base::Clock* clock_ = nullptr;
    base::Instant began_{};
    std::function<void()> done_;
    Explanation result_;
};

/// Adds the chain of trust, where it has to do with the answer. On the resolver's thread.
void add_trust(const resolver::Resolver& resolver, const wire::Name& qname, Explanation& explanation);

/// POST /api/v1/explain: walks on the first worker and waits for the end, some seconds at most. A slow route.
[[nodiscard]] admin::Response explain_on(const Gateway& gateway, const admin::Request& request);

/// From the configuration, without serving and without asking anybody.
[[nodiscard]] base::Result<Explanation> explain_offline(const std::string& config, const ExplainQuestion& question,
                                                        base::Problems& problems);

/// Adds the subcommand; its end is written to `code` when it has run.
void add_explain(CLI::App& app, int& code);

} // namespace sallyport::apps
