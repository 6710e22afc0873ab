#include "apps/health_cli.hpp"

#include "apps/admin_client.hpp"
#include "apps/exit_codes.hpp"

#include <boost/json.hpp>

#include <CLI/CLI.hpp>

#include <iostream>
#include <memory>
#include <string>

namespace sallyport::apps {
namespace {

namespace json = boost::json;

struct HealthOptions {
    AdminTarget target;
    bool ready = false;
    bool quiet = false;
    double timeout = 3;
};

/// `healthy`, `sick: one worker …`: status and reason of the gateway's answer.
std::string verdict_of(const AdminAnswer& answer)
{
    boost::system::error_code failed;
    const auto value = json::parse(answer.body, failed);
    if (failed || !value.is_object()) return "answered with status " + std::to_string(answer.status);
    std::string text;
    for (const std::string_view key : {"status", "reason", "error"}) {
        const auto* const part = value.get_object().if_contains(key);
        if (part == nullptr || !part->is_string()) continue;
        if (!text.empty()) text += ": ";
        text += std::string_view(part->get_string());
    }
    return text;
}

int health(const HealthOptions& options)
{
    const auto client = AdminClient::make(options.target);
    if (!client) {
        std::cerr << client.error().to_string() << '\n';
        return exit_failed;
    }
    const auto patience = std::chrono::milliseconds{static_cast<long>(options.timeout * 1000)};
    const auto answer = client->request("GET", options.ready ? "/ready" : "/health", {}, patience);
    if (!answer) {
        std::cerr << answer.error().to_string() << '\n';
        return exit_failed;
    }
    if (!answer->ok())
        std::cerr << verdict_of(*answer) << '\n';
    else if (!options.quiet)
        std::cout << verdict_of(*answer) << '\n';
    return answer->ok() ? exit_ok : exit_bad_input;
}

} // namespace

void add_health(CLI::App& app, int& code)
{
    auto* const command = app.add_subcommand(
        "health", "Ask a running gateway how it is: 0 healthy, 1 not, 4 no answer; for health checks");
    auto options = std::make_shared<HealthOptions>();
    add_admin_options(*command, options->target);
    command->add_flag("--ready", options->ready, "Ask whether it takes queries, not whether it is well");
    command->add_flag("--quiet", options->quiet, "Say nothing when all is well");
    command->add_option("--timeout", options->timeout, "Seconds to wait")
        ->check(CLI::Range(0.1, 300.0))
        ->capture_default_str();
    command->callback([options, &code] { code = health(*options); });
}

} // namespace sallyport::apps
