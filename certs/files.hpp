#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::certs {

/// A file's octets with the mode it had; wiped when let go, since it may hold a key.
class FileContent {
public:
    FileContent() = default;
    FileContent(std::vector<std::uint8_t> octets, mode_t mode) noexcept;
    ~FileContent();
    FileContent(FileContent&&) noexcept = default;
    FileContent& operator=(FileContent&&) noexcept = default;

    [[nodiscard]] base::Bytes bytes() const noexcept { return octets_; }
    [[nodiscard]] mode_t mode() const noexcept { return mode_; }

private:
    std::vector<std::uint8_t> octets_;
    mode_t mode_ = 0;
};

/// Reads a regular file of at most `limit` octets. `what` says in an error what was expected there.
[[nodiscard]] base::Result<FileContent> read_file(const std::string& path, std::size_t limit, std::string_view what);

/// Writes a new file beside `path` with `mode`, brings it to the disk and renames it into place.
[[nodiscard]] base::Result<void> replace_file(const std::string& path, base::Bytes content, mode_t mode);

/// What tells one state of a file from another: device, inode, size, times. All zero where there is no file.
struct FileState {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;
    bool operator==(const FileState&) const = default;
};
[[nodiscard]] FileState file_state(const std::string& path) noexcept;

} // namespace sallyport::certs
