#include "listeners/http_limits.hpp"

namespace sallyport::listeners {

bool TokenBucket::take(base::Instant now) noexcept
{
    if (level_ < kUnit && now > last_) {
        // An hour refills any bucket; the bound keeps the product small.
        const auto passed = std::min<base::Duration>(now - last_, std::chrono::hours{1});
        const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(passed).count();
        const std::uint64_t gained = static_cast<std::uint64_t>(micros) * per_second_;
        if (gained > 0) {
            level_ = std::min(burst_, level_ + gained);
            last_ = now;
        }
    }
    if (level_ < kUnit) return false;
    level_ -= kUnit;
    return true;
}

bool ByteBudget::take(std::size_t octets) noexcept
{
    const std::size_t limit = limit_.load(std::memory_order_relaxed);
    std::size_t held = held_.load(std::memory_order_relaxed);
    do {
        if (octets > limit || held > limit - octets) return false;
    } while (!held_.compare_exchange_weak(held, held + octets, std::memory_order_relaxed));
    return true;
}

void ByteBudget::give_back(std::size_t octets) noexcept { held_.fetch_sub(octets, std::memory_order_relaxed); }

} // namespace sallyport::listeners
