#include "admin/log_file.hpp"
#include "admin/log_output.hpp"
#include "net/socket.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <string>

namespace sallyport::admin {
namespace {

constexpr std::size_t kMostPending = 262'144;

/// Standard output. It may be a pipe whose reader is slow, shared with others who write to it: so it can not be made
/// non-blocking, and is written to only as far as it takes octets at once.
class StandardOutput final : public LogSink {
public:
    StandardOutput(net::Descriptor descriptor, OutputStats& stats) : descriptor_(std::move(descriptor)), stats_(stats)
    {
    }
    ~StandardOutput() override { push(); }

    void write(std::string_view line) noexcept override
    {
        if (pending_.size() + line.size() + 1 > kMostPending) push();
        if (pending_.size() + line.size() + 1 > kMostPending) {
            ++stats_.lost;
            return;
        }
        pending_.append(line);
        pending_ += '\n';
        ++stats_.lines;
    }
    void flush(base::WallTime) noexcept override { push(); }

private:
    void push() noexcept
    {
        std::size_t sent = 0;
        while (sent < pending_.size()) {
            pollfd ready{descriptor_.get(), POLLOUT, 0};
            if (::poll(&ready, 1, 0) <= 0 || (ready.revents & POLLOUT) == 0) {
                if ((ready.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) return nobody_reads();
                break;
            }
            // A pipe that is ready takes so many octets without waiting (POSIX: PIPE_BUF).
            const auto size = ::write(descriptor_.get(), pending_.data() + sent,
                                      std::min<std::size_t>(pending_.size() - sent, PIPE_BUF));
            if (size > 0) {
                sent += static_cast<std::size_t>(size);
            } else if (size < 0 && errno == EPIPE) {
                return nobody_reads();
            } else if (size == 0 || errno != EINTR) {
                if (errno != EAGAIN) ++stats_.errors;
                break;
            }
        }
        pending_.erase(0, sent);
    }
    void nobody_reads() noexcept
    {
        stats_.lost.add(static_cast<std::uint64_t>(std::count(pending_.begin(), pending_.end(), '\n')));
        ++stats_.errors;
        pending_.clear();
    }

    net::Descriptor descriptor_;
    OutputStats& stats_;
    std::string pending_;
};

/// The system's log daemon, by datagrams in the form that it has always read there (RFC 3164 §4.1, without the host).
class Syslog final : public LogSink {
public:
    static constexpr std::size_t kLongest = 8192; // what common daemons take in one message

    Syslog(std::string path, OutputStats& stats) : path_(std::move(path)), stats_(stats) { connect(); }

    void write(std::string_view line) noexcept override
    {
        message_.assign("<134>"); // local0, info
        append_date();
        message_ += " sallyport[" + std::to_string(::getpid()) + "]: ";
        message_.append(line);
        if (send() || ((errno == ECONNREFUSED || errno == ENOTCONN || errno == ENOENT || errno == EBADF) &&
                       may_connect() && send()))
            ++stats_.lines;
        else
            ++stats_.lost;
    }
    void flush(base::WallTime wall) noexcept override { wall_ = wall; }
    [[nodiscard]] std::size_t longest() const noexcept override { return kLongest; }

private:
    void append_date()
    {
        const std::time_t seconds = base::WallTime::clock::to_time_t(wall_);
        std::tm local{};
        ::localtime_r(&seconds, &local);
        constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        std::array<char, 64> room{};
        std::snprintf(room.data(), room.size(), "%s %2d %02d:%02d:%02d",
                      kMonths[static_cast<std::size_t>(local.tm_mon)], local.tm_mday, local.tm_hour, local.tm_min,
                      local.tm_sec);
        message_ += room.data();
    }
    [[nodiscard]] bool send() noexcept
    {
        return ::send(socket_.get(), message_.data(), message_.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
    }
    /// The daemon was restarted, or is not there: tried again once a second.
    bool may_connect() noexcept
    {
        if (wall_ < connect_after_) return false;
        connect_after_ = wall_ + std::chrono::seconds{1};
        return connect();
    }
    bool connect() noexcept
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path_.data(), std::min(path_.size(), sizeof address.sun_path - 1));
        socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (socket_ && ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
            return true;
        ++stats_.errors;
        return false;
    }

    std::string path_;
    OutputStats& stats_;
    net::Descriptor socket_;
    std::string message_;
    base::WallTime wall_ = base::WallTime::clock::now();
    base::WallTime connect_after_{};
};

} // namespace

base::Result<std::unique_ptr<LogSink>> open_sink(const LogOutput& output, base::WallTime wall, OutputStats& stats,
                                                 Background background)
{
    switch (output.kind) {
    case LogKind::file: return LogFile::open(output, wall, stats, std::move(background));
    case LogKind::stdout_: {
        auto descriptor = net::duplicate(STDOUT_FILENO);
        if (!descriptor) return descriptor.error();
        return std::unique_ptr<LogSink>{std::make_unique<StandardOutput>(std::move(*descriptor), stats)};
    }
    case LogKind::syslog: break;
    }
    std::string path = output.path.empty() ? "/dev/log" : output.path;
    if (path.size() >= sizeof sockaddr_un{}.sun_path)
        return base::Error{base::ErrorCode::limit, "the path of the socket of syslog is too long", output.position};
    return std::unique_ptr<LogSink>{std::make_unique<Syslog>(std::move(path), stats)};
}

} // namespace sallyport::admin
