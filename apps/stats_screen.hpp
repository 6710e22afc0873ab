#pragma once

#include "apps/statistics.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::apps {

/// What a running gateway told of itself at one moment, as `sallyport stats` shows it.
struct StatsSample {
    struct Door {
        double queries = 0, replies = 0;
        std::vector<Bucket> latency; ///< seconds; not added up
    };
    struct Upstream {
        std::string group, name, transport;
        bool open = true;
        double queries = 0, timeouts = 0, failures = 0, rtt_milliseconds = 0;
    };
    std::string version;
    std::map<std::string, Door> doors;    ///< by transport
    std::map<std::string, double> values; ///< of everything without histogram: sums over labels, without our prefix
    std::map<std::string, std::string> help;
    std::vector<Upstream> upstreams;
};

/// Reads the answers of /api/v1/stats and /api/v1/upstreams.
[[nodiscard]] base::Result<StatsSample> read_sample(std::string_view stats, std::string_view upstreams);

/// The duration that so large a part (0 to 1) did not exceed, estimated within its bucket; below 0: nothing was
/// counted.
[[nodiscard]] double percentile(const std::vector<Bucket>& buckets, double part) noexcept;

/// One screen of text: what happened between two samples, `elapsed` apart, and since the start.
[[nodiscard]] std::string render(const StatsSample& before, const StatsSample& now, std::chrono::milliseconds elapsed);

} // namespace sallyport::apps
