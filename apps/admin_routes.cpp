#include "apps/admin_routes.hpp"

#include "apps/process_metrics.hpp"
#include "apps/version.hpp"
#include "base/log.hpp"

#include <boost/json.hpp>

#include <array>
#include <sstream>

namespace sallyport::apps {
namespace {

namespace json = boost::json;
namespace log = base::log;
using admin::Request;
using admin::Response;

constexpr const char* kLevelPath = "/api/v1/log/level";
constexpr std::array<std::pair<std::string_view, log::Level>, 4> kLevels{{{"debug", log::Level::debug},
                                                                          {"info", log::Level::info},
                                                                          {"warning", log::Level::warning},
                                                                          {"error", log::Level::error}}};

Response json_response(const json::value& value, unsigned status = 200)
{
    return {status, "application/json", json::serialize(value) + '\n'};
}

Response metrics(const AdminSources& sources)
{
    Statistics statistics;
    collect_process(statistics);
    sources.collect(statistics);
    std::ostringstream text;
    statistics.print(text);
    return {200, "text/plain; version=0.0.4; charset=utf-8", std::move(text).str()};
}

Response stats(const AdminSources& sources)
{
    Statistics statistics;
    collect_process(statistics);
    sources.collect(statistics);
    std::string body = R"({"version":)" + json::serialize(json::string{version_line()}) + R"(,"metrics":)";
    body += statistics.to_json();
    body += "}\n";
    return {200, "application/json", std::move(body)};
}

/// 200 with `good`, or 503 with the reason.
Response verdict(const std::string& reason, std::string_view good, std::string_view bad)
{
    if (reason.empty()) return json_response(json::object{{"status", good}});
    return json_response(json::object{{"status", bad}, {"reason", reason}}, 503);
}

json::object to_json(const UpstreamRow& row)
{
    return {{"group", row.group},
            {"name", row.name},
            {"transport", row.transport},
            {"open", row.open},
            {"queries", row.queries},
            {"answers", row.answers},
            {"timeouts", row.timeouts},
            {"failures", row.failures},
            {"retries", row.retries},
            {"connections", row.connections},
            {"in_flight", row.in_flight},
            {"rtt_milliseconds", row.rtt_milliseconds},
            {"addresses", json::array(row.addresses.begin(), row.addresses.end())}};
}

Response upstreams(const AdminSources& sources)
{
    json::array rows;
    for (const auto& row : sources.upstreams()) rows.push_back(to_json(row));
    return json_response(json::object{{"upstreams", std::move(rows)}});
}

Response level_now()
{
    for (const auto& [word, level] : kLevels)
        if (level == log::level()) return json_response(json::object{{"level", word}});
    return admin::error_response(500, "the log has no level");
}

Response set_level(const Request& request)
{
    boost::system::error_code error;
    const auto body = json::parse(request.body, error);
    const json::value* const wanted = !error && body.is_object() ? body.get_object().if_contains("level") : nullptr;
    if (wanted != nullptr && wanted->is_string()) {
        for (const auto& [word, level] : kLevels) {
            if (std::string_view{wanted->get_string()} != word) continue;
            log::set_level(level);
            log::info("log level is " + std::string(word) + " until the next reload");
            return level_now();
        }
    }
    return admin::error_response(400, R"(expected {"level": "debug" | "info" | "warning" | "error"})");
}

} // namespace

std::vector<admin::Route> built_in_routes(const AdminSources& sources)
{
    return {
        {"GET", "/metrics", false, [sources](const Request&) { return metrics(sources); }},
        {"GET", "/health", false,
         [sources](const Request&) { return verdict(sources.sick ? sources.sick() : "", "healthy", "sick"); }},
        {"GET", "/ready", false,
         [sources](const Request&) { return verdict(sources.unready ? sources.unready() : "", "ready", "not ready"); }},
        {"GET", "/api/v1/stats", false, [sources](const Request&) { return stats(sources); }},
        {"GET", "/api/v1/upstreams", false,
         [sources](const Request&) { return sources.upstreams ? upstreams(sources) : json_response(json::object{}); },
         true},
        {"GET", kLevelPath, false, [](const Request&) { return level_now(); }},
        {"PUT", kLevelPath, true, [](const Request& request) { return set_level(request); }},
    };
}

} // namespace sallyport::apps
