#pragma once

#include "apps/statistics.hpp"
#include "base/clock.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::apps {

/// Tells the operator when limits are reached and peers misbehave: what was counted since the last look, a line a kind,
/// once a minute at most. It reads the counters from outside, so that no flood costs the path of an answer a log line.
class LimitLog {
public:
    /// Lines to be logged; empty before a minute is over, and where nothing was reached.
    [[nodiscard]] std::vector<std::string> look(const Statistics& statistics, base::Instant now);
    /// True when a look is due: collecting the statistics can wait until then.
    [[nodiscard]] bool due(base::Instant now) const noexcept { return now >= next_; }

    /// Names of the counters that are told.
    [[nodiscard]] static std::span<const std::string_view> names() noexcept;

private:
    std::map<std::string_view, std::uint64_t> seen_;
    base::Instant next_{};
};

} // namespace sallyport::apps
