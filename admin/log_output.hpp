#pragma once

#include "admin/options.hpp"
#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/result.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace sallyport::admin {

/// Counted by the writer thread, of all outputs of a kind.
struct OutputStats {
    base::Counter lines, lost, errors, rotations;
};

/// Runs a task on a thread that may take its time, one after the other; false when too many wait.
using Background = std::function<bool(std::function<void()>)>;

/// Where lines go. The writer thread only.
class LogSink {
public:
    virtual ~LogSink() = default;
    /// Takes a line without its line end. What can not be kept for `flush` is lost and counted.
    virtual void write(std::string_view line) noexcept = 0;
    /// Hands on what was written. Never waits for a reader.
    virtual void flush(base::WallTime wall) noexcept = 0;
    /// Someone has taken the file away: another one under its name.
    virtual void reopen(base::WallTime) noexcept {}
    /// The longest line it takes; longer ones come without the records of the answer.
    [[nodiscard]] virtual std::size_t longest() const noexcept { return std::size_t{1} << 20U; }
};

/// Opens the output. Errors carry its position.
[[nodiscard]] base::Result<std::unique_ptr<LogSink>> open_sink(const LogOutput& output, base::WallTime wall,
                                                               OutputStats& stats, Background background);

} // namespace sallyport::admin
