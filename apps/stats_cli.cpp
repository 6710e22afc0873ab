#include "apps/stats_cli.hpp"

#include "apps/admin_client.hpp"
#include "apps/exit_codes.hpp"
#include "apps/stats_screen.hpp"

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include <unistd.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

namespace sallyport::apps {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct StatsOptions {
    AdminTarget target;
    std::string interval = "1s";
    bool once = false;
};

struct LogLevelOptions {
    AdminTarget target;
    std::string level;
};

/// `500ms`, `2s`, `1m`; nothing for what is none, or out of 100 ms to an hour.
std::optional<milliseconds> parse_interval(const std::string& text)
{
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
    if (digits == 0 || digits > 7) return std::nullopt;
    const auto count = std::stol(text.substr(0, digits));
    const std::string unit = text.substr(digits);
    milliseconds interval{0};
    if (unit == "ms") interval = milliseconds{count};
    if (unit == "s" || unit.empty()) interval = std::chrono::seconds{count};
    if (unit == "m") interval = std::chrono::minutes{count};
    if (interval < milliseconds{100} || interval > std::chrono::hours{1}) return std::nullopt;
    return interval;
}

int fail(const base::Error& error)
{
    std::cerr << error.to_string() << '\n';
    return exit_failed;
}

base::Result<StatsSample> look(const AdminClient& client)
{
    const auto stats = client.require("GET", "/api/v1/stats");
    if (!stats) return stats.error();
    const auto upstreams = client.require("GET", "/api/v1/upstreams");
    if (!upstreams) return upstreams.error();
    return read_sample(*stats, *upstreams);
}

int show_stats(const StatsOptions& options)
{
    const auto interval = parse_interval(options.interval);
    if (!interval) {
        std::cerr << "'" << options.interval << "' is no interval; expected 100ms to 60m\n";
        return exit_usage;
    }
    const auto client = AdminClient::make(options.target);
    if (!client) return fail(client.error());
    auto before = look(*client);
    auto looked = Clock::now();
    // To the top, and what is left of the old screen below is erased.
    const bool screen = !options.once && ::isatty(STDOUT_FILENO) == 1;
    for (;;) {
        if (!before) return fail(before.error());
        std::this_thread::sleep_until(looked + *interval);
        auto now = look(*client);
        const auto at = Clock::now();
        if (!now) return fail(now.error());
        const auto elapsed = std::chrono::duration_cast<milliseconds>(at - looked);
        std::cout << (screen ? "\x1b[H\x1b[2J" : "") << render(*before, *now, elapsed) << (options.once ? "" : "\n")
                  << std::flush;
        if (options.once || !std::cout) return exit_ok;
        before = std::move(now);
        looked = at;
    }
}

int log_level(const LogLevelOptions& options)
{
    const auto client = AdminClient::make(options.target);
    if (!client) return fail(client.error());
    constexpr const char* kPath = "/api/v1/log/level";
    const auto answer =
        options.level.empty()
            ? client->require("GET", kPath)
            : client->require("PUT", kPath, boost::json::serialize(boost::json::object{{"level", options.level}}));
    if (!answer) return fail(answer.error());
    boost::system::error_code error;
    const auto body = boost::json::parse(*answer, error);
    const auto* const level = !error && body.is_object() ? body.get_object().if_contains("level") : nullptr;
    if (level == nullptr || !level->is_string())
        return fail({base::ErrorCode::invalid, "what the gateway tells is not what was expected", {}});
    std::cout << std::string_view{level->get_string()} << '\n';
    return exit_ok;
}

} // namespace

void add_stats(CLI::App& app, int& code)
{
    auto* const command = app.add_subcommand("stats", "Show what a running gateway is doing, until interrupted");
    auto options = std::make_shared<StatsOptions>();
    add_admin_options(*command, options->target);
    command->add_flag("--once", options->once, "One screen, of one interval, and no more");
    command->add_option("--interval", options->interval, "Time between looks: 500ms, 2s, 1m")
        ->type_name("TIME")
        ->capture_default_str();
    command->callback([options, &code] { code = show_stats(*options); });
}

void add_log_level(CLI::App& app, int& code)
{
    auto* const command =
        app.add_subcommand("log-level", "Print the level of a running gateway's log, or set it until the next reload");
    auto options = std::make_shared<LogLevelOptions>();
    add_admin_options(*command, options->target);
    command->add_option("LEVEL", options->level, "debug, info, warning or error")
        ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
    command->callback([options, &code] { code = log_level(*options); });
}

} // namespace sallyport::apps
