#pragma once

#include "base/clock.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

/// The service log: what an operator reads. Lines for people, one a happening; never on the path of an answer.
/// Any thread may call it.
namespace sallyport::base::log {

enum class Level : std::uint8_t { debug, info, warning, error };

struct Options {
    Level level = Level::info;
    /// Prefix lines with the time; off under systemd, which has its own.
    bool timestamps = true;
};

void configure(const Options& options);
void set_level(Level level) noexcept;
[[nodiscard]] Level level() noexcept;

void write(Level level, std::string_view line);
inline void debug(std::string_view line) { write(Level::debug, line); }
inline void info(std::string_view line) { write(Level::info, line); }
inline void warning(std::string_view line) { write(Level::warning, line); }
inline void error(std::string_view line) { write(Level::error, line); }

/// Lets one line a minute of its kind through and counts the rest, so that no stranger can flood the log:
/// `static log::Limiter limiter; if (auto n = limiter.admit(now)) log::warning(…)`.
class Limiter {
public:
    /// 0: stay silent. Otherwise 1 + the number of lines left out since the last one. Any thread.
    [[nodiscard]] std::uint64_t admit(Instant now, Duration pause = std::chrono::minutes{1}) noexcept;

private:
    std::atomic<std::int64_t> next_{0};
    std::atomic<std::uint64_t> left_out_{0};
};

/// Total of lines that a `Limiter` held back, for the metrics.
[[nodiscard]] std::uint64_t left_out_lines() noexcept;

} // namespace sallyport::base::log
