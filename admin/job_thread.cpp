#include "admin/job_thread.hpp"

#include "base/log.hpp"

#include <exception>

namespace sallyport::admin {

void JobThread::start()
{
    const std::lock_guard lock{mutex_};
    if (running_) return;
    running_ = true;
    thread_ = std::thread([this] { run(); });
}

void JobThread::stop() noexcept
{
    {
        const std::lock_guard lock{mutex_};
        running_ = false;
        waiting_.clear();
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
}

bool JobThread::add(std::function<void()> job)
{
    {
        const std::lock_guard lock{mutex_};
        if (!running_ || waiting_.size() >= kMostWaiting) return false;
        waiting_.push_back(std::move(job));
    }
    changed_.notify_one();
    return true;
}

void JobThread::done(std::uint64_t connection, Response response)
{
    const std::lock_guard lock{mutex_};
    done_.emplace_back(connection, std::move(response));
}

std::vector<std::pair<std::uint64_t, Response>> JobThread::take_done()
{
    const std::lock_guard lock{mutex_};
    return std::exchange(done_, {});
}

void JobThread::run()
{
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [this] { return !running_ || !waiting_.empty(); });
        if (!running_) return;
        auto job = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        job();
        lock.lock();
    }
}

Response call(const Route& route, const Request& request, base::Counter& failed) noexcept
{
    try {
        return route.handle(request);
    } catch (const std::exception& error) {
        base::log::error("management API: " + route.method + " " + route.path + ": " + error.what());
    } catch (...) {
        base::log::error("management API: " + route.method + " " + route.path + " failed");
    }
    ++failed;
    return error_response(500, "this went wrong; the log says more");
}

} // namespace sallyport::admin
