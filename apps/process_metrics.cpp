#include "apps/process_metrics.hpp"

#include "base/log.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>

namespace sallyport::apps {
namespace {

/// When this program began, near enough: before it serves anything.
const double kStarted = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();

double seconds(const timeval& time)
{
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double resident_octets()
{
    std::ifstream file{"/proc/self/statm"};
    double whole = 0, resident = 0;
    file >> whole >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double open_descriptors()
{
    std::error_code error;
    std::filesystem::directory_iterator entry{"/proc/self/fd", error};
    double count = 0;
    for (const std::filesystem::directory_iterator end; !error && entry != end; entry.increment(error)) ++count;
    return count;
}

} // namespace

void collect_process(Statistics& statistics)
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    statistics.add_value("build_info", "1; the version is a label", 1, labels_of({{"version", SALLYPORT_VERSION}}));
    statistics.add_value("process_start_timestamp_seconds", "When this process began", kStarted);
    statistics.add_value("process_cpu_seconds_total", "Processor time used, of the system too",
                         seconds(usage.ru_utime) + seconds(usage.ru_stime));
    statistics.add_value("process_resident_bytes", "Memory in use", resident_octets());
    statistics.add_value("process_open_descriptors", "Descriptors that are open", open_descriptors());
    statistics.add_value("process_most_descriptors", "Descriptors that may be open",
                         static_cast<double>(limit.rlim_cur));
    statistics.add_value("log_lines_held_back_total", "Lines of the service log left out because of their number",
                         static_cast<double>(base::log::left_out_lines()));
}

} // namespace sallyport::apps
