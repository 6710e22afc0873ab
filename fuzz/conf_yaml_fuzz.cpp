// fuzz: links sallyport_conf
#include "conf/configuration.hpp"

#include <cstdlib>
#include <string_view>

// Any text is either read without a problem, or every problem has words and the place it concerns.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace sallyport;
    if (size > 64 * 1024) return 0;
    base::Problems problems;
    const auto configuration =
        conf::parse_configuration({reinterpret_cast<const char*>(data), size}, "fuzz.yaml", {}, problems);
    for (const auto& problem : problems)
        if (problem.message.empty() || problem.position.file.empty()) std::abort();
    if (!problems.empty()) return 0;
    // What was accepted is within the documented ranges.
    if (configuration.pipeline.udp_payload_size < 512 || configuration.pipeline.udp_payload_size > 4096) std::abort();
    if (configuration.listeners.streams.connections == 0 || configuration.workers > 256) std::abort();
    for (const auto& door : configuration.listeners.doors)
        if (door.on.empty()) std::abort();
    return 0;
}
