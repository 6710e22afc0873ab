#pragma once

#include "admin/options.hpp"
#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/result.hpp"
#include "pipeline/observer.hpp"

#include <functional>
#include <memory>

namespace sallyport::admin {

/// What clients asked and were told, a JSON object a line. Workers copy compact events into rings of their own; one
/// thread makes text of them and hands it to the outputs. What is slow there fills the rings, and what does not fit is
/// dropped and counted: no answer waits.
///
/// Use: made at the start with the number of workers; `open` and `start` once privileges are dropped, so that files
/// belong to whom must rotate them; give `observer(worker)` to the pipeline of each worker (null while the log is off).
/// On reload `prepare` beside everything else that is checked, then `adopt`, then give `observer(worker)` to the
/// pipelines again: that opens the files anew too, as logrotate wants it. `close` when the workers have ended. Control
/// thread only, but for the counters.
class QueryLog {
public:
    struct Prepared;
    struct PreparedDeleter {
        void operator()(Prepared* prepared) const noexcept;
    };
    using PreparedHandle = std::unique_ptr<Prepared, PreparedDeleter>;

    /// `clock` is borrowed.
    QueryLog(unsigned workers, const base::Clock& clock);
    ~QueryLog();
    QueryLog(const QueryLog&) = delete;
    QueryLog& operator=(const QueryLog&) = delete;

    /// `prepare` and `adopt` in one.
    [[nodiscard]] bool open(const QueryLogOptions& options, base::Problems& problems);
    /// Begins to write; also where the log is off, a later `adopt` may switch it on.
    void start();
    /// Opens the outputs; null where one can not be opened. Changes nothing.
    [[nodiscard]] PreparedHandle prepare(const QueryLogOptions& options, base::Problems& problems);
    /// From now on these outputs and this mask. The size of rings that are there changes with a restart.
    void adopt(PreparedHandle prepared);
    /// Opens the files anew under their names, for logrotate where there is no new configuration to adopt.
    void reopen() noexcept;
    /// Writes what is waiting and ends. The workers have ended before, or have no observer any more.
    void close() noexcept;

    /// For the pipeline of this worker; null while the log is off. Lives as long as the log.
    [[nodiscard]] pipeline::Observer* observer(unsigned worker) noexcept;

    /// (name, help, counter). Any thread.
    void each_counter(const std::function<void(const char* name, const char* help, const base::Counter&)>& visit) const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::admin
