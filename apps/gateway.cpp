#include "apps/gateway.hpp"

#include "apps/service.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"

#include <atomic>
#include <functional>
#include <thread>

namespace sallyport::apps {
namespace {

namespace log = base::log;

// Packets on their way from one worker to another; what is more is dropped, as a full socket buffer would.
constexpr std::uint32_t kMaxRouted = 4096;

/// One worker and what it serves with.
struct Lane {
    Lane(unsigned index, const base::Clock& clock, const pipeline::Options& options)
        : worker(index, clock), pipeline(options, clock, worker.random())
    {
    }

    net::Worker worker;
    pipeline::Pipeline pipeline;
    std::unique_ptr<listeners::Doors> doors;
    std::thread thread;
    std::atomic<std::uint32_t> routed{0};
};

/// Carries QUIC packets to the worker that their connection ID names.
class Router final : public listeners::PacketRouter {
public:
    explicit Router(std::vector<std::unique_ptr<Lane>>& lanes) : lanes_(lanes) {}

    void route(unsigned worker, std::size_t port, base::Bytes packet, const base::Endpoint& peer,
               const base::Endpoint& local, std::uint8_t ecn) noexcept override
    {
        if (worker >= lanes_.size()) return;
        Lane& lane = *lanes_[worker];
        if (lane.routed.fetch_add(1, std::memory_order_relaxed) >= kMaxRouted) {
            lane.routed.fetch_sub(1, std::memory_order_relaxed);
            return;
        }
        lane.worker.post(
            [&lane, port, copy = std::vector<std::uint8_t>(packet.begin(), packet.end()), peer, local, ecn] {
                lane.routed.fetch_sub(1, std::memory_order_relaxed);
                lane.doors->packet_routed(port, copy, peer, local, ecn);
            });
    }

private:
    std::vector<std::unique_ptr<Lane>>& lanes_;
};

} // namespace

struct Gateway::Parts {
    explicit Parts(std::unique_ptr<Loaded> given) : loaded(std::move(given)), router(lanes) {}

    base::SystemClock clock;
    std::unique_ptr<Loaded> loaded;
    listeners::Options door_options; ///< as they were when the doors opened; the doors borrow them
    listeners::SocketSet sockets;
    listeners::SharedSecrets secrets;
    std::vector<std::unique_ptr<Lane>> lanes;
    Router router;
    std::unique_ptr<certs::Watch> watch;
    base::Instant next_watch{};
    std::atomic<unsigned> lanes_running{0};

