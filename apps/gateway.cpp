#include "apps/gateway.hpp"

#include "apps/gateway_parts.hpp"
#include "apps/routes.hpp"
#include "apps/service.hpp"
#include "base/log.hpp"
#include "base/random.hpp"

#include <algorithm>

namespace sallyport::apps {

namespace log = base::log;

Gateway::Parts::Parts(std::unique_ptr<Loaded> given)
    : loaded(std::move(given)), cache(loaded->configuration.cache), query_log(loaded->configuration.workers, clock)
{
}

Gateway::Gateway(std::unique_ptr<Loaded> loaded, Control& control) : parts_(std::make_unique<Parts>(std::move(loaded)))
{
    parts_->server.emplace(all_routes(*this, control));
}

Gateway::~Gateway()
{
    parts_->server->close();
    parts_->root_keeper.close();
    hurry();
    for (auto& lane : parts_->lanes)
        if (lane->thread.joinable()) lane->thread.join();
    parts_->query_log.close();
}

bool Gateway::open(base::Problems& problems)
{
    const auto& configuration = parts_->loaded->configuration;
    parts_->inherited = inherited_sockets();
    auto opened = listeners::open_sockets(configuration.listeners, parts_->inherited, problems);
    if (!opened && problems.empty()) problems.push_back(opened.error());
    (void)parts_->server->open(configuration.admin, problems);
    (void)parts_->resolutions.prepare(configuration.resolver, problems);
    if (!problems.empty()) return false;
    parts_->sockets = std::move(*opened);
    return true;
}

base::Result<void> Gateway::start()
{
    Parts& p = *parts_;
    const auto began = p.clock.wall();
    base::SystemRandom random;
    random.fill(p.secrets.quic_tokens);
    random.fill(p.secrets.quic_resets);
    base::Problems problems;
    // By the user we have become: files belong to whom must open them again.
    if (!p.query_log.open(p.loaded->configuration.query_log, problems)) return problems.front();
    for (unsigned i = 0; i < p.loaded->configuration.workers; ++i) {
        auto lane = std::make_unique<Lane>(i, Common{p.clock, p.cache, p.resolutions}, *p.loaded);
        auto change = make_change(i, *p.loaded, p.clock, lane->script_stats, problems);
        if (!problems.empty()) return problems.front();
        change.cache = p.loaded->configuration.cache.enabled ? &p.cache : nullptr;
        change.observer = p.query_log.observer(i);
        change.give_services(*lane);
        Parts::count_upstreams(*lane);
        lane->doors =
            std::make_unique<listeners::Doors>(lane->worker, lane->pipeline, p.loaded->identities, p.sockets.layout,
                                               std::move(p.sockets.descriptors[i]), p.router, p.secrets);
        p.lanes.push_back(std::move(lane));
    }
    // Before any thread of a worker runs: a door that can not start is an error of the start, not of a worker.
    for (auto& lane : p.lanes)
        if (auto started = lane->doors->start(); !started) return started.error();
    p.keeper.start(p.loaded->snapshot_options(), p.loaded->cache_fingerprint, p.loaded->resolver->recurse.store);
    p.lanes_running = p.loaded->configuration.workers;
    for (auto& lane : p.lanes) lane->thread = std::thread([this, &lane = *lane] { parts_->run_lane(lane); });
    p.query_log.start();
    p.server->start();
    p.certificate_watch = std::move(p.loaded->certificate_watch);
    p.watch_files(began);
    p.configuration_loaded = std::chrono::duration_cast<std::chrono::seconds>(began.time_since_epoch()).count();
    p.started = true;
    return {};
}

void Gateway::Parts::on_every_lane(const std::function<void(Lane&)>& work)
{
    for (auto& lane : lanes) lane->worker.post([work, &lane = *lane] { work(lane); });
}

void Gateway::Parts::run_lane(Lane& lane)
{
    lane.worker.run();
    lane.resolver.stop();
    // Doors go on the thread that served them: their sessions belong to it.
    const std::lock_guard lock{lanes_lock};
    lane.doors.reset();
    lanes_running.fetch_sub(1, std::memory_order_release);
}

void Gateway::begin_stop()
{
    parts_->stopping = true;
    parts_->on_every_lane([](Lane& lane) { lane.doors->drain([&lane] { lane.worker.stop(); }); });
}

void Gateway::keep_cache() { parts_->keeper.close(true); }

bool Gateway::ended() const noexcept { return parts_->lanes_running.load(std::memory_order_acquire) == 0; }

void Gateway::hurry()
{
    parts_->stopping = true;
    for (auto& lane : parts_->lanes) lane->worker.stop();
}

unsigned Gateway::on_every_worker(const std::function<void()>& beat)
{
    for (auto& lane : parts_->lanes) lane->worker.post(beat);
    return static_cast<unsigned>(parts_->lanes.size());
}

bool Gateway::on_worker(unsigned index, const std::function<void(const LaneView&)>& work,
                        std::chrono::milliseconds patience) const
{
    if (!parts_->started || parts_->stopping || index >= parts_->lanes.size()) return false;
    Lane& lane = *parts_->lanes[index];
    return run_on(lane, [&] { work(parts_->view(lane)); }, patience);
}

void Gateway::post_to_worker(unsigned index, std::function<void(const LaneView&)> work) const
{
    if (!parts_->started || index >= parts_->lanes.size()) return;
    Lane& lane = *parts_->lanes[index];
    lane.worker.post([this, &lane, task = std::move(work)] { task(parts_->view(lane)); });
}

unsigned Gateway::workers() const noexcept { return parts_->started ? static_cast<unsigned>(parts_->lanes.size()) : 0; }

cache::Cache& Gateway::cache() const noexcept { return parts_->cache; }
void Gateway::cache_flushed() const { parts_->keeper.flushed(); }
const base::Clock& Gateway::clock() const noexcept { return parts_->clock; }
void Gateway::tell_silence(base::Duration silence) noexcept { parts_->silence = silence.count(); }
const Loaded& Gateway::loaded() const noexcept { return *parts_->loaded; }
const std::vector<base::Endpoint>& Gateway::bound() const noexcept { return parts_->sockets.layout->bound; }
const std::vector<listeners::Port>& Gateway::ports() const noexcept { return parts_->sockets.layout->ports; }
std::string Gateway::admin_address() const { return parts_->server->address(); }

} // namespace sallyport::apps
