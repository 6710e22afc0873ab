#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "policy/options.hpp"

#include <cstdint>
#include <vector>

namespace sallyport::policy {

/// A token bucket for each client network, in a table of fixed size: a stranger with many addresses costs no memory,
/// and takes the places of whoever was quiet the longest. One worker's.
class TokenBuckets {
public:
    struct Rate {
        std::uint32_t per_second = 0; ///< 0: nothing is ever limited
        std::uint32_t burst = 0;      ///< at least 1 is taken
        unsigned v4_prefix = 32;
        unsigned v6_prefix = 56;
        friend bool operator==(const Rate&, const Rate&) = default;
    };

    /// `table_size` is rounded up to a power of two, 64 at least.
    TokenBuckets(const Rate& rate, std::uint32_t table_size);

    /// Whether it was made with these: what was counted so far still holds then.
    [[nodiscard]] bool is_for(const Rate& rate, std::uint32_t table_size) const noexcept
    {
        return rate == asked_ && table_size == table_size_;
    }

    /// Takes one token of the client's network; false when none is left.
    [[nodiscard]] bool take(const base::IpAddress& client, base::Instant now) noexcept;
    /// Networks forgotten to make room for others.
    [[nodiscard]] std::uint64_t evictions() const noexcept { return evictions_; }

private:
    struct Bucket {
        std::uint64_t key = 0; ///< keyed hash of the network; 0 is free
        std::int64_t seen = 0; ///< nanoseconds
        std::uint64_t milli_tokens = 0;
    };
    static constexpr std::size_t kWays = 4;

    [[nodiscard]] std::uint64_t key_of(const base::IpAddress& client) const noexcept;
    [[nodiscard]] Bucket& bucket_of(std::uint64_t key, std::int64_t now) noexcept;

    Rate asked_;
    std::uint32_t table_size_;
    Rate rate_;
    std::size_t mask_;
    std::vector<Bucket> buckets_;
    std::uint64_t evictions_ = 0;
};

} // namespace sallyport::policy
