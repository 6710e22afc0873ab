#include "zones/refresh.hpp"

#include <algorithm>

namespace sallyport::zones {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// Without a zone nobody says how long to wait: twice as long each time, an hour at most.
constexpr milliseconds kLongestWithout = std::chrono::hours{1};
constexpr std::uint32_t kMostDoublings = 20;

} // namespace

milliseconds Refresh::pause(milliseconds wanted) noexcept
{
    const milliseconds whole = std::clamp(wanted, least_, std::max(least_, most_));
    const auto tenth = static_cast<std::uint64_t>(whole.count()) / 10;
    return whole - milliseconds{tenth == 0 ? 0 : random_.number() % (tenth + 1)};
}

milliseconds Refresh::confirmed(const SoaNumbers& soa) noexcept
{
    failures_ = 0;
    return pause(seconds{soa.refresh});
}

milliseconds Refresh::failed(const SoaNumbers* soa) noexcept
{
    if (soa != nullptr) {
        failures_ = 0;
        return pause(seconds{soa->retry});
    }
    const milliseconds wanted = least_ * (std::int64_t{1} << failures_);
    failures_ = std::min(failures_ + 1, kMostDoublings);
    return pause(std::min(wanted, kLongestWithout));
}

} // namespace sallyport::zones
