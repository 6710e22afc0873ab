#include "apps/gateway_parts.hpp"
#include "apps/service.hpp"
#include "base/log.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace sallyport::apps {

namespace log = base::log;
using namespace std::chrono_literals;

namespace {

// A worker turns over in milliseconds. One that does not is stuck, and the watchdog's business.
constexpr auto kHandoverPatience = 10s;
// Longer than `limits.drain` by this, sockets of a port that was given up are closed for certain.
constexpr auto kAfterDrain = 2s;

void remove_socket_file(const std::string& path)
{
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode)) ::unlink(path.c_str());
}

std::string summary_of(const Loaded& loaded, std::size_t ports)
{
    return std::to_string(ports) + " ports, " + std::to_string(loaded.zones->zone_count()) + " zones, " +
           std::to_string(loaded.zones->record_count()) + " records";
}

} // namespace

/// Everything a reload needs, checked and ready, before anything changes.
struct Gateway::Parts::Fresh {
    std::unique_ptr<Loaded> loaded;
    std::vector<LaneChange> changes;
    listeners::SocketSet sockets;
    admin::Server::PreparedHandle server;
    admin::QueryLog::PreparedHandle query_log;
};

ReloadResult Gateway::reload()
{
    ReloadResult result;
    if (parts_->stopping) {
        result.problems.push_back({base::ErrorCode::conflict, "the gateway is ending"});
        return result;
    }
    notify_reloading();
    const auto began = parts_->clock.wall();
    Parts::Fresh fresh;
    if (parts_->prepare_or_tell(fresh, result)) {
        parts_->publish(fresh);
        parts_->watch_files(began);
        parts_->tell_restarts(result);
        parts_->configuration_loaded =
            std::chrono::duration_cast<std::chrono::seconds>(began.time_since_epoch()).count();
        ++parts_->reloads;
        result.good = true;
        result.summary = "reloaded: " + summary_of(*parts_->loaded, ports().size());
        log::info(result.summary);
    } else {
        ++parts_->reloads_refused;
        result.summary = "reload refused; everything stays as it was";
        for (const auto& problem : result.problems) log::error(problem.to_string());
        log::error(result.summary);
        // Whoever rotates the log files asks for them in the same way, whatever else is wrong.
        parts_->query_log.reopen();
    }
    notify_ready(result.summary);
    return result;
}

bool Gateway::Parts::prepare_or_tell(Fresh& fresh, ReloadResult& result)
{
    try {
        return prepare(fresh, result);
    } catch (const std::exception& error) {
        // Zones that memory does not hold twice, say: whoever serves goes on.
        result.problems.push_back(
            {base::ErrorCode::system, std::string("the configuration can not be taken over: ") + error.what()});
        return false;
    }
}

bool Gateway::Parts::prepare(Fresh& fresh, ReloadResult& result)
{
    auto& problems = result.problems;
    fresh.loaded = load_everything(loaded->configuration.file, loaded.get(), problems);
    if (!fresh.loaded) return false;
    const auto& configuration = fresh.loaded->configuration;
    keep_what_can_not_change(*fresh.loaded, result);
    if (!make_changes(fresh, problems)) return false;
    (void)resolutions.prepare(configuration.resolver, problems);
    fresh.server = server->prepare(configuration.admin, problems);
    fresh.query_log = query_log.prepare(configuration.query_log, problems);
    // Sockets last: nobody should connect to a door that will not open.
    if (problems.empty()) (void)open_ports(fresh, problems);
    return problems.empty();
}

void Gateway::Parts::keep_what_can_not_change(Loaded& fresh, ReloadResult& result) const
{
    const auto& now = loaded->configuration;
    auto& next = fresh.configuration;
    if (next.workers != now.workers)
        result.restarts.push_back("workers (" + std::to_string(now.workers) + ", wanted " +
                                  std::to_string(next.workers) + ")");
    if (next.run_as != now.run_as) result.restarts.emplace_back("user");
    if (next.query_log.ring != now.query_log.ring) result.restarts.emplace_back("query_log.ring");
    if (next.cache.shards != now.cache.shards) result.restarts.emplace_back("cache.shards");
    next.workers = next.listeners.workers = now.workers;
    next.run_as = now.run_as;
}

bool Gateway::Parts::make_changes(Fresh& fresh, base::Problems& problems)
{
    for (unsigned i = 0; i < lanes.size() && problems.empty(); ++i)
        fresh.changes.push_back(make_change(i, *fresh.loaded, clock, lanes[i]->script_stats, problems));
    return problems.empty();
}

bool Gateway::Parts::open_ports(Fresh& fresh, base::Problems& problems)
{
    listeners::Running running{sockets.layout.get()};
    for (const auto& gone : leaving) running.leaving.push_back(gone.port);
    const std::size_t before = problems.size();
    auto opened = listeners::open_sockets(fresh.loaded->configuration.listeners, inherited, problems, running);
    if (!opened) {
        for (std::size_t i = before; i < problems.size(); ++i)
            if (problems[i].code == base::ErrorCode::unreadable && !loaded->configuration.run_as.empty())
                problems[i].message +=
                    "; privileges were given up at the start ('user'): a restart can open it, a reload can not";
        return false;
    }
    fresh.sockets = std::move(*opened);
    return true;
}

