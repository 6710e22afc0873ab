#include "certs/files.hpp"

#include "base/handle.hpp"

#include <openssl/crypto.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace sallyport::certs {

namespace {

class Descriptor {
public:
    explicit Descriptor(int fd) noexcept : fd_{fd} {}
    ~Descriptor()
    {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return fd_; }
    /// What close says matters for a file that was written.
    [[nodiscard]] bool close() noexcept { return ::close(std::exchange(fd_, -1)) == 0; }

private:
    int fd_;
};

base::Error open_error(const std::string& path, int error, std::string_view what)
{
    if (error == ENOENT || error == ENOTDIR) {
        return {base::ErrorCode::not_found, fmt::format("{}: no such file, expected {}", path, what)};
    }
    auto result = base::system_error(fmt::format("{}: cannot read {}", path, what), error);
    result.code = base::ErrorCode::unreadable;
    return result;
}

/// Reads until the end, whatever size stat told: the file may grow meanwhile.
int read_all(int fd, std::vector<std::uint8_t>& octets)
{
    std::size_t filled = 0;
    while (filled < octets.size()) {
        const ssize_t n = ::read(fd, octets.data() + filled, octets.size() - filled);
        if (n == 0) break;
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        filled += static_cast<std::size_t>(n);
    }
    octets.resize(filled);
    return 0;
}

int write_all(int fd, base::Bytes content)
{
    while (!content.empty()) {
        const ssize_t n = ::write(fd, content.data(), content.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        content = content.subspan(static_cast<std::size_t>(n));
    }
    return 0;
}

/// 0 or errno. Nothing is left behind when it fails.
int write_new_file(const std::string& path, base::Bytes content, mode_t mode)
{
    Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)};
    if (file.get() < 0) return errno;
    int error = write_all(file.get(), content);
    if (error == 0 && ::fsync(file.get()) != 0) error = errno;
    if (!file.close() && error == 0) error = errno;
    if (error != 0) ::unlink(path.c_str());
    return error;
}

std::int64_t nanoseconds(const timespec& time) noexcept { return time.tv_sec * 1'000'000'000LL + time.tv_nsec; }

} // namespace

FileContent::FileContent(std::vector<std::uint8_t> octets, mode_t mode) noexcept
    : octets_{std::move(octets)}, mode_{mode}
{
}

FileContent::~FileContent() { OPENSSL_cleanse(octets_.data(), octets_.size()); }

base::Result<FileContent> read_file(const std::string& path, std::size_t limit, std::string_view what)
{
    // A FIFO put there by mistake must not hang the control thread.
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
    if (file.get() < 0) return open_error(path, errno, what);
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return open_error(path, errno, what);
    if (!S_ISREG(status.st_mode)) {
        return base::Error{base::ErrorCode::unreadable, fmt::format("{}: not a file, expected {}", path, what)};
    }
    const auto size = static_cast<std::size_t>(status.st_size);
    // One more than told, so that a file that grew is noticed; never more than the limit allows.
    std::vector<std::uint8_t> octets(std::min(size, limit) + 1);
    if (const int error = read_all(file.get(), octets); error != 0) return open_error(path, error, what);
    if (octets.size() > limit) {
        return base::Error{base::ErrorCode::limit,
                           fmt::format("{}: larger than {} octets, expected {}", path, limit, what)};
    }
    return FileContent{std::move(octets), status.st_mode & 07777U};
}

base::Result<void> replace_file(const std::string& path, base::Bytes content, mode_t mode)
{
    const std::string fresh = fmt::format("{}.{}.new", path, ::getpid());
    ::unlink(fresh.c_str()); // left by a process of the same number that was killed
    int error = write_new_file(fresh, content, mode);
    if (error == 0 && std::rename(fresh.c_str(), path.c_str()) != 0) {
        error = errno;
        ::unlink(fresh.c_str());
    }
    if (error != 0) return base::system_error(fmt::format("{}: cannot write", path), error);
    return {};
}

FileState file_state(const std::string& path) noexcept
{
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return {};
    return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size), nanoseconds(status.st_mtim),
            nanoseconds(status.st_ctim)};
}

} // namespace sallyport::certs
