#include "conf/configuration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::conf {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

Configuration read(std::string_view text, base::Problems& problems)
{
    return parse_configuration(
        text, "dir/sallyport.yaml", [](const char*) -> const char* { return nullptr; }, problems);
}

TEST(CacheSection, ReadsWhereACopyIsKept)
{
    base::Problems problems;
    const auto none = read("cache: { size: 8MiB }\n", problems).cache_snapshot;
    EXPECT_EQ(none.file, "");
    const auto some = read("cache: { snapshot: { file: run/cache, every: 1m } }\n", problems).cache_snapshot;
    EXPECT_EQ(some.file, "dir/run/cache");
    EXPECT_EQ(some.every, 60s);
    EXPECT_TRUE(problems.empty());
    (void)read("cache: { snapshot: { file: a, every: 1s } }\n", problems);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_THAT(problems[0].message, HasSubstr("cache.snapshot.every"));
}

TEST(CacheSection, ReadsEveryKey)
{
    base::Problems problems;
    const auto cache =
        read("cache:\n"
             "  enabled: false\n  size: 64MiB\n  shards: 4\n  min_ttl: 5s\n  max_ttl: 2h\n  max_negative_ttl: 10m\n"
             "  failure_ttl: 7s\n  serve_stale: true\n  stale_for: 3h\n  stale_ttl: 20s\n  prefetch: true\n"
             "  limits: {entry: 32KiB, negative_entry: 4KiB, records_per_set: 100, types: 50, aliases: 8,\n"
             "           additional_names: 5}\n",
             problems)
            .cache;
    for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
    EXPECT_FALSE(cache.enabled);
    EXPECT_EQ(cache.bytes, 64U << 20U);
    EXPECT_EQ(cache.shards, 4U);
    EXPECT_EQ(cache.min_ttl, 5s);
    EXPECT_EQ(cache.max_ttl, 2h);
    EXPECT_EQ(cache.max_negative_ttl, 10min);
    EXPECT_EQ(cache.failure_ttl, 7s);
    EXPECT_TRUE(cache.serve_stale);
    EXPECT_EQ(cache.stale_for, 3h);
    EXPECT_EQ(cache.stale_ttl, 20s);
    EXPECT_TRUE(cache.prefetch);
    EXPECT_EQ(cache.max_entry, 32U << 10U);
    EXPECT_EQ(cache.max_negative_entry, 4U << 10U);
    EXPECT_EQ(cache.max_set, 100);
    EXPECT_EQ(cache.max_types, 50);
    EXPECT_EQ(cache.max_aliases, 8);
    EXPECT_EQ(cache.max_additional_names, 5);
}

TEST(CacheSection, ComplainsOfWhatMakesNoSense)
{
    const auto wrong = [](std::string_view text) {
        base::Problems problems;
        static_cast<void>(read(text, problems));
        return problems.empty() ? std::string{} : problems.front().to_string();
    };
    EXPECT_THAT(wrong("cache: {size: 100KiB}\n"), HasSubstr("dir/sallyport.yaml:1:15: 'cache.size' is '100KiB'"));
    EXPECT_THAT(wrong("cache: {min_ttl: 1h, max_ttl: 1m}\n"), HasSubstr("'cache.min_ttl' is longer than"));
    EXPECT_THAT(wrong("cache: {failure_ttl: 6m}\n"), HasSubstr("'cache.failure_ttl' is '6m'"));
    EXPECT_THAT(wrong("cache: {limits: {aliases: 32}}\n"), HasSubstr("'cache.limits.aliases' is '32'"));
    EXPECT_THAT(wrong("cache: {sise: 1GiB}\n"), HasSubstr("size"));
}

} // namespace
} // namespace sallyport::conf
