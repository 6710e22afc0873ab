#include "support.hpp"

#include <algorithm>
#include <random>

namespace sallyport::cache {
namespace {

using namespace testing;
using wire::Rcode;
using wire::RrType;

constexpr std::string_view kSoa = "ns.example. admin.example. 1 7200 3600 1209600 600";

TEST(Cache, GivesWhatWasKeptWithAgedTtls)
{
    Cache cache{small_options()};
    EXPECT_FALSE(Client{}.ask(cache, "www.example", kStart).found);
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 300));
    const Reply reply = Client{}.ask(cache, "www.example", kStart + 100s);
    ASSERT_EQ(reply.found.kind, Found::Kind::fresh);
    EXPECT_EQ(reply.lines(), std::vector<std::string>{"www.example. 200 A 192.0.2.1"});
    EXPECT_EQ(reply.smallest_ttl, 200U);
    EXPECT_EQ(reply.found.age, 100s);
    EXPECT_EQ(reply.found.rcode, Rcode::NOERROR);
    EXPECT_FALSE(reply.has(wire::flag::AD));
    EXPECT_FALSE(reply.has(wire::flag::TC));
    EXPECT_EQ(reply.view().id(), 0x1234);
}

TEST(Cache, SpellsTheNameAsTheClientDid)
{
    Cache cache{small_options()};
    Response response{"www.example"};
    response.answer("www.example", RrType::CNAME, 300, "a.www.example.")
        .answer("a.www.example", RrType::A, 300, "192.0.2.1");
    ASSERT_TRUE(keep(cache, response, kStart));
    const Reply reply = Client{}.ask(cache, "wWw.EXAMPLE", kStart);
    ASSERT_TRUE(reply.found);
    const std::vector<std::string> expected{"wWw.EXAMPLE. 300 CNAME a.wWw.EXAMPLE.", "a.wWw.EXAMPLE. 300 A 192.0.2.1"};
    EXPECT_EQ(reply.lines(), expected);
}

TEST(Cache, AnswersUntilTheirTimeAndNotAfter)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 5));
    EXPECT_EQ(Client{}.ask(cache, "www.example", kStart + 4900ms).lines()[0], "www.example. 1 A 192.0.2.1");
    EXPECT_FALSE(Client{}.ask(cache, "www.example", kStart + 5s).found);
    EXPECT_EQ(counters(cache)["expired_total"], 1U);
    EXPECT_EQ(counters(cache)["misses_total"], 1U);
}

TEST(Cache, ForgivesAClockThatIsBehind)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 5));
    const Reply reply = Client{}.ask(cache, "www.example", kStart - 3s); // a worker that woke up earlier
    EXPECT_EQ(reply.lines()[0], "www.example. 5 A 192.0.2.1");
    EXPECT_EQ(reply.found.age, 0s);
}

