#include "net/client/connection.hpp"

#include "net/worker.hpp"

#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace sallyport::net::client {

namespace {

constexpr std::size_t kStreamRead = 65536;
constexpr std::size_t kBatch = 16;
constexpr std::size_t kDatagram = 65536;
// Rounds of reading in one call: others of the same thread want their turn.
constexpr unsigned kReadRounds = 8;

static_assert(kReadable == POLLIN && kWritable == POLLOUT);

base::MutableBytes read_buffer()
{
    static thread_local const std::unique_ptr<std::uint8_t[]> buffer{new std::uint8_t[kBatch * kDatagram]};
    return {buffer.get(), kBatch * kDatagram};
}

Failure failure_of(int error)
{
    const std::string text = std::strerror(error);
    switch (error) {
    case ECONNREFUSED: return {FailureKind::refused, "connection refused"};
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
    case ETIMEDOUT: return {FailureKind::unreachable, text};
    case ECONNRESET:
    case EPIPE: return {FailureKind::closed, "the server reset the connection"};
    default: return {FailureKind::system, text};
    }
}

bool would_block(int error) noexcept { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

} // namespace

Connection::Connection(const base::Endpoint& server, std::unique_ptr<Session> session, base::Instant now)
    : server_(server), session_(std::move(session)), opened_at_(now)
{
}

Connection::~Connection() = default;

base::Result<std::unique_ptr<Connection>> Connection::open(const base::Endpoint& server,
                                                           std::unique_ptr<Session> session, base::Instant now)
{
    std::unique_ptr<Connection> made{new Connection(server, std::move(session), now)};
    sockaddr_storage address{};
    const socklen_t size = server.to_sockaddr(address);
    const bool datagram = made->session_->is_datagram();
    const int type = (datagram ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    made->socket_ = Descriptor{::socket(address.ss_family, type, 0)};
    if (!made->socket_) return base::system_error("no socket", errno);
    const int on = 1;
    const int buffer = 1 << 20;
    if (datagram) {
        ::setsockopt(made->fd(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    } else {
        ::setsockopt(made->fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (::connect(made->fd(), reinterpret_cast<const sockaddr*>(&address), size) == 0) {
        made->connected(now);
    } else if (errno != EINPROGRESS) {
        made->failure_ = failure_of(errno);
    }
    return made;
}

const Failure& Connection::failure() const noexcept { return failure_ ? failure_ : session_->failure(); }

void Connection::system_failure(int error)
{
    if (!failure_) failure_ = failure_of(error);
}

std::uint32_t Connection::wanted_events() const noexcept
{
    if (!is_connected_) return kWritable;
    return kReadable | (unsent_.empty() ? 0 : kWritable);
}

void Connection::connected(base::Instant now)
{
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) {
        system_failure(error);
        return;
    }
    is_connected_ = true;
    connected_at_ = now;
    session_->start(local_endpoint(fd()), server_, now);
    flush(now);
}

void Connection::serve(std::uint32_t events, base::Instant now)
{
    if (failure()) return;
    if (!is_connected_) {
        if (events != 0) connected(now);
        return;
    }
    if (session_->is_datagram()) {
        if ((events & ~kWritable) != 0) read_datagrams(now);
    } else if ((events & ~kWritable) != 0) {
        read_stream(now);
    }
    flush(now);
}

void Connection::read_stream(base::Instant now)
{
    const auto buffer = read_buffer().first(kStreamRead);
    for (unsigned round = 0; round < kReadRounds; ++round) {
        const ssize_t got = ::recv(fd(), buffer.data(), buffer.size(), 0);
        if (got < 0) {
            if (!would_block(errno)) system_failure(errno);
            return;
        }
        if (got == 0) {
            session_->peer_closed();
            return;
        }
        octets_in_ += static_cast<std::uint64_t>(got);
        session_->receive(buffer.first(static_cast<std::size_t>(got)), now);
        if (static_cast<std::size_t>(got) < buffer.size() || failure()) return;
    }
}

void Connection::read_datagrams(base::Instant now)
{
    const auto buffer = read_buffer();
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> messages{};
    for (std::size_t i = 0; i < kBatch; ++i) {
        parts[i] = {buffer.data() + i * kDatagram, kDatagram};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    for (unsigned round = 0; round < kReadRounds; ++round) {
        const int got = ::recvmmsg(fd(), messages.data(), kBatch, 0, nullptr);
        if (got < 0) {
            if (!would_block(errno)) system_failure(errno);
            return;
        }
        for (std::size_t i = 0; i < static_cast<std::size_t>(got) && !failure(); ++i) {
            octets_in_ += messages[i].msg_len;
            session_->receive(buffer.subspan(i * kDatagram, messages[i].msg_len), now);
        }
        if (static_cast<std::size_t>(got) < kBatch) return;
    }
}

void Connection::send(base::Bytes bytes)
{
    if (session_->is_datagram()) datagrams_.push_back(bytes.size());
    unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
}

void Connection::flush(base::Instant now)
{
    if (!is_connected_) return;
    // A socket that does not take more waits until it does; the session keeps what it has.
    if (unsent_.empty()) session_->flush(*this, now);
    if (unsent_.empty()) return;
    if (session_->is_datagram()) {
        write_datagrams();
    } else {
        write_stream();
    }
}

void Connection::write_stream() noexcept
{
    const ssize_t sent = ::send(fd(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent < 0) {
        if (!would_block(errno)) system_failure(errno);
        return;
    }
    octets_out_ += static_cast<std::uint64_t>(sent);
    unsent_.erase(unsent_.begin(), unsent_.begin() + sent);
}

void Connection::write_datagrams() noexcept
{
    std::size_t done = 0;
    std::size_t offset = 0;
    while (done < datagrams_.size()) {
        std::array<iovec, kBatch> parts{};
        std::array<mmsghdr, kBatch> messages{};
        const std::size_t count = std::min(kBatch, datagrams_.size() - done);
        std::size_t at = offset;
        for (std::size_t i = 0; i < count; ++i) {
            parts[i] = {unsent_.data() + at, datagrams_[done + i]};
            messages[i].msg_hdr.msg_iov = &parts[i];
            messages[i].msg_hdr.msg_iovlen = 1;
            at += datagrams_[done + i];
        }
        const int sent = ::sendmmsg(fd(), messages.data(), static_cast<unsigned>(count), MSG_NOSIGNAL);
        if (sent <= 0) {
            if (sent < 0 && !would_block(errno)) system_failure(errno);
            break;
        }
        for (int i = 0; i < sent; ++i) offset += datagrams_[done++];
    }
    octets_out_ += offset;
    unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<std::ptrdiff_t>(offset));
    datagrams_.erase(datagrams_.begin(), datagrams_.begin() + static_cast<std::ptrdiff_t>(done));
}

void Connection::expire(base::Instant now)
{
    session_->expire(now);
    flush(now);
}

void Connection::close(base::Instant now) noexcept
{
    if (!is_connected_ || failure()) return;
    session_->close(now);
    flush(now);
}

void poll_once(Connection& connection, const base::Clock& clock, base::Instant deadline)
{
    using std::chrono::milliseconds;
    const base::Instant until = std::min(deadline, connection.due());
    const auto wait = std::chrono::ceil<milliseconds>(std::max(base::Duration::zero(), until - clock.now()));
    pollfd item{connection.fd(), static_cast<short>(connection.wanted_events()), 0};
    const int ready = ::poll(&item, 1, static_cast<int>(std::min<milliseconds::rep>(wait.count(), 60'000)));
    const base::Instant now = clock.now();
    if (ready > 0) connection.serve(static_cast<std::uint32_t>(item.revents), now);
    if (connection.due() <= now && !connection.failure()) connection.expire(now);
}

} // namespace sallyport::net::client
