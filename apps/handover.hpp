#pragma once

#include "apps/lane.hpp"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

namespace sallyport::apps {

/// One change on its way to all lanes. Each applies its own between two wake-ups; what it gave up stays here, so that
/// large snapshots and states of scripts are freed by the control thread and no worker pauses for it.
class Handover {
public:
    Handover(std::vector<LaneChange> changes, std::shared_ptr<void> before)
        : changes_(std::move(changes)), before_(std::move(before))
    {
    }
    /// Only once `wait` has said true.
    ~Handover() = default;
    Handover(const Handover&) = delete;
    Handover& operator=(const Handover&) = delete;

    void begin(Lanes& lanes);
    /// True when every lane has made the change; false when one did not get to it in time.
    [[nodiscard]] bool wait(std::chrono::milliseconds patience);

private:
    void arrived();

    std::vector<LaneChange> changes_;
    std::shared_ptr<void> before_; ///< what was in use before
    std::mutex lock_;
    std::condition_variable all_;
    std::size_t missing_ = 0;
};

/// Runs `work` on the lane's thread and waits for it. False when the lane did not get to it in time: it will not run
/// then. Any thread but a lane's.
[[nodiscard]] bool run_on(Lane& lane, std::function<void()> work, std::chrono::milliseconds patience);

} // namespace sallyport::apps
