#include "policy/rate_limit.hpp"

#include "base/hash.hpp"

#include <algorithm>
#include <bit>
#include <chrono>

namespace sallyport::policy {
namespace {

std::int64_t nanoseconds(base::Instant now) noexcept
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
}

} // namespace

TokenBuckets::TokenBuckets(const Rate& rate, std::uint32_t table_size)
    : asked_(rate), table_size_(table_size), rate_(rate)
{
    rate_.burst = std::max<std::uint32_t>(rate_.burst, 1);
    const std::size_t size = std::bit_ceil(std::max<std::size_t>(table_size, 64));
    mask_ = size / kWays - 1;
    buckets_.resize(rate_.per_second == 0 ? kWays : size);
}

std::uint64_t TokenBuckets::key_of(const base::IpAddress& client) const noexcept
{
    const base::Prefix network{client, client.is_v4() ? rate_.v4_prefix : rate_.v6_prefix};
    const auto hash = base::keyed_hash(network.address().octets());
    return hash == 0 ? 1 : hash;
}

TokenBuckets::Bucket& TokenBuckets::bucket_of(std::uint64_t key, std::int64_t now) noexcept
{
    Bucket* const set = &buckets_[(key & mask_) * kWays];
    Bucket* oldest = set;
    for (Bucket* bucket = set; bucket != set + kWays; ++bucket) {
        if (bucket->key == key) return *bucket;
        if (bucket->seen < oldest->seen) oldest = bucket;
    }
    if (oldest->key != 0) ++evictions_;
    *oldest = Bucket{key, now, std::uint64_t{rate_.burst} * 1000};
    return *oldest;
}

bool TokenBuckets::take(const base::IpAddress& client, base::Instant now) noexcept
{
    if (rate_.per_second == 0) return true;
    const std::int64_t at = nanoseconds(now);
    Bucket& bucket = bucket_of(key_of(client), at);
    // Capped before it is multiplied: a bucket left alone for a year must not overflow.
    const std::int64_t elapsed = std::clamp<std::int64_t>(at - bucket.seen, 0, 3'600'000'000'000);
    const std::uint64_t earned = static_cast<std::uint64_t>(elapsed) / 1000 * rate_.per_second / 1000;
    if (earned > 0) {
        bucket.milli_tokens = std::min<std::uint64_t>(bucket.milli_tokens + earned, std::uint64_t{rate_.burst} * 1000);
        bucket.seen = at;
    }
    if (bucket.milli_tokens < 1000) return false;
    bucket.milli_tokens -= 1000;
    return true;
}

} // namespace sallyport::policy
