#pragma once

#include "apps/loaded.hpp"

namespace sallyport::apps {

/// Reads what recursion needs, where it is switched on: root hints, trust anchors; and what it takes over from other
/// parts of the configuration. `before`, where given, is what was loaded before: its record sets are kept.
void load_recursion(Loaded& loaded, const Loaded* before, base::Problems& problems);

/// What was read for it.
[[nodiscard]] std::vector<std::string> recursion_files(const Loaded& loaded);

} // namespace sallyport::apps
