#include "apps/stats_screen.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

namespace sallyport::apps {
namespace {

namespace json = boost::json;

constexpr std::string_view kPrefix = "sallyport_";
/// What an operator may have to act on; told when it is not 0.
constexpr std::array kLost{"query_log_dropped_total",
                           "query_log_lost_total",
                           "in_flight_full_total",
                           "resolver_in_flight_full_total",
                           "rate_limited_total",
                           "errors_unanswered_total",
                           "denied_total",
                           "malformed_total",
                           "udp_send_dropped_total",
                           "stream_refused_full_total",
                           "quic_refused_connections_total",
                           "script_errors_total",
                           "abandoned_total"};

const json::value* find(const json::value& object, std::string_view key)
{
    return object.is_object() ? object.get_object().if_contains({key.data(), key.size()}) : nullptr;
}

double number(const json::value& object, std::string_view key)
{
    const auto* const value = find(object, key);
    return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

/// Without what a terminal would act on.
std::string text(const json::value& object, std::string_view key)
{
    const auto* const value = find(object, key);
    if (value == nullptr || !value->is_string()) return {};
    std::string plain{std::string_view{value->get_string()}};
    std::replace_if(
        plain.begin(), plain.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
    return plain;
}

const json::array& list(const json::value& object, std::string_view key)
{
    static const json::array kNone;
    const auto* const value = find(object, key);
    return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

std::vector<Bucket> buckets_of(const json::value& sample)
{
    std::vector<Bucket> buckets;
    for (const auto& pair : list(sample, "buckets")) {
        if (!pair.is_array() || pair.get_array().size() != 2 || !pair.get_array()[1].is_number()) continue;
        const auto& upper = pair.get_array()[0];
        buckets.push_back({upper.is_number() ? upper.to_number<double>() : std::numeric_limits<double>::infinity(),
                           pair.get_array()[1].to_number<std::uint64_t>()});
    }
    return buckets;
}

void take_metric(StatsSample& sample, const json::value& metric)
{
    std::string name = text(metric, "name");
    if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
    sample.help[name] = text(metric, "help");
    for (const auto& one : list(metric, "samples")) {
        const auto* const labels = find(one, "labels");
        const std::string transport = labels == nullptr ? std::string{} : text(*labels, "transport");
        if (name == "query_duration_seconds") sample.doors[transport].latency = buckets_of(one);
        if (find(one, "value") == nullptr) continue;
        if (name == "queries_total") sample.doors[transport].queries = number(one, "value");
        if (name == "replies_total") sample.doors[transport].replies = number(one, "value");
        sample.values[name] += number(one, "value");
    }
}

StatsSample::Upstream upstream_of(const json::value& row)
{
    const auto* const open = find(row, "open");
    StatsSample::Upstream upstream;
    upstream.group = text(row, "group");
    upstream.name = text(row, "name");
    upstream.transport = text(row, "transport");
    upstream.open = open == nullptr || !open->is_bool() || open->get_bool();
    upstream.queries = number(row, "queries");
    upstream.timeouts = number(row, "timeouts");
    upstream.failures = number(row, "failures");
    upstream.rtt_milliseconds = number(row, "rtt_milliseconds");
    return upstream;
}

/// Arguments of printf; the format is always a literal of ours.
template <class... Arguments>
void print(std::string& out, const char* format, Arguments... arguments)
{
    std::array<char, 512> room{};
    const int size = std::snprintf(room.data(), room.size(), format, arguments...);
    out.append(room.data(), static_cast<std::size_t>(std::clamp(size, 0, static_cast<int>(room.size()) - 1)));
}

std::string duration(double seconds)
{
    std::string out;
    if (seconds < 0)
        out = "-";
    else if (seconds < 0.001)
        print(out, "%.0f us", seconds * 1e6);
    else if (seconds < 1)
        print(out, "%.1f ms", seconds * 1e3);
    else
        print(out, "%.1f s", seconds);
    return out;
}

std::string octets(double count)
{
    std::string out;
    constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
    std::size_t unit = 0;
    for (; count >= 1024 && unit + 1 < kUnits.size(); ++unit) count /= 1024;
    print(out, unit == 0 ? "%.0f %s" : "%.1f %s", count, kUnits[unit]);
    return out;
}

std::vector<Bucket> difference(const std::vector<Bucket>& before, std::vector<Bucket> now)
{
    for (std::size_t i = 0; i < now.size() && i < before.size(); ++i)
        now[i].count -= std::min(now[i].count, before[i].count);
    return now;
}

double value_of(const StatsSample& sample, const std::string& name)
{
    const auto found = sample.values.find(name);
    return found == sample.values.end() ? 0 : found->second;
}

void print_doors(std::string& out, const StatsSample& before, const StatsSample& now, double seconds)
{
    print(out, "%-8s %12s %14s %14s %10s %10s %10s\n", "door", "queries/s", "queries", "answers", "p50", "p90", "p99");
    for (const auto& [name, door] : now.doors) {
        if (door.queries == 0) continue;
        const auto earlier = before.doors.find(name);
        const bool known = earlier != before.doors.end();
        const double asked = door.queries - (known ? earlier->second.queries : 0);
        // Between the samples where something was asked; else since the start.
        const auto latency = asked > 0 && known ? difference(earlier->second.latency, door.latency) : door.latency;
        print(out, "%-8s %12.1f %14.0f %14.0f %10s %10s %10s\n", name.c_str(), asked / seconds, door.queries,
              door.replies, duration(percentile(latency, 0.5)).c_str(), duration(percentile(latency, 0.9)).c_str(),
              duration(percentile(latency, 0.99)).c_str());
    }
}

void print_cache(std::string& out, const StatsSample& before, const StatsSample& now)
{
    const auto ratio = [](double hits, double misses) { return hits + misses > 0 ? 100 * hits / (hits + misses) : 0; };
    const double hits = value_of(now, "cache_hits_total"), misses = value_of(now, "cache_misses_total");
    if (hits + misses == 0 && value_of(now, "cache_entries") == 0) return;
    print(out, "\ncache    hits %.1f %% now, %.1f %% since the start; %.0f entries; %s of %s\n",
          ratio(hits - value_of(before, "cache_hits_total"), misses - value_of(before, "cache_misses_total")),
          ratio(hits, misses), value_of(now, "cache_entries"), octets(value_of(now, "cache_bytes")).c_str(),
          octets(value_of(now, "cache_bytes_limit")).c_str());
}

void print_upstreams(std::string& out, const StatsSample& before, const StatsSample& now, double seconds)
{
    if (now.upstreams.empty()) return;
    print(out, "\n%-32s %-12s %-6s %-6s %10s %10s %10s %10s\n", "upstream", "group", "by", "state", "queries/s",
          "timeouts", "failures", "rtt");
    for (const auto& row : now.upstreams) {
        const auto earlier = std::find_if(before.upstreams.begin(), before.upstreams.end(), [&](const auto& other) {
            return other.name == row.name && other.group == row.group;
        });
        const double asked = row.queries - (earlier == before.upstreams.end() ? 0 : earlier->queries);
        print(out, "%-32.32s %-12.12s %-6s %-6s %10.1f %10.0f %10.0f %10s\n", row.name.c_str(), row.group.c_str(),
              row.transport.c_str(), row.open ? "up" : "down", asked / seconds, row.timeouts, row.failures,
              duration(row.rtt_milliseconds > 0 ? row.rtt_milliseconds / 1000 : -1).c_str());
    }
}

void print_lost(std::string& out, const StatsSample& before, const StatsSample& now)
{
    bool first = true;
    for (const char* name : kLost) {
        const double count = value_of(now, name);
        if (count == 0) continue;
        if (first) out += '\n';
        first = false;
        const auto help = now.help.find(name);
        print(out, "%14.0f %+10.0f  %s\n", count, count - value_of(before, name),
              help == now.help.end() ? name : help->second.c_str());
    }
}

} // namespace

base::Result<StatsSample> read_sample(std::string_view stats, std::string_view upstreams)
{
    boost::system::error_code error, upstream_error;
    const auto all = json::parse({stats.data(), stats.size()}, error);
    const auto rows = json::parse({upstreams.data(), upstreams.size()}, upstream_error);
    if (error || upstream_error || find(all, "metrics") == nullptr)
        return base::Error{base::ErrorCode::invalid, "what the gateway tells is not what was expected", {}};
    StatsSample sample;
    sample.version = text(all, "version");
    for (const auto& metric : list(all, "metrics")) take_metric(sample, metric);
    for (const auto& row : list(rows, "upstreams")) sample.upstreams.push_back(upstream_of(row));
    return sample;
}

double percentile(const std::vector<Bucket>& buckets, double part) noexcept
{
    double total = 0;
    for (const auto& bucket : buckets) total += static_cast<double>(bucket.count);
    if (total == 0) return -1;
    double left = part * total;
    double lower = 0;
    for (const auto& bucket : buckets) {
        const auto count = static_cast<double>(bucket.count);
        // The last bucket has no upper bound: that it is longer is all that is known.
        if (count > 0 && left <= count)
            return bucket.upper == std::numeric_limits<double>::infinity()
                       ? lower
                       : lower + (bucket.upper - lower) * left / count;
        left -= count;
        lower = bucket.upper;
    }
    return lower;
}

std::string render(const StatsSample& before, const StatsSample& now, std::chrono::milliseconds elapsed)
{
    const double seconds = std::max(0.001, std::chrono::duration<double>(elapsed).count());
    std::string out = now.version + "\n\n";
    print_doors(out, before, now, seconds);
    print_cache(out, before, now);
    print_upstreams(out, before, now, seconds);
    print_lost(out, before, now);
    return out;
}

} // namespace sallyport::apps
