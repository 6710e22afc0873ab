#pragma once

#include "base/result.hpp"
#include "dnssec/anchors.hpp"
#include "resolver/options.hpp"
#include "resolver/root_copy.hpp"

namespace sallyport::apps {

/// Reads the root zone that the options name, where they do, into `local_root`. What is no zone is in `problems`; a
/// zone that is too old, or for which none of `anchors` speaks, is noted in the log and left alone: servers are asked
/// then. A file that was read before and is the same still is not read again.
void load_root_copy(resolver::RecurseOptions& options, const dnssec::TrustAnchors& anchors, base::Problems& problems);

} // namespace sallyport::apps
