#pragma once

#include "base/clock.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::apps {

/// Notices that files have changed, by what stat says of them; it works where a file is replaced, reached by a link, or
/// on a network. Half-written files are let settle: a change counts once two looks in a row saw the same.
class FileWatch {
public:
    /// What was written after `read_since`, when whoever read the files began, counts as changed.
    FileWatch(std::vector<std::string> files, base::WallTime read_since);

    /// True once for each settled change.
    [[nodiscard]] bool changed();
    [[nodiscard]] const std::vector<std::string>& files() const noexcept { return files_; }

private:
    struct Mark {
        std::uint64_t device = 0, inode = 0, size = 0;
        std::int64_t seconds = 0, nanoseconds = 0;
        bool operator==(const Mark&) const = default;
    };
    [[nodiscard]] std::vector<Mark> look() const;

    std::vector<std::string> files_;
    std::vector<Mark> known_; ///< as they were read
    std::vector<Mark> seen_;  ///< at the last look
};

} // namespace sallyport::apps
