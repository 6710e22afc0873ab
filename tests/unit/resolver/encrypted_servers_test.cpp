#include "resolver/encrypted_servers.hpp"

#include <gtest/gtest.h>

namespace sallyport::resolver {
namespace {

using namespace std::chrono_literals;
using Probe = EncryptedServers::Probe;

constexpr auto kTls = Encryption::tls;
constexpr auto kQuic = Encryption::quic;

base::IpAddress address(unsigned last) { return *base::IpAddress::parse("192.0.2." + std::to_string(last)); }

class EncryptedServersTest : public ::testing::Test {
protected:
    /// One that was tried over `which` and speaks it.
    void make_known(EncryptedServers& servers, Encryption which, unsigned last = 1) const
    {
        ASSERT_EQ(servers.begin_probe(address(last), which, now_), Probe::begun);
        servers.opened(address(last), which, now_);
    }

    base::Instant now_{1h};
    EncryptedServersOptions options_;
};

/// What holds of one of the two whatever the other one does.
class EncryptedServersEachTest : public EncryptedServersTest, public ::testing::WithParamInterface<Encryption> {};

TEST_P(EncryptedServersEachTest, AServerIsTriedOnceAndThenAskedSo)
{
    EncryptedServers servers{options_};
    EXPECT_FALSE(servers.choose(address(1), now_));
    EXPECT_EQ(servers.begin_probe(address(1), GetParam(), now_), Probe::begun);
    EXPECT_EQ(servers.begin_probe(address(1), GetParam(), now_), Probe::needless);
    EXPECT_FALSE(servers.choose(address(1), now_)) << "not known yet: plain DNS goes on";
    servers.opened(address(1), GetParam(), now_);
    EXPECT_EQ(servers.choose(address(1), now_), GetParam());
    EXPECT_EQ(servers.speaking(GetParam()), 1U);
    EXPECT_EQ(servers.speaking(other(GetParam())), 0U);
    EXPECT_EQ(servers.speaking(), 1U);
    EXPECT_EQ(servers.choose(address(1), now_ + options_.persistence - 1s), GetParam());
    EXPECT_FALSE(servers.choose(address(1), now_ + options_.persistence));
    EXPECT_EQ(servers.begin_probe(address(1), GetParam(), now_ + options_.persistence), Probe::begun);
    EXPECT_EQ(servers.speaking(), 0U);
}

TEST_P(EncryptedServersEachTest, AnswersKeepItKnown)
{
    EncryptedServers servers{options_};
    make_known(servers, GetParam());
    servers.answered(address(1), GetParam(), now_ + 24h);
    EXPECT_TRUE(servers.speaks(address(1), GetParam(), now_ + options_.persistence));
}

TEST_P(EncryptedServersEachTest, AFailureIsNotRepeatedForADay)
{
    EncryptedServers servers{options_};
    ASSERT_EQ(servers.begin_probe(address(1), GetParam(), now_), Probe::begun);
    servers.failed(address(1), GetParam(), now_);
    EXPECT_FALSE(servers.choose(address(1), now_));
    EXPECT_EQ(servers.begin_probe(address(1), GetParam(), now_ + options_.damping - 1s), Probe::needless);
    EXPECT_EQ(servers.begin_probe(address(1), GetParam(), now_ + options_.damping), Probe::begun);
}

TEST_P(EncryptedServersEachTest, OneThatOnlyShakesHandsHasFailed)
{
    EncryptedServers servers{options_};
    make_known(servers, GetParam());
    for (unsigned i = 0; i < 2; ++i) {
        EXPECT_TRUE(servers.speaks(address(1), GetParam(), now_));
        servers.opened(address(1), GetParam(), now_);
        servers.unanswered(address(1), GetParam(), now_);
    }
    EXPECT_FALSE(servers.speaks(address(1), GetParam(), now_));
    EXPECT_EQ(servers.begin_probe(address(1), GetParam(), now_), Probe::needless) << "a failure like others";
}

TEST_P(EncryptedServersEachTest, OneThatHasAnsweredMayLoseMore)
{
    EncryptedServers servers{options_};
    make_known(servers, GetParam());
    for (unsigned round = 0; round < 3; ++round) {
        servers.answered(address(1), GetParam(), now_);
        servers.unanswered(address(1), GetParam(), now_);
        servers.unanswered(address(1), GetParam(), now_);
        EXPECT_TRUE(servers.speaks(address(1), GetParam(), now_));
    }
    servers.unanswered(address(1), GetParam(), now_);
    EXPECT_FALSE(servers.speaks(address(1), GetParam(), now_));
}

TEST_P(EncryptedServersEachTest, AConnectionThatIsBeingOpenedMayTakeItsTime)
{
    EncryptedServers servers{options_};
    make_known(servers, GetParam());
    for (unsigned i = 0; i < 10; ++i) servers.kept_waiting(address(1), GetParam());
    EXPECT_TRUE(servers.speaks(address(1), GetParam(), now_));
}

TEST_P(EncryptedServersEachTest, ATryThatWeBreakOffHasFoundOutNothing)
{
    EncryptedServers servers{options_};
    ASSERT_EQ(servers.begin_probe(address(1), GetParam(), now_), Probe::begun);
    servers.broken_off(address(1), GetParam());
    EXPECT_EQ(servers.begin_probe(address(1), GetParam(), now_), Probe::begun);
    servers.opened(address(1), GetParam(), now_);
    servers.broken_off(address(1), GetParam());
    EXPECT_TRUE(servers.speaks(address(1), GetParam(), now_)) << "it had been found out";
}

INSTANTIATE_TEST_SUITE_P(TlsAndQuic, EncryptedServersEachTest, ::testing::Values(kTls, kQuic),
                         [](const auto& which) { return which.param == kTls ? "Tls" : "Quic"; });

TEST_F(EncryptedServersTest, EachOfTheTwoIsKnownByItself)
{
    EncryptedServers servers{options_};
    ASSERT_EQ(servers.begin_probe(address(1), kQuic, now_), Probe::begun);
    ASSERT_EQ(servers.begin_probe(address(1), kTls, now_), Probe::begun);
    servers.failed(address(1), kQuic, now_);
    EXPECT_FALSE(servers.choose(address(1), now_)) << "nothing is known of TLS yet";
    servers.opened(address(1), kTls, now_ + 1h);
    EXPECT_EQ(servers.choose(address(1), now_ + 1h), kTls);
    // QUIC is tried again when its time has come, and TLS is not.
    EXPECT_EQ(servers.begin_probe(address(1), kQuic, now_ + options_.damping), Probe::begun);
    EXPECT_EQ(servers.begin_probe(address(1), kTls, now_ + options_.damping), Probe::needless);
    EXPECT_EQ(servers.choose(address(1), now_ + options_.damping), kTls);
    servers.opened(address(1), kQuic, now_ + options_.damping);
    EXPECT_EQ(servers.choose(address(1), now_ + options_.damping), kQuic);
    EXPECT_EQ(servers.speaking(), 1U);
    EXPECT_EQ(servers.size(), 1U);
    servers.failed(address(1), kTls, now_);
    EXPECT_EQ(servers.speaking(), 1U);
    servers.failed(address(1), kQuic, now_);
    EXPECT_EQ(servers.speaking(), 0U);
}

TEST_F(EncryptedServersTest, WhoWasLeftWaitingOnceStaysWithTheOtherOne)
{
    EncryptedServers servers{options_};
    make_known(servers, kQuic);
    make_known(servers, kTls);
    EXPECT_EQ(servers.choose(address(1), now_), kQuic);
    servers.unanswered(address(1), kQuic, now_);
    EXPECT_EQ(servers.choose(address(1), now_), kTls);
    servers.answered(address(1), kTls, now_);
    EXPECT_EQ(servers.choose(address(1), now_ + 1h), kTls) << "it answers: there is no reason to change";
    servers.unanswered(address(1), kTls, now_);
    EXPECT_EQ(servers.choose(address(1), now_), kQuic);
    servers.answered(address(1), kQuic, now_);
    EXPECT_EQ(servers.choose(address(1), now_), kQuic);
}

TEST_F(EncryptedServersTest, OneThatOnlyShakesHandsOverBothIsFoundOutAtOnce)
{
    EncryptedServers servers{options_};
    make_known(servers, kQuic);
    make_known(servers, kTls);
    make_known(servers, kTls, 2);
    servers.unanswered(address(1), kQuic, now_);
    EXPECT_EQ(servers.choose(address(1), now_), kTls);
    servers.unanswered(address(1), kTls, now_);
    EXPECT_FALSE(servers.choose(address(1), now_));
    EXPECT_EQ(servers.speaking(), 1U) << "the other server";
}

TEST_F(EncryptedServersTest, AConnectionThatTakesItsTimeLetsTheOtherOneGoFirst)
{
    EncryptedServers servers{options_};
    make_known(servers, kQuic);
    make_known(servers, kTls);
    servers.kept_waiting(address(1), kQuic);
    EXPECT_EQ(servers.choose(address(1), now_), kTls);
}

TEST_F(EncryptedServersTest, FewAreTriedAtOnce)
{
    options_.probes = 2;
    EncryptedServers servers{options_};
    EXPECT_EQ(servers.begin_probe(address(1), kTls, now_), Probe::begun);
    EXPECT_EQ(servers.begin_probe(address(1), kQuic, now_), Probe::begun);
    EXPECT_EQ(servers.begin_probe(address(3), kTls, now_), Probe::full);
    servers.failed(address(1), kTls, now_);
    EXPECT_EQ(servers.begin_probe(address(3), kTls, now_), Probe::begun);
    EXPECT_EQ(servers.begin_probe(address(3), kQuic, now_), Probe::full);
    servers.broken_off(address(1), kQuic);
    EXPECT_EQ(servers.begin_probe(address(3), kQuic, now_), Probe::begun);
}

TEST_F(EncryptedServersTest, RemembersSoManyAndNoMore)
{
    options_.servers = 3;
    EncryptedServers servers{options_};
    for (unsigned i = 1; i <= 3; ++i) {
        ASSERT_EQ(servers.begin_probe(address(i), kTls, now_), Probe::begun);
        servers.failed(address(i), kTls, now_);
    }
    EXPECT_EQ(servers.begin_probe(address(4), kTls, now_), Probe::full);
    EXPECT_EQ(servers.begin_probe(address(3), kQuic, now_), Probe::begun) << "there is a place for it";
    servers.opened(address(3), kQuic, now_);
    EXPECT_EQ(servers.size(), 3U);
    EXPECT_EQ(servers.begin_probe(address(4), kTls, now_ + options_.damping), Probe::begun)
        << "those before would be tried again anyway";
    EXPECT_LE(servers.size(), 3U);
    EXPECT_TRUE(servers.speaks(address(3), kQuic, now_ + options_.damping)) << "what is known of QUIC is not over";
    servers.opened(address(200), kTls, now_); // unknown: nothing to do
    EXPECT_EQ(servers.speaking(), 1U);
    EXPECT_EQ(servers.begin_probe(address(5), kTls, now_ + options_.persistence + options_.damping), Probe::begun);
    EXPECT_EQ(servers.begin_probe(address(6), kTls, now_ + options_.persistence + options_.damping), Probe::begun);
    EXPECT_EQ(servers.speaking(), 0U) << "who went is not counted";
}

} // namespace
} // namespace sallyport::resolver
