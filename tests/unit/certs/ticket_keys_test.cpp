#include "support.hpp"

#include "certs/replay_store.hpp"

#include <gmock/gmock.h>

namespace sallyport::certs::test {
namespace {

using ::testing::HasSubstr;

/// `count` keys whose octets tell them apart; names differ.
std::string key_octets(int count, char first = 1)
{
    std::string octets;
    for (int i = 0; i < count; ++i) octets += std::string(kTicketKeySize, static_cast<char>(first + i));
    return octets;
}

std::string parse_error(const std::string& octets)
{
    const auto keys = parse_ticket_keys(base::as_bytes(octets));
    return keys ? "no error" : keys.error().message;
}

TEST(TicketKeyFile, ReadsNameMacAndCipherInThisOrder)
{
    const std::string octets = std::string(16, 'n') + std::string(32, 'm') + std::string(32, 'c');
    const auto keys = parse_ticket_keys(base::as_bytes(octets));
    ASSERT_TRUE(keys);
    ASSERT_EQ(keys->size(), 1U);
    EXPECT_EQ((*keys)[0].name[15], 'n');
    EXPECT_EQ((*keys)[0].mac[31], 'm');
    EXPECT_EQ((*keys)[0].cipher[31], 'c');
}

TEST(TicketKeyFile, UsesTheFirstFourKeys)
{
    const auto keys = parse_ticket_keys(base::as_bytes(key_octets(7)));
    ASSERT_TRUE(keys);
    ASSERT_EQ(keys->size(), kMaxTicketKeys);
    EXPECT_EQ(keys->back().name[0], 4);
}

TEST(TicketKeyFile, SaysWhatIsWrong)
{
    EXPECT_EQ(parse_error(""), "empty, expected session ticket keys of 80 octets each, newest first");
    EXPECT_EQ(parse_error(key_octets(1) + "x"),
              "81 octets, expected session ticket keys of 80 octets each, newest first");
    EXPECT_EQ(parse_error(key_octets(1) + std::string(80, '\0')), "key 2 is all zeros");
    EXPECT_EQ(parse_error(key_octets(2) + key_octets(1)), "keys 1 and 3 have the same name (their first 16 octets)");
}

TEST(TicketKeys, RotateWhenDueAndKeepThePreviousOnce)
{
    base::ManualClock clock;
    const auto keys = own_tickets(clock.now());
    const auto first = keys->current();
    ASSERT_EQ(first->all().size(), 1U);

    clock.advance(keys->rotate_every() - std::chrono::seconds{1});
    ASSERT_TRUE(keys->tick(clock.now()));
    EXPECT_EQ(keys->current(), first);

    clock.advance(std::chrono::seconds{1});
    ASSERT_TRUE(keys->tick(clock.now()));
    const auto second = keys->current();
    ASSERT_EQ(second->all().size(), 2U);
    EXPECT_FALSE(second->newest() == first->newest());
    EXPECT_NE(second->find(first->newest().name), nullptr);
    EXPECT_FALSE(std::ranges::equal(first->quic_master(), second->quic_master()));

    clock.advance(keys->rotate_every());
    ASSERT_TRUE(keys->tick(clock.now()));
    EXPECT_EQ(keys->current()->all().size(), 2U);
    EXPECT_EQ(keys->current()->find(first->newest().name), nullptr);
}

TEST(TicketKeys, ForgetThePreviousKeyAfterALongSleep)
{
    base::ManualClock clock;
    const auto keys = own_tickets(clock.now());
    clock.advance(3 * keys->rotate_every());
    ASSERT_TRUE(keys->tick(clock.now()));
    EXPECT_EQ(keys->current()->all().size(), 1U);
}

TEST(TicketKeys, RefuseARotationOutOfRange)
{
    for (const auto every : {std::chrono::seconds{59}, std::chrono::seconds{12 * 3600 + 1}}) {
        const auto keys = TicketKeys::make({"", every}, {});
        ASSERT_FALSE(keys);
        EXPECT_THAT(keys.error().message, HasSubstr("expected 60 s to 12 h"));
    }
}

TEST(TicketKeys, OfAFileAreTheSameOnTwoGateways)
{
    const Directory directory;
    const TicketOptions options{directory.write("tickets", key_octets(2))};
    const auto one = TicketKeys::make(options, {});
    const auto two = TicketKeys::make(options, {});
    ASSERT_TRUE(one && two);
    EXPECT_EQ((*one)->current()->newest(), (*two)->current()->newest());
    EXPECT_TRUE(std::ranges::equal((*one)->current()->quic_master(), (*two)->current()->quic_master()));
}

TEST(TicketKeys, ReadTheirFileAgainWhenItChangedAndKeepTheOldOnAnError)
{
    const Directory directory;
    const std::string file = directory.write("tickets", key_octets(1, 1));
    const auto keys = *TicketKeys::make({file}, {});
    const auto before = keys->current();
    ASSERT_TRUE(keys->tick({}));
    EXPECT_EQ(keys->current(), before);

    directory.write("tickets", key_octets(1, 1) + "short");
    const auto broken = keys->tick({});
    ASSERT_FALSE(broken);
    EXPECT_THAT(broken.error().message, HasSubstr(file + ": 85 octets"));
    EXPECT_EQ(keys->current(), before);
    EXPECT_TRUE(keys->tick({})) << "told once";

    directory.write("tickets", key_octets(2, 7));
    ASSERT_TRUE(keys->tick({}));
    EXPECT_EQ(keys->current()->newest().name[0], 7);
    EXPECT_EQ(keys->current()->all().size(), 2U);

    std::filesystem::remove(file);
    const auto gone = keys->tick({});
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, base::ErrorCode::not_found);
    EXPECT_EQ(keys->current()->newest().name[0], 7);
}

TEST(TicketKeys, RefuseAFileThatOthersCanReadOrTheGroupCanWrite)
{
    const Directory directory;
    for (const mode_t mode : {0644U, 0620U, 0602U}) {
        const auto keys = TicketKeys::make({directory.write("tickets", key_octets(1), mode)}, {});
        ASSERT_FALSE(keys) << mode;
        EXPECT_THAT(keys.error().message, HasSubstr("expected 0600 or 0640"));
    }
    EXPECT_TRUE(TicketKeys::make({directory.write("tickets", key_octets(1), 0640)}, {}));
}

TEST(TicketKeys, RefuseAFileThatIsTooLarge)
{
    const Directory directory;
    const auto keys = TicketKeys::make({directory.write("tickets", std::string(kMaxTicketFile + 80, 'x'))}, {});
    ASSERT_FALSE(keys);
    EXPECT_EQ(keys.error().code, base::ErrorCode::limit);
}

TEST(ReplayStore, TakesEachKeyOnceUntilItExpires)
{
    ReplayStore store;
    const auto key = base::as_bytes("handshake");
    EXPECT_EQ(store.add(key, 100, 110), ReplayStore::Outcome::fresh);
    EXPECT_EQ(store.add(key, 110, 120), ReplayStore::Outcome::seen);
    EXPECT_EQ(store.add(key, 111, 121), ReplayStore::Outcome::fresh);
    EXPECT_EQ(store.stats().replays_refused.get(), 1U);
}

TEST(ReplayStore, RefusesWhatItCannotRememberAndRecovers)
{
    ReplayStore store{2};
    EXPECT_EQ(store.add(base::as_bytes("a"), 0, 10), ReplayStore::Outcome::fresh);
    EXPECT_EQ(store.add(base::as_bytes("b"), 0, 10), ReplayStore::Outcome::fresh);
    EXPECT_EQ(store.add(base::as_bytes("c"), 0, 10), ReplayStore::Outcome::full);
    EXPECT_EQ(store.stats().full.get(), 1U);
    EXPECT_EQ(store.size(), 2U);
    EXPECT_EQ(store.add(base::as_bytes("c"), 11, 21), ReplayStore::Outcome::fresh);
    EXPECT_EQ(store.size(), 1U);
    EXPECT_EQ(store.add(base::as_bytes(std::string(ReplayStore::kMaxKey + 1, 'x')), 11, 21),
              ReplayStore::Outcome::full);
}

} // namespace
} // namespace sallyport::certs::test
