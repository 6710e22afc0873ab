#pragma once

#include "base/clock.hpp"

#include <algorithm>

namespace sallyport::test {

/// The system's clock, but that no step of it is longer than a few milliseconds: where the machine keeps the whole
/// program from its work for a second, clients and servers in it have waited no longer than they would elsewhere. For
/// one thread, whose workers turn over at least as often.
class PatientClock final : public base::Clock {
public:
    [[nodiscard]] base::Instant now() const noexcept override
    {
        const auto real = std::chrono::steady_clock::now();
        now_ += std::min<base::Duration>(real - read_, std::chrono::milliseconds{4});
        read_ = real;
        return now_;
    }
    [[nodiscard]] base::WallTime wall() const noexcept override { return std::chrono::system_clock::now(); }

private:
    mutable base::Instant read_ = std::chrono::steady_clock::now();
    mutable base::Instant now_ = read_;
};

} // namespace sallyport::test
