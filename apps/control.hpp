#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

namespace sallyport::apps {

class Signals;

/// The way to the control thread: others hand it work and wait for it, while it waits for signals.
///
/// Made on the control thread, which is the one that made it.
class Control {
public:
    Control();
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    /// Runs `work` on the control thread and waits until it is done. False where it did not run: the program is ending,
    /// or too much is waiting already. Any thread; on the control thread itself it runs at once.
    [[nodiscard]] bool run(const std::function<void()>& work);

    /// Does what others ask until a signal comes; 0 when none came in time. The control thread.
    [[nodiscard]] int wait(Signals& signals, std::chrono::milliseconds patience);
    /// Does what is waiting now. The control thread.
    void run_pending();
    /// Nothing is taken from now on; whoever waits hears that it will not be done. The control thread.
    void close() noexcept;

    /// Work that may wait at once.
    static constexpr std::size_t kMostWaiting = 64;

private:
    struct Task;
    [[nodiscard]] std::shared_ptr<Task> next();
    void drain_event() noexcept;

    std::thread::id thread_;
    int event_ = -1; ///< readable while something waits
    std::mutex lock_;
    std::deque<std::shared_ptr<Task>> waiting_;
    bool closed_ = false;
};

} // namespace sallyport::apps
