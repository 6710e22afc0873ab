#pragma once

#include "admin/admin.hpp"
#include "apps/statistics.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sallyport::apps {

/// One upstream as operators see it: the reports of all workers put together.
struct UpstreamRow {
    std::string group, name, transport;
    bool open = true; ///< at least one worker would ask it
    std::uint64_t queries = 0, answers = 0, timeouts = 0, failures = 0, retries = 0, connections = 0, in_flight = 0;
    double rtt_milliseconds = 0;          ///< the mean of those that know it
    std::vector<std::string> addresses{}; ///< where it is; none where its name could not be looked up yet
};

/// What the built-in routes tell. Each is called on the management API's own threads.
struct AdminSources {
    /// Everything that is counted: `Gateway::collect`, and nothing of it elsewhere. Must not wait for a worker.
    std::function<void(Statistics&)> collect;
    /// Why the process should be restarted: a worker that has not turned over for a while. Empty: it is well.
    std::function<std::string()> sick;
    /// Why no query should be sent here: starting, draining, every upstream known to be dead. Empty: ready.
    std::function<std::string()> unready;
    /// May wait for the workers.
    std::function<std::vector<UpstreamRow>()> upstreams;
};

/// GET /metrics, /health, /ready, /api/v1/stats, /api/v1/upstreams, /api/v1/log/level and PUT /api/v1/log/level.
/// The gateway adds its own (reload, cache, explain) behind them and gives all to `admin::Server`.
[[nodiscard]] std::vector<admin::Route> built_in_routes(const AdminSources& sources);

} // namespace sallyport::apps
