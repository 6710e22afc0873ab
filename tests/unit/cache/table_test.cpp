#include "cache/table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace sallyport::cache {
namespace {

bool holds(const Table& table, std::uint32_t tag, std::uint32_t ref)
{
    return table.find(tag, [&](std::uint32_t other) { return other == ref; }) == ref;
}

TEST(CacheTable, FindsWhatWasPutAndNothingElse)
{
    Table table{1000};
    ASSERT_TRUE(table);
    EXPECT_FALSE(holds(table, 5, 1));
    EXPECT_TRUE(table.insert(5, 1));
    EXPECT_TRUE(table.insert(5, 2)); // the same tag twice
    EXPECT_TRUE(holds(table, 5, 1));
    EXPECT_TRUE(holds(table, 5, 2));
    EXPECT_FALSE(holds(table, 6, 1));
    table.erase(5, 1);
    EXPECT_FALSE(holds(table, 5, 1));
    EXPECT_TRUE(holds(table, 5, 2));
    table.replace(5, 2, 3);
    EXPECT_TRUE(holds(table, 5, 3));
    table.clear();
    EXPECT_FALSE(holds(table, 5, 3));
}

TEST(CacheTable, TakesTheFirstAndTheLastTag)
{
    Table table{100};
    for (const std::uint32_t tag : {0U, UINT32_MAX, UINT32_MAX - 1, 1U}) ASSERT_TRUE(table.insert(tag, tag / 2 + 1));
    for (const std::uint32_t tag : {0U, UINT32_MAX, UINT32_MAX - 1, 1U}) EXPECT_TRUE(holds(table, tag, tag / 2 + 1));
    EXPECT_FALSE(holds(table, UINT32_MAX, 7));
}

TEST(CacheTable, RefusesWhereItsEndIsFull)
{
    Table table{16};
    std::uint32_t taken = 0;
    while (taken < 10'000 && table.insert(UINT32_MAX, taken + 1)) ++taken;
    EXPECT_GT(taken, 100U);
    EXPECT_LT(taken, 10'000U);
    EXPECT_TRUE(holds(table, UINT32_MAX, 1));
    EXPECT_TRUE(holds(table, UINT32_MAX, taken));
    EXPECT_FALSE(holds(table, UINT32_MAX, taken + 1));
}

TEST(CacheTable, BehavesAsAMultimapDoes)
{
    Table table{2000};
    std::multimap<std::uint32_t, std::uint32_t> model;
    std::mt19937 random{7}; // NOLINT(cert-msc32-c,cert-msc51-cpp): the same test every time
    for (std::uint32_t step = 1; step < 40'000; ++step) {
        const auto tag = static_cast<std::uint32_t>(random() % 3000) * 1'431'655U; // few tags, so that they meet
        if (model.size() < 1700 && random() % 2 == 0) {
            ASSERT_TRUE(table.insert(tag, step));
            model.emplace(tag, step);
        } else if (const auto it = model.lower_bound(tag); it != model.end()) {
            table.erase(it->first, it->second);
            model.erase(it);
        }
        if (step % 500 != 0) continue;
        for (const auto& [known, ref] : model) ASSERT_TRUE(holds(table, known, ref)) << step;
        ASSERT_FALSE(holds(table, tag, UINT32_MAX));
    }
}

} // namespace
} // namespace sallyport::cache
