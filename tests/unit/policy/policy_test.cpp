#include "policy/policy.hpp"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

using base::Instant;
using base::IpAddress;
using base::Prefix;
using namespace std::chrono_literals;

IpAddress address(const std::string& text) { return *IpAddress::parse(text); }
constexpr Instant kStart{std::chrono::hours{1}};

TEST(AccessList, ServesOnlyLocalNetworksUnlessTold)
{
    const AccessList list{AccessOptions{}};
    EXPECT_TRUE(list.allows(address("127.0.0.1")));
    EXPECT_TRUE(list.allows(address("192.168.7.7")));
    EXPECT_TRUE(list.allows(address("fd12::1")));
    EXPECT_FALSE(list.allows(address("8.8.8.8")));
    EXPECT_FALSE(list.allows(address("2001:db8::1")));
}

TEST(AccessList, AllowReplacesTheDefaultAndDenyGoesFirst)
{
    AccessOptions options;
    options.allow = {*Prefix::parse("0.0.0.0/0")};
    options.deny = {*Prefix::parse("198.51.100.0/24")};
    const AccessList list{options};
    EXPECT_TRUE(list.allows(address("8.8.8.8")));
    EXPECT_FALSE(list.allows(address("198.51.100.9")));
    EXPECT_FALSE(list.allows(address("::1")));
}

TEST(TokenBuckets, LimitNothingWhenTheRateIsZero)
{
    TokenBuckets buckets{{0, 1}, 64};
    for (int i = 0; i < 1000; ++i) EXPECT_TRUE(buckets.take(address("10.0.0.1"), kStart));
}

TEST(TokenBuckets, GiveTheBurstAndThenTheRate)
{
    TokenBuckets buckets{{10, 5}, 64};
    const auto client = address("10.0.0.1");
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(buckets.take(client, kStart));
    EXPECT_FALSE(buckets.take(client, kStart));
    EXPECT_FALSE(buckets.take(client, kStart + 99ms));
    EXPECT_TRUE(buckets.take(client, kStart + 100ms));
    EXPECT_FALSE(buckets.take(client, kStart + 100ms));
    int taken = 0;
    for (int ms = 200; ms <= 10'200; ms += 10) taken += buckets.take(client, kStart + std::chrono::milliseconds{ms});
    EXPECT_NEAR(taken, 100, 2);
}

TEST(TokenBuckets, CountNetworksNotAddresses)
{
    TokenBuckets buckets{{1, 1, 24, 56}, 64};
    EXPECT_TRUE(buckets.take(address("10.0.0.1"), kStart));
    EXPECT_FALSE(buckets.take(address("10.0.0.200"), kStart));
    EXPECT_TRUE(buckets.take(address("10.0.1.1"), kStart));
    EXPECT_TRUE(buckets.take(address("2001:db8:0:1::1"), kStart));
    EXPECT_FALSE(buckets.take(address("2001:db8:0:2::1"), kStart));
    EXPECT_TRUE(buckets.take(address("2001:db8:0:100::1"), kStart));
}

TEST(TokenBuckets, AFullTableForgetsSomebodyAndServesOn)
{
    TokenBuckets buckets{{1, 1}, 64};
    for (int i = 0; i < 1000; ++i)
        EXPECT_TRUE(
            buckets.take(address("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)), kStart + i * 1ms));
    EXPECT_GE(buckets.evictions(), 1000U - 64U);
}

TEST(TokenBuckets, ALongPauseDoesNotOverflow)
{
    TokenBuckets buckets{{1'000'000, 3}, 64};
    const auto client = address("10.0.0.1");
    EXPECT_TRUE(buckets.take(client, kStart));
    const auto later = kStart + std::chrono::hours{24 * 365 * 20};
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(buckets.take(client, later));
    EXPECT_FALSE(buckets.take(client, later));
}

} // namespace
} // namespace sallyport::policy
