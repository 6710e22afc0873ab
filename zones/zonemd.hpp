#pragma once

#include "zones/zone.hpp"

#include <cstdint>
#include <string>

/// Whether a zone is whole, by the digest that it holds of itself (RFC 8976).
namespace sallyport::zones {

enum class DigestState : std::uint8_t {
    absent,   ///< no ZONEMD at the apex
    unknown,  ///< none of a scheme and hash that are known here: nothing can be said
    good,     ///< one of them holds
    mismatch, ///< all that are known here fail
};

struct DigestCheck {
    DigestState state = DigestState::absent;
    std::string why; ///< of `mismatch`
};

/// RFC 8976 §4, steps 5 to 7: scheme SIMPLE with SHA-384 and SHA-512. Whether the ZONEMD record set itself is to be
/// believed is for the caller to find out. Takes as long as hashing the zone does.
[[nodiscard]] DigestCheck check_digest(const Zone& zone);

} // namespace sallyport::zones
