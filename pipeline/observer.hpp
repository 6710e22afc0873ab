#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "pipeline/query.hpp"

#include <string_view>

namespace sallyport::pipeline {

/// Told of every query that ends, on the worker's thread. It copies what it wants and returns: no lock, no system call.
class Observer {
public:
    virtual ~Observer() = default;
    /// `answer` is the message as it leaves; empty where the query was dropped. `took` is the time from its arrival, by
    /// the clock and not by the wake-up.
    virtual void ended(const Query& query, base::Bytes answer, wire::Rcode rcode, base::Duration took) noexcept = 0;
};

/// Told what each stage decides about one query, for `sallyport explain`. Not on the path of other queries.
class Trace {
public:
    virtual ~Trace() = default;
    virtual void step(std::string_view stage, std::string_view decision, std::string_view why) = 0;
};

} // namespace sallyport::pipeline
