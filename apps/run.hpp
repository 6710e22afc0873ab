#pragma once

#include <string>

namespace sallyport::apps {

struct RunOptions {
    std::string config;
    bool hints = false; ///< print lines to paste for each door
};

/// `sallyport run`: serves until SIGINT or SIGTERM. Returns an exit code.
[[nodiscard]] int run(const RunOptions& options);

} // namespace sallyport::apps
