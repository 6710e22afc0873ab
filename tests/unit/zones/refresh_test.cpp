#include "zones/refresh.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace sallyport::zones {
namespace {

using namespace std::chrono_literals;

/// Always the same octet.
class Same final : public base::RandomSource {
public:
    explicit Same(std::uint8_t octet) : octet_(octet) {}
    void fill(base::MutableBytes bytes) noexcept override { std::fill(bytes.begin(), bytes.end(), octet_); }

private:
    std::uint8_t octet_;
};

constexpr SoaNumbers kRoot{2026112000, 1800, 900, 604800, 86400};

TEST(Refresh, WaitsAsTheZoneSays)
{
    Same zeros{0};
    Refresh refresh{1min, 24h, zeros};
    EXPECT_EQ(refresh.confirmed(kRoot), 1800s);
    EXPECT_EQ(refresh.failed(&kRoot), 900s);
}

TEST(Refresh, SpreadsOverATenth)
{
    base::SystemRandom random;
    Refresh refresh{1min, 24h, random};
    for (int i = 0; i < 200; ++i) {
        const auto pause = refresh.confirmed(kRoot);
        EXPECT_GE(pause, 1620s);
        EXPECT_LE(pause, 1800s);
    }
}

TEST(Refresh, KeepsItsOwnLimits)
{
    Same zeros{0};
    Refresh refresh{1min, 24h, zeros};
    EXPECT_EQ(refresh.confirmed({1, 0, 0, 0, 0}), 1min);
    EXPECT_EQ(refresh.confirmed({1, UINT32_MAX, 0, 0, 0}), 24h);
    EXPECT_EQ(refresh.failed(&kRoot), 900s);
}

TEST(Refresh, WaitsLongerAndLongerWithoutAZone)
{
    Same zeros{0};
    Refresh refresh{1min, 24h, zeros};
    EXPECT_EQ(refresh.failed(nullptr), 1min);
    EXPECT_EQ(refresh.failed(nullptr), 2min);
    EXPECT_EQ(refresh.failed(nullptr), 4min);
    for (int i = 0; i < 100; ++i) EXPECT_LE(refresh.failed(nullptr), 1h);
    EXPECT_EQ(refresh.failed(nullptr), 1h);
    EXPECT_EQ(refresh.confirmed(kRoot), 1800s);
    EXPECT_EQ(refresh.failed(nullptr), 1min);
}

} // namespace
} // namespace sallyport::zones
