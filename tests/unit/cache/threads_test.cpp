#include "support.hpp"

#include <atomic>
#include <thread>

namespace sallyport::cache {
namespace {

using namespace testing;

/// Workers that ask and keep while an operator flushes, lists and changes the limits: every hit is whole and the right
/// one. Under ThreadSanitizer this is the test that tells of races.
TEST(CacheThreads, HitsAreWholeWhateverHappensBesides)
{
    Options options;
    options.bytes = 2U << 20U;
    options.shards = 4;
    options.prefetch = true;
    Cache cache{options};
    constexpr unsigned kNames = 3000;
    constexpr unsigned kRounds = 4000;
    std::atomic<unsigned> wrong{0};
    std::atomic<unsigned> running{2};

    const auto work = [&](unsigned seed) {
        unsigned random = seed;
        for (unsigned i = 0; i < kRounds; ++i) {
            random = random * 1'664'525U + 1'013'904'223U;
            const unsigned number = (random >> 8U) % kNames;
            const std::string qname = "n" + std::to_string(number) + ".example";
            const std::string address = "10.0." + std::to_string(number / 256) + '.' + std::to_string(number % 256);
            const Reply reply = Client{}.ask(cache, qname, kStart + std::chrono::seconds{i % 600});
            if (!reply.found) {
                keep_address(cache, qname, kStart + std::chrono::seconds{i % 600}, 300, address);
                continue;
            }
            const auto lines = reply.lines();
            if (lines.size() != 1 || !lines[0].ends_with(" A " + address)) ++wrong;
        }
        --running;
    };
    std::thread first{work, 1U};
    std::thread second{work, 99U};
    for (unsigned turn = 0; running.load() > 0; ++turn) {
        if (turn % 8 == 0) cache.flush_subtree(name("n7.example"));
        if (turn % 64 == 1) cache.flush_all();
        options.bytes = (turn % 2 == 0 ? 1U : 2U) << 20U;
        if (turn % 16 == 2) cache.reconfigure(options);
        cache.list(name("."), 100, kStart, [](const Listed&) { return true; });
        cache.look_up(name("n1.example"), kStart, [](const Listed&, base::Bytes) {});
        static_cast<void>(counters(cache));
        std::this_thread::yield(); // the workers are what is tested
    }
    first.join();
    second.join();
    EXPECT_EQ(wrong.load(), 0U);
    auto after = counters(cache);
    EXPECT_EQ(after["hits_total"] + after["misses_total"], 2U * kRounds);
    EXPECT_LE(after["bytes"], 2U << 20U);
}

/// Of all who ask at once in the last tenth of a life, one is told to ask anew.
TEST(CacheThreads, OneCallerPrefetches)
{
    Options options = small_options();
    options.prefetch = true;
    Cache cache{options};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 100));
    std::atomic<unsigned> told{0};
    const auto ask = [&] {
        for (unsigned i = 0; i < 1000; ++i)
            told += Client{}.ask(cache, "www.example", kStart + 95s).found.prefetch ? 1 : 0;
    };
    std::thread first{ask};
    std::thread second{ask};
    first.join();
    second.join();
    EXPECT_EQ(told.load(), 1U);
}

} // namespace
} // namespace sallyport::cache
