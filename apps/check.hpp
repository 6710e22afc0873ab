#pragma once

#include <string>

namespace sallyport::apps {

/// `sallyport check`: reads everything a configuration names without serving. Returns an exit code.
[[nodiscard]] int check(const std::string& config);

} // namespace sallyport::apps
