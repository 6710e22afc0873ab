#include "net/worker.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

namespace sallyport::net {
namespace asio = boost::asio;

namespace {

constexpr std::size_t kReadBufferSize = 65535 + 1024;
constexpr int kEventsAtOnce = 64;
// A second look costs one call and saves three where something is there. While it finds nothing so many times, it is
// left out, but for one wake-up in so many.
constexpr unsigned kVainLooks = 4;
constexpr unsigned kTrialEvery = 16;
// Rounds in a row before Asio's own queue (posts, timers, coroutines) gets its turn.
constexpr unsigned kRounds = 16;

// True for the scope's length; false again only at the end of the outermost.
class Awake {
public:
    explicit Awake(bool& flag) noexcept : flag_(flag), before_(flag) { flag_ = true; }
    ~Awake() { flag_ = before_; }
    Awake(const Awake&) = delete;
    Awake& operator=(const Awake&) = delete;

private:
    bool& flag_;
    bool before_;
};

static_assert(kReadable == EPOLLIN && kWritable == EPOLLOUT && kPeerClosed == EPOLLRDHUP);

} // namespace

struct Worker::Loop {
    Loop() : context(1), guard(asio::make_work_guard(context)), timer(context), poller(context) {}

    asio::io_context context;
    asio::executor_work_guard<asio::io_context::executor_type> guard;
    asio::steady_timer timer;
    asio::posix::stream_descriptor poller;
    int epoll = -1;
    base::Instant armed_for = base::Instant::max();
    unsigned vain_looks = 0; // looks behind a first round that found nothing, in a row
    // The events of the round being served: a watch that goes is taken out, so that none is called after its end.
    std::array<epoll_event, kEventsAtOnce> events{};
    int event_count = 0;
};

Worker::Worker(unsigned index, const base::Clock& clock)
    : index_(index),
      clock_(clock),
      now_(clock.now()),
      read_buffer_(new std::uint8_t[kReadBufferSize]),
      loop_(std::make_unique<Loop>())
{
    loop_->epoll = ::epoll_create1(EPOLL_CLOEXEC);
    if (loop_->epoll < 0) throw std::runtime_error("no descriptor left for an event loop");
    loop_->poller.assign(loop_->epoll);
    const auto wait = [this](auto& self) -> void {
        loop_->poller.async_wait(asio::posix::stream_descriptor::wait_read,
                                 [this, self](boost::system::error_code error) mutable {
                                     if (error) return; // the worker is going
                                     serve_ready();
                                     self(self);
                                 });
    };
    wait(wait);
}

Worker::~Worker() = default;

void Worker::run()
{
    refresh_now();
    loop_->context.run();
}

void Worker::run_for(base::Duration patience)
{
    refresh_now();
    loop_->context.restart();
    loop_->context.run_one_for(patience);
    loop_->context.poll();
    run_flushes();
}

void Worker::stop() noexcept
{
    loop_->context.stop(); // and nothing else: several threads may say so
}

void Worker::post(std::function<void()> task)
{
    asio::post(loop_->context, [this, task = std::move(task)] {
        const Awake awake{awake_};
        refresh_now();
        task();
        run_flushes();
    });
}

void Worker::arm(Timer& timer, base::Instant due) noexcept
{
    timers_.arm(timer, due);
    if (due < loop_->armed_for) rearm_timer();
}

void Worker::rearm_timer() noexcept
{
    const auto due = timers_.earliest();
    if (!due) {
        loop_->armed_for = base::Instant::max();
        return;
    }
    // A deadline that moved further away is not moved in the kernel: the early wake-up finds nothing due and arms anew.
    if (*due >= loop_->armed_for) return;
    loop_->armed_for = *due;
    loop_->timer.expires_after(*due - clock_.now()); // ours need not be the system's clock
    loop_->timer.async_wait([this](boost::system::error_code error) {
        if (error) return; // replaced by an earlier one
        const Awake awake{awake_};
        loop_->armed_for = base::Instant::max();
        timers_.expire(refresh_now());
        run_flushes();
        rearm_timer();
    });
}

base::MutableBytes Worker::read_buffer() noexcept { return {read_buffer_.get(), kReadBufferSize}; }

void Worker::flush_later(Flush& flush) noexcept
{
    if (flush.is_linked()) return;
    const bool first = flushes_.empty();
    flushes_.push_back(flush);
    if (first && !awake_) asio::post(loop_->context, [this] { run_flushes(); });
}

void Worker::run_flushes() noexcept
{
    while (!flushes_.empty()) {
        Flush& flush = flushes_.front();
        flushes_.pop_front();
        flush.callback_(flush.owner_, now_);
    }
}

asio::io_context& Worker::context() noexcept { return loop_->context; }

/// Whether another round is likely to find something. What is left out is not lost: the loop is told of it.
bool Worker::look_again(unsigned round) noexcept
{
    if (round != 1 || loop_->vain_looks < kVainLooks) return true;
    return ++loop_->vain_looks % kTrialEvery == 0;
}

void Worker::serve_ready() noexcept
{
    const Awake awake{awake_};
    for (unsigned round = 0; round < kRounds && look_again(round); ++round) {
        const int count = ::epoll_wait(loop_->epoll, loop_->events.data(), kEventsAtOnce, 0);
        if (round == 1) loop_->vain_looks = count > 0 ? 0 : loop_->vain_looks + 1;
        if (count <= 0) break;
        refresh_now();
        loop_->event_count = count;
        for (int i = 0; i < count; ++i) {
            const epoll_event event = loop_->events[static_cast<std::size_t>(i)];
            if (event.data.ptr == nullptr) continue; // its watch went while we served another
            auto* const watch = static_cast<Watch*>(event.data.ptr);
            watch->callback_(watch->owner_, event.events, now_);
        }
        loop_->event_count = 0;
        run_flushes();
        if (const auto due = timers_.earliest(); due && *due <= now_) timers_.expire(now_);
        run_flushes();
    }
}

base::Result<void> Watch::start(Worker& worker, int fd, std::uint32_t events)
{
    epoll_event event{};
    event.events = events;
    event.data.ptr = this;
    if (::epoll_ctl(worker.loop_->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        return base::system_error("cannot watch a descriptor", errno);
    worker_ = &worker;
    fd_ = fd;
    events_ = events;
    return {};
}

void Watch::change(std::uint32_t events) noexcept
{
    if (worker_ == nullptr || events == events_) return;
    epoll_event event{};
    event.events = events;
    event.data.ptr = this;
    if (::epoll_ctl(worker_->loop_->epoll, EPOLL_CTL_MOD, fd_, &event) == 0) events_ = events;
}

void Watch::stop() noexcept
{
    if (worker_ == nullptr) return;
    ::epoll_ctl(worker_->loop_->epoll, EPOLL_CTL_DEL, fd_, nullptr);
    Worker::Loop& loop = *worker_->loop_;
    for (int i = 0; i < loop.event_count; ++i) {
        auto& event = loop.events[static_cast<std::size_t>(i)];
        if (event.data.ptr == this) event.data.ptr = nullptr;
    }
    worker_ = nullptr;
    fd_ = -1;
}

} // namespace sallyport::net