TEST(Cache, TellsKeysApart)
{
    Cache cache{small_options()};
    const wire::Name qname = name("www.example");
    std::vector<Key> keys;
    for (const std::uint32_t partition : {0U, 1U, 70'000U}) {
        for (const bool dnssec_ok : {false, true}) {
            for (const bool checking_disabled : {false, true}) {
                Key key = key_of(qname);
                key.dnssec_ok = dnssec_ok;
                key.checking_disabled = checking_disabled;
                key.partition = partition;
                keys.push_back(key);
            }
        }
    }
    keys.push_back(key_of(qname, RrType::AAAA));
    for (std::size_t i = 0; i < keys.size(); ++i) {
        Response response{"www.example", keys[i].qtype};
        if (keys[i].qtype == RrType::A) {
            response.answer("www.example", RrType::A, 300, "192.0.2." + std::to_string(i));
        } else {
            response.answer("www.example", RrType::AAAA, 300, "2001:db8::1");
        }
        const Ready made = ready(response.view(), keys[i]);
        ASSERT_TRUE(cache.store(keys[i], *made.prepared, {}, kStart));
    }
    EXPECT_EQ(counters(cache)["entries"], keys.size());
    for (std::size_t i = 0; i + 1 < keys.size(); ++i) {
        const Reply reply = Client{}.ask(cache, qname, keys[i], kStart);
        EXPECT_EQ(reply.lines()[0], "www.example. 300 A 192.0.2." + std::to_string(i));
    }
    EXPECT_EQ(Client{}.ask(cache, qname, keys.back(), kStart).lines()[0], "www.example. 300 AAAA 2001:db8::1");
}

TEST(Cache, KeepsOtherClassesByThemselves)
{
    Cache cache{small_options()};
    const wire::Name qname = name("www.example");
    ASSERT_TRUE(keep_address(cache, "www.example", kStart));
    Key chaos = key_of(qname);
    chaos.qclass = wire::RrClass::CH;
    EXPECT_FALSE(Client{}.ask(cache, qname, chaos, kStart).found);
}

TEST(Cache, ReplacesInPlaceAndElsewhere)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 300, "192.0.2.1"));
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 300, "192.0.2.2"));
    EXPECT_EQ(Client{}.ask(cache, "www.example", kStart).lines()[0], "www.example. 300 A 192.0.2.2");
    Response larger{"www.example"};
    for (int i = 0; i < 50; ++i) larger.answer("www.example", RrType::A, 300, "192.0.2." + std::to_string(i));
    ASSERT_TRUE(keep(cache, larger, kStart));
    EXPECT_EQ(Client{}.ask(cache, "www.example", kStart).lines().size(), 50U);
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 300, "192.0.2.3")); // far smaller: not in the same room
    EXPECT_EQ(Client{}.ask(cache, "www.example", kStart).lines().size(), 1U);
    EXPECT_EQ(counters(cache)["entries"], 1U);
    EXPECT_EQ(counters(cache)["replaced_total"], 3U);
}

TEST(Cache, KeepsNegativeAnswersAndFailures)
{
    Cache cache{small_options()};
    Response none{"no.example", RrType::A, 0, Rcode::NXDOMAIN};
    none.authority("example", RrType::SOA, 3600, kSoa);
    ASSERT_TRUE(keep(cache, none, kStart));
    const Reply reply = Client{}.ask(cache, "no.example", kStart + 500s);
    EXPECT_EQ(reply.view().rcode(), Rcode::NXDOMAIN);
    EXPECT_EQ(reply.smallest_ttl, 100U);
    EXPECT_FALSE(Client{}.ask(cache, "no.example", kStart + 600s).found);

    Response failure{"broken.example", RrType::A, 0, Rcode::SERVFAIL};
    ASSERT_TRUE(keep(cache, failure, kStart));
    EXPECT_EQ(Client{}.ask(cache, "broken.example", kStart + 4s).view().rcode(), Rcode::SERVFAIL);
    EXPECT_FALSE(Client{}.ask(cache, "broken.example", kStart + 5s).found);
}

TEST(Cache, RefusesWhatMayNotBeKept)
{
    Cache cache{small_options()};
    Response bogus{"bogus.example"};
    bogus.answer("bogus.example", RrType::A, 300, "192.0.2.1");
    EXPECT_FALSE(keep(cache, bogus, kStart, {wire::ValidationState::bogus, {}, {}}));
    Response truncated{"www.example", RrType::A, wire::flag::TC};
    truncated.answer("www.example", RrType::A, 300, "192.0.2.1");
    EXPECT_FALSE(keep(cache, truncated, kStart));
    EXPECT_FALSE(keep_address(cache, "zero.example", kStart, 0));
    Response refused{"www.example", RrType::A, 0, Rcode::REFUSED};
    EXPECT_FALSE(keep(cache, refused, kStart));
    EXPECT_EQ(counters(cache)["refused_total"], 4U);
    EXPECT_EQ(counters(cache)["entries"], 0U);
}

