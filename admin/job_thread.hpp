#pragma once

#include "admin/admin.hpp"

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace sallyport::admin {

/// Runs what may take its time, one after the other, beside the thread that serves connections.
class JobThread {
public:
    static constexpr std::size_t kMostWaiting = 32;

    ~JobThread() { stop(); }

    void start();
    /// Waits for the job that runs; those that wait are forgotten.
    void stop() noexcept;
    /// False when too many wait, or it does not run.
    [[nodiscard]] bool add(std::function<void()> job);
    /// For jobs: what came of the one for this connection.
    void done(std::uint64_t connection, Response response);
    [[nodiscard]] std::vector<std::pair<std::uint64_t, Response>> take_done();

private:
    void run();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> waiting_;
    std::vector<std::pair<std::uint64_t, Response>> done_;
    bool running_ = false;
    std::thread thread_;
};

/// Calls a route; what it throws is answered 500, without a word of it: it may tell what is nobody's business.
[[nodiscard]] Response call(const Route& route, const Request& request, base::Counter& failed) noexcept;

} // namespace sallyport::admin
