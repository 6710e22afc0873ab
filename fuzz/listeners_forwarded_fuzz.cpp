// fuzz: links sallyport_listeners
#include "listeners/forwarded.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

using namespace sallyport;

/// Whatever a stranger puts before it, the address that a listed proxy appends is the client, or the request is
/// refused.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const std::vector<base::Prefix> proxies{base::Prefix::parse("10.0.0.0/8").value()};
    const std::string stranger{reinterpret_cast<const char*>(data), size};

    listeners::ForwardedClient by_x;
    by_x.x_forwarded_for(stranger + ", 192.0.2.1", proxies);
    by_x.x_forwarded_for("10.0.0.9", proxies);
    if (!by_x.client() || by_x.client()->address.to_string() != "192.0.2.1") std::abort();

    listeners::ForwardedClient by_forwarded;
    by_forwarded.forwarded(stranger + ", for=\"[2001:db8::1]:80\";proto=https, for=10.0.0.9", proxies);
    if (by_forwarded.contradictory()) return 0;
    if (!by_forwarded.client() || by_forwarded.client()->address.to_string() != "2001:db8::1") std::abort();
    return 0;
}
