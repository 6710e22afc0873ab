#pragma once

#include "admin/admin.hpp"
#include "admin/query_log.hpp"
#include "apps/cache_keeper.hpp"
#include "apps/file_watch.hpp"
#include "apps/gateway.hpp"
#include "apps/handover.hpp"
#include "apps/lane.hpp"
#include "apps/rollover.hpp"
#include "apps/root_keeper.hpp"
#include "resolver/shared.hpp"

#include <mutex>
#include <optional>

/// The inside of `Gateway`, for its own files.
namespace sallyport::apps {

struct Gateway::Parts {
    explicit Parts(std::unique_ptr<Loaded> given);

    base::SystemClock clock;
    std::unique_ptr<Loaded> loaded;
    std::vector<std::pair<std::string, int>> inherited; ///< the service manager's sockets; open as long as we run
    listeners::SharedSecrets secrets;
    // What lanes borrow.
    cache::Cache cache;
    CacheKeeper keeper{cache, clock};
    resolver::Shared resolutions;
    admin::QueryLog query_log;
    listeners::SocketSet sockets; ///< descriptors until the lanes have them
    Lanes lanes;
    Router router{lanes};
    std::vector<std::shared_ptr<Handover>> late; ///< changes that a lane has not made yet
    // Ports given up a moment ago, whose sockets may still be open.
    struct Leaving {
        listeners::Port port;
        base::Instant until;
    };
    std::vector<Leaving> leaving;

    std::unique_ptr<certs::Watch> certificate_watch;
    base::Instant next_certificate_look{};
    std::unique_ptr<FileWatch> file_watch;
    base::Instant next_file_look{};
    Rollover rollover;
    RootKeeper root_keeper{clock};
    std::vector<std::string> told_restarts; ///< what the log has said needs a restart

    base::Counter reloads, reloads_refused;
    std::atomic<std::int64_t> configuration_loaded{0}; ///< seconds since 1970
    std::atomic<unsigned> lanes_running{0};
    std::atomic<bool> started{false}, stopping{false};
    std::atomic<std::int64_t> silence{0}; ///< nanoseconds
    mutable std::mutex lanes_lock;        ///< held while lanes lose their doors, and while they are read
    std::optional<admin::Server> server;  ///< always there; last: its routes reach all of the above

    void on_every_lane(const std::function<void(Lane&)>& work);
    void run_lane(Lane& lane);

    // Reload (gateway_reload.cpp).
    struct Fresh;
    [[nodiscard]] bool prepare(Fresh& fresh, ReloadResult& result);
    [[nodiscard]] bool prepare_or_tell(Fresh& fresh, ReloadResult& result);
    void keep_what_can_not_change(Loaded& fresh, ReloadResult& result) const;
    [[nodiscard]] bool make_changes(Fresh& fresh, base::Problems& problems);
    [[nodiscard]] bool open_ports(Fresh& fresh, base::Problems& problems);
    void publish(Fresh& fresh);
    void note_leaving(const listeners::Layout& before, const listeners::Layout& now);
    void reload_certificates();
    void watch_files(base::WallTime read_since);
    void tell_restarts(const ReloadResult& result);

    // Telling (gateway_collect.cpp).
    void ask_for_upstreams();
    static void count_upstreams(Lane& lane);
    void collect_lane(const Lane& lane, Statistics& statistics) const;
    [[nodiscard]] LaneView view(Lane& lane) const
    {
        return {lane.worker.index(), lane.worker, lane.pipeline, lane.resolver};
    }
};

} // namespace sallyport::apps
