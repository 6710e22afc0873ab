#pragma once

#include "admin/event_ring.hpp"
#include "admin/options.hpp"
#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/transport.hpp"
#include "pipeline/observer.hpp"
#include "wire/types.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::admin {

/// What is remembered of a query that ended; borrows the octets it was read from.
struct LogEvent {
    std::uint64_t id = 0;
    base::Instant arrival{};
    base::Duration took{};
    base::IpAddress client;
    base::Transport transport{};
    pipeline::Source source{};
    wire::RrType qtype{};
    wire::Rcode rcode{};
    bool dropped = false; ///< nothing was answered
    base::Bytes qname;    ///< wire form, lower case
    std::string_view upstream;
    std::string_view rule;
    base::Bytes answer; ///< empty where it is not kept
};

/// Reads what `LogObserver` wrote; nothing for what it can not have written.
[[nodiscard]] std::optional<LogEvent> read_event(base::Bytes octets) noexcept;

/// A worker's end: copies events into the ring.
class LogObserver final : public pipeline::Observer {
public:
    /// Answers above this are written without their records.
    static constexpr std::size_t kMostAnswer = 16'384;

    /// Once, before a worker gets it.
    void make_ring(std::size_t octets)
    {
        if (!ring_) ring_ = std::make_unique<EventRing>(octets);
    }
    void ended(const pipeline::Query& query, base::Bytes answer, wire::Rcode rcode,
               base::Duration took) noexcept override;

    /// Any thread: from the next query on.
    void set(bool enabled, bool with_answer) noexcept
    {
        enabled_.store(enabled, std::memory_order_relaxed);
        with_answer_.store(with_answer, std::memory_order_relaxed);
    }
    [[nodiscard]] EventRing& ring() noexcept { return *ring_; }
    [[nodiscard]] const base::Counter& events() const noexcept { return events_; }
    [[nodiscard]] const base::Counter& dropped() const noexcept { return dropped_; }

private:
    std::unique_ptr<EventRing> ring_;
    std::atomic<bool> enabled_{false}, with_answer_{false};
    base::Counter events_, dropped_;
};

/// What a line is written with.
struct LineStyle {
    Mask mask = Mask::none;
    bool response_data = true;
};

/// Appends one line of JSON, without its line end. `wall` is when the query arrived.
void append_line(std::string& out, const LogEvent& event, base::WallTime wall, const LineStyle& style);

/// As `2026-11-20T17:05:32.123Z` (RFC 3339).
void append_time(std::string& out, base::WallTime wall);

/// The address as it may be written: whole, its /24 or /48, or nothing.
[[nodiscard]] std::optional<base::IpAddress> masked(const base::IpAddress& address, Mask mask) noexcept;

} // namespace sallyport::admin
