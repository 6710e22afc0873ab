#pragma once

#include "base/clock.hpp"

#include <atomic>
#include <functional>
#include <memory>

namespace sallyport::apps {

/// Tells the service manager that all is well, and only while every worker turns over: it sends each of them a beat
/// and waits until all have come through. One that hangs is named in the log too, with or without a service manager.
/// The control thread's; the beats themselves run on the workers.
class Watchdog {
public:
    /// Runs `beat` on every worker's thread and returns how many workers there are.
    using Ask = std::function<unsigned(const std::function<void()>& beat)>;

    /// The service manager's interval (`WATCHDOG_USEC`) and its socket.
    Watchdog();
    /// For tests. An `interval` of zero feeds nobody.
    Watchdog(base::Duration interval, std::function<void()> feed);

    /// About once a second; more often where the interval asks for it (`pause`).
    void tick(base::Instant now, const Ask& ask);
    /// How long the control thread may sleep between two ticks: a quarter of the interval, so
    /// that a beat comes back and is told well in time; a second at most.
    [[nodiscard]] base::Duration pause() const noexcept;
    /// How long the slowest worker has been silent; zero when all came through.
    [[nodiscard]] base::Duration silence(base::Instant now) const noexcept;

private:
    void begin_round(base::Instant now, const Ask& ask);
    void complain(base::Instant now);

    base::Duration interval_;
    std::function<void()> feed_;
    /// Owned by the beats as well: one may still wait for its worker when the next round begins.
    std::shared_ptr<std::atomic<unsigned>> came_through_;
    unsigned asked_ = 0;
    base::Instant asked_at_{};
    bool complained_ = false;
};

} // namespace sallyport::apps
