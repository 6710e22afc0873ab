#pragma once

#include "zones/zones.hpp"

#include <string>
#include <vector>

namespace sallyport::zones {

/// `load`, which also tells the files that were read, those of `$INCLUDE` among them: for whoever watches files.
[[nodiscard]] std::shared_ptr<const Snapshot> load(const Options& options, base::Problems& problems,
                                                   std::vector<std::string>& files);

} // namespace sallyport::zones
