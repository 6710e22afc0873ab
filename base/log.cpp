#include "base/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace sallyport::base::log {
namespace {

std::atomic<std::uint64_t> g_left_out{0};

spdlog::level::level_enum to_spdlog(Level level) noexcept
{
    switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warning: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
    }
    return spdlog::level::info;
}

spdlog::logger& logger()
{
    static const std::shared_ptr<spdlog::logger> instance = [] {
        auto made =
            std::make_shared<spdlog::logger>("sallyport", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
        made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
        made->flush_on(spdlog::level::debug);
        return made;
    }();
    return *instance;
}

} // namespace

void configure(const Options& options)
{
    logger().set_pattern(options.timestamps ? "%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v" : "%^%l%$ %v");
    set_level(options.level);
}

void set_level(Level level) noexcept { logger().set_level(to_spdlog(level)); }

Level level() noexcept
{
    switch (logger().level()) {
    case spdlog::level::trace:
    case spdlog::level::debug: return Level::debug;
    case spdlog::level::warn: return Level::warning;
    case spdlog::level::err:
    case spdlog::level::critical: return Level::error;
    default: return Level::info;
    }
}

void write(Level level, std::string_view line)
{
    logger().log(to_spdlog(level), spdlog::string_view_t{line.data(), line.size()});
}

std::uint64_t Limiter::admit(Instant now, Duration pause) noexcept
{
    const std::int64_t at = now.time_since_epoch().count();
    std::int64_t due = next_.load(std::memory_order_relaxed);
    if (at < due || !next_.compare_exchange_strong(due, at + pause.count(), std::memory_order_relaxed)) {
        left_out_.fetch_add(1, std::memory_order_relaxed);
        g_left_out.fetch_add(1, std::memory_order_relaxed);
        return 0;
    }
    return 1 + left_out_.exchange(0, std::memory_order_relaxed);
}

std::uint64_t left_out_lines() noexcept { return g_left_out.load(std::memory_order_relaxed); }

} // namespace sallyport::base::log
