#pragma once

/// Module `conf`: the configuration file.
///
/// Reads YAML into the `Options` that every module declares, with the position of everything that is wrong, all of it
/// in one run. It opens the configuration file and nothing else: zones and certificates are read by their own modules.
/// Unknown and duplicate keys are refused; `SALLYPORT_<PATH>` in the environment overrides any scalar that is not
/// within a list. Start reading at `configuration.cpp`: it is the schema.

#include "admin/options.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "cache/options.hpp"
#include "certs/options.hpp"
#include "listeners/options.hpp"
#include "lua/options.hpp"
#include "pipeline/options.hpp"
#include "resolver/options.hpp"
#include "zones/options.hpp"

#include <functional>
#include <set>
#include <string>
#include <string_view>

namespace sallyport::conf {

/// A whole configuration: what the program gives to its parts.
struct Configuration {
    std::string file;
    unsigned workers = 0; ///< 0: as many as there are cores
    listeners::Options listeners;
    certs::Options certificates;
    zones::Options zones;
    pipeline::Options pipeline;
    cache::Options cache;
    cache::SnapshotOptions cache_snapshot;
    resolver::Options resolver;
    lua::Options script;
    admin::Options admin;
    admin::QueryLogOptions query_log;
    bool watch_files = false; ///< a changed configuration, zone or script is read by itself
    std::chrono::milliseconds watch_every{1000};
    base::log::Options log;
    /// Names this gateway goes by; the first is told to clients that ask for encrypted doors.
    std::vector<std::string> names;
    std::vector<base::SourcePosition> name_positions;
    std::string run_as; ///< user to become once the sockets are open; empty: stay
};

using Environment = std::function<const char*(const char*)>;

/// Reads the text of a configuration. What is wrong is in `problems`; the result may be used only when that is empty.
[[nodiscard]] Configuration parse_configuration(std::string_view text, const std::string& file,
                                                const Environment& environment, base::Problems& problems);
/// Reads a file of at most 4 MiB, with this process's environment.
[[nodiscard]] Configuration read_configuration(const std::string& file, base::Problems& problems);

/// Every key that is known, `limits.streams.idle`; items of lists as `listen[].dot.on`. For the documentation's test.
[[nodiscard]] std::set<std::string> known_keys();

} // namespace sallyport::conf
