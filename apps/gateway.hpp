#pragma once

#include "apps/admin_routes.hpp"
#include "apps/loaded.hpp"
#include "apps/statistics.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::cache {
class Cache;
}
namespace sallyport::net {
class Worker;
}
namespace sallyport::pipeline {
class Pipeline;
}
namespace sallyport::resolver {
class Resolver;
}

namespace sallyport::apps {

class Control;

/// What became of a reload.
struct ReloadResult {
    bool good = false;
    base::Problems problems;           ///< why it was refused, with positions
    std::vector<std::string> restarts; ///< what differs and changes with a restart only
    std::string summary;               ///< one line
};

/// What work on the thread of a worker sees of it.
struct LaneView {
    unsigned index;
    net::Worker& worker;
    pipeline::Pipeline& pipeline;
    resolver::Resolver& resolver;
};

/// The running gateway: the parts given to each other, one thread a worker. The control thread's, but where it says
/// otherwise.
class Gateway {
public:
    /// `control` is borrowed: the management API reaches this object by it.
    Gateway(std::unique_ptr<Loaded> loaded, Control& control);
    ~Gateway();
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    /// Opens every socket and every log; those that the service manager holds for us are taken. Errors name the
    /// address.
    [[nodiscard]] bool open(base::Problems& problems);
    /// Starts the workers.
    [[nodiscard]] base::Result<void> start();
    /// Looks for changed certificates, ticket keys and files; about once a second, or every `pause`.
    void tick();
    /// How long until `tick` has something to do.
    [[nodiscard]] std::chrono::milliseconds pause() const noexcept;
    /// Reads the configuration and everything it names again, and serves by it once all workers have taken it over.
    /// Where anything is wrong nothing changes. Logs what came of it.
    ReloadResult reload();
    /// Stops accepting and lets connections finish, for `limits.drain` at most; `ended` tells when.
    void begin_stop();
    /// True once every worker has ended.
    [[nodiscard]] bool ended() const noexcept;
    /// Writes the cache to its file, where it has one, a last time.
    void keep_cache();
    /// Ends the workers now, whatever their connections are doing.
    void hurry();

    /// Everything that is counted, of all workers together. Any thread.
    void collect(Statistics& statistics) const;
    /// Runs `beat` on every worker's thread and returns how many workers there are.
    unsigned on_every_worker(const std::function<void()>& beat);
    /// Runs `work` on the thread of one worker and waits for it; false where it did not get to it in time, or has
    /// ended. Any thread but a worker's.
    [[nodiscard]] bool on_worker(unsigned index, const std::function<void(const LaneView&)>& work,
                                 std::chrono::milliseconds patience = std::chrono::seconds{5}) const;
    /// The same without waiting: for what goes on after `work` has returned (a query that waits for its answer).
    void post_to_worker(unsigned index, std::function<void(const LaneView&)> work) const;
    /// Any thread.
    [[nodiscard]] unsigned workers() const noexcept;
    /// Any thread.
    [[nodiscard]] cache::Cache& cache() const noexcept;
    /// Before answers are taken out of it: they must not come back from its file. Any thread.
    void cache_flushed() const;
    [[nodiscard]] const base::Clock& clock() const noexcept;
    /// What `Watchdog` found out: how long the slowest worker has been silent. Told by the control thread.
    void tell_silence(base::Duration silence) noexcept;
    /// Why the process should be restarted; empty where it is well. Any thread.
    [[nodiscard]] std::string sick() const;
    /// Why no query should be sent here; empty where it is ready. Any thread.
    [[nodiscard]] std::string unready() const;
    /// What the workers know of their upstreams, put together. Waits for them; any thread but theirs.
    [[nodiscard]] std::vector<UpstreamRow> upstreams() const;

    [[nodiscard]] const Loaded& loaded() const noexcept;
    [[nodiscard]] const std::vector<base::Endpoint>& bound() const noexcept;
    [[nodiscard]] const std::vector<listeners::Port>& ports() const noexcept;
    /// Where the management API listens; empty where it does not.
    [[nodiscard]] std::string admin_address() const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::apps
