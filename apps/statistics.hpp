#pragma once

#include "base/counter.hpp"
#include "base/histogram.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::apps {

/// `{name="value",…}` with values escaped as Prometheus wants it; nothing for no labels.
[[nodiscard]] std::string labels_of(std::initializer_list<std::pair<std::string_view, std::string_view>> labels);

/// One bucket of a histogram: its upper bound (infinity for the last) and how many fell into it, not added up.
struct Bucket {
    double upper = 0;
    std::uint64_t count = 0;
};

/// Counters, gauges and histograms of all workers added up under their metric names; told in Prometheus' text format
/// and as JSON. What ends in `_total` is a counter, everything else a gauge. Every name is in docs/metrics.md.
/// `Gateway::collect` fills it: what each part counts under its own names; the latency of the doors as
/// `query_duration_seconds` with the label `transport`; the cache's counters with `cache_` before their names.
class Statistics {
public:
    /// `labels` is empty or `{transport="udp"}`; a name may bring its labels with it.
    void add(const std::string& name, const std::string& help, const base::Counter& counter,
             const std::string& labels = {})
    {
        add_value(name, help, static_cast<double>(counter.get()), labels);
    }
    /// What several places count under one name is added up.
    void add_value(const std::string& name, const std::string& help, double value, const std::string& labels = {});
    /// Durations, told in seconds: `query_duration_seconds`.
    void add(const std::string& name, const std::string& help, const base::Histogram& histogram,
             const std::string& labels = {});
    /// Buckets that someone else filled, with ascending bounds, the last infinite. `sum` below 0: unknown, not told.
    void add_buckets(const std::string& name, const std::string& help, std::span<const Bucket> buckets, double sum,
                     const std::string& labels = {});

    /// Prometheus' text format 0.0.4.
    void print(std::ostream& out) const;
    /// The same as JSON: a list of `{"name", "type", "help", "samples": [{"labels": {…}, "value": n}]}`; of a histogram
    /// `"buckets": [[upper, count], …]` (not added up, the last upper is null), `"sum"` and `"count"` in place of
    /// "value".
    [[nodiscard]] std::string to_json() const;

    /// Sum over all labels; 0 for a name nobody counts under. `name` without the program's prefix.
    [[nodiscard]] std::uint64_t total(std::string_view name) const;
    [[nodiscard]] std::string help(std::string_view name) const;

private:
    struct Distribution {
        std::vector<Bucket> buckets;
        double sum = 0;
    };
    struct Metric {
        std::string help;
        std::map<std::string, double> values;              ///< by labels
        std::map<std::string, Distribution> distributions; ///< by labels; of histograms
    };
    Metric& metric(const std::string& name, const std::string& help);
    static std::string_view type_of(const std::string& name, const Metric& metric) noexcept;
    std::map<std::string, Metric> metrics_;
};

} // namespace sallyport::apps