    void on_every_lane(const std::function<void(Lane&)>& work)
    {
        for (auto& lane : lanes) lane->worker.post([work, &lane = *lane] { work(lane); });
    }
    void publish();
    void reload_certificates();
    void run_lane(Lane& lane);
};

Gateway::Gateway(std::unique_ptr<Loaded> loaded) : parts_(std::make_unique<Parts>(std::move(loaded))) {}

Gateway::~Gateway()
{
    hurry();
    for (auto& lane : parts_->lanes)
        if (lane->thread.joinable()) lane->thread.join();
}

bool Gateway::open(base::Problems& problems)
{
    parts_->door_options = parts_->loaded->configuration.listeners;
    auto opened = listeners::open_sockets(parts_->door_options, inherited_sockets(), problems);
    if (!opened) {
        if (problems.empty()) problems.push_back(opened.error());
        return false;
    }
    if (!problems.empty()) return false;
    parts_->sockets = std::move(*opened);
    return true;
}

base::Result<void> Gateway::start()
{
    const auto& configuration = parts_->loaded->configuration;
    base::SystemRandom random;
    random.fill(parts_->secrets.quic_tokens);
    random.fill(parts_->secrets.quic_resets);
    for (unsigned i = 0; i < configuration.workers; ++i) {
        auto lane = std::make_unique<Lane>(i, parts_->clock, configuration.pipeline);
        lane->pipeline.set_zones(parts_->loaded->zones, configuration.zones.limits);
        lane->doors = std::make_unique<listeners::Doors>(
            lane->worker, lane->pipeline, parts_->loaded->identities, parts_->door_options, parts_->sockets.ports,
            std::move(parts_->sockets.descriptors[i]), parts_->router, parts_->secrets);
        parts_->lanes.push_back(std::move(lane));
    }
    // Before any thread runs: a door that can not start is an error of the start, not of a worker.
    for (auto& lane : parts_->lanes)
        if (auto started = lane->doors->start(); !started) return started.error();
    parts_->lanes_running = configuration.workers;
    for (auto& lane : parts_->lanes) lane->thread = std::thread([this, &lane = *lane] { parts_->run_lane(lane); });
    if (parts_->loaded->identities) parts_->watch = std::make_unique<certs::Watch>(configuration.certificates);
    return {};
}

void Gateway::Parts::run_lane(Lane& lane)
{
    lane.worker.run();
    // Doors go on the thread that served them: their sessions belong to it.
    lane.doors.reset();
    lanes_running.fetch_sub(1, std::memory_order_release);
}

void Gateway::tick()
{
    const auto now = parts_->clock.now();
    const auto& options = parts_->loaded->configuration.certificates;
    if (!parts_->watch || now < parts_->next_watch) return;
    parts_->next_watch = now + options.watch_every;
    if (auto rotated = parts_->loaded->tickets->tick(now); !rotated)
        log::error("ticket keys stay as they were: " + rotated.error().to_string());
    if (parts_->watch->changed()) parts_->reload_certificates();
}

void Gateway::Parts::reload_certificates()
{
    base::Problems problems;
    auto fresh = certs::load(loaded->configuration.certificates, loaded->tickets, clock.wall(), problems);
    if (!fresh) {
        for (const auto& problem : problems) log::error(problem.to_string());
        log::error("certificates stay as they were");
        return;
    }
    loaded->identities = std::move(fresh);
    on_every_lane([identities = loaded->identities](Lane& lane) { lane.doors->set_identities(identities); });
    log::info("certificates changed and are in use");
}

void Gateway::Parts::publish()
{
    const auto& configuration = loaded->configuration;
    on_every_lane([zones = loaded->zones, limits = configuration.zones.limits, identities = loaded->identities,
                   options = configuration.pipeline](Lane& lane) {
        lane.pipeline.set_zones(zones, limits);
        lane.pipeline.reconfigure(options);
        if (identities) lane.doors->set_identities(identities);
    });
}

void Gateway::reload()
{
    base::Problems problems;
    auto fresh = load_everything(parts_->loaded->configuration.file, parts_->loaded->tickets, problems);
    if (!fresh) {
        for (const auto& problem : problems) log::error(problem.to_string());
        log::error("reload refused; everything stays as it was");
        return;
    }
    // Doors stay until a restart: clients are told of those that are open, not of those that will be.
    fresh->configuration.pipeline.ddr.designations = parts_->loaded->configuration.pipeline.ddr.designations;
    parts_->loaded = std::move(fresh);
    log::set_level(parts_->loaded->configuration.log.level);
    parts_->publish();
    if (parts_->loaded->identities)
        parts_->watch = std::make_unique<certs::Watch>(parts_->loaded->configuration.certificates);
    log::info("reloaded: " + std::to_string(parts_->loaded->zones->zone_count()) + " zones, " +
              std::to_string(parts_->loaded->zones->record_count()) +
              " records; doors, their limits and the number of workers change with a restart");
}

void Gateway::begin_stop()
{
    parts_->on_every_lane([](Lane& lane) { lane.doors->drain([&lane] { lane.worker.stop(); }); });
}

bool Gateway::ended() const noexcept { return parts_->lanes_running.load(std::memory_order_acquire) == 0; }

void Gateway::hurry()
{
    for (auto& lane : parts_->lanes) lane->worker.stop();
}

void Gateway::collect(Statistics& statistics) const
{
    for (const auto& lane : parts_->lanes) {
        const auto& stats = lane->pipeline.stats();
        for (std::size_t i = 0; i < base::kTransports; ++i) {
            const std::string labels =
                "{transport=\"" + std::string(base::to_string(static_cast<base::Transport>(i))) + "\"}";
            statistics.add("queries_total", "Queries received", stats.queries[i], labels);
            statistics.add("replies_total", "Answers given", stats.replies[i], labels);
        }
        const auto add = [&](const std::string& name, const std::string& help, const base::Counter& counter) {
            statistics.add(name, help, counter);
        };
        stats.each(add);
        lane->pipeline.zone_stats().each(add);
        lane->doors->each_counter(add);
    }
}

const Loaded& Gateway::loaded() const noexcept { return *parts_->loaded; }
const std::vector<base::Endpoint>& Gateway::bound() const noexcept { return parts_->sockets.bound; }
const std::vector<listeners::Port>& Gateway::ports() const noexcept { return parts_->sockets.ports; }

} // namespace sallyport::apps
