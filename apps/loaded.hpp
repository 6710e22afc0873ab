#pragma once

#include "base/result.hpp"
#include "certs/certs.hpp"
#include "conf/configuration.hpp"
#include "listeners/listeners.hpp"
#include "zones/zones.hpp"

#include <memory>
#include <string>
#include <vector>

namespace sallyport::apps {

/// A configuration with everything it names read and checked: what `run` serves and `check` reports on.
struct Loaded {
    conf::Configuration configuration;
    std::vector<listeners::Port> ports; ///< borrow from `configuration.listeners`
    std::shared_ptr<const zones::Snapshot> zones;
    std::shared_ptr<certs::TicketKeys> tickets;             ///< null without an encrypted door
    std::shared_ptr<const certs::TlsIdentities> identities; ///< null without an encrypted door
};

/// Reads the file and everything it names. All errors of all parts are in `problems`; the result is null then.
/// `tickets`, where given, go on being used, so that sessions survive a reload.
[[nodiscard]] std::unique_ptr<Loaded>
load_everything(const std::string& file, std::shared_ptr<certs::TicketKeys> tickets, base::Problems& problems);

/// True when the doors need a certificate.
[[nodiscard]] bool needs_certificate(const listeners::Options& options) noexcept;

/// One line an error on stderr, and how many there were.
void print_problems(const base::Problems& problems);

} // namespace sallyport::apps
