#pragma once

#include "apps/loaded.hpp"
#include "cache/cache.hpp"
#include "listeners/listeners.hpp"
#include "lua/lua.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"
#include "resolver/resolver.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace sallyport::apps {

/// What the lanes of a gateway share.
struct Common {
    const base::Clock& clock;
    cache::Cache& cache;
    resolver::Shared& resolutions;
};

/// Tells the pipeline when its time has come.
class PipelineAlarm final : public pipeline::Alarm {
public:
    PipelineAlarm(net::Worker& worker, pipeline::Pipeline& pipeline) : worker_(worker), pipeline_(pipeline) {}
    void set(base::Instant when) noexcept override { worker_.arm(timer_, when); }

private:
    void expired(base::Instant now) noexcept { pipeline_.expire(now); }

    net::Worker& worker_;
    pipeline::Pipeline& pipeline_;
    net::Timer timer_{net::Timer::of<&PipelineAlarm::expired>(*this)};
};

/// One worker and what it serves with. Its members belong to its thread once that runs; others post.
struct Lane {
    Lane(unsigned index, const Common& common, const Loaded& loaded);

    net::Worker worker;
    lua::Stats script_stats;
    std::unique_ptr<lua::Runtime> script; ///< null without a script
    resolver::Resolver resolver;
    pipeline::Pipeline pipeline;
    PipelineAlarm alarm{worker, pipeline};
    std::string asked_by; ///< what says whom the resolver asks: what was kept by other rules is not given out for long
    std::unique_ptr<listeners::Doors> doors;
    std::thread thread;
    std::atomic<std::uint32_t> routed{0};
    /// Upstreams, and those of them whose circuit is closed; for whoever wants to know without waiting.
    std::atomic<std::uint32_t> upstreams{0}, upstreams_open{0};
};

using Lanes = std::vector<std::unique_ptr<Lane>>;

/// What a lane begins with, and what a reload brings it. Applied on the lane's thread; what it takes the place of
/// comes back in it, so that it is freed by whoever made it.
struct LaneChange {
    std::shared_ptr<const zones::Snapshot> zones;
    zones::Limits zone_limits;
    pipeline::Options pipeline;
    std::shared_ptr<const resolver::Options> resolver;
    std::unique_ptr<lua::Runtime> script;
    pipeline::Observer* observer = nullptr;
    cache::Cache* cache = nullptr; ///< null where none is used
    std::shared_ptr<const listeners::Layout> layout;
    std::vector<net::Descriptor> descriptors;
    std::shared_ptr<const certs::TlsIdentities> identities;

    /// All but the doors.
    void give_services(Lane& lane);
    /// Everything; what a new port has against it is logged.
    void apply(Lane& lane) noexcept;
};

/// A change for the lane of that index, without sockets. False in `problems` where its script does not run.
[[nodiscard]] LaneChange make_change(unsigned index, const Loaded& loaded, const base::Clock& clock,
                                     lua::Stats& script_stats, base::Problems& problems);

/// Carries QUIC packets to the worker that their connection ID names.
class Router final : public listeners::PacketRouter {
public:
    explicit Router(Lanes& lanes) : lanes_(lanes) {}
    void route(unsigned worker, std::size_t port_id, base::Bytes packet, const base::Endpoint& peer,
               const base::Endpoint& local, std::uint8_t ecn) noexcept override;

private:
    Lanes& lanes_;
};

} // namespace sallyport::apps
