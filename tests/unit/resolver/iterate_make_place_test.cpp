#include "resolver/iterate/make_place.hpp"

#include <gtest/gtest.h>

#include <string>
#include <unordered_map>

namespace sallyport::resolver::iterate {
namespace {

using Table = std::unordered_map<std::string, bool>; // whether it is over

Table table_of(unsigned count, bool over)
{
    Table table;
    for (unsigned i = 0; i < count; ++i) table.emplace("n" + std::to_string(i), over);
    return table;
}

TEST(MakePlace, OneGoesForOneThatComes)
{
    Table table = table_of(1000, false);
    for (unsigned i = 0; i < 500; ++i) {
        const std::string newcomer = "m" + std::to_string(i);
        make_place(table, 1000, newcomer, [](const auto& entry) { return entry.second; });
        EXPECT_EQ(table.size(), 999U);
        table.emplace(newcomer, false);
        EXPECT_TRUE(table.contains(newcomer));
    }
}

TEST(MakePlace, NobodyGoesWhereThereIsRoomOrTheNewcomerIsThereAlready)
{
    Table table = table_of(10, false);
    const auto never = [](const auto&) { return false; };
    make_place(table, 11, "m", never);
    make_place(table, 10, "n3", never);
    EXPECT_EQ(table.size(), 10U);
    Table none;
    make_place(none, 0, "m", never);
    EXPECT_TRUE(none.empty());
}

TEST(MakePlace, WhatIsOverGoesFirstAndFewAreLookedAt)
{
    Table table = table_of(10'000, true);
    table["kept"] = false;
    unsigned looked_at = 0;
    make_place(table, 10'001, "m", [&](const auto& entry) { return ++looked_at, entry.second; });
    EXPECT_GE(looked_at, 1U);
    EXPECT_LT(looked_at, 1000U);
    EXPECT_LT(table.size(), 10'001U);
    EXPECT_TRUE(table.contains("kept"));
}

} // namespace
} // namespace sallyport::resolver::iterate
