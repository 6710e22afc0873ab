#include "apps/explain.hpp"

#include "apps/admin_client.hpp"
#include "apps/exit_codes.hpp"
#include "apps/lane.hpp"
#include "apps/loaded.hpp"
#include "resolver/shared.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>

namespace sallyport::apps {
namespace {

struct ExplainOptions {
    ExplainRequest request;
    AdminTarget target;
    bool offline = false;
    bool json = false;
};

/// Tells what would be asked, and asks nobody.
class TellingBackend final : public resolver::Backend {
public:
    explicit TellingBackend(const resolver::Backend& real) : real_(real) {}
    resolver::Taken resolve(const resolver::Question& question, resolver::Waiter&, base::Instant) noexcept override
    {
        bool is_known = true;
        real_.explain(question, [&](std::string_view what, std::string_view) { is_known &= what != "no route"; });
        return is_known ? resolver::Taken::waiting : resolver::Taken::no_route;
    }
    void fetch(const resolver::Question&, base::Instant) noexcept override {}
    void explain(const resolver::Question& question, const resolver::Tell& tell) const override
    {
        real_.explain(question, tell);
    }

private:
    const resolver::Backend& real_;
};

Explanation walk_through(Lane& lane, const Loaded& loaded, const base::Clock& clock, const ExplainQuestion& question)
{
    TellingBackend backend{lane.resolver};
    pipeline::Services services;
    services.resolver = loaded.resolver->mode == resolver::Mode::off ? nullptr : &backend;
    services.script = lane.script.get();
    lane.pipeline.set_services(services);
    ExplainWalk walk{question};
    walk.begin(lane.pipeline, clock, {});
    if (walk.result().end == Explanation::End::none) walk.result().end = Explanation::End::upstream;
    walk.abandon(lane.pipeline);
    lane.pipeline.set_services({});
    add_trust(lane.resolver, question.question.qname.lower(), walk.result());
    return std::move(walk.result());
}

void print(const ExplainOptions& options, const Explanation& explanation)
{
    std::cout << (options.json ? to_json(explanation) : to_text(options.request, explanation));
}

int explain_here(const ExplainOptions& options, const ExplainQuestion& question)
{
    if (options.target.config.empty()) {
        std::cerr << "--offline needs the configuration: -c FILE\n";
        return exit_usage;
    }
    base::Problems problems;
    const auto explanation = explain_offline(options.target.config, question, problems);
    if (!explanation) {
        print_problems(problems);
        return exit_bad_input;
    }
    print(options, *explanation);
    return exit_ok;
}

int explain_there(const ExplainOptions& options)
{
    const auto client = AdminClient::make(options.target);
    if (!client) {
        std::cerr << client.error().to_string() << '\n';
        return exit_failed;
    }
    const auto body = client->require("POST", "/api/v1/explain", to_json(options.request));
    if (!body) {
        std::cerr << body.error().to_string() << '\n';
        return exit_failed;
    }
    const auto explanation = read_explanation(*body);
    if (!explanation) {
        std::cerr << "the gateway's answer can not be read\n";
        return exit_failed;
    }
    print(options, *explanation);
    return exit_ok;
}

int explain(const ExplainOptions& options)
{
    const auto question = understand(options.request);
    if (!question) {
        std::cerr << question.error().to_string() << '\n';
        return exit_usage;
    }
    return options.offline ? explain_here(options, *question) : explain_there(options);
}

} // namespace

base::Result<Explanation> explain_offline(const std::string& config, const ExplainQuestion& question,
                                          base::Problems& problems)
{
    base::Error failed{base::ErrorCode::invalid, "the configuration can not be used"};
    const auto loaded = load_everything(config, nullptr, problems);
    if (!loaded) return failed;
    const base::SystemClock clock;
    cache::Options nothing_kept;
    nothing_kept.bytes = 1U << 20U;
    cache::Cache cache{nothing_kept};
    resolver::Shared resolutions;
    if (!resolutions.prepare(loaded->configuration.resolver, problems)) return failed;
    Lane lane{0, Common{clock, cache, resolutions}, *loaded};
    auto change = make_change(0, *loaded, clock, lane.script_stats, problems);
    if (!problems.empty()) return failed;
    change.give_services(lane);
    return walk_through(lane, *loaded, clock, question);
}

void add_explain(CLI::App& app, int& code)
{
    auto* const command = app.add_subcommand(
        "explain",
        "Tell what each stage decides about a query and why, in the running gateway or from a configuration");
    auto options = std::make_shared<ExplainOptions>();
    ExplainRequest& request = options->request;
    command->add_option("name", request.name, "The name asked for")->required()->type_name("NAME");
    command->add_option("type", request.type, "The type asked for")->type_name("TYPE")->capture_default_str();
    command->add_option("--client", request.client, "Who asks")->type_name("ADDR")->capture_default_str();
    command->add_option("--door", request.door, "By which door: do53, dot, doh, doq (or udp, tcp, doh1, doh2, doh3)")
        ->type_name("DOOR")
        ->capture_default_str();
    command->add_option("--server-name", request.server_name, "The name the client asks the gateway by (TLS)")
        ->type_name("NAME");
    command->add_option("--path", request.path, "The path of a DoH request")->type_name("PATH");
    command->add_flag("--dnssec", request.dnssec_ok, "With the bit DO");
    command->add_flag("--cd", request.checking_disabled, "With the bit CD");
    command->add_flag("--offline", options->offline,
                      "From the configuration, without a running gateway; nobody is asked");
    command->add_flag("--json", options->json, "One JSON object");
    add_admin_options(*command, options->target);
    command->callback([options, &code] { code = explain(*options); });
}

} // namespace sallyport::apps
