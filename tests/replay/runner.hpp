#pragma once

#include "tests/replay/compare.hpp"
#include "tests/replay/scenario.hpp"

#include <string>

namespace sallyport::replay {

struct Outcome {
    enum class Kind : std::uint8_t { passed, failed, skipped };
    Kind kind = Kind::failed;
    std::string reason;      ///< of a failure or skip
    unsigned unanswered = 0; ///< upstream queries that no range answered and that timed out
};

/// Plays a scenario on a resolver of its own, with a clock and a network that are not real.
/// `trace`: every step of the resolver on standard error.
[[nodiscard]] Outcome run_scenario(const Scenario& scenario, bool trace, Level level = Level::semantic);

} // namespace sallyport::replay