TEST(Cache, RefusesWhatIsTooLarge)
{
    Options options = small_options();
    options.max_entry = 500;
    options.max_negative_entry = 100;
    Cache cache{options};
    Response positive{"www.example", RrType::TXT};
    positive.answer("www.example", RrType::TXT, 300, std::string(200, 'x'));
    EXPECT_TRUE(keep(cache, positive, kStart));
    positive.answer("www.example", RrType::TXT, 300, std::string(250, 'y'));
    EXPECT_FALSE(keep(cache, positive, kStart));
    Response negative{"no.example", RrType::A, 0, Rcode::NXDOMAIN};
    negative.authority("example", RrType::SOA, 3600,
                       "a-rather-long-name.example. " + std::string(60, 'x') + ". 1 2 3 4 600");
    EXPECT_FALSE(keep(cache, negative, kStart));
    EXPECT_EQ(counters(cache)["too_large_total"], 2U);
}

TEST(Cache, KeepsTheLargestAnswerThereIs)
{
    Cache cache{small_options()};
    Response response{"www.example", RrType::TXT};
    for (int i = 0; i < 240; ++i)
        response.answer("www.example", RrType::TXT, 300, std::string(250, 'x') + std::to_string(i));
    ASSERT_GT(response.writer().message().size(), 63'000U);
    ASSERT_TRUE(keep(cache, response, kStart));
    EXPECT_EQ(Client{}.ask(cache, "www.example", kStart, RrType::TXT).lines().size(), 240U);
}

TEST(Cache, DropsAdditionalDataBeforeItTruncates)
{
    Cache cache{small_options()};
    Response response{"example", RrType::MX};
    response.answer("example", RrType::MX, 300, "10 mx.example.").additional("mx.example", RrType::A, 20, "192.0.2.1");
    ASSERT_TRUE(keep(cache, response, kStart));
    const Reply whole = Client{}.ask(cache, "example", kStart, RrType::MX);
    EXPECT_EQ(whole.lines().size(), 2U);
    Client client;
    client.limit = whole.message.size() - 1;
    const Reply without = client.ask(cache, "example", kStart, RrType::MX);
    EXPECT_EQ(without.lines(), std::vector<std::string>{"example. 300 MX 10 mx.example."});
    EXPECT_FALSE(without.has(wire::flag::TC));
    EXPECT_EQ(without.smallest_ttl, 300U);
    client.limit = without.message.size() - 1;
    const Reply truncated = client.ask(cache, "example", kStart, RrType::MX);
    EXPECT_TRUE(truncated.found);
    EXPECT_TRUE(truncated.has(wire::flag::TC));
    EXPECT_TRUE(truncated.lines().empty());
    EXPECT_EQ(counters(cache)["truncated_total"], 1U);
}

TEST(Cache, RemembersNotesAndAuthenticData)
{
    Cache cache{small_options()};
    Response response{"www.example", RrType::A, wire::flag::AD};
    response.answer("www.example", RrType::A, 300, "192.0.2.1");
    const std::string text(120, 'e');
    ASSERT_TRUE(
        keep(cache, response, kStart, {wire::ValidationState::secure, wire::ExtendedError::stale_answer, text}));
    const Reply reply = Client{}.ask(cache, "www.example", kStart);
    EXPECT_TRUE(reply.has(wire::flag::AD));
    EXPECT_EQ(reply.found.validation, wire::ValidationState::secure);
    EXPECT_EQ(reply.found.ede, wire::ExtendedError::stale_answer);
    EXPECT_EQ(std::string(reply.found.ede_text.data(), reply.found.ede_text_size), text.substr(0, 96));
    EXPECT_EQ(reply.lines().size(), 1U);
}

TEST(Cache, CutsTextsAtWholeCharacters)
{
    Cache cache{small_options()};
    Response response{"www.example"};
    response.answer("www.example", RrType::A, 300, "192.0.2.1");
    const std::string text = std::string(95, 'x') + "\u00e9\u00e9";
    ASSERT_TRUE(keep(cache, response, kStart, {wire::ValidationState::insecure, wire::ExtendedError::other, text}));
    EXPECT_EQ(Client{}.ask(cache, "www.example", kStart).found.ede_text_size, 95);
}

TEST(Cache, LeavesTheAnswerAloneOnAMiss)
{
    Cache cache{small_options()};
    const Reply reply = Client{}.ask(cache, "www.example", kStart);
    EXPECT_EQ(reply.message.size(), wire::kHeaderSize + 13 + 4);
    EXPECT_EQ(reply.view().header().flags, wire::flag::QR | wire::flag::RD);
}

TEST(Cache, GivesStaleAnswersOnlyWhereAllowed)
{
    Options options = small_options();
    options.serve_stale = true;
    options.stale_for = 100s;
    Cache cache{options};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 10));
    Response failure{"broken.example", RrType::A, 0, Rcode::SERVFAIL};
    ASSERT_TRUE(keep(cache, failure, kStart));
    Client stale;
    stale.stale = Stale::allowed;
    EXPECT_FALSE(Client{}.ask(cache, "www.example", kStart + 20s).found);
    const Reply reply = stale.ask(cache, "www.example", kStart + 20s);
    EXPECT_EQ(reply.found.kind, Found::Kind::stale);
    EXPECT_EQ(reply.lines()[0], "www.example. 30 A 192.0.2.1");
    EXPECT_EQ(reply.smallest_ttl, 30U);
    EXPECT_TRUE(reply.found.prefetch);
    EXPECT_FALSE(stale.ask(cache, "www.example", kStart + 21s).found.prefetch); // someone asks already
    EXPECT_TRUE(stale.ask(cache, "www.example", kStart + 50s).found.prefetch);
    EXPECT_TRUE(stale.ask(cache, "www.example", kStart + 109s).found);
    EXPECT_FALSE(stale.ask(cache, "www.example", kStart + 110s).found);
    EXPECT_FALSE(stale.ask(cache, "broken.example", kStart + 20s).found);
    // Within its time a failure is told, but not to who has one already and would take anything better.
    EXPECT_TRUE(Client{}.ask(cache, "broken.example", kStart + 1s).found);
    EXPECT_FALSE(stale.ask(cache, "broken.example", kStart + 1s).found);
    EXPECT_EQ(counters(cache)["stale_hits_total"], 4U);

    options.serve_stale = false;
    cache.reconfigure(options);
    EXPECT_FALSE(stale.ask(cache, "www.example", kStart + 20s).found);
}

