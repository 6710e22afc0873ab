#include "listeners/quic/connection_id.hpp"
#include "listeners/quic/endpoint_core.hpp"
#include "listeners/quic/memory.hpp"
#include "listeners/quic/object_pool.hpp"
#include "listeners/quic/tokens.hpp"

#include <gtest/gtest.h>

#include <set>

namespace sallyport::listeners::quic {
namespace {

using namespace std::chrono_literals;

struct Holder final : Target {
    Holder() noexcept : Target(Kind::connection) {}
};

base::Endpoint endpoint(const char* text) { return base::Endpoint::parse(text).value(); }

SharedSecrets some_secrets(std::uint8_t first)
{
    SharedSecrets secrets;
    for (std::size_t i = 0; i < 32; ++i) {
        secrets.quic_tokens[i] = static_cast<std::uint8_t>(first + i);
        secrets.quic_resets[i] = static_cast<std::uint8_t>(first + 2 * i);
    }
    return secrets;
}

ConnectionId id_of(std::initializer_list<std::uint8_t> octets)
{
    const std::vector<std::uint8_t> copy{octets};
    return ConnectionId{copy};
}

TEST(QuicConnectionId, NamesItsWorker)
{
    base::SystemRandom random;
    for (unsigned workers = 1; workers < 40; ++workers)
        for (unsigned worker = 0; worker < workers; ++worker)
            for (int i = 0; i < 50; ++i) {
                const auto id = ConnectionId::make(worker, workers, random);
                ASSERT_EQ(id.owner(workers), worker);
                ASSERT_EQ(id.octets().size(), ConnectionId::kOurs);
            }
}

TEST(QuicConnectionId, UsesTheWholeFirstOctet)
{
    base::SystemRandom random;
    std::set<std::uint8_t> seen;
    for (int i = 0; i < 5000; ++i) seen.insert(ConnectionId::make(1, 2, random).octets()[0]);
    EXPECT_GT(seen.size(), 110U); // of 128
}

TEST(QuicConnectionMap, TheFirstKeepsAnId)
{
    ConnectionMap map;
    Holder first;
    Holder second;
    const auto id = id_of({1, 2, 3, 4, 5, 6, 7, 8});
    EXPECT_TRUE(map.add(id, first));
    EXPECT_TRUE(map.add(id, first));
    EXPECT_FALSE(map.add(id, second));
    map.remove(id, second);
    EXPECT_EQ(map.find(id), &first);
    map.move(id, first, second);
    EXPECT_EQ(map.find(id), &second);
    map.remove(id, second);
    EXPECT_EQ(map.find(id), nullptr);
    EXPECT_EQ(map.size(), 0U);
}

TEST(QuicTokens, RetryTokenBindsAddressPortIdAndTime)
{
    const SharedSecrets secrets = some_secrets(1);
    const Tokens tokens{secrets, 10s};
    const base::Instant now{1h};
    const auto peer = endpoint("192.0.2.1:4000");
    const auto scid = id_of({1, 2, 3, 4, 5, 6, 7, 8});
    const auto original = id_of({9, 9, 9, 9, 9, 9, 9, 9});
    const Token token = tokens.make_retry(1, peer, scid, original, now);
    ASSERT_GT(token.size, 0U);
    using Kind = TokenVerdict::Kind;
    const auto good = tokens.check(token.bytes(), 1, peer, scid, now + 9s);
    EXPECT_EQ(good.kind, Kind::retry);
    EXPECT_EQ(good.original, original);
    EXPECT_EQ(tokens.check(token.bytes(), 1, peer, scid, now + 11s).kind, Kind::bad_retry);
    EXPECT_NE(tokens.check(token.bytes(), 1, endpoint("192.0.2.1:4001"), scid, now).kind, Kind::retry);
    EXPECT_NE(tokens.check(token.bytes(), 1, endpoint("192.0.2.2:4000"), scid, now).kind, Kind::retry);
    EXPECT_NE(tokens.check(token.bytes(), 1, peer, original, now).kind, Kind::retry);
}

TEST(QuicTokens, NewTokenBindsTheAddressAlone)
{
    const SharedSecrets secrets = some_secrets(1);
    const SharedSecrets others = some_secrets(2);
    const Tokens tokens{secrets, 10s};
    const base::Instant now{1h};
    const auto dcid = id_of({1, 2, 3, 4, 5, 6, 7, 8});
    const Token token = tokens.make_new_token(endpoint("[2001:db8::1]:4000"), now);
    using Kind = TokenVerdict::Kind;
    EXPECT_EQ(tokens.check(token.bytes(), 1, endpoint("[2001:db8::1]:9"), dcid, now + 11h).kind, Kind::new_token);
    EXPECT_EQ(tokens.check(token.bytes(), 1, endpoint("[2001:db8::1]:9"), dcid, now + 13h).kind, Kind::none);
    EXPECT_EQ(tokens.check(token.bytes(), 1, endpoint("[2001:db8::2]:9"), dcid, now).kind, Kind::none);
    EXPECT_EQ((Tokens{others, 10s}.check(token.bytes(), 1, endpoint("[2001:db8::1]:9"), dcid, now).kind), Kind::none);
}

TEST(QuicTokens, GarbageIsNoToken)
{
    const SharedSecrets secrets = some_secrets(1);
    const Tokens tokens{secrets, 10s};
    const auto dcid = id_of({1, 2, 3, 4, 5, 6, 7, 8});
    for (unsigned first = 0; first < 256; ++first)
        for (const std::size_t size : {0U, 1U, 17U, 60U, 400U}) {
            const std::vector<std::uint8_t> garbage(size, static_cast<std::uint8_t>(first));
            const auto kind = tokens.check(garbage, 1, endpoint("192.0.2.1:1"), dcid, base::Instant{1h}).kind;
            EXPECT_TRUE(kind == TokenVerdict::Kind::none || kind == TokenVerdict::Kind::bad_retry);
        }
}

TEST(QuicTokens, ResetTokensFollowTheIdAndTheSecret)
{
    const SharedSecrets secrets = some_secrets(1);
    const SharedSecrets others = some_secrets(2);
    const Tokens tokens{secrets, 10s};
    const auto a = id_of({1, 2, 3, 4, 5, 6, 7, 8});
    const auto b = id_of({1, 2, 3, 4, 5, 6, 7, 9});
    EXPECT_EQ(tokens.reset_token(a), tokens.reset_token(a));
    EXPECT_NE(tokens.reset_token(a), tokens.reset_token(b));
    EXPECT_NE(tokens.reset_token(a), (Tokens{others, 10s}.reset_token(a)));
}

TEST(QuicTokens, AResetTokenIsOfOnePort)
{
    // Else a packet to another port, with an ID seen on the way, would be answered with the token that ends the
    // connection it was seen on (RFC 9000 §21.11).
    const SharedSecrets secrets = some_secrets(1);
    const auto id = id_of({1, 2, 3, 4, 5, 6, 7, 8});
    EXPECT_NE((Tokens{secrets, 10s, 0}.reset_token(id)), (Tokens{secrets, 10s, 1}.reset_token(id)));
}

TEST(QuicAddressCounts, CountsNetworks)
{
    AddressCounts counts;
    const auto v4 = base::IpAddress::parse("192.0.2.1").value();
    const auto near_v4 = base::IpAddress::parse("192.0.2.2").value();
    const auto v6 = base::IpAddress::parse("2001:db8:1:200::1").value();
    const auto same_56 = base::IpAddress::parse("2001:db8:1:2ff::9").value();
    const auto other_56 = base::IpAddress::parse("2001:db8:1:300::1").value();
    counts.add(v4);
    counts.add(v6);
    counts.add(same_56);
    EXPECT_EQ(counts.count(v4), 1U);
    EXPECT_EQ(counts.count(near_v4), 0U);
    EXPECT_EQ(counts.count(v6), 2U);
    EXPECT_EQ(counts.count(other_56), 0U);
    counts.remove(v6);
    EXPECT_EQ(counts.count(same_56), 1U);
    counts.remove(same_56);
    EXPECT_EQ(counts.count(v6), 0U);
}

TEST(QuicMemory, CountsAndRefusesAtTheLimit)
{
    QuicStats stats;
    const auto share = std::make_shared<MemoryShare>(MemoryShare{.limit = 10'000});
    MemoryBudget budget{share, stats};
    const ngtcp2_mem& memory = *budget.for_quic();
    void* const block = memory.malloc(4'000, memory.user_data);
    ASSERT_NE(block, nullptr);
    EXPECT_GE(budget.used(), 4'000U);
    EXPECT_EQ(memory.malloc(8'000, memory.user_data), nullptr);
    EXPECT_EQ(memory.calloc(SIZE_MAX / 2, 3, memory.user_data), nullptr);
    EXPECT_EQ(stats.memory_refused.get(), 1U);
    void* const larger = memory.realloc(block, 9'000, memory.user_data);
    ASSERT_NE(larger, nullptr);
    EXPECT_GE(budget.used(), 9'000U);
    EXPECT_FALSE(budget.has_room_for_connection());
    memory.free(larger, memory.user_data);
    EXPECT_EQ(budget.used(), 0U);
}

TEST(QuicMemory, PortsOfAWorkerShareOneBudget)
{
    QuicStats stats;
    QuicStats other_stats;
    const auto share = std::make_shared<MemoryShare>(MemoryShare{.limit = 10'000});
    MemoryBudget budget{share, stats};
    MemoryBudget other{share, other_stats};
    budget.charge(6'000);
    EXPECT_TRUE(other.has_room(4'000));
    EXPECT_FALSE(other.has_room(4'001));
    other.charge(3'000);
    EXPECT_FALSE(budget.has_room_for_connection());
    EXPECT_EQ(stats.memory.get(), 6'000U);
    EXPECT_EQ(other_stats.memory.get(), 3'000U);
    budget.discharge(6'000);
    EXPECT_TRUE(other.has_room(7'000));
}

TEST(QuicObjectPool, GivesTheSameObjectAgain)
{
    ObjectPool<int> pool;
    int* const first = pool.take();
    pool.give_back(first);
    EXPECT_EQ(pool.take(), first);
    pool.give_back(first);
}

} // namespace
} // namespace sallyport::listeners::quic
