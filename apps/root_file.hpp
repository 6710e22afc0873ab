#pragma once

#include "base/result.hpp"
#include "zones/transfer.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace sallyport::apps {

/// A transferred root zone on disk. The time of the file's last change is when a server confirmed the zone last.
struct KeptRoot {
    zones::TransferredZone zone;
    std::int64_t confirmed = 0; ///< seconds since 1970
};

/// Nothing where there is no such file; an error where it is none of ours, damaged, or larger than the limits.
[[nodiscard]] std::optional<base::Result<KeptRoot>> read_root_file(const std::string& file,
                                                                   const zones::TransferLimits& limits);

/// What the file holds: `SALLYXFR`, version (4), zeros (4), octets that follow the header (8), their checksum (8), in
/// network order; then the messages of the transfer, each behind its length, with ID 0. The checksum is SipHash-2-4
/// with a key that everybody knows, XORed with that of the header before it: against accidents.
[[nodiscard]] std::string write_root_octets(const zones::TransferredZone& zone);
[[nodiscard]] base::Result<zones::TransferredZone> read_root_octets(base::Bytes octets,
                                                                    const zones::TransferLimits& limits);

/// The zone was confirmed at `date`.
[[nodiscard]] base::Result<void> touch_root_file(const std::string& file, std::int64_t date);

} // namespace sallyport::apps
