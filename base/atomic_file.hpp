#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>

namespace sallyport::base {

/// A file that is written beside the one it takes the place of: at any moment the old or the new one is there, whole.
///
/// `open`, any number of `write`, `commit` (fsync, rename, fsync of the folder). Without `commit` nothing changes and
/// nothing is left. Blocks: not for a worker.
class AtomicFile {
public:
    AtomicFile() = default;
    ~AtomicFile() { abandon(); }
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Makes the temporary file, with these permissions whatever the umask. Not where `path` is no regular file.
    [[nodiscard]] Result<void> open(const std::string& path, unsigned mode);
    [[nodiscard]] Result<void> write(Bytes octets);
    /// After an error the old file is still there, or the new one is but may not outlive a failure of power.
    [[nodiscard]] Result<void> commit();
    void abandon() noexcept;

private:
    [[nodiscard]] Error failed(const std::string& what);

    std::string path_;
    std::string temporary_; ///< empty once there is none
    int file_ = -1;
};

/// The same for a whole text.
[[nodiscard]] Result<void> write_file_atomically(const std::string& path, std::string_view text, unsigned mode = 0644);

/// Removes what a process that was killed amid `AtomicFile` left beside `path`; returns how many files. Only for who
/// alone writes this file.
unsigned remove_leftovers(const std::string& path) noexcept;

} // namespace sallyport::base
