// fuzz: links sallyport_listeners

#include "listeners/proxy_header.hpp"

#include <cstdlib>

using namespace sallyport;
using State = listeners::ProxyHeader::State;

// What is read does not depend on what follows, a whole header is never longer than allowed, and every shorter
// beginning of a good one is incomplete.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const base::Bytes octets{data, size};
    const auto header = listeners::parse_proxy_header(octets);
    if (header.state == State::incomplete && size >= listeners::kMaxProxyHeader) std::abort();
    if (header.state != State::local && header.state != State::proxied) return 0;
    if (header.size < 16 || header.size > listeners::kMaxProxyHeader || header.size > size) std::abort();
    const auto again = listeners::parse_proxy_header(octets.first(header.size));
    if (again.state != header.state || again.source != header.source || again.destination != header.destination)
        std::abort();
    for (std::size_t shorter = 0; shorter < header.size; ++shorter)
        if (listeners::parse_proxy_header(octets.first(shorter)).state != State::incomplete) std::abort();
    return 0;
}
