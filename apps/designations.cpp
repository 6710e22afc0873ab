#include "apps/designations.hpp"

#include "apps/loaded.hpp"

#include <algorithm>

namespace sallyport::apps {
namespace {

using listeners::DoorKind;
using listeners::Port;

constexpr bool kHasQuic =
#ifdef SALLYPORT_HAS_QUIC
    true;
#else
    false;
#endif

std::vector<std::string> alpn_of(const listeners::DoorOptions& door)
{
    switch (door.kind) {
    case DoorKind::dot: return {"dot"};
    case DoorKind::doq: return {"doq"};
    case DoorKind::doh:
        return door.doh.http3 && kHasQuic ? std::vector<std::string>{"h2", "h3"} : std::vector<std::string>{"h2"};
    case DoorKind::do53: break;
    }
    return {};
}

/// Doors of the same kind and port are one record, with the addresses of both as hints.
void add(std::vector<pipeline::Designation>& all, const listeners::DoorOptions& door, const base::Endpoint& endpoint)
{
    pipeline::Designation made{alpn_of(door), endpoint.port, {}, {}, false};
    if (door.kind == DoorKind::doh) made.doh_path = door.doh.paths.front() + "{?dns}";
    auto found = std::find_if(all.begin(), all.end(), [&](const pipeline::Designation& other) {
        return other.alpn == made.alpn && other.port == made.port && other.doh_path == made.doh_path;
    });
    if (found == all.end()) found = all.insert(all.end(), std::move(made));
    const auto octets = endpoint.address.octets();
    const bool wildcard = std::all_of(octets.begin(), octets.end(), [](auto octet) { return octet == 0; });
    found->on_any_address = found->on_any_address || wildcard;
    if (!wildcard &&
        std::find(found->addresses.begin(), found->addresses.end(), endpoint.address) == found->addresses.end())
        found->addresses.push_back(endpoint.address);
}

void add_doors(Loaded& loaded, DoorKind kind)
{
    for (const auto& door : loaded.configuration.listeners.doors) {
        if (door.kind != kind || (kind == DoorKind::doh && (door.doh.cleartext || door.doh.paths.empty()))) continue;
        for (const auto& address : door.on)
            if (address.endpoint.port != 0) add(loaded.configuration.pipeline.ddr.designations, door, address.endpoint);
    }
}

std::vector<std::string> own_names(const Loaded& loaded)
{
    if (!loaded.configuration.names.empty()) return loaded.configuration.names;
    std::vector<std::string> names;
    for (const auto& name : loaded.identities->names())
        if (!name.starts_with("*") && name != "localhost") names.push_back(name);
    return names;
}

} // namespace

void fill_designations(Loaded& loaded)
{
    if (!loaded.identities) return;
    auto& ddr = loaded.configuration.pipeline.ddr;
    ddr.names = own_names(loaded);
    if (ddr.target.empty() && !ddr.names.empty()) ddr.target = ddr.names.front();
    add_doors(loaded, DoorKind::doh);
    if (kHasQuic) add_doors(loaded, DoorKind::doq);
    add_doors(loaded, DoorKind::dot);
}

} // namespace sallyport::apps
