// fuzz: links sallyport_listeners
#include "listeners_http_session_harness.hpp"

#include <string_view>

using namespace sallyport;

/// Octets of a client: what comes back is whole HTTP/1.1 responses, never more than requests were begun.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static fuzz::Gateway gateway;
    if (size == 0) return 0;
    fuzz::Channel channel{gateway.worker, gateway.pipeline};
    const std::uint64_t answers_before = gateway.stats.answers.get();
    const std::uint64_t requests_before = gateway.requests();
    {
        const auto session = listeners::make_http1_session(channel, gateway.context, gateway.clock.now());
        fuzz::feed(gateway, channel, *session, {data + 1, size - 1}, data[0]);
        gateway.clock.advance(std::chrono::seconds{120});
        if (!channel.over) session->tick(gateway.clock.now());
        fuzz::expect(channel.over); // whatever was begun has a deadline
    }
    fuzz::expect(gateway.stats.answers.get() - answers_before <= gateway.requests() - requests_before);
    const std::string_view out{reinterpret_cast<const char*>(channel.out.data()), channel.out.size()};
    fuzz::expect(out.empty() || out.starts_with("HTTP/1.1 "));
    fuzz::expect(gateway.budget.bodies.held() == 0);
    return 0;
}
