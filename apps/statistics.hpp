#pragma once

#include "base/counter.hpp"

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <string_view>

namespace sallyport::apps {

/// Counters of all workers added up under their metric names; printed in Prometheus' text format.
class Statistics {
public:
    /// `labels` is empty or `{transport="udp"}`.
    void add(const std::string& name, const std::string& help, const base::Counter& counter,
             const std::string& labels = {});
    void print(std::ostream& out) const;
    /// Sum over all labels; 0 for a name nobody counts under. `name` without the program's prefix.
    [[nodiscard]] std::uint64_t total(std::string_view name) const;
    [[nodiscard]] std::string help(std::string_view name) const;

private:
    struct Metric {
        std::string help;
        std::map<std::string, std::uint64_t> values; ///< by labels
    };
    std::map<std::string, Metric> metrics_;
};

} // namespace sallyport::apps
