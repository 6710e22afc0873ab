#pragma once

#include "admin/log_output.hpp"
#include "net/socket.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::admin {

/// A file that is put aside when it is large or old: `queries.log` becomes `queries.log.20261120T171500Z`, is
/// compressed to `….gz` and in the end removed. A full disk loses lines, whole ones, and is forgotten when it has room
/// again.
class LogFile final : public LogSink {
public:
    /// Error: what is there is no regular file, or can not be opened or made.
    [[nodiscard]] static base::Result<std::unique_ptr<LogSink>> open(const LogOutput& output, base::WallTime wall,
                                                                     OutputStats& stats, Background background);
    ~LogFile() override;

    void write(std::string_view line) noexcept override;
    void flush(base::WallTime wall) noexcept override;
    void reopen(base::WallTime wall) noexcept override;

private:
    LogFile(const LogOutput& output, OutputStats& stats, Background background);
    [[nodiscard]] base::Result<void> open_file(base::WallTime wall);
    void look_at_size() noexcept;
    void write_out() noexcept;
    void take_back(std::size_t written) noexcept;
    void rotate(base::WallTime wall);
    void tidy_up();

    LogOutput options_;
    OutputStats& stats_;
    Background background_;
    net::Descriptor file_;
    std::string buffer_;
    std::uint64_t lines_ = 0; ///< in the buffer
    std::uint64_t size_ = 0;  ///< of the file
    base::WallTime since_{};  ///< the file's first line
    bool failing_ = false;
    bool tidied_ = false;
    std::shared_ptr<std::atomic<bool>> leaving_; ///< the task beside gives up: the next one finishes its work
};

/// The rotated files of `path`, oldest first.
[[nodiscard]] std::vector<std::string> rotated_files(const std::string& path);
/// Compresses `path` to `path.gz`, which appears whole, and removes it. False where that failed, or was given up
/// because `give_up` said so; `path` stays then.
[[nodiscard]] bool compress_file(const std::string& path, const std::function<bool()>& give_up);

} // namespace sallyport::admin
