#pragma once

#include "base/random.hpp"
#include "zones/transfer.hpp"

#include <chrono>
#include <cstdint>

namespace sallyport::zones {

/// When to ask a zone's servers again, and how long what they said counts (RFC 1034 §4.3.5, RFC 1035 §3.3.13).
class Refresh {
public:
    /// No pause is shorter or longer than these, whatever the zone says. `random` is borrowed.
    Refresh(std::chrono::milliseconds least, std::chrono::milliseconds most, base::RandomSource& random) noexcept
        : least_(least), most_(most), random_(random)
    {
    }

    /// A server has confirmed the zone, or handed it out: how long to wait until one is asked again.
    [[nodiscard]] std::chrono::milliseconds confirmed(const SoaNumbers& soa) noexcept;
    /// No server has. `soa` of the zone that is there, null without one.
    [[nodiscard]] std::chrono::milliseconds failed(const SoaNumbers* soa) noexcept;

private:
    /// Up to a tenth less: many who began at the same time shall not ask at the same time.
    [[nodiscard]] std::chrono::milliseconds pause(std::chrono::milliseconds wanted) noexcept;

    std::chrono::milliseconds least_, most_;
    base::RandomSource& random_;
    std::uint32_t failures_ = 0; ///< in a row, without a zone
};

} // namespace sallyport::zones
