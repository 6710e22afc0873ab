#include "net/socket.hpp"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sallyport::net {
namespace {

void set(int fd, int level, int name, int value) noexcept { ::setsockopt(fd, level, name, &value, sizeof value); }

base::Error bind_error(const std::string& what, std::uint16_t port, int error)
{
    switch (error) {
    case EADDRINUSE:
        return {base::ErrorCode::conflict,
                "cannot listen on " + what + ": the address is in use; end the program that has it" +
                    (port == 0 ? std::string{} : " (ss -lpn 'sport = :" + std::to_string(port) + "' names it)") +
                    " or choose another"};
    case EADDRNOTAVAIL:
        return {base::ErrorCode::not_found,
                "cannot listen on " + what + ": no interface of this machine has that address"};
    case EACCES:
        return {base::ErrorCode::unreadable,
                "cannot listen on " + what +
                    ": permission denied; ports under 1024 need CAP_NET_BIND_SERVICE (or choose a higher port)"};
    case EAFNOSUPPORT:
        return {base::ErrorCode::unsupported, "cannot listen on " + what + ": this machine has no such address family"};
    default: return base::system_error("cannot listen on " + what, error);
    }
}

void set_buffers(int fd, const SocketOptions& options) noexcept
{
    if (options.receive_buffer > 0) set(fd, SOL_SOCKET, SO_RCVBUF, options.receive_buffer);
    if (options.send_buffer > 0) set(fd, SOL_SOCKET, SO_SNDBUF, options.send_buffer);
}

base::Result<Descriptor> open_internet(const base::Endpoint& address, int type, const SocketOptions& options,
                                       const std::string& what)
{
    const bool v6 = !address.address.is_v4();
    Descriptor socket{::socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket) return bind_error(what, address.port, errno);
    if (v6) set(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (options.reuse_port) set(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1);
    // A listener may come back while old connections of the port are in TIME_WAIT; for datagrams the option would let
    // a second program share the port unseen.
    if (type == SOCK_STREAM) set(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    set_buffers(socket.get(), options);
    sockaddr_storage storage{};
    const socklen_t size = address.to_sockaddr(storage);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0)
        return bind_error(what, address.port, errno);
    return socket;
}

// Answers leave from the address that was asked: it must be known where the socket is bound to all addresses.
bool is_wildcard(const base::IpAddress& address) noexcept
{
    for (const auto octet : address.octets())
        if (octet != 0) return false;
    return true;
}

void set_datagram_options(int fd, const base::Endpoint& address, const SocketOptions& options) noexcept
{
    const bool v6 = !address.address.is_v4();
    if (options.quic || is_wildcard(address.address))
        set(fd, v6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP}, v6 ? IPV6_RECVPKTINFO : IP_PKTINFO, 1);
    if (!options.quic) {
        // Answers are never fragmented on the path by a forged "too big" (draft-ietf-dnsop-avoid-fragmentation).
        if (!v6) set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
        return;
    }
    set(fd, v6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP}, v6 ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER,
        v6 ? IPV6_PMTUDISC_PROBE : IP_PMTUDISC_PROBE);
    set(fd, v6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP}, v6 ? IPV6_RECVTCLASS : IP_RECVTOS, 1);
#ifdef UDP_GRO
    set(fd, IPPROTO_UDP, UDP_GRO, 1);
#endif
}

void set_stream_options(int fd, const SocketOptions& options) noexcept
{
    // Inherited by accepted connections: answers never wait for an acknowledgement.
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    // Inherited too: what the peer does not read waits with us, where it is counted, not in megabytes of the kernel's.
    set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 65'536);
    if (options.fast_open_queue > 0) set(fd, IPPROTO_TCP, TCP_FASTOPEN, options.fast_open_queue);
}

bool is_alive(const sockaddr_un& address) noexcept
{
    const Descriptor probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!probe) return true;
    if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return true;
    return errno != ECONNREFUSED && errno != ENOENT;
}

// Only a socket nobody listens on is taken away; a plain file at that path stays and makes bind fail.
void remove_dead_socket(const std::string& path, const sockaddr_un& address) noexcept
{
    struct stat status{};
    if (::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode) && !is_alive(address)) ::unlink(path.c_str());
}

} // namespace

void Descriptor::reset(int fd) noexcept
{
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
}

base::Result<Descriptor> open_udp(const base::Endpoint& address, const SocketOptions& options)
{
    auto socket = open_internet(address, SOCK_DGRAM, options, address.to_string() + " (UDP)");
    if (socket) set_datagram_options(socket->get(), address, options);
    return socket;
}

base::Result<Descriptor> open_tcp_listener(const base::Endpoint& address, const SocketOptions& options)
{
    const std::string what = address.to_string() + " (TCP)";
    auto socket = open_internet(address, SOCK_STREAM, options, what);
    if (!socket) return socket;
    set_stream_options(socket->get(), options);
    if (::listen(socket->get(), options.backlog) != 0) return bind_error(what, address.port, errno);
    return socket;
}

base::Result<Descriptor> open_unix_listener(const std::string& path, const SocketOptions& options)
{
    const std::string what = "unix:" + path;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path)
        return base::Error{base::ErrorCode::limit, "cannot listen on " + what +
                                                       ": the path of a Unix socket has 1 to " +
                                                       std::to_string(sizeof address.sun_path - 1) + " characters"};
    std::memcpy(address.sun_path, path.data(), path.size());
    Descriptor socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket) return bind_error(what, 0, errno);
    set_buffers(socket.get(), options);
    remove_dead_socket(path, address);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno == ENOENT)
            return base::Error{base::ErrorCode::not_found, "cannot listen on " + what + ": its folder does not exist"};
        return bind_error(what, 0, errno);
    }
    // Nobody can connect before listen(): the mode is set in time.
    if (::chmod(path.c_str(), 0660) != 0) return base::system_error("cannot set the mode of " + what, errno);
    if (::listen(socket.get(), options.backlog) != 0) return bind_error(what, 0, errno);
    return socket;
}

base::Result<void> adopt_inherited(int fd, const SocketOptions& options)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return base::system_error("cannot use an inherited socket", errno);
    int listening = 0;
    size = sizeof listening;
    if (type == SOCK_STREAM && (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0))
        return base::Error{base::ErrorCode::unsupported,
                           "cannot use an inherited socket: it does not listen (Accept=no is what is needed)"};
    if (type == SOCK_DGRAM)
        set_datagram_options(fd, local_endpoint(fd), options);
    else
        set_stream_options(fd, options);
    return {};
}

base::Result<Descriptor> duplicate(int fd)
{
    Descriptor copy{::fcntl(fd, F_DUPFD_CLOEXEC, 0)};
    if (!copy) return base::system_error("cannot duplicate a socket", errno);
    return copy;
}

bool is_taken(const base::Endpoint& address, bool stream) noexcept
{
    const bool v6 = !address.address.is_v4();
    const Descriptor probe{::socket(v6 ? AF_INET6 : AF_INET, (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0)};
    if (!probe) return false;
    if (v6) set(probe.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (stream) set(probe.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    sockaddr_storage storage{};
    const socklen_t size = address.to_sockaddr(storage);
    return ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 && errno == EADDRINUSE;
}

base::Endpoint local_endpoint(int fd) noexcept
{
    sockaddr_storage storage{};
    socklen_t size = sizeof storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
    return base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage));
}

} // namespace sallyport::net
