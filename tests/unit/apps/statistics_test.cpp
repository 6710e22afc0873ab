#include "apps/statistics.hpp"

#include "apps/stats_screen.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <sstream>

namespace sallyport::apps {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string printed(const Statistics& statistics)
{
    std::ostringstream out;
    statistics.print(out);
    return out.str();
}

TEST(Statistics, AddsUpWhatWorkersCount)
{
    base::Counter one, two;
    one.add(3);
    two.add(4);
    Statistics statistics;
    for (const auto* counter : {&one, &two}) statistics.add("x_total", "Things", *counter, labels_of({{"a", "b"}}));
    statistics.add("x_total{a=\"c\"}", "Things", one);
    EXPECT_EQ(printed(statistics), "# HELP sallyport_x_total Things\n# TYPE sallyport_x_total counter\n"
                                   "sallyport_x_total{a=\"b\"} 7\nsallyport_x_total{a=\"c\"} 3\n# end of statistics\n");
    EXPECT_EQ(statistics.total("x_total"), 10U);
}

TEST(Statistics, TellsHistogramsInSeconds)
{
    base::Histogram histogram;
    histogram.record(1us);
    histogram.record(3us);
    histogram.record(1min);
    Statistics statistics;
    statistics.add("t_seconds", "Time", histogram, labels_of({{"door", "udp"}}));
    statistics.add("t_seconds", "Time", histogram, labels_of({{"door", "udp"}}));
    const auto text = printed(statistics);
    EXPECT_THAT(text, HasSubstr("# TYPE sallyport_t_seconds histogram\n"));
    EXPECT_THAT(text, HasSubstr("sallyport_t_seconds_bucket{door=\"udp\",le=\"1e-06\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("sallyport_t_seconds_bucket{door=\"udp\",le=\"4e-06\"} 4\n"));
    EXPECT_THAT(text, HasSubstr("sallyport_t_seconds_bucket{door=\"udp\",le=\"8.388608\"} 4\n"));
    EXPECT_THAT(text, HasSubstr("sallyport_t_seconds_bucket{door=\"udp\",le=\"+Inf\"} 6\n"));
    EXPECT_THAT(text, HasSubstr("sallyport_t_seconds_sum{door=\"udp\"} 120.000008\n"));
    EXPECT_THAT(text, HasSubstr("sallyport_t_seconds_count{door=\"udp\"} 6\n"));
}

TEST(Statistics, LeavesOutASumNobodyKnows)
{
    Statistics statistics;
    const Bucket buckets[] = {{1, 2}, {std::numeric_limits<double>::infinity(), 1}};
    statistics.add_buckets("age_seconds", "Age", buckets, -1);
    const auto text = printed(statistics);
    EXPECT_THAT(text, HasSubstr("sallyport_age_seconds_bucket{le=\"1\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("sallyport_age_seconds_count 3\n"));
    EXPECT_EQ(text.find("_sum"), std::string::npos);
}

TEST(Statistics, EscapesLabels)
{
    EXPECT_EQ(labels_of({}), "");
    EXPECT_EQ(labels_of({{"a", "x\"y\\z\n"}, {"b", ""}}), R"({a="x\"y\\z\n",b=""})");
}

TEST(StatsScreen, ReadsWhatStatisticsTell)
{
    base::Counter counter;
    counter.add(5);
    base::Histogram histogram;
    for (int i = 0; i < 100; ++i) histogram.record(3us);
    Statistics statistics;
    statistics.add("queries_total", "Queries", counter, labels_of({{"transport", "d\"o}t"}}));
    statistics.add("query_duration_seconds", "Time", histogram, labels_of({{"transport", "d\"o}t"}}));
    statistics.add("query_log_dropped_total", "Not logged", counter);
    const auto sample = read_sample(R"({"version":"v","metrics":)" + statistics.to_json() + "}",
                                    R"({"upstreams":[{"group":"g","name":"n\u001b","transport":"dot","open":false,)"
                                    R"("queries":7,"timeouts":1,"failures":2,"rtt_milliseconds":3.5}]})");
    ASSERT_TRUE(sample);
    const auto& door = sample->doors.at("d\"o}t");
    EXPECT_EQ(door.queries, 5);
    EXPECT_EQ(door.latency.size(), base::Histogram::kBuckets);
    EXPECT_NEAR(percentile(door.latency, 0.5), 3e-6, 1e-6);
    ASSERT_EQ(sample->upstreams.size(), 1U);
    EXPECT_EQ(sample->upstreams[0].name, "n?");
    EXPECT_FALSE(sample->upstreams[0].open);
    const auto text = render(*sample, *sample, 1s);
    EXPECT_THAT(text, HasSubstr("d\"o}t"));
    EXPECT_THAT(text, HasSubstr("down"));
    EXPECT_THAT(text, HasSubstr("3.5 ms"));
    EXPECT_THAT(text, HasSubstr("Not logged"));
}

TEST(StatsScreen, RefusesWhatIsNone)
{
    EXPECT_FALSE(read_sample("", "{}"));
    EXPECT_FALSE(read_sample("{}", "{}"));
    EXPECT_FALSE(read_sample(R"({"metrics":[]})", ""));
    EXPECT_TRUE(read_sample(R"({"metrics":[1,{"name":3,"samples":[4,{"buckets":[5,[6]]}]}]})", R"({"upstreams":[1]})"));
}

TEST(StatsScreen, EstimatesPercentilesWithinABucket)
{
    const double infinity = std::numeric_limits<double>::infinity();
    EXPECT_LT(percentile({}, 0.5), 0);
    EXPECT_DOUBLE_EQ(percentile({{1, 10}, {2, 0}, {infinity, 0}}, 0.5), 0.5);
    EXPECT_DOUBLE_EQ(percentile({{1, 5}, {2, 5}, {infinity, 0}}, 0.75), 1.5);
    EXPECT_DOUBLE_EQ(percentile({{1, 0}, {2, 0}, {infinity, 3}}, 0.99), 2);
}

} // namespace
} // namespace sallyport::apps
