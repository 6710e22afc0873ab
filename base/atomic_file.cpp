#include "base/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

namespace sallyport::base {
namespace {

constexpr std::string_view kMark = ".new-"; // and six characters that nobody else has
constexpr std::size_t kRandom = 6;

std::string folder_of(const std::string& path)
{
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

bool is_letter_or_digit(char c) noexcept
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool is_leftover(std::string_view name, std::string_view of) noexcept
{
    if (name.size() != of.size() + kMark.size() + kRandom || !name.starts_with(of)) return false;
    name.remove_prefix(of.size());
    return name.starts_with(kMark) && std::all_of(name.begin() + kMark.size(), name.end(), is_letter_or_digit);
}

} // namespace

Error AtomicFile::failed(const std::string& what)
{
    const int error = errno;
    abandon();
    return system_error(what, error);
}

void AtomicFile::abandon() noexcept
{
    if (file_ >= 0) ::close(file_);
    file_ = -1;
    if (!temporary_.empty()) static_cast<void>(::unlink(temporary_.c_str()));
    temporary_.clear();
}

Result<void> AtomicFile::open(const std::string& path, unsigned mode)
{
    abandon();
    path_ = path;
    // A device or a pipe would be gone for everybody else: what takes its place is a file.
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
        return Error{ErrorCode::invalid, path + " is there and no regular file", {}};
    std::string temporary = path + std::string{kMark} + std::string(kRandom, 'X');
    file_ = ::mkostemp(temporary.data(), O_CLOEXEC);
    if (file_ < 0) return failed("can not make a file beside " + path);
    temporary_ = std::move(temporary);
    if (::fchmod(file_, static_cast<mode_t>(mode)) != 0) return failed("can not write " + temporary_);
    return {};
}

Result<void> AtomicFile::write(Bytes octets)
{
    while (!octets.empty()) {
        const ssize_t written = ::write(file_, octets.data(), octets.size());
        if (written < 0 && errno == EINTR) continue;
        if (written == 0) errno = ENOSPC;
        if (written <= 0) return failed("can not write " + temporary_);
        octets = octets.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> AtomicFile::commit()
{
    if (::fsync(file_) != 0) return failed("can not write " + temporary_);
    const int file = file_;
    file_ = -1;
    if (::close(file) != 0) return failed("can not write " + temporary_);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("can not replace " + path_);
    temporary_.clear();
    const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0 || ::fsync(folder) != 0) {
        Error error = failed("can not make " + path_ + " lasting");
        if (folder >= 0) ::close(folder);
        return error;
    }
    ::close(folder);
    return {};
}

Result<void> write_file_atomically(const std::string& path, std::string_view text, unsigned mode)
{
    AtomicFile file;
    if (auto opened = file.open(path, mode); !opened) return opened;
    if (auto written = file.write(as_bytes(text)); !written) return written;
    return file.commit();
}

unsigned remove_leftovers(const std::string& path) noexcept
{
    unsigned gone = 0;
    try {
        const std::string folder = folder_of(path);
        const std::string name = std::filesystem::path{path}.filename().string();
        std::vector<std::filesystem::path> found;
        std::error_code error;
        for (std::filesystem::directory_iterator at{folder, error}, end; !error && at != end; at.increment(error))
            if (is_leftover(at->path().filename().string(), name)) found.push_back(at->path());
        for (const auto& file : found) gone += ::unlink(file.c_str()) == 0 ? 1 : 0;
    } catch (const std::exception&) {
        return gone; // memory: they are removed the next time
    }
    return gone;
}

} // namespace sallyport::base
