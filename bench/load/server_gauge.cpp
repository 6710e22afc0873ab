#include "bench/load/server_gauge.hpp"

#include <filesystem>
#include <fstream>
#include <string>

namespace sallyport::load {

namespace {

namespace fs = std::filesystem;

std::chrono::nanoseconds cpu_of(const fs::path& process)
{
    std::int64_t all = 0;
    std::error_code error;
    for (const auto& task : fs::directory_iterator{process / "task", error}) {
        std::ifstream file{task.path() / "schedstat"};
        std::int64_t on_cpu = 0;
        if (file >> on_cpu) all += on_cpu;
    }
    return std::chrono::nanoseconds{all};
}

std::uint64_t rss_of(const fs::path& process)
{
    std::ifstream file{process / "status"};
    for (std::string word; file >> word;) {
        std::uint64_t size = 0;
        if (word == "VmRSS:" && file >> size) return size;
    }
    return 0;
}

std::uint64_t descriptors_of(const fs::path& process)
{
    std::error_code error;
    std::uint64_t count = 0;
    for (fs::directory_iterator it{process / "fd", error}; it != fs::directory_iterator{}; it.increment(error)) ++count;
    return count;
}

} // namespace

ServerGauge ServerGauge::read(pid_t pid)
{
    if (pid <= 0) return {};
    const fs::path process = "/proc/" + std::to_string(pid);
    return {cpu_of(process), rss_of(process), descriptors_of(process)};
}

} // namespace sallyport::load
