#include "admin/query_log.hpp"
#include "wire/name.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace sallyport::admin {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

struct QueryLogTest : testing::Test {
    QueryLogTest()
    {
        std::string pattern = fs::temp_directory_path() / "sallyport-query-log-XXXXXX";
        folder = ::mkdtemp(pattern.data());
    }
    ~QueryLogTest() override { fs::remove_all(folder); }

    QueryLogOptions to_file(const std::string& name)
    {
        QueryLogOptions options;
        LogOutput output;
        output.path = folder / name;
        output.rotate_size = 0;
        output.rotate_every = 0s;
        options.outputs.push_back(output);
        options.ring = 64;
        return options;
    }
    void adopt(const QueryLogOptions& options)
    {
        base::Problems problems;
        auto prepared = log.prepare(options, problems);
        ASSERT_TRUE(prepared) << problems.front().to_string();
        log.adopt(std::move(prepared));
    }
    std::map<std::string, std::uint64_t> counters()
    {
        std::map<std::string, std::uint64_t> sums;
        log.each_counter(
            [&](const char* name, const char*, const base::Counter& counter) { sums[name] += counter.get(); });
        return sums;
    }
    /// The worker's thread: tells of so many queries.
    static void tell(pipeline::Observer& observer, unsigned worker, std::uint64_t count)
    {
        pipeline::Query query;
        query.qname = *wire::Name::from_text("gate.test");
        query.qtype = wire::RrType::A;
        const std::vector<std::uint8_t> answer(40, 0);
        for (std::uint64_t i = 0; i < count; ++i) {
            query.id = (std::uint64_t{worker} << 48U) + i;
            observer.ended(query, answer, wire::Rcode::NOERROR, 1us);
            if (i % 16 == 0) std::this_thread::sleep_for(100us);
        }
    }

    fs::path folder;
    base::SystemClock clock;
    QueryLog log{2, clock};
};

TEST_F(QueryLogTest, IsOffUntilAskedFor)
{
    EXPECT_EQ(log.observer(0), nullptr);
    log.start();
    adopt(to_file("a"));
    EXPECT_NE(log.observer(0), nullptr);
    EXPECT_EQ(log.observer(2), nullptr) << "no such worker";
    adopt({});
    EXPECT_EQ(log.observer(0), nullptr);
}

TEST_F(QueryLogTest, EveryEventIsALineOrCounted)
{
    base::Problems problems;
    ASSERT_TRUE(log.open(to_file("a"), problems));
    log.start();
    std::thread first{[observer = log.observer(0)] { tell(*observer, 0, 5000); }};
    std::thread second{[observer = log.observer(1)] { tell(*observer, 1, 5000); }};
    // Meanwhile outputs come and go.
    for (int i = 0; i < 20; ++i) {
        std::this_thread::sleep_for(2ms);
        adopt(to_file(i % 2 == 0 ? "b" : "a"));
        log.reopen();
    }
    first.join();
    second.join();
    log.close();

    std::set<std::string> lines;
    std::size_t count = 0;
    for (const char* name : {"a", "b"}) {
        std::ifstream file{folder / name};
        for (std::string line; std::getline(file, line); ++count) {
            EXPECT_TRUE(line.starts_with("{\"timestamp\":\"20") && line.ends_with("\"rule\":null}")) << line;
            lines.insert(line.substr(line.find("request_id"), 32));
        }
    }
    const auto sums = counters();
    EXPECT_EQ(sums.at("query_log_events_total") + sums.at("query_log_dropped_total"), 10'000U);
    EXPECT_EQ(count, sums.at("query_log_events_total"));
    EXPECT_EQ(lines.size(), count) << "no line twice";
    EXPECT_EQ(sums.at("query_log_lines_total{output=\"file\"}"), count);
}

TEST_F(QueryLogTest, WhatCanNotBeOpenedChangesNothing)
{
    base::Problems problems;
    ASSERT_TRUE(log.open(to_file("a"), problems));
    log.start();
    EXPECT_FALSE(log.prepare(to_file("nowhere/b"), problems));
    EXPECT_EQ(problems.size(), 1U);
    tell(*log.observer(0), 0, 10);
    log.close();
    std::ifstream file{folder / "a"};
    std::size_t count = 0;
    for (std::string line; std::getline(file, line);) ++count;
    EXPECT_EQ(count, 10U);
}

} // namespace
} // namespace sallyport::admin
