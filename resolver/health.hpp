#pragma once

#include "base/clock.hpp"
#include "resolver/options.hpp"

namespace sallyport::resolver {

/// What is known of one upstream by asking it: how quick it is, and whether it is worth asking at all. No I/O, no
/// clock.
///
/// A circuit breaker: closed as long as it answers; open after so many failures in a row. While open it is asked only
/// by one probe at a time, at once and after 5, 10, 20, 40, 60, 60 … seconds, or as the last resort. Any answer closes
/// it.
class Health {
public:
    /// It gave an answer that is of use, `rtt` after it was asked.
    void answered(base::Duration rtt, base::Instant now) noexcept;
    /// It answered, which says how quick it is, but not with what is of use (SERVFAIL, REFUSED).
    void measured(base::Duration rtt, base::Instant now) noexcept;
    /// It failed. True when this opened the breaker.
    bool failed(base::Instant now, const Limits& limits) noexcept;
    /// Nothing came within `waited`: counts as a slow answer, and as a failure where nobody was answered meanwhile.
    bool timed_out(base::Duration waited, base::Instant now, const Limits& limits) noexcept;

    /// Not answered when another one had: it takes at least `waited`, which is no measure and no failure.
    void outrun(base::Duration waited) noexcept;

    /// A probe begins; until it ends no other is due.
    void probe_started() noexcept { probing_ = true; }
    /// It came to nothing: the next one later. (What comes of a good one is `answered`.)
    void probe_failed(base::Instant now, const Limits& limits) noexcept;

    [[nodiscard]] bool is_open() const noexcept { return open_; }
    [[nodiscard]] bool is_probing() const noexcept { return probing_; }
    /// When the next probe is due; only while open.
    [[nodiscard]] base::Instant next_probe() const noexcept { return next_probe_; }
    [[nodiscard]] unsigned failures_in_a_row() const noexcept { return failures_; }
    [[nodiscard]] bool is_measured() const noexcept { return measured_; }
    [[nodiscard]] base::Instant measured_at() const noexcept { return measured_at_; }
    [[nodiscard]] base::Duration smoothed_rtt() const noexcept { return smoothed_; }
    /// How long one try may take before another one begins (RFC 6298 §2, with bounds of our own).
    [[nodiscard]] base::Duration timeout(const Limits& limits) const noexcept;

private:
    void close() noexcept;
    void blend(base::Duration rtt) noexcept;

    base::Duration smoothed_{};  // silence counts: for the choice among upstreams
    base::Duration typical_{};   // of answers alone: for how long to wait (RFC 6298 §3: no measure from a retry)
    base::Duration variation_{}; // of answers alone
    base::Duration backoff_{};
    base::Instant measured_at_{};
    base::Instant answered_at_{};
    base::Instant next_probe_{};
    unsigned failures_ = 0;
    bool measured_ = false;
    bool has_answered_ = false;
    bool open_ = false;
    bool probing_ = false;
};

} // namespace sallyport::resolver
