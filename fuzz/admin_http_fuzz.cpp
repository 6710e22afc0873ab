// fuzz: links sallyport_admin
#include "admin/gate.hpp"
#include "admin/http_reader.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace sallyport::admin;

/// What a connection would see, in one line a request.
std::vector<std::string> read_all(std::string_view octets, std::size_t piece)
{
    Options options;
    options.head = 1024;
    options.body = 1024;
    HttpReader reader{options};
    std::vector<std::string> seen;
    while (true) {
        const auto part = octets.substr(0, piece);
        octets.remove_prefix(part.size());
        auto step = reader.feed(part);
        while (step == HttpReader::Step::complete) {
            const auto request = reader.take();
            if (request.host.find('\n') != std::string::npos || request.body.size() > options.body) std::abort();
            seen.push_back(request.method + ' ' + request.target + ' ' + request.host + ' ' + request.body);
            step = reader.feed({});
        }
        if (step == HttpReader::Step::bad) {
            // When it is seen that something is wrong may depend on how much came at once (an extension of a chunk
            // whose quotes do not end); what was taken before, and that nothing is taken after, does not.
            if (reader.status() < 400 || reader.status() > 505) std::abort();
            return seen;
        }
        if (octets.empty()) return seen;
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string_view octets{reinterpret_cast<const char*>(data) + 1, size - 1};
    // How the network cuts it makes no difference.
    if (read_all(octets, std::max<std::size_t>(octets.size(), 1)) != read_all(octets, data[0] % 64U + 1U)) std::abort();

    const auto request = parse_target(octets.substr(0, octets.find(' ')));
    if (!request) return 0;
    // A path that is taken has no other spelling left in it that a route could be reached by.
    const auto& path = request->path;
    if (path.empty() || path[0] != '/' || path.find("//") != std::string::npos ||
        path.find("/../") != std::string::npos)
        std::abort();
    return 0;
}
