#include "net/timer_queue.hpp"

namespace sallyport::net {

void TimerQueue::arm(Timer& timer, base::Instant due) noexcept
{
    timer.cancel();
    timer.due_ = due;
    timers_.insert(timer);
}

std::optional<base::Instant> TimerQueue::earliest() const noexcept
{
    if (timers_.empty()) return std::nullopt;
    return timers_.begin()->due_;
}

void TimerQueue::expire(base::Instant now, unsigned most) noexcept
{
    for (; most > 0 && !timers_.empty() && timers_.begin()->due_ <= now; --most) {
        Timer& timer = *timers_.begin();
        timer.cancel();
        timer.callback_(timer.owner_, now);
    }
}

} // namespace sallyport::net
