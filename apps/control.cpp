#include "apps/control.hpp"

#include "apps/service.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <future>
#include <stdexcept>

namespace sallyport::apps {

struct Control::Task {
    const std::function<void()>* work; ///< the caller's, who waits
    std::promise<bool> done;
};

Control::Control() : thread_(std::this_thread::get_id()), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))
{
    if (event_ < 0) throw std::runtime_error("cannot make an event for the control thread");
}

Control::~Control()
{
    close();
    ::close(event_);
}

bool Control::run(const std::function<void()>& work)
{
    if (std::this_thread::get_id() == thread_) {
        work();
        return true;
    }
    auto task = std::make_shared<Task>(Task{&work, {}});
    auto done = task->done.get_future();
    {
        const std::lock_guard lock{lock_};
        if (closed_ || waiting_.size() >= kMostWaiting) return false;
        waiting_.push_back(std::move(task));
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(event_, &one, sizeof one); // full is as good: it is readable then
    return done.get();
}

std::shared_ptr<Control::Task> Control::next()
{
    const std::lock_guard lock{lock_};
    if (waiting_.empty()) return nullptr;
    auto task = std::move(waiting_.front());
    waiting_.pop_front();
    return task;
}

void Control::drain_event() noexcept
{
    std::uint64_t count = 0;
    [[maybe_unused]] const auto taken = ::read(event_, &count, sizeof count);
}

void Control::run_pending()
{
    drain_event();
    while (const auto task = next()) {
        try {
            (*task->work)();
            task->done.set_value(true);
        } catch (...) {
            task->done.set_exception(std::current_exception()); // who asked should hear of it
        }
    }
}

int Control::wait(Signals& signals, std::chrono::milliseconds patience)
{
    pollfd events[] = {{signals.fd(), POLLIN, 0}, {event_, POLLIN, 0}};
    if (::poll(events, 2, static_cast<int>(patience.count())) <= 0) return 0;
    if ((events[1].revents & POLLIN) != 0) run_pending();
    return (events[0].revents & POLLIN) != 0 ? signals.wait(std::chrono::milliseconds{0}) : 0;
}

void Control::close() noexcept
{
    {
        const std::lock_guard lock{lock_};
        closed_ = true;
    }
    while (const auto task = next()) task->done.set_value(false);
}

} // namespace sallyport::apps
