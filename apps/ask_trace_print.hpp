#pragma once

#include "resolver/iterate/event.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sallyport::apps {

/// How `ask --trace` shows what it does.
struct TraceStyle {
    bool json = false;             ///< one object a line
    std::uint16_t usual_port = 53; ///< another one is shown
};

/// What all steps came to.
struct TraceTotals {
    unsigned queries = 0, over_tcp = 0, unanswered = 0;
    std::size_t sent = 0, received = 0; ///< octets of messages
    base::Duration time{};
    std::string last_reason; ///< that was told: it is not told twice
};

/// From an anchor to the zone of a name.
struct TraceChain {
    wire::Name name;
    std::vector<resolver::iterate::TrustLink> links;
};

/// Above the lines of text.
[[nodiscard]] std::string trace_heading();
/// The line of one step; empty where there is nothing to be said of it. Counts it.
[[nodiscard]] std::string to_line(const resolver::iterate::Event& event, const TraceStyle& style, TraceTotals& totals);

/// Whether an error says that data was there and is not to be believed.
[[nodiscard]] bool is_validation_failure(std::optional<wire::ExtendedError> ede) noexcept;

/// Everything that stands at the end. `message`: the answer as a client would get it.
struct TraceEnd {
    const resolver::iterate::Answer& answer;
    base::Bytes message;
    const std::vector<TraceChain>& chains;
    const TraceTotals& totals;
};
[[nodiscard]] std::string to_text(const TraceEnd& end);
[[nodiscard]] std::string to_json(const TraceEnd& end);

/// Lines of a chain of trust, one for each zone.
[[nodiscard]] std::string to_text(const TraceChain& chain);

} // namespace sallyport::apps
