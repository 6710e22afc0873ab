#pragma once

#include "apps/admin_client.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <string>

namespace sallyport::apps {

/// What to write of a running gateway's cache, and where.
struct DumpOptions {
    std::string file; ///< empty or `-`: standard output
    std::string name; ///< of these two at most one
    std::string subtree;
    bool as_json = false; ///< an object a line
};

/// Asks for the cache page by page and writes what comes: a comment for each answer, then its records as zone text
/// has them. Returns how many answers. A file is there whole or not at all, for its owner alone.
[[nodiscard]] base::Result<std::uint64_t> dump_cache(const AdminClient& client, const DumpOptions& options);

} // namespace sallyport::apps
