#pragma once

#include "base/ip_address.hpp"
#include "base/result.hpp"

#include <string>
#include <utility>

namespace sallyport::net {

/// A descriptor with one owner.
class Descriptor {
public:
    Descriptor() noexcept = default;
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept
    {
        if (this != &other) reset(std::exchange(other.fd_, -1));
        return *this;
    }
    ~Descriptor() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset(int fd = -1) noexcept;

private:
    int fd_ = -1;
};

struct SocketOptions {
    bool reuse_port = true; ///< one socket a worker on the same address (SO_REUSEPORT)
    int receive_buffer = 0; ///< octets; 0 leaves the system's default
    int send_buffer = 0;
    int backlog = 1024; ///< streams waiting to be accepted
    int fast_open_queue =
        256;           ///< TCP Fast Open requests waiting (RFC 7413); 0 is off, and so where the kernel has none
    bool quic = false; ///< datagrams: no fragmentation (IP_MTU_DISCOVER), ECN received, GRO where the kernel has it
};

/// Sockets ready to serve: bound, non-blocking, close-on-exec; IPv6 ones take IPv6 only. An address in use, one that is
/// not ours or a privileged port gives an error that names the address and what to do.
[[nodiscard]] base::Result<Descriptor> open_udp(const base::Endpoint& address, const SocketOptions& options);
[[nodiscard]] base::Result<Descriptor> open_tcp_listener(const base::Endpoint& address, const SocketOptions& options);
/// A Unix stream socket; a dead socket file at `path` is replaced, a living one is an address in use. Mode 0660.
[[nodiscard]] base::Result<Descriptor> open_unix_listener(const std::string& path, const SocketOptions& options);

/// Makes a socket of the service manager's like one of ours: non-blocking, close-on-exec, with the options that can be
/// set after binding.
[[nodiscard]] base::Result<void> adopt_inherited(int fd, const SocketOptions& options);
/// A second descriptor for the same socket.
[[nodiscard]] base::Result<Descriptor> duplicate(int fd);
/// True when some other program has the address already. Sockets of ours would share it with one of the same user
/// unseen (SO_REUSEPORT).
[[nodiscard]] bool is_taken(const base::Endpoint& address, bool stream) noexcept;

/// The address a socket is bound to: tells the port where 0 was asked for.
[[nodiscard]] base::Endpoint local_endpoint(int fd) noexcept;

} // namespace sallyport::net
