// fuzz: links sallyport_zones
#include "zones/hosts_file.hpp"
#include "zones/zone_builder.hpp"

#include <cstdlib>

using namespace sallyport;
using namespace sallyport::zones;

namespace {

void require(bool holds)
{
    if (!holds) std::abort();
}

} // namespace

// A hosts file: what loads has addresses only, and each reverse name leads to a name that has that address.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 16'384) return 0;
    const Limits limits;
    base::Problems problems;
    ReverseNames reverse;
    ZoneBuilder builder{*wire::Name::from_text("home.arpa"), limits, problems};
    TextInput input{base::as_text({data, size}), 1, 1};
    HostsFileReader{builder, limits, reverse}.read(input, "input");
    builder.make_missing_apex_records({});
    const auto zone = builder.finish({});
    require((zone == nullptr) == !problems.empty());
    if (zone == nullptr) return 0;
    for (const Node& node : zone->nodes()) {
        for (const RrSet& set : zone->sets(node)) {
            const bool address = set.type == wire::RrType::A || set.type == wire::RrType::AAAA;
            require(address || &node == &zone->apex_node());
        }
    }
    for (const auto& [address, host] : reverse) {
        const auto lower = host.lower();
        const Node* node = zone->find(lower.wire());
        require(node != nullptr);
        bool found = false;
        for (const RrSet& set : zone->sets(*node)) {
            if (set.type != wire::RrType::A && set.type != wire::RrType::AAAA) continue;
            for (const auto rdata : zone->rdata(set)) {
                found = found || reverse_name(base::IpAddress::from_octets(rdata)).to_text() == address;
            }
        }
        require(found);
    }
    return 0;
}
