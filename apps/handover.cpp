#include "apps/handover.hpp"

#include <utility>

namespace sallyport::apps {

void Handover::begin(Lanes& lanes)
{
    missing_ = lanes.size();
    for (std::size_t i = 0; i < lanes.size(); ++i)
        lanes[i]->worker.post([this, &lane = *lanes[i], &change = changes_[i]] {
            change.apply(lane);
            arrived(); // from here on this object may be gone
        });
}

void Handover::arrived()
{
    const std::lock_guard lock{lock_};
    --missing_;
    all_.notify_all();
}

bool Handover::wait(std::chrono::milliseconds patience)
{
    std::unique_lock lock{lock_};
    return all_.wait_for(lock, patience, [this] { return missing_ == 0; });
}

namespace {

/// Between who waits and the lane that works: whoever comes second finds out about the other.
struct Errand {
    enum class State : std::uint8_t { waiting, running, done, given_up };
    std::mutex lock;
    std::condition_variable changed;
    State state = State::waiting;
    std::function<void()> work;

    void run()
    {
        {
            const std::lock_guard guard{lock};
            if (state == State::given_up) return;
            state = State::running;
        }
        work();
        const std::lock_guard guard{lock};
        state = State::done;
        changed.notify_all();
    }
};

} // namespace

bool run_on(Lane& lane, std::function<void()> work, std::chrono::milliseconds patience)
{
    auto errand = std::make_shared<Errand>();
    errand->work = std::move(work);
    lane.worker.post([errand] { errand->run(); });
    std::unique_lock lock{errand->lock};
    const auto is_done = [&] { return errand->state == Errand::State::done; };
    if (errand->changed.wait_for(lock, patience, is_done)) return true;
    if (errand->state == Errand::State::waiting) {
        errand->state = Errand::State::given_up;
        return false;
    }
    // It is at it: what it works with is the caller's, who has to stay.
    errand->changed.wait(lock, is_done);
    return true;
}

} // namespace sallyport::apps
