#include "resolver/health.hpp"

#include <algorithm>

namespace sallyport::resolver {
namespace {

// A resolver behind the upstream takes its time for what it has to look up itself: an upstream that mostly answers
// from its cache must not be given up for that.
constexpr base::Duration kLeastTimeout = std::chrono::milliseconds{250};
constexpr base::Duration kMostTimeout = std::chrono::milliseconds{1500};

} // namespace

void Health::answered(base::Duration rtt, base::Instant now) noexcept
{
    measured(rtt, now);
    close();
}

void Health::close() noexcept
{
    failures_ = 0;
    open_ = false;
    probing_ = false;
    backoff_ = {};
}

void Health::blend(base::Duration rtt) noexcept
{
    smoothed_ = measured_ ? (smoothed_ * 7 + rtt) / 8 : rtt;
    measured_ = true;
}

void Health::measured(base::Duration rtt, base::Instant now) noexcept
{
    rtt = std::max(rtt, base::Duration::zero());
    blend(rtt);
    measured_at_ = answered_at_ = now;
    if (!has_answered_) {
        typical_ = rtt;
        variation_ = rtt / 2;
        has_answered_ = true;
        return;
    }
    const base::Duration off = rtt > typical_ ? rtt - typical_ : typical_ - rtt;
    variation_ = (variation_ * 3 + off) / 4;
    typical_ = (typical_ * 7 + rtt) / 8;
}

bool Health::failed(base::Instant now, const Limits& limits) noexcept
{
    failures_ += failures_ < 1'000'000 ? 1U : 0U;
    if (open_ || failures_ < limits.failures_to_open) return false;
    open_ = true;
    backoff_ = limits.backoff_first;
    next_probe_ = now + backoff_;
    return true;
}

bool Health::timed_out(base::Duration waited, base::Instant now, const Limits& limits) noexcept
{
    blend(std::max(waited, smoothed_));
    measured_at_ = now;
    // Others were answered meanwhile: it is there, and this one was lost on the way, or is of a bad zone.
    if (has_answered_ && answered_at_ > now - waited) return false;
    return failed(now, limits);
}

void Health::outrun(base::Duration waited) noexcept
{
    if (measured_ && waited <= smoothed_) return;
    blend(waited);
}

void Health::probe_failed(base::Instant now, const Limits& limits) noexcept
{
    probing_ = false;
    if (!open_ || now < next_probe_) return; // one ahead of its time
    backoff_ = std::min<base::Duration>(backoff_ * 2, limits.backoff_most);
    next_probe_ = now + backoff_;
}

base::Duration Health::timeout(const Limits& limits) const noexcept
{
    if (!has_answered_) return limits.first_timeout;
    return std::clamp(typical_ + variation_ * 4, kLeastTimeout,
                      std::max<base::Duration>(kMostTimeout, limits.first_timeout));
}

} // namespace sallyport::resolver
