#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>

namespace sallyport::load {

/// What a process has used so far, as the kernel says (proc(5)); zeros where it does not say.
struct ServerGauge {
    std::chrono::nanoseconds cpu{}; ///< user and system time of all its threads, from their schedstat
    std::uint64_t rss_kib = 0;
    std::uint64_t descriptors = 0;

    [[nodiscard]] static ServerGauge read(pid_t pid);
};

} // namespace sallyport::load
