#pragma once

#include "base/bytes.hpp"
#include "base/counter.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>

namespace sallyport::certs {

/// Remembers which 0-RTT handshakes were seen, so that each is taken once (RFC 8446 §8.2). Bounded: when it is full of
/// entries that still count, early data is refused and the client asks again in 1-RTT. Any thread; a lock is held for
/// one look-up.
class ReplayStore {
public:
    static constexpr std::size_t kDefaultCapacity = 65'536;
    /// Keys are hashes; a longer one is refused.
    static constexpr std::size_t kMaxKey = 64;

    explicit ReplayStore(std::size_t capacity = kDefaultCapacity) : capacity_{capacity} {}

    enum class Outcome : std::uint8_t { fresh, seen, full };
    /// `now` and `expires` in seconds of one clock; an entry counts until `expires` has passed.
    [[nodiscard]] Outcome add(base::Bytes key, std::int64_t now, std::int64_t expires);

    [[nodiscard]] std::size_t size() const;
    /// Written under the store's lock.
    struct Stats {
        base::Counter replays_refused, full;
        template <class V>
        void each(V&& visit) const
        {
            visit("tls_early_data_replays_total", "Early data refused because its handshake was seen before",
                  replays_refused);
            visit("tls_early_data_store_full_total", "Early data refused because the anti-replay store was full", full);
        }
    };
    [[nodiscard]] const Stats& stats() const noexcept { return stats_; }

    /// What the QUIC library keeps beside the store, set by the first snapshot that needs it: its object refuses early
    /// data of tickets older than itself, so one for each snapshot would end 0-RTT at each reload. Control thread.
    std::shared_ptr<void> library_state;

private:
    void forget_expired(std::int64_t now);

    mutable std::mutex mutex_;
    std::size_t capacity_;
    std::set<std::pair<std::int64_t, std::string>> by_expiry_;
    std::unordered_map<std::string, std::int64_t> seen_;
    Stats stats_;
};

} // namespace sallyport::certs