void Gateway::Parts::publish(Fresh& fresh)
{
    const auto& configuration = fresh.loaded->configuration;
    const auto layout_before = sockets.layout;
    query_log.adopt(std::move(fresh.query_log));
    keeper.reconfigure(fresh.loaded->snapshot_options(), fresh.loaded->cache_fingerprint,
                       fresh.loaded->resolver->recurse.store);
    cache.reconfigure(configuration.cache);
    if (!configuration.cache.enabled) (void)cache.flush_all();
    for (unsigned i = 0; i < fresh.changes.size(); ++i) {
        auto& change = fresh.changes[i];
        change.cache = configuration.cache.enabled ? &cache : nullptr;
        change.observer = query_log.observer(i);
        change.layout = fresh.sockets.layout;
        change.descriptors = std::move(fresh.sockets.descriptors[i]);
    }
    sockets.layout = fresh.sockets.layout;
    // What was validated by other anchors, or not at all, must not be given out any longer.
    const bool believes_anew = loaded->resolver->recurse.store != fresh.loaded->resolver->recurse.store;
    std::shared_ptr<Loaded> before{std::move(loaded)};
    loaded = std::move(fresh.loaded);
    auto handover = std::make_shared<Handover>(std::move(fresh.changes), std::move(before));
    handover->begin(lanes);
    if (!handover->wait(kHandoverPatience)) {
        log::error("a worker has not taken over the new configuration; it will when it turns over");
        late.push_back(std::move(handover));
    }
    if (believes_anew) {
        keeper.flushed();
        (void)cache.flush_all();
    }
    note_leaving(*layout_before, *sockets.layout);
    auto log_options = configuration.log;
    if (under_service_manager()) log_options.timestamps = false;
    log::configure(log_options);
    server->adopt(std::move(fresh.server));
    certificate_watch = std::move(loaded->certificate_watch);
}

void Gateway::Parts::note_leaving(const listeners::Layout& before, const listeners::Layout& now)
{
    const auto until = clock.now() + now.options.drain + kAfterDrain;
    for (std::size_t i = 0; i < before.ports.size(); ++i) {
        const auto& port = before.ports[i];
        const bool stays = std::any_of(now.ports.begin(), now.ports.end(),
                                       [&](const listeners::Port& other) { return other.id == port.id; });
        if (stays) continue;
        listeners::Port gone{port.kind, port.address, nullptr, nullptr, nullptr, nullptr, port.id};
        if (port.address.systemd_name.empty() && port.address.unix_path.empty())
            gone.address.endpoint = before.bound[i];
        leaving.push_back({std::move(gone), until});
        if (!port.address.unix_path.empty()) remove_socket_file(port.address.unix_path);
    }
}

void Gateway::Parts::tell_restarts(const ReloadResult& result)
{
    // Once: who reloads every minute need not read it every minute.
    if (!result.restarts.empty() && result.restarts != told_restarts) {
        std::string names;
        for (const auto& name : result.restarts) names += (names.empty() ? "" : ", ") + name;
        log::warning("changes with a restart only: " + names);
    }
    told_restarts = result.restarts;
}

// ---- what changes by itself

void Gateway::Parts::watch_files(base::WallTime read_since)
{
    file_watch.reset();
    if (!loaded->configuration.watch_files) return;
    file_watch = std::make_unique<FileWatch>(watched_files(*loaded), read_since);
    next_file_look = clock.now() + loaded->configuration.watch_every;
}

std::chrono::milliseconds Gateway::pause() const noexcept
{
    if (!parts_->file_watch) return 1000ms;
    return std::clamp(parts_->loaded->configuration.watch_every, std::chrono::milliseconds{10},
                      std::chrono::milliseconds{1000});
}

void Gateway::tick()
{
    Parts& p = *parts_;
    const auto now = p.clock.now();
    std::erase_if(p.late, [](const auto& handover) { return handover->wait(0ms); });
    std::erase_if(p.leaving, [&](const auto& gone) { return gone.until <= now; });
    p.ask_for_upstreams();
    if (!p.stopping) p.rollover.tick(*this);
    if (!p.stopping) p.root_keeper.tick(*this);
    if (p.file_watch && now >= p.next_file_look) {
        p.next_file_look = now + p.loaded->configuration.watch_every;
        if (p.file_watch->changed()) {
            log::info("files have changed: reading the configuration again");
            (void)reload();
        }
    }
    if (!p.certificate_watch || now < p.next_certificate_look) return;
    p.next_certificate_look = now + p.loaded->configuration.certificates.watch_every;
    if (auto rotated = p.loaded->tickets->tick(now); !rotated)
        log::error("ticket keys stay as they were: " + rotated.error().to_string());
    if (p.certificate_watch->changed()) p.reload_certificates();
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

} // namespace sallyport::apps
