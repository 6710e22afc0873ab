#include "resolver/iterate/options.hpp"

#include <string_view>

namespace sallyport::resolver::iterate {

std::vector<base::Prefix> useless_addresses()
{
    constexpr std::string_view kNetworks[] = {"0.0.0.0/8",   "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
                                              "240.0.0.0/4", "::/127",      "fe80::/10",      "ff00::/8"};
    std::vector<base::Prefix> prefixes;
    for (const std::string_view network : kNetworks) {
        if (const auto prefix = base::Prefix::parse(network)) prefixes.push_back(*prefix);
    }
    return prefixes;
}

FixedZone root_hints()
{
    constexpr std::string_view kRoots[] = {
        "198.41.0.4",    "2001:503:ba3e::2:30", "170.247.170.2",  "2801:1b8:10::b", "192.33.4.12",   "2001:500:2::c",
        "199.7.91.13",   "2001:500:2d::d",      "192.203.230.10", "2001:500:a8::e", "192.5.5.241",   "2001:500:2f::f",
        "192.112.36.4",  "2001:500:12::d0d",    "198.97.190.53",  "2001:500:1::53", "192.36.148.17", "2001:7fe::53",
        "192.58.128.30", "2001:503:c27::2:30",  "193.0.14.129",   "2001:7fd::1",    "199.7.83.42",   "2001:500:9f::42",
        "202.12.27.33",  "2001:dc3::35"};
    FixedZone root;
    for (const std::string_view text : kRoots) {
        if (const auto address = base::IpAddress::parse(text)) root.servers.push_back({*address, 53, 0});
    }
    return root;
}

} // namespace sallyport::resolver::iterate