TEST(Cache, StaleAnswersAreNotCalledAuthentic)
{
    Options options = small_options();
    options.serve_stale = true;
    Cache cache{options};
    Response response{"www.example", RrType::A, wire::flag::AD};
    response.answer("www.example", RrType::A, 10, "192.0.2.1");
    ASSERT_TRUE(keep(cache, response, kStart, {wire::ValidationState::secure, {}, {}}));
    Client stale;
    stale.stale = Stale::allowed;
    EXPECT_TRUE(stale.ask(cache, "www.example", kStart + 9s).has(wire::flag::AD));
    EXPECT_FALSE(stale.ask(cache, "www.example", kStart + 11s).has(wire::flag::AD));
}

TEST(Cache, FailureTakesNothingAwayThatMayStillBeGiven)
{
    Options options = small_options();
    options.serve_stale = true;
    Cache cache{options};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 10));
    Response failure{"www.example", RrType::A, 0, Rcode::SERVFAIL};
    EXPECT_FALSE(keep(cache, failure, kStart + 5s));
    EXPECT_FALSE(keep(cache, failure, kStart + 50s));
    Client stale;
    stale.stale = Stale::allowed;
    EXPECT_EQ(stale.ask(cache, "www.example", kStart + 50s).found.rcode, Rcode::NOERROR);
    EXPECT_TRUE(keep(cache, failure, kStart + 10s + options.stale_for)); // nothing of use is left
}

