#include "support.hpp"

#include <random>

namespace sallyport::cache {
namespace {

using namespace testing;

std::string host(std::size_t number) { return "host" + std::to_string(number) + ".example.net"; }

TEST(CacheEviction, BytesStayUnderTheLimitAtAllTimes)
{
    for (const unsigned shards : {1U, 4U}) {
        Options options;
        options.bytes = 4U << 20U;
        options.shards = shards;
        Cache cache{options};
        std::mt19937 random{3}; // NOLINT(cert-msc32-c,cert-msc51-cpp): the same test every time
        for (std::size_t i = 0; i < 60'000; ++i) {
            Response response{host(i), wire::RrType::TXT};
            const auto texts = static_cast<int>(random() % 100 == 0 ? random() % 200 : 1);
            for (int j = 0; j <= texts; ++j) response.answer(host(i), wire::RrType::TXT, 300, std::to_string(j));
            ASSERT_TRUE(keep(cache, response, kStart));
            if (i % 64 != 0) continue;
            ASSERT_LE(counters(cache)["bytes"], options.bytes);
        }
        auto after = counters(cache);
        EXPECT_LE(after["bytes"], options.bytes);
        EXPECT_GT(after["bytes"], options.bytes * 3 / 4);
        EXPECT_GT(after["evicted_total"], 10'000U);
        EXPECT_EQ(after["entries"] + after["evicted_total"] + after["evicted_expired_total"], after["inserts_total"]);
        EXPECT_EQ(after["full_total"], 0U);
    }
}

TEST(CacheEviction, SmallestEntriesFillTheTableNotMore)
{
    Cache cache{small_options()};
    // No records at all: a failure under the shortest of names.
    for (std::size_t i = 0; i < 60'000; ++i) {
        const std::string qname{static_cast<char>('a' + i % 26), static_cast<char>('a' + i / 26 % 26),
                                static_cast<char>('a' + i / 676 % 26), static_cast<char>('a' + i / 17'576)};
        Response failure{qname, wire::RrType::A, 0, wire::Rcode::SERVFAIL};
        ASSERT_TRUE(keep(cache, failure, kStart)) << i;
    }
    auto after = counters(cache);
    EXPECT_LE(after["bytes"], 1U << 20U);
    EXPECT_GT(after["entries"], 10'000U);
    EXPECT_EQ(after["full_total"], 0U);
    EXPECT_EQ(after["entries"] + after["evicted_total"], after["inserts_total"]);
}

TEST(CacheEviction, WhatIsAskedForStays)
{
    Cache cache{small_options()};
    for (std::size_t i = 0; i < 100; ++i)
        ASSERT_TRUE(keep_address(cache, "hot" + std::to_string(i) + ".example", kStart));
    for (std::size_t i = 0; i < 60'000; ++i) {
        ASSERT_TRUE(keep_address(cache, host(i), kStart));
        const auto hot = "hot" + std::to_string(i % 100) + ".example";
        ASSERT_TRUE(Client{}.ask(cache, hot, kStart).found) << i;
    }
    EXPECT_GT(counters(cache)["second_chances_total"], 100U);
    EXPECT_FALSE(Client{}.ask(cache, host(0), kStart).found);
    EXPECT_TRUE(Client{}.ask(cache, host(59'999), kStart).found);
}

TEST(CacheEviction, GoesOnWhenEverythingIsAskedFor)
{
    Cache cache{small_options()};
    for (std::size_t i = 0; i < 40'000; ++i) {
        ASSERT_TRUE(keep_address(cache, host(i), kStart));
        ASSERT_TRUE(Client{}.ask(cache, host(i), kStart).found);
    }
    EXPECT_LE(counters(cache)["bytes"], 1U << 20U);
    EXPECT_GT(counters(cache)["entries"], 8'000U);
}

TEST(CacheEviction, WhatIsPastItsTimeGoesFirst)
{
    Cache cache{small_options()};
    for (std::size_t i = 0; i < 2000; ++i) {
        ASSERT_TRUE(keep_address(cache, host(i), kStart, 10));
        ASSERT_TRUE(Client{}.ask(cache, host(i), kStart).found);
    }
    for (std::size_t i = 2000; i < 30'000; ++i) ASSERT_TRUE(keep_address(cache, host(i), kStart + 20s, 10));
    EXPECT_GE(counters(cache)["evicted_expired_total"], 2000U);
}

TEST(CacheEviction, LargeAnswersMakeRoomForThemselves)
{
    Cache cache{small_options()};
    for (std::size_t i = 0; i < 20'000; ++i) ASSERT_TRUE(keep_address(cache, host(i), kStart));
    for (std::size_t i = 0; i < 40; ++i) {
        Response response{host(i), wire::RrType::TXT};
        for (int j = 0; j < 240; ++j)
            response.answer(host(i), wire::RrType::TXT, 300, std::string(250, 'x') + std::to_string(j));
        ASSERT_TRUE(keep(cache, response, kStart)) << i;
        ASSERT_EQ(Client{}.ask(cache, host(i), kStart, wire::RrType::TXT).lines().size(), 240U);
        ASSERT_LE(counters(cache)["bytes"], 1U << 20U);
    }
}

TEST(CacheEviction, AnswersThatChangeTheirSizeTakeNoMoreThanTheLimit)
{
    Cache cache{small_options()};
    for (unsigned i = 0; i < 30'000; ++i) {
        Response response{host(i % 7)};
        for (unsigned j = 0; j <= i % 60; ++j)
            response.answer(host(i % 7), wire::RrType::A, 300, "192.0.2." + std::to_string(j));
        ASSERT_TRUE(keep(cache, response, kStart));
        ASSERT_EQ(Client{}.ask(cache, host(i % 7), kStart).lines().size(), i % 60 + 1);
    }
    EXPECT_LE(counters(cache)["bytes"], 1U << 20U);
    EXPECT_EQ(counters(cache)["entries"], 7U);
}

} // namespace
} // namespace sallyport::cache
