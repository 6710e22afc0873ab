#include "apps/lane.hpp"

#include "base/log.hpp"

#include <utility>

namespace sallyport::apps {
namespace {

// Packets on their way from one worker to another; what is more is dropped, as a full socket buffer would.
constexpr std::uint32_t kMaxRouted = 4096;

} // namespace

Lane::Lane(unsigned index, const Common& common, const Loaded& loaded)
    : worker(index, common.clock),
      resolver(worker, common.resolutions, &common.cache),
      pipeline(loaded.configuration.pipeline, common.clock, worker.random())
{
}

LaneChange make_change(unsigned index, const Loaded& loaded, const base::Clock& clock, lua::Stats& script_stats,
                       base::Problems& problems)
{
    const auto& configuration = loaded.configuration;
    LaneChange change;
    change.zones = loaded.zones;
    change.zone_limits = configuration.zones.limits;
    change.pipeline = configuration.pipeline;
    change.resolver = loaded.resolver;
    change.identities = loaded.identities;
    if (!loaded.script) return change;
    change.script = lua::Runtime::make(loaded.script, clock, script_stats);
    if (!change.script)
        problems.push_back({base::ErrorCode::invalid,
                            "the script could not be run for worker " + std::to_string(index) + "; see the log",
                            configuration.script.position});
    return change;
}

void LaneChange::give_services(Lane& lane)
{
    if (!lane.asked_by.empty() && lane.asked_by != resolver->recurse.fingerprint)
        lane.pipeline.policy_changed(lane.worker.clock().now());
    lane.asked_by = resolver->recurse.fingerprint;
    lane.resolver.reconfigure(resolver);
    lane.pipeline.set_zones(zones, zone_limits);
    lane.pipeline.reconfigure(pipeline);
    std::swap(lane.script, script);
    pipeline::Services services;
    services.cache = cache;
    services.resolver = resolver->mode == resolver::Mode::off ? nullptr : &lane.resolver;
    services.script = lane.script.get();
    services.observer = observer;
    services.alarm = &lane.alarm;
    lane.pipeline.set_services(services);
}

void LaneChange::apply(Lane& lane) noexcept
{
    give_services(lane);
    if (identities) lane.doors->set_identities(identities);
    if (auto changed = lane.doors->change(layout, std::move(descriptors)); !changed)
        base::log::error("a port is not served by worker " + std::to_string(lane.worker.index()) + ": " +
                         changed.error().to_string());
}

void Router::route(unsigned worker, std::size_t port_id, base::Bytes packet, const base::Endpoint& peer,
                   const base::Endpoint& local, std::uint8_t ecn) noexcept
{
    if (worker >= lanes_.size()) return;
    Lane& lane = *lanes_[worker];
    if (lane.routed.fetch_add(1, std::memory_order_relaxed) >= kMaxRouted) {
        lane.routed.fetch_sub(1, std::memory_order_relaxed);
        return;
    }
    lane.worker.post(
        [&lane, port_id, copy = std::vector<std::uint8_t>(packet.begin(), packet.end()), peer, local, ecn] {
            lane.routed.fetch_sub(1, std::memory_order_relaxed);
            lane.doors->packet_routed(port_id, copy, peer, local, ecn);
        });
}

} // namespace sallyport::apps
