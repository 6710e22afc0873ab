#pragma once

#include "listeners/http_date.hpp"
#include "listeners/http_limits.hpp"
#include "listeners/http_stats.hpp"
#include "listeners/options.hpp"

#include <string_view>

namespace sallyport::listeners {

/// What every HTTP session of one worker and port shares. Everything is borrowed and outlives the sessions.
struct DohContext {
    const DohOptions* options = nullptr;
    const HttpLimits* limits = nullptr;
    HttpStats* stats = nullptr;
    HttpBudget* budget = nullptr; ///< one for all workers
    /// Value of the alt-svc header (`h3=":8443"; ma=86400`); empty: none is sent. HTTP/3 sends none.
    std::string_view alt_svc{};
    HttpDate* date = nullptr; ///< the worker's; without it no date is sent
};

} // namespace sallyport::listeners
