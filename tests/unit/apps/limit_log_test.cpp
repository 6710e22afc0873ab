#include "apps/limit_log.hpp"

#include "admin/admin.hpp"
#include "certs/certs.hpp"
#include "listeners/do53_udp.hpp"
#include "listeners/http_stats.hpp"
#include "listeners/stream_stats.hpp"
#include "lua/lua.hpp"
#include "pipeline/pipeline.hpp"
#include "resolver/resolver_stats.hpp"
#ifdef SALLYPORT_HAS_QUIC
#include "listeners/quic/stats.hpp"
#endif

#include <gtest/gtest.h>

#include <set>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;

constexpr base::Instant kStart{std::chrono::hours{1}};

Statistics counted(const std::string& name, std::uint64_t value)
{
    base::Counter counter;
    counter.set(value);
    Statistics statistics;
    statistics.add(name, "What it means", counter);
    return statistics;
}

TEST(LimitLog, SaysOnceAMinuteWhatWasCountedSince)
{
    LimitLog log;
    EXPECT_TRUE(log.look(counted("denied_total", 0), kStart).empty());
    EXPECT_FALSE(log.due(kStart + 59s));
    EXPECT_TRUE(log.look(counted("denied_total", 5), kStart + 59s).empty());
    const auto lines = log.look(counted("denied_total", 7), kStart + 60s);
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_EQ(lines[0], "What it means: 7 in the last minute (denied_total)");
    EXPECT_TRUE(log.look(counted("denied_total", 7), kStart + 120s).empty()) << "nothing new, nothing said";
}

TEST(LimitLog, OrdinaryLifeIsNotTold)
{
    LimitLog log;
    EXPECT_TRUE(log.look(counted("zones_answered_total", 1'000'000), kStart).empty());
}

TEST(LimitLog, EveryNameItTellsIsCountedSomewhere)
{
    std::set<std::string> counted_names;
    const auto note = [&](const auto& name, const auto&, const auto&) { counted_names.insert(std::string(name)); };
    pipeline::Stats{}.each(note);
    zones::Stats{}.each(note);
    lua::Stats{}.each(note);
    resolver::ResolverStats{}.each(note);
    admin::ServerStats{}.each(note);
    for (const auto* name : {"query_log_dropped_total", "query_log_lost_total", "query_log_errors_total"})
        counted_names.insert(name); // of observers and outputs, which there are none of here
    certs::Stats{}.each(note);
    listeners::UdpStats{}.each(note);
    listeners::StreamStats{}.each(note);
    listeners::HttpStats{}.each(note);
#ifdef SALLYPORT_HAS_QUIC
    listeners::quic::QuicStats{}.each(note);
#endif
    for (const auto name : LimitLog::names()) {
#ifndef SALLYPORT_HAS_QUIC
        if (name.starts_with("quic_") || name.starts_with("doq_") || name.starts_with("h3_")) continue;
#endif
        EXPECT_TRUE(counted_names.contains(std::string(name))) << name;
    }
}

TEST(Statistics, AddsWorkersUpAndKeepsLabelsApart)
{
    base::Counter counter;
    counter.set(2);
    Statistics statistics;
    statistics.add("queries_total", "Queries", counter, "{transport=\"udp\"}");
    statistics.add("queries_total", "Queries", counter, "{transport=\"udp\"}");
    statistics.add("queries_total", "Queries", counter, "{transport=\"dot\"}");
    EXPECT_EQ(statistics.total("queries_total"), 6U);
    std::ostringstream out;
    statistics.print(out);
    EXPECT_NE(out.str().find("sallyport_queries_total{transport=\"udp\"} 4\n"), std::string::npos);
    EXPECT_NE(out.str().find("# TYPE sallyport_queries_total counter\n"), std::string::npos);
}

} // namespace
} // namespace sallyport::apps
