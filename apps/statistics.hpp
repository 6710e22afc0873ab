#pragma once

#include "base/counter.hpp"

#include <iosfwd>
#include <map>
#include <string>

namespace sallyport::apps {

/// Counters of all workers added up under their metric names; printed in Prometheus' text format.
class Statistics {
public:
    /// `labels` is empty or `{transport="udp"}`.
    void add(const std::string& name, const std::string& help, const base::Counter& counter,
             const std::string& labels = {});
    void print(std::ostream& out) const;

private:
    struct Metric {
        std::string help;
        std::map<std::string, std::uint64_t> values; ///< by labels
    };
    std::map<std::string, Metric> metrics_;
};

} // namespace sallyport::apps
