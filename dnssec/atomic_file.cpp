#include "dnssec/rfc5011.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sallyport::dnssec {

namespace {

/// A file descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_(number) {}
    ~Descriptor()
    {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] bool close() noexcept
    {
        const int number = number_;
        number_ = -1;
        return ::close(number) == 0;
    }

private:
    int number_;
};

[[nodiscard]] bool write_all(int file, std::string_view text) noexcept
{
    while (!text.empty()) {
        const ssize_t written = ::write(file, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

[[nodiscard]] base::Error failed(const std::string& what, const std::string& temporary)
{
    const int error = errno;
    if (!temporary.empty()) static_cast<void>(::unlink(temporary.c_str()));
    return base::system_error(what, error);
}

} // namespace

base::Result<void> write_file_atomically(const std::string& path, std::string_view text)
{
    std::string temporary = path + ".XXXXXX";
    Descriptor file{::mkostemp(temporary.data(), O_CLOEXEC)};
    if (file.get() < 0) return failed("can not make a file beside " + path, "");
    if (!write_all(file.get(), text) || ::fchmod(file.get(), 0644) != 0 || ::fsync(file.get()) != 0 || !file.close()) {
        return failed("can not write " + temporary, temporary);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) return failed("can not replace " + path, temporary);
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const Descriptor directory{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (directory.get() < 0 || ::fsync(directory.get()) != 0) return failed("can not make " + path + " lasting", "");
    return {};
}

} // namespace sallyport::dnssec
