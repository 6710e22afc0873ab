#pragma once

#include "apps/ask.hpp"

namespace sallyport::apps {

/// `sallyport ask --trace`: finds the answers out by itself, from the root down, as the gateway would, and prints each
/// step as it is done. Asks no gateway and keeps nothing. Returns an `AskExit`.
[[nodiscard]] int trace(const AskOptions& options);

} // namespace sallyport::apps
