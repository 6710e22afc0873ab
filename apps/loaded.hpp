#pragma once

#include "base/result.hpp"
#include "certs/certs.hpp"
#include "conf/configuration.hpp"
#include "listeners/listeners.hpp"
#include "lua/lua.hpp"
#include "zones/zones.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::apps {

struct FollowedAnchors;
struct FollowedRoot;

/// A configuration with everything it names read and checked: what `run` serves and `check` reports on.
struct Loaded {
    conf::Configuration configuration;
    std::vector<listeners::Port> ports; ///< borrow from `configuration.listeners`
    std::shared_ptr<const zones::Snapshot> zones;
    std::vector<std::string> zone_files; ///< what was read for them, `$INCLUDE`d ones too
    std::shared_ptr<const resolver::Options> resolver;
    std::shared_ptr<FollowedAnchors> followed;              ///< null where no trust anchor is followed
    std::shared_ptr<FollowedRoot> root;                     ///< null where no root zone is transferred
    std::shared_ptr<const lua::Script> script;              ///< null without a script
    std::shared_ptr<certs::TicketKeys> tickets;             ///< null without an encrypted door
    std::shared_ptr<const certs::TlsIdentities> identities; ///< null without an encrypted door
    /// Looked at the files before they were read: what is written since then is seen.
    std::unique_ptr<certs::Watch> certificate_watch;
    /// Stands for all that decides what an answer got from elsewhere says.
    std::uint64_t cache_fingerprint = 0;

    /// Of the cache that is used: none where there is none.
    [[nodiscard]] cache::SnapshotOptions snapshot_options() const
    {
        return configuration.cache.enabled ? configuration.cache_snapshot : cache::SnapshotOptions{};
    }
};

/// Reads the file and everything it names. All errors of all parts are in `problems`; the result is null then.
/// `before`, where given, is what was loaded before: its ticket keys go on being used as long as their options are the
/// same, so that sessions survive a reload.
[[nodiscard]] std::unique_ptr<Loaded> load_everything(const std::string& file, const Loaded* before,
                                                      base::Problems& problems);

/// Every file that was read but certificates and keys, which are watched by what reads them.
[[nodiscard]] std::vector<std::string> watched_files(const Loaded& loaded);

/// True when the doors need a certificate.
[[nodiscard]] bool needs_certificate(const listeners::Options& options) noexcept;

/// One line an error on stderr, and how many there were.
void print_problems(const base::Problems& problems);

} // namespace sallyport::apps
