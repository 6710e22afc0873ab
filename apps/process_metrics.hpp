#pragma once

#include "apps/statistics.hpp"

namespace sallyport::apps {

/// What the system says of this process: memory, processor, descriptors, age; and its version. Any thread.
void collect_process(Statistics& statistics);

} // namespace sallyport::apps
