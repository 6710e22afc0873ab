#include "admin/token_file.hpp"

#include "net/socket.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace sallyport::admin {
namespace {

constexpr std::size_t kShortest = 16;
constexpr std::size_t kLongest = 512;
constexpr mode_t kNotOthers = 0027;

} // namespace

std::string read_token(const std::string& file, const base::SourcePosition& position, base::Problems& problems)
{
    if (file.empty()) return {};
    const auto complain = [&](base::ErrorCode code, const std::string& what) {
        problems.push_back({code, "token file " + file + ": " + what, position});
        return std::string{};
    };
    const net::Descriptor descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    struct stat status{};
    if (!descriptor || ::fstat(descriptor.get(), &status) != 0) {
        auto error = base::system_error("token file " + file, errno);
        error.position = position;
        problems.push_back(std::move(error));
        return {};
    }
    if ((status.st_mode & kNotOthers) != 0)
        return complain(base::ErrorCode::conflict, "others may read or change it; expected mode 0600 or 0640");
    std::array<char, kLongest + 3> room{};
    const auto size = ::read(descriptor.get(), room.data(), room.size());
    if (size < 0) return complain(base::ErrorCode::unreadable, "it can not be read");
    std::string token{room.data(), static_cast<std::size_t>(size)};
    while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
    if (token.size() < kShortest || token.size() > kLongest)
        return complain(base::ErrorCode::invalid, "expected 16 to 512 characters");
    if (std::any_of(token.begin(), token.end(), [](char c) { return c <= ' ' || c > '~'; }))
        return complain(base::ErrorCode::invalid, "expected one word of printable characters");
    return token;
}

} // namespace sallyport::admin
