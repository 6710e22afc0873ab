#include "support.hpp"

#include <algorithm>
#include <set>

namespace sallyport::cache {
namespace {

using namespace testing;
using wire::RrType;

std::set<std::string> listed(const Cache& cache, std::string_view apex, std::uint64_t limit = 1'000'000)
{
    std::set<std::string> names;
    cache.list(name(apex), limit, kStart, [&](const Listed& entry) {
        EXPECT_EQ(entry.key.qname, &entry.qname);
        names.insert(entry.qname.to_text());
        return true;
    });
    return names;
}

struct Filled {
    Filled() : Filled(Options{}) {}
    explicit Filled(const Options& options) : cache(options)
    {
        for (const auto* qname : {"example", "www.example", "a.b.example", "evil-example", "www.evil-example",
                                  "example.net", "xexample", "."}) {
            EXPECT_TRUE(keep_address(cache, qname, kStart));
        }
    }
    Cache cache;
};

TEST(CacheFlush, TakesANameWithAllItsTypes)
{
    Filled filled;
    Response text{"www.example", RrType::TXT};
    text.answer("www.example", RrType::TXT, 300, "x");
    ASSERT_TRUE(keep(filled.cache, text, kStart));
    EXPECT_EQ(filled.cache.flush_name(name("WWW.Example")), 2U);
    EXPECT_FALSE(Client{}.ask(filled.cache, "www.example", kStart).found);
    EXPECT_TRUE(Client{}.ask(filled.cache, "example", kStart).found);
    EXPECT_EQ(counters(filled.cache)["entries"], 7U);
    EXPECT_EQ(counters(filled.cache)["flushed_total"], 2U);
}

TEST(CacheFlush, SubtreesEndAtLabels)
{
    Filled filled;
    EXPECT_EQ(filled.cache.flush_subtree(name("Example.")), 3U);
    const std::set<std::string> rest{"evil-example.", "www.evil-example.", "example.net.", "xexample.", "."};
    EXPECT_EQ(listed(filled.cache, "."), rest);
    EXPECT_EQ(filled.cache.flush_subtree(name(".")), 5U);
    EXPECT_EQ(counters(filled.cache)["entries"], 0U);
}

TEST(CacheFlush, AllGivesTheMemoryBack)
{
    Options options;
    options.bytes = 8U << 20U;
    options.shards = 2;
    Cache cache{options};
    for (int i = 0; i < 30'000; ++i) ASSERT_TRUE(keep_address(cache, "n" + std::to_string(i) + ".example", kStart));
    const std::uint64_t full = counters(cache)["bytes"];
    EXPECT_EQ(cache.flush_all(), 30'000U);
    EXPECT_EQ(counters(cache)["entries"], 0U);
    EXPECT_LT(counters(cache)["bytes"], full - (1U << 20U));
    EXPECT_FALSE(Client{}.ask(cache, "n1.example", kStart).found);
    for (int i = 0; i < 30'000; ++i) ASSERT_TRUE(keep_address(cache, "n" + std::to_string(i) + ".example", kStart));
    EXPECT_LE(counters(cache)["bytes"], full);
    for (int i = 0; i < 30'000; ++i)
        ASSERT_TRUE(Client{}.ask(cache, "n" + std::to_string(i) + ".example", kStart).found);
}

TEST(CacheFlush, SubtreeOfManyGivesTheMemoryBack)
{
    Options options;
    options.bytes = 8U << 20U;
    options.shards = 1;
    Cache cache{options};
    for (int i = 0; i < 30'000; ++i) ASSERT_TRUE(keep_address(cache, "n" + std::to_string(i) + ".example", kStart));
    ASSERT_TRUE(keep_address(cache, "other.test", kStart));
    const std::uint64_t full = counters(cache)["bytes"];
    EXPECT_EQ(cache.flush_subtree(name("example")), 30'000U);
    EXPECT_LT(counters(cache)["bytes"], full - (1U << 20U));
    EXPECT_TRUE(Client{}.ask(cache, "other.test", kStart).found);
}

TEST(CacheList, ShowsWhatLiesBelowAnApex)
{
    Filled filled;
    EXPECT_EQ(listed(filled.cache, "example"), (std::set<std::string>{"example.", "www.example.", "a.b.example."}));
    EXPECT_EQ(listed(filled.cache, ".").size(), 8U);
    EXPECT_EQ(listed(filled.cache, ".", 3).size(), 3U);
    EXPECT_EQ(listed(filled.cache, ".", 0).size(), 0U);
    unsigned visits = 0;
    filled.cache.list(name("."), 100, kStart, [&](const Listed&) { return ++visits < 2; });
    EXPECT_EQ(visits, 2U);
}

TEST(CacheList, TellsWhatAnEntryIs)
{
    Options options = small_options();
    options.serve_stale = true;
    Cache cache{options};
    const wire::Name qname = name("www.example");
    Key key = key_of(qname);
    key.dnssec_ok = true;
    key.partition = 9;
    Response response{"www.example"};
    response.answer("www.example", RrType::A, 300, "192.0.2.1");
    const Ready made = ready(response.view(), key);
    ASSERT_TRUE(cache.store(key, *made.prepared, {wire::ValidationState::insecure, {}, {}}, kStart));
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(Client{}.ask(cache, qname, key, kStart).found);
    unsigned visits = 0;
    cache.list(qname, 10, kStart + 301s, [&](const Listed& entry) {
        EXPECT_EQ(entry.key.qtype, RrType::A);
        EXPECT_EQ(entry.key.qclass, wire::RrClass::IN);
        EXPECT_TRUE(entry.key.dnssec_ok);
        EXPECT_FALSE(entry.key.checking_disabled);
        EXPECT_EQ(entry.key.partition, 9U);
        EXPECT_EQ(entry.validation, wire::ValidationState::insecure);
        EXPECT_EQ(entry.left, -1s);
        EXPECT_EQ(entry.hits, 3U);
        EXPECT_EQ(entry.octets, made.prepared->message.size());
        ++visits;
        return true;
    });
    EXPECT_EQ(visits, 1U);
}

TEST(CacheLookUp, ShowsEveryTypeWithItsMessage)
{
    Filled filled;
    Response text{"www.example", RrType::TXT};
    text.answer("www.example", RrType::TXT, 300, "x");
    ASSERT_TRUE(keep(filled.cache, text, kStart));
    std::set<RrType> types;
    filled.cache.look_up(name("WWW.example"), kStart + 100s, [&](const Listed& entry, base::Bytes message) {
        types.insert(entry.key.qtype);
        const auto view = wire::MessageView::parse(message);
        ASSERT_TRUE(view);
        EXPECT_EQ(view->qname().to_name(), name("www.example"));
        ASSERT_EQ(view->header().answer_count, 1);
        EXPECT_EQ(view->answers().begin()->ttl.seconds(), 200U);
    });
    EXPECT_EQ(types, (std::set<RrType>{RrType::A, RrType::TXT}));
    EXPECT_EQ(counters(filled.cache)["hits_total"], 0U);
}

std::size_t found_of(Cache& cache, int count)
{
    std::size_t found = 0;
    for (int i = 0; i < count; ++i)
        found += Client{}.ask(cache, "n" + std::to_string(i) + ".example", kStart).found ? 1 : 0;
    return found;
}

TEST(CacheReconfigure, EntriesStayAsFarAsTheyFit)
{
    Options options;
    options.bytes = 8U << 20U;
    options.shards = 4;
    Cache cache{options};
    constexpr int kCount = 40'000;
    for (int i = 0; i < kCount; ++i) ASSERT_TRUE(keep_address(cache, "n" + std::to_string(i) + ".example", kStart));
    EXPECT_EQ(found_of(cache, kCount), static_cast<std::size_t>(kCount));

    options.bytes = 16U << 20U;
    cache.reconfigure(options);
    EXPECT_EQ(found_of(cache, kCount), static_cast<std::size_t>(kCount));
    EXPECT_EQ(cache.options().bytes, options.bytes);

    options.bytes = 3U << 20U;
    cache.reconfigure(options);
    EXPECT_LE(counters(cache)["bytes"], options.bytes);
    const std::size_t after = found_of(cache, kCount);
    EXPECT_GT(after, 20'000U);
    EXPECT_EQ(after, counters(cache)["entries"]);

    options.bytes = 1U << 20U; // two shards have room
    cache.reconfigure(options);
    EXPECT_LE(counters(cache)["bytes"], options.bytes);
    EXPECT_EQ(found_of(cache, kCount), counters(cache)["entries"]);
    for (int i = 0; i < kCount; ++i) ASSERT_TRUE(keep_address(cache, "n" + std::to_string(i) + ".example", kStart));
    EXPECT_LE(counters(cache)["bytes"], options.bytes);

    options.bytes = 16U << 20U;
    cache.reconfigure(options);
    const std::size_t stayed = found_of(cache, kCount);
    EXPECT_EQ(stayed, counters(cache)["entries"]);
    EXPECT_GT(stayed, 1000U);
    for (int i = 0; i < kCount; ++i) ASSERT_TRUE(keep_address(cache, "n" + std::to_string(i) + ".example", kStart));
    EXPECT_EQ(found_of(cache, kCount), static_cast<std::size_t>(kCount));
    EXPECT_EQ(counters(cache)["entries"], static_cast<std::size_t>(kCount));
}

} // namespace
} // namespace sallyport::cache
