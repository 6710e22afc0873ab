#include "admin/event_ring.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace sallyport::admin {
namespace {

std::string popped(EventRing& ring)
{
    std::vector<std::uint8_t> out;
    return ring.pop(out) ? std::string{base::as_text(out)} : "nothing";
}

TEST(EventRing, GivesBackWhatWasPutInInOrder)
{
    EventRing ring{256};
    EXPECT_EQ(popped(ring), "nothing");
    ASSERT_TRUE(ring.push({base::as_bytes("ab"), {}, base::as_bytes("cd")}));
    ASSERT_TRUE(ring.push({}));
    EXPECT_EQ(popped(ring), "abcd");
    EXPECT_EQ(popped(ring), "");
    EXPECT_EQ(popped(ring), "nothing");
}

TEST(EventRing, TakesNothingThatDoesNotFit)
{
    EventRing ring{64};
    const std::string whole(60, 'x');
    ASSERT_EQ(ring.capacity(), 64U);
    EXPECT_FALSE(ring.push({base::as_bytes(whole + "x")}));
    ASSERT_TRUE(ring.push({base::as_bytes(whole)}));
    EXPECT_FALSE(ring.push({}));
    EXPECT_EQ(popped(ring), whole);
    EXPECT_TRUE(ring.push({}));
}

TEST(EventRing, GoesRound)
{
    EventRing ring{64};
    for (int i = 0; i < 1000; ++i) {
        const std::string text = std::to_string(i) + std::string(static_cast<std::size_t>(i) % 40, '.');
        ASSERT_TRUE(ring.push({base::as_bytes(text)}));
        ASSERT_EQ(popped(ring), text);
    }
}

TEST(EventRing, OneThreadPushesAndAnotherPops)
{
    EventRing ring{1024};
    constexpr unsigned kCount = 20'000;
    std::thread pusher{[&] {
        for (unsigned i = 0; i < kCount;) {
            const std::string text = std::to_string(i);
            if (ring.push({base::as_bytes(text), base::as_bytes(text)}))
                ++i;
            else
                std::this_thread::yield();
        }
    }};
    std::vector<std::uint8_t> out;
    for (unsigned i = 0; i < kCount;) {
        if (!ring.pop(out)) {
            std::this_thread::yield();
            continue;
        }
        const std::string text = std::to_string(i++);
        if (base::as_text(out) != text + text) ADD_FAILURE() << base::as_text(out) << " is not " << text;
    }
    pusher.join();
}

} // namespace
} // namespace sallyport::admin
