#include "apps/routes.hpp"

#include "admin/json.hpp"
#include "apps/admin_routes.hpp"
#include "apps/cache_api.hpp"
#include "apps/control.hpp"
#include "apps/explain.hpp"
#include "apps/gateway.hpp"
#include "resolver/resolver.hpp"

#include <algorithm>
#include <iterator>

namespace sallyport::apps {
namespace {

void append_list(std::string& out, const std::vector<std::string>& texts)
{
    out += '[';
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (i > 0) out += ", ";
        admin::append_json(out, texts[i]);
    }
    out += ']';
}

/// 200 `{"summary": "…", "restarts": ["workers"]}`, or 422 `{"error": "…", "problems": ["file:1:2: …"]}`.
admin::Response answer_of(const ReloadResult& result)
{
    admin::Response response;
    std::vector<std::string> lines = result.restarts;
    if (!result.good) {
        response.status = 422;
        lines.clear();
        for (const auto& problem : result.problems) lines.push_back(problem.to_string());
    }
    response.body = result.good ? R"({"summary": )" : R"({"error": )";
    admin::append_json(response.body, result.summary);
    response.body += result.good ? R"(, "restarts": )" : R"(, "problems": )";
    append_list(response.body, lines);
    response.body += "}\n";
    return response;
}

admin::Response reload(Gateway& gateway, Control& control)
{
    ReloadResult result;
    if (!control.run([&] { result = gateway.reload(); })) return admin::error_response(503, "the gateway is ending");
    return answer_of(result);
}

} // namespace

std::vector<admin::Route> all_routes(Gateway& gateway, Control& control)
{
    AdminSources sources;
    sources.collect = [&gateway](Statistics& statistics) { gateway.collect(statistics); };
    sources.sick = [&gateway] { return gateway.sick(); };
    sources.unready = [&gateway] { return gateway.unready(); };
    sources.upstreams = [&gateway] { return gateway.upstreams(); };
    auto routes = built_in_routes(sources);
    routes.push_back({"POST", "/api/v1/reload", true, [&](const admin::Request&) { return reload(gateway, control); }});
    // It asks upstreams, and what they say is kept: not for everybody.
    routes.push_back(
        {"POST", "/api/v1/explain", true, [&](const admin::Request& request) { return explain_on(gateway, request); }});
    auto cache = cache_routes(gateway.cache(), gateway.clock(), [&gateway](const wire::Name& apex, bool subtree) {
        gateway.cache_flushed();
        for (unsigned i = 0; i < gateway.workers(); ++i)
            (void)gateway.on_worker(i, [&](const LaneView& lane) { lane.resolver.forget(apex, subtree); });
    });
    std::move(cache.begin(), cache.end(), std::back_inserter(routes));
    return routes;
}

} // namespace sallyport::apps