TEST(Cache, TellsExactlyOneCallerToPrefetch)
{
    Options options = small_options();
    options.prefetch = true;
    Cache cache{options};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 1000));
    EXPECT_FALSE(Client{}.ask(cache, "www.example", kStart + 899s).found.prefetch);
    EXPECT_TRUE(Client{}.ask(cache, "www.example", kStart + 900s).found.prefetch);
    EXPECT_FALSE(Client{}.ask(cache, "www.example", kStart + 900s).found.prefetch);
    EXPECT_TRUE(Client{}.ask(cache, "www.example", kStart + 940s).found.prefetch); // the one before came to nothing
    EXPECT_EQ(counters(cache)["prefetches_total"], 2U);
    options.prefetch = false;
    cache.reconfigure(options);
    EXPECT_FALSE(Client{}.ask(cache, "www.example", kStart + 990s).found.prefetch);
}

TEST(Cache, CountsHitsByAge)
{
    Cache cache{small_options()};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart, 86'400));
    for (const auto age : {0s, 1s, 2s, 3s, 4s, 86'399s})
        EXPECT_TRUE(Client{}.ask(cache, "www.example", kStart + age).found);
    std::vector<std::pair<double, std::uint64_t>> ages;
    cache.each_hit_age([&](double upper, std::uint64_t count) { ages.emplace_back(upper, count); });
    ASSERT_EQ(ages.size(), 21U);
    EXPECT_EQ(ages[0], (std::pair{1.0, std::uint64_t{1}}));
    EXPECT_EQ(ages[1], (std::pair{2.0, std::uint64_t{1}}));
    EXPECT_EQ(ages[2], (std::pair{4.0, std::uint64_t{2}}));
    EXPECT_EQ(ages[3], (std::pair{8.0, std::uint64_t{1}}));
    EXPECT_EQ(ages[17], (std::pair{131'072.0, std::uint64_t{1}}));
    EXPECT_EQ(counters(cache)["hits_total"], 6U);
}

TEST(Cache, HoldsNothingWhenSwitchedOff)
{
    Options options = small_options();
    Cache cache{options};
    ASSERT_TRUE(keep_address(cache, "www.example", kStart));
    options.enabled = false;
    cache.reconfigure(options);
    EXPECT_FALSE(keep_address(cache, "b.example", kStart));
    EXPECT_FALSE(Client{}.ask(cache, "www.example", kStart).found);
    EXPECT_EQ(counters(cache)["entries"], 0U);
}

/// Whatever an answer has in it: after any time it is given whole, each TTL less by that time, or not at all.
TEST(Cache, AgesAnyAnswerAsItShould)
{
    std::mt19937 random{11}; // NOLINT(cert-msc32-c,cert-msc51-cpp): the same test every time
    const auto below = [&](std::uint64_t most) { return static_cast<std::uint32_t>(random() % most); };
    Cache cache{small_options()};
    for (int round = 0; round < 2000; ++round) {
        const std::string qname = "n" + std::to_string(below(50)) + ".example";
        Response response{qname};
        std::vector<std::uint32_t> ttls;
        const std::uint32_t records = 1 + below(20);
        for (std::uint32_t i = 0; i < records; ++i) {
            ttls.push_back(below(4) == 0 ? below(100'000) : below(300));
            response.answer(qname, RrType::A, ttls.back(), "192.0.2." + std::to_string(i));
        }
        if (below(2) == 0) {
            ttls.push_back(below(300));
            response.authority("example", RrType::NS, ttls.back(), "ns." + qname + '.');
        }
        for (std::uint32_t& ttl : ttls) ttl = std::min(ttl, 86'400U);
        const std::uint32_t life = *std::min_element(ttls.begin(), ttls.end());
        ASSERT_EQ(keep(cache, response, kStart), life > 0);
        if (life == 0) {
            cache.flush_name(name(qname));
            continue;
        }
        const std::uint32_t age = below(400);
        const Reply reply = Client{}.ask(cache, qname, kStart + std::chrono::seconds{age});
        ASSERT_EQ(static_cast<bool>(reply.found), age < life);
        if (!reply.found) continue;
        std::size_t i = 0;
        for (const wire::RecordView& record : reply.view().records())
            ASSERT_EQ(record.ttl.seconds(), ttls.at(i++) - age);
        ASSERT_EQ(i, ttls.size());
        ASSERT_EQ(reply.smallest_ttl, life - age);
    }
}

} // namespace
} // namespace sallyport::cache
