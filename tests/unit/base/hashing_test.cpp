#include "base/hash.hpp"
#include "base/log.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/siphash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

namespace sallyport::base {
namespace {

TEST(SipHash, GivesTheValuesOfItsAuthors)
{
    // From the reference implementation: key 00..0f, inputs of growing length 00, 01, 02, …
    SipKey key{};
    std::iota(key.begin(), key.end(), std::uint8_t{0});
    std::vector<std::uint8_t> input;
    const std::uint64_t expected[] = {0x726fdb47dd0e0e31ULL, 0x74f839c593dc67fdULL, 0x0d6c8009d9a94f5aULL,
                                      0x85676696d7fb7e2dULL, 0xcf2794e0277187b7ULL, 0x18765564cd99a68dULL,
                                      0xcbc9466e58fee3ceULL, 0xab0200f58b01d137ULL, 0x93f5f5799a932462ULL};
    for (const auto value : expected) {
        EXPECT_EQ(siphash24(input, key), value) << input.size();
        input.push_back(static_cast<std::uint8_t>(input.size()));
    }
}

TEST(KeyedHash, IsStableWithinTheProcessAndSpreads)
{
    std::set<std::uint64_t> seen;
    for (std::uint8_t i = 0; i < 100; ++i) {
        const std::uint8_t octets[] = {i, 1, 2};
        seen.insert(keyed_hash(octets));
        EXPECT_EQ(keyed_hash(octets), keyed_hash(octets));
    }
    EXPECT_EQ(seen.size(), 100U);
}

TEST(SystemRandom, NeverGivesTheSameTwice)
{
    SystemRandom random;
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(random.number());
    EXPECT_EQ(seen.size(), 1000U);
    std::vector<std::uint8_t> large(1000);
    random.fill(large);
    EXPECT_NE(std::count(large.begin(), large.end(), 0), 1000);
}

TEST(Error, SaysWhereAsFarAsItIsKnown)
{
    EXPECT_EQ((Error{ErrorCode::invalid, "bad"}).to_string(), "bad");
    EXPECT_EQ((Error{ErrorCode::invalid, "bad", {"f"}}).to_string(), "f: bad");
    EXPECT_EQ((Error{ErrorCode::invalid, "bad", {"f", 3}}).to_string(), "f:3: bad");
    EXPECT_EQ((Error{ErrorCode::invalid, "bad", {"f", 3, 4}}).to_string(), "f:3:4: bad");
}

TEST(LogLimiter, LetsOneLineAMinuteThroughAndCountsTheRest)
{
    log::Limiter limiter;
    const Instant start{std::chrono::hours{1}};
    EXPECT_EQ(limiter.admit(start), 1U);
    const auto before = log::left_out_lines();
    EXPECT_EQ(limiter.admit(start + std::chrono::seconds{1}), 0U);
    EXPECT_EQ(limiter.admit(start + std::chrono::seconds{59}), 0U);
    EXPECT_EQ(log::left_out_lines(), before + 2);
    EXPECT_EQ(limiter.admit(start + std::chrono::seconds{60}), 3U);
    EXPECT_EQ(limiter.admit(start + std::chrono::seconds{61}), 0U);
}

} // namespace
} // namespace sallyport::base
