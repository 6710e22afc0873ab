#include "certs/replay_store.hpp"

namespace sallyport::certs {

ReplayStore::Outcome ReplayStore::add(base::Bytes key, std::int64_t now, std::int64_t expires)
{
    const std::string text{base::as_text(key)};
    const std::lock_guard lock{mutex_};
    forget_expired(now);
    if (seen_.contains(text)) {
        ++stats_.replays_refused;
        return Outcome::seen;
    }
    if (key.size() > kMaxKey || seen_.size() >= capacity_) {
        ++stats_.full;
        return Outcome::full;
    }
    seen_.emplace(text, expires);
    by_expiry_.emplace(expires, text);
    return Outcome::fresh;
}

std::size_t ReplayStore::size() const
{
    const std::lock_guard lock{mutex_};
    return seen_.size();
}

void ReplayStore::forget_expired(std::int64_t now)
{
    while (!by_expiry_.empty() && by_expiry_.begin()->first < now) {
        seen_.erase(by_expiry_.begin()->second);
        by_expiry_.erase(by_expiry_.begin());
    }
}

} // namespace sallyport::certs
