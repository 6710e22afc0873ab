#pragma once

#include "conf/configuration.hpp"

#include <cstdint>

namespace sallyport::apps {

/// Equal where an answer got under the one configuration is as good under the other: the same upstreams, routes,
/// groups, stubs, rules of validation, trust anchors and root hints, and the same zones of our own (an alias of
/// somebody else's may lead into them). As the configuration was read, before anything is filled in. Reads the files of
/// hints and anchors. Scripts are left out: what they do to an answer is done each time it is given out.
[[nodiscard]] std::uint64_t cache_fingerprint_of(const conf::Configuration& configuration);

} // namespace sallyport::apps
