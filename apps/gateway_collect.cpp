#include "apps/gateway_parts.hpp"

#include <algorithm>

/// What the gateway tells of itself.
namespace sallyport::apps {
namespace {

// A worker turns over in milliseconds; after so long it is stuck and will not come back by itself.
constexpr auto kSickAfter = std::chrono::seconds{20};

void add(std::vector<UpstreamRow>& rows, std::vector<unsigned>& with_rtt, const resolver::UpstreamReport& report)
{
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const UpstreamRow& row) {
        return row.group == report.group && row.name == report.name;
    });
    const auto index = static_cast<std::size_t>(found - rows.begin());
    if (found == rows.end()) {
        rows.push_back({std::string(report.group), std::string(report.name), std::string(report.transport), false});
        with_rtt.push_back(0);
        for (const base::IpAddress& address : report.addresses) rows.back().addresses.push_back(address.to_string());
    }
    UpstreamRow& row = rows[index];
    row.open = row.open || report.open;
    row.queries += report.queries;
    row.answers += report.answers;
    row.timeouts += report.timeouts;
    row.failures += report.failures;
    row.retries += report.retries;
    row.connections += report.connections;
    row.in_flight += report.in_flight;
    if (report.smoothed_rtt.count() == 0) return;
    ++with_rtt[index];
    row.rtt_milliseconds += std::chrono::duration<double, std::milli>(report.smoothed_rtt).count();
}

} // namespace

void Gateway::Parts::collect_lane(const Lane& lane, Statistics& statistics) const
{
    const auto& stats = lane.pipeline.stats();
    for (std::size_t i = 0; i < base::kTransports; ++i) {
        const std::string labels = labels_of({{"transport", base::to_string(static_cast<base::Transport>(i))}});
        statistics.add("queries_total", "Queries received", stats.queries[i], labels);
        statistics.add("replies_total", "Answers given", stats.replies[i], labels);
        statistics.add("query_duration_seconds", "From the arrival of a query to its answer", stats.latency[i], labels);
    }
    const auto add = [&](const std::string& name, const std::string& help, const base::Counter& counter) {
        statistics.add(name, help, counter);
    };
    stats.each(add);
    lane.pipeline.zone_stats().each(add);
    lane.script_stats.each(add);
    lane.resolver.each_counter(add);
    lane.resolver.each_upstream_counter(
        [&](const char* name, const char* help, const std::string& labels, const base::Counter& counter) {
            statistics.add(name, help, counter, labels);
        });
    lane.resolver.each_upstream_latency([&](const std::string& labels, const base::Histogram& latency) {
        statistics.add("upstream_duration_seconds", "From a query to the upstream to its answer", latency, labels);
    });
    if (lane.doors) lane.doors->each_counter(add);
}

void Gateway::collect(Statistics& statistics) const
{
    const Parts& p = *parts_;
    if (!p.started) return;
    {
        const std::lock_guard lock{p.lanes_lock};
        for (const auto& lane : p.lanes) p.collect_lane(*lane, statistics);
    }
    p.cache.each_counter([&](const char* name, const char* help, std::uint64_t value) {
        statistics.add_value(std::string("cache_") + name, help, static_cast<double>(value));
    });
    p.keeper.each_value(
        [&](const char* name, const char* help, double value) { statistics.add_value(name, help, value); });
    std::vector<Bucket> ages;
    p.cache.each_hit_age([&](double upper, std::uint64_t count) { ages.push_back({upper, count}); });
    statistics.add_buckets("cache_hit_age_seconds", "Age of entries that were given out", ages, -1);
    const auto add = [&](const std::string& name, const std::string& help, const base::Counter& counter) {
        statistics.add(name, help, counter);
    };
    p.rollover.collect(statistics);
    p.root_keeper.collect(statistics);
    p.query_log.each_counter(add);
    p.server->stats().each(add);
    add("reloads_total", "Configurations taken over while running", p.reloads);
    add("reloads_refused_total", "Configurations refused while running", p.reloads_refused);
    statistics.add_value("configuration_loaded_timestamp_seconds", "When the configuration in use was read",
                         static_cast<double>(p.configuration_loaded.load()));
}

std::vector<UpstreamRow> Gateway::upstreams() const
{
    std::vector<UpstreamRow> rows;
    std::vector<unsigned> with_rtt;
    for (unsigned i = 0; i < workers(); ++i)
        (void)on_worker(i, [&](const LaneView& lane) { // one that hangs is left out
            lane.resolver.each_upstream([&](const resolver::UpstreamReport& report) { add(rows, with_rtt, report); });
        });
    for (std::size_t i = 0; i < rows.size(); ++i)
        if (with_rtt[i] > 0) rows[i].rtt_milliseconds /= with_rtt[i];
    return rows;
}

void Gateway::Parts::ask_for_upstreams() { on_every_lane(count_upstreams); }

void Gateway::Parts::count_upstreams(Lane& lane)
{
    std::uint32_t all = 0, open = 0;
    lane.resolver.each_upstream([&](const resolver::UpstreamReport& report) {
        ++all;
        if (report.open) ++open;
    });
    lane.upstreams.store(all, std::memory_order_relaxed);
    lane.upstreams_open.store(open, std::memory_order_relaxed);
}

std::string Gateway::sick() const
{
    const base::Duration silence{parts_->silence.load()};
    if (silence < kSickAfter) return {};
    return "a worker has not turned over for " +
           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(silence).count()) + " s";
}

std::string Gateway::unready() const
{
    const Parts& p = *parts_;
    if (p.stopping) return "ending";
    if (!p.started) return "starting";
    std::uint32_t all = 0, open = 0;
    for (const auto& lane : p.lanes) {
        all += lane->upstreams.load(std::memory_order_relaxed);
        open += lane->upstreams_open.load(std::memory_order_relaxed);
    }
    if (all == 0 || open > 0) return {};
    std::string waiting;
    for (const std::string& host : p.resolutions.addresses().missing())
        waiting += (waiting.empty() ? "the addresses of upstreams are not known yet: " : ", ") + host;
    return waiting.empty() ? "no upstream answers" : waiting;
}

} // namespace sallyport::apps
