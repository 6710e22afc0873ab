#include "resolver/udp_exchange.hpp"

#include "resolver/upstream.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace sallyport::resolver {
namespace {

// A forger may send as many as he likes; others of the worker want their turn.
constexpr unsigned kReadsAtOnce = 8;

Trouble trouble_of(int error) noexcept
{
    switch (error) {
    case ECONNREFUSED:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EPERM:
    case EACCES: return Trouble::unreachable;
    default: return Trouble::system;
    }
}

} // namespace

Trouble UdpExchange::start(net::Worker& worker, const base::Endpoint& server, base::Bytes query)
{
    worker_ = &worker;
    sockaddr_storage address{};
    const socklen_t size = server.to_sockaddr(address);
    socket_ = net::Descriptor{::socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket_) return Trouble::system;
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return trouble_of(errno);
    if (!watch_.start(worker, socket_.get(), net::kReadable)) return Trouble::system;
    if (::send(socket_.get(), query.data(), query.size(), MSG_NOSIGNAL) < 0) return trouble_of(errno);
    return Trouble::none;
}

void UdpExchange::readable(std::uint32_t, base::Instant now) noexcept
{
    const base::MutableBytes room = worker_->read_buffer();
    Upstream& upstream = owner_.upstream();
    for (unsigned i = 0; i < kReadsAtOnce; ++i) {
        const ssize_t got = ::recv(socket_.get(), room.data(), room.size(), 0);
        if (got < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return;
            upstream.udp_failed(owner_, trouble_of(errno), now);
            return;
        }
        // The exchange is gone when this says so.
        if (!upstream.udp_received(owner_, room.first(static_cast<std::size_t>(got)), now)) return;
    }
}

} // namespace sallyport::resolver
