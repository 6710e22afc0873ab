#include "apps/watchdog.hpp"

#include "apps/service.hpp"
#include "base/log.hpp"

#include <algorithm>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;
namespace log = base::log;

/// No work of a worker takes a tenth of this; what does is a mistake worth a line.
constexpr base::Duration kSilence = 10s;

long long seconds(base::Duration duration)
{
    return static_cast<long long>(std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

} // namespace

Watchdog::Watchdog() : Watchdog(watchdog_interval(), [] { notify_service_manager("WATCHDOG=1"); }) {}

Watchdog::Watchdog(base::Duration interval, std::function<void()> feed) : interval_(interval), feed_(std::move(feed)) {}

base::Duration Watchdog::pause() const noexcept
{
    return interval_ == base::Duration::zero() ? base::Duration{1s} : std::min<base::Duration>(1s, interval_ / 4);
}

void Watchdog::tick(base::Instant now, const Ask& ask)
{
    if (came_through_ && came_through_->load(std::memory_order_acquire) < asked_) {
        complain(now);
        return;
    }
    if (complained_) {
        log::info("all workers turn over again, after " + std::to_string(seconds(now - asked_at_)) + " s");
        complained_ = false;
    }
    // The round before has come through; before the first one nothing is known yet.
    if (came_through_ && interval_ > base::Duration::zero()) feed_();
    begin_round(now, ask);
}

void Watchdog::begin_round(base::Instant now, const Ask& ask)
{
    came_through_ = std::make_shared<std::atomic<unsigned>>(0);
    asked_at_ = now;
    asked_ = ask([count = came_through_] { count->fetch_add(1, std::memory_order_release); });
}

base::Duration Watchdog::silence(base::Instant now) const noexcept
{
    if (!came_through_ || came_through_->load(std::memory_order_acquire) >= asked_) return {};
    return now - asked_at_;
}

void Watchdog::complain(base::Instant now)
{
    const auto silent = silence(now);
    if (complained_ || silent < kSilence) return;
    complained_ = true;
    const unsigned missing = asked_ - came_through_->load(std::memory_order_acquire);
    log::error(std::to_string(missing) + " of " + std::to_string(asked_) + " workers have not turned over for " +
               std::to_string(seconds(silent)) + " s" +
               (interval_ > base::Duration::zero() ? "; the service manager is not told that all is well" : ""));
}

} // namespace sallyport::apps
