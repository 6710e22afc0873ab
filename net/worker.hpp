#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "net/timer_queue.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
}

namespace sallyport::net {

class Worker;

/// Events as epoll names them.
inline constexpr std::uint32_t kReadable = 0x001;
inline constexpr std::uint32_t kWritable = 0x004;
inline constexpr std::uint32_t kPeerClosed = 0x2000;

/// Someone's interest in one descriptor; ends when it goes. Level-triggered: it is called again as long as there is
/// something to read, and costs no system call to stay armed.
class Watch {
public:
    using Callback = void (*)(void* owner, std::uint32_t events, base::Instant now) noexcept;

    Watch(Callback callback, void* owner) noexcept : callback_(callback), owner_(owner) {}
    ~Watch() { stop(); }
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// `Member` is `void (Owner::*)(std::uint32_t events, base::Instant) noexcept`. It may destroy its owner.
    template <auto Member, class Owner>
    [[nodiscard]] static Watch of(Owner& owner) noexcept
    {
        return Watch{[](void* self, std::uint32_t events, base::Instant now) noexcept {
                         (static_cast<Owner*>(self)->*Member)(events, now);
                     },
                     &owner};
    }

    /// Begins to watch `fd`, which stays the caller's and must be closed after `stop`.
    [[nodiscard]] base::Result<void> start(Worker& worker, int fd, std::uint32_t events);
    /// Changes the events waited for; errors and hang-ups are reported always. No system call when nothing changes.
    void change(std::uint32_t events) noexcept;
    void stop() noexcept;
    [[nodiscard]] std::uint32_t events() const noexcept { return events_; }
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    friend class Worker;
    Callback callback_;
    void* owner_;
    Worker* worker_ = nullptr;
    int fd_ = -1;
    std::uint32_t events_ = 0;
};

/// Work that is put off to the end of the wake-up so that many answers leave with one call. Unlinks itself.
class Flush : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    using Callback = void (*)(void* owner, base::Instant now) noexcept;

    Flush(Callback callback, void* owner) noexcept : callback_(callback), owner_(owner) {}
    Flush(const Flush&) = delete;
    Flush& operator=(const Flush&) = delete;

    /// `Member` is `void (Owner::*)(base::Instant) noexcept`. It may destroy its owner.
    template <auto Member, class Owner>
    [[nodiscard]] static Flush of(Owner& owner) noexcept
    {
        return Flush{[](void* self, base::Instant now) noexcept { (static_cast<Owner*>(self)->*Member)(now); }, &owner};
    }

private:
    friend class Worker;
    Callback callback_;
    void* owner_;
};

/// One thread's event loop and what its sessions share: time, randomness, timers, a read buffer.
///
/// A worker's objects belong to its thread alone; others reach it by `post`. Hot sockets are watched by an epoll
/// instance of our own, itself one descriptor of the Asio loop, so that coroutines, posts and everything else of Asio
/// run beside them, while a busy socket costs no re-arming.
class Worker {
public:
    Worker(unsigned index, const base::Clock& clock);
    ~Worker();
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    /// Serves until `stop`. Called once, by the worker's thread.
    void run();
    /// Ends `run`. Any thread.
    void stop() noexcept;
    /// Runs `task` on the worker's thread. Any thread.
    void post(std::function<void()> task);

    [[nodiscard]] unsigned index() const noexcept { return index_; }
    /// The time of this wake-up.
    [[nodiscard]] base::Instant now() const noexcept { return now_; }
    /// Reads the clock; the start of each wake-up does.
    base::Instant refresh_now() noexcept { return now_ = clock_.now(); }
    [[nodiscard]] const base::Clock& clock() const noexcept { return clock_; }
    [[nodiscard]] base::RandomSource& random() noexcept { return random_; }
    [[nodiscard]] TimerQueue& timers() noexcept { return timers_; }
    /// Arms a timer, and the loop for it.
    void arm(Timer& timer, base::Instant due) noexcept;
    /// 64 KiB and a little for whoever reads right now; nothing in it survives the call that filled it.
    [[nodiscard]] base::MutableBytes read_buffer() noexcept;
    /// Calls `flush` once at the end of this wake-up, however often it is asked. From a handler of Asio's own (a
    /// coroutine), right behind it.
    void flush_later(Flush& flush) noexcept;
    /// For coroutines and everything that is Asio's.
    [[nodiscard]] boost::asio::io_context& context() noexcept;

    /// For tests: waits at most `patience` for something to happen, handles it, and returns.
    void run_for(base::Duration patience);

private:
    friend class Watch;
    struct Loop;

    void serve_ready() noexcept;
    void run_flushes() noexcept;
    void rearm_timer() noexcept;
    [[nodiscard]] bool look_again(unsigned round) noexcept;

    unsigned index_;
    const base::Clock& clock_;
    base::SystemRandom random_;
    base::Instant now_;
    TimerQueue timers_;
    boost::intrusive::list<Flush, boost::intrusive::constant_time_size<false>> flushes_;
    bool awake_ = false; ///< what is running now runs the flushes at its end
    std::unique_ptr<std::uint8_t[]> read_buffer_;
    std::unique_ptr<Loop> loop_;
};

} // namespace sallyport::net
