#include "resolver/encrypted_servers.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver {
namespace {

using namespace std::chrono_literals;

base::IpAddress address(unsigned last) { return *base::IpAddress::parse("192.0.2." + std::to_string(last)); }

class EncryptedServersTest : public ::testing::Test {
protected:
    base::Instant now_{1h};
    EncryptedServersOptions options_;
};

TEST_F(EncryptedServersTest, AServerIsTriedOnceAndThenAskedSo)
{
    EncryptedServers servers{options_};
    EXPECT_FALSE(servers.speaks(address(1), now_));
    EXPECT_TRUE(servers.begin_probe(address(1), now_));
    EXPECT_FALSE(servers.begin_probe(address(1), now_));
    EXPECT_FALSE(servers.speaks(address(1), now_)) << "not known yet: plain DNS goes on";
    servers.opened(address(1), now_);
    EXPECT_TRUE(servers.speaks(address(1), now_));
    EXPECT_EQ(servers.speaking(), 1U);
    EXPECT_TRUE(servers.speaks(address(1), now_ + options_.persistence - 1s));
    EXPECT_FALSE(servers.speaks(address(1), now_ + options_.persistence));
    EXPECT_TRUE(servers.begin_probe(address(1), now_ + options_.persistence));
    EXPECT_EQ(servers.speaking(), 0U);
}

TEST_F(EncryptedServersTest, AnswersKeepItKnown)
{
    EncryptedServers servers{options_};
    ASSERT_TRUE(servers.begin_probe(address(1), now_));
    servers.opened(address(1), now_);
    servers.answered(address(1), now_ + 24h);
    EXPECT_TRUE(servers.speaks(address(1), now_ + options_.persistence));
}

TEST_F(EncryptedServersTest, AFailureIsNotRepeatedForADay)
{
    EncryptedServers servers{options_};
    ASSERT_TRUE(servers.begin_probe(address(1), now_));
    servers.failed(address(1), now_);
    EXPECT_FALSE(servers.speaks(address(1), now_));
    EXPECT_FALSE(servers.begin_probe(address(1), now_ + options_.damping - 1s));
    EXPECT_TRUE(servers.begin_probe(address(1), now_ + options_.damping));
}

TEST_F(EncryptedServersTest, OneThatOnlyShakesHandsHasFailed)
{
    EncryptedServers servers{options_};
    ASSERT_TRUE(servers.begin_probe(address(1), now_));
    servers.opened(address(1), now_);
    servers.unanswered(address(1), now_);
    servers.unanswered(address(1), now_);
    servers.answered(address(1), now_);
    for (unsigned i = 0; i < 3; ++i) {
        EXPECT_TRUE(servers.speaks(address(1), now_));
        servers.opened(address(1), now_);
        servers.unanswered(address(1), now_);
    }
    EXPECT_FALSE(servers.speaks(address(1), now_));
}

TEST_F(EncryptedServersTest, FewAreTriedAtOnce)
{
    options_.probes = 2;
    EncryptedServers servers{options_};
    EXPECT_TRUE(servers.begin_probe(address(1), now_));
    EXPECT_TRUE(servers.begin_probe(address(2), now_));
    EXPECT_FALSE(servers.begin_probe(address(3), now_));
    servers.failed(address(1), now_);
    EXPECT_TRUE(servers.begin_probe(address(3), now_));
}

TEST_F(EncryptedServersTest, RemembersSoManyAndNoMore)
{
    options_.servers = 3;
    EncryptedServers servers{options_};
    for (unsigned i = 1; i <= 3; ++i) {
        ASSERT_TRUE(servers.begin_probe(address(i), now_));
        servers.failed(address(i), now_);
    }
    EXPECT_FALSE(servers.begin_probe(address(4), now_));
    EXPECT_EQ(servers.size(), 3U);
    EXPECT_TRUE(servers.begin_probe(address(4), now_ + options_.damping)) << "those before would be tried again anyway";
    EXPECT_LE(servers.size(), 3U);
    servers.opened(address(200), now_); // unknown: nothing to do
    EXPECT_EQ(servers.speaking(), 0U);
}

} // namespace
} // namespace sallyport::resolver
