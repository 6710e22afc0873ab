#include "net/worker.hpp"

#include <gtest/gtest.h>

namespace sallyport::net {
namespace {

using namespace std::chrono_literals;

struct Stopper {
    explicit Stopper(Worker& its) : worker(its) {}
    void flushed(base::Instant) noexcept
    {
        ++flushes;
        worker.stop();
    }
    void too_late(base::Instant) noexcept
    {
        late = true;
        worker.stop();
    }

    Worker& worker;
    int flushes = 0;
    bool late = false;
    Flush flush{Flush::of<&Stopper::flushed>(*this)};
    Timer patience{Timer::of<&Stopper::too_late>(*this)};
};

// As from a coroutine of Asio's: no wake-up of ours is under way whose end would run it.
TEST(Worker, RunsAFlushThatIsAskedForOutsideOfAWakeUp)
{
    const base::SystemClock clock;
    Worker worker{0, clock};
    Stopper stopper{worker};
    worker.arm(stopper.patience, clock.now() + 2s);
    worker.flush_later(stopper.flush);
    worker.flush_later(stopper.flush);
    worker.run();
    EXPECT_EQ(stopper.flushes, 1);
    EXPECT_FALSE(stopper.late);
}

} // namespace
} // namespace sallyport::net
