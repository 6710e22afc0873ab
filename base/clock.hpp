#pragma once

#include <chrono>

/// Time is handed in: nothing below `apps` asks the system what time it is, so every timeout can be tested.
namespace sallyport::base {

using namespace std::chrono_literals;

/// A moment on the monotonic clock; never goes back. Read once per wake-up and passed on as `now`.
using Instant = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// A moment on the wall clock, for certificates, signatures and logs only.
using WallTime = std::chrono::system_clock::time_point;

/// Where time comes from. Tests move their own.
class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual Instant now() const noexcept = 0;
    [[nodiscard]] virtual WallTime wall() const noexcept = 0;
};

class SystemClock final : public Clock {
public:
    [[nodiscard]] Instant now() const noexcept override { return std::chrono::steady_clock::now(); }
    [[nodiscard]] WallTime wall() const noexcept override { return std::chrono::system_clock::now(); }
};

/// For tests: stands still until told.
class ManualClock final : public Clock {
public:
    [[nodiscard]] Instant now() const noexcept override { return now_; }
    [[nodiscard]] WallTime wall() const noexcept override { return wall_; }
    void advance(Duration step) noexcept
    {
        now_ += step;
        wall_ += std::chrono::duration_cast<WallTime::duration>(step);
    }
    void set_wall(WallTime wall) noexcept { wall_ = wall; }

private:
    Instant now_{std::chrono::hours{1}};
    WallTime wall_{};
};

} // namespace sallyport::base
