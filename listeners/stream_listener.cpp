#include "listeners/stream_listener.hpp"

#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <utility>

namespace sallyport::listeners {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kAcceptedAtOnce = 64;
constexpr unsigned kRest = 1024; // as many as may wait (net::SocketOptions::backlog)
constexpr base::Duration kPause = 100ms;

// The kernel gives the lowest free number: one at or over this says that so many are in use.
int first_reserved_descriptor(std::uint32_t reserved) noexcept
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > std::numeric_limits<int>::max())
        return std::numeric_limits<int>::max();
    const auto all = static_cast<std::int64_t>(limit.rlim_cur);
    return static_cast<int>(std::max<std::int64_t>(all - reserved, all / 2));
}

} // namespace

StreamListener::StreamListener(net::Worker& worker, StreamTable& table, const StreamLimits& limits,
                               net::Descriptor socket, std::shared_ptr<const StreamPort> port)
    : worker_(worker),
      table_(table),
      socket_(std::move(socket)),
      port_(std::move(port)),
      first_reserved_(first_reserved_descriptor(limits.reserved_descriptors))
{
}

base::Result<void> StreamListener::start() { return watch_.start(worker_, socket_.get(), net::kReadable); }

void StreamListener::renew(const StreamLimits& limits, std::shared_ptr<const StreamPort> port) noexcept
{
    first_reserved_ = first_reserved_descriptor(limits.reserved_descriptors);
    port_ = std::move(port);
}

void StreamListener::stop_after_rest(base::Instant now) noexcept
{
    for (unsigned i = 0; i < kRest; ++i)
        if (!accept_one(now)) break;
    stop();
}

void StreamListener::stop() noexcept
{
    watch_.stop();
    pause_timer_.cancel();
    socket_.reset();
}

void StreamListener::ready(std::uint32_t, base::Instant now) noexcept
{
    for (unsigned i = 0; i < kAcceptedAtOnce; ++i)
        if (!accept_one(now)) return;
}

bool StreamListener::accept_one(base::Instant now) noexcept
{
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    net::Descriptor socket{
        ::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&storage), &size, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (socket) {
        if (socket.get() >= first_reserved_) {
            pause(now);
            return false;
        }
        // Peers of a Unix socket are this machine's own, and to access lists they are its loopback address.
        auto peer = port_->unix_socket ? base::Endpoint{base::IpAddress::v4({127, 0, 0, 1})}
                                       : base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage));
        table_.adopt(std::move(socket), peer, port_);
        return true;
    }
    switch (errno) {
    case EAGAIN: return false;
    // That connection failed; the next may not (accept(2): errors of the network count as its own).
    case EINTR:
    case ECONNABORTED:
    case EPERM:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case EOPNOTSUPP: ++table_.stats().accept_errors; return true;
    // No descriptors, no memory; or the socket itself is at fault, and would be ready for ever.
    default: pause(now); return false;
    }
}

void StreamListener::pause(base::Instant now) noexcept
{
    ++table_.stats().descriptor_pauses;
    watch_.change(0);
    worker_.arm(pause_timer_, now + kPause);
}

void StreamListener::try_again(base::Instant) noexcept { watch_.change(net::kReadable); }

} // namespace sallyport::listeners
