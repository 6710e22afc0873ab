#include "resolver/recurse_socket.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>

namespace sallyport::resolver {
namespace {

// A forger may send as many as he likes; others of the worker want their turn.
constexpr unsigned kReads = 8;
constexpr unsigned kLeastPorts = 16'000;
constexpr unsigned kPortTries = 10;
constexpr std::uint16_t kFirstPort = 1024;

unsigned system_ports() noexcept
{
    unsigned first = 0;
    unsigned last = 0;
    std::FILE* const file = std::fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
    if (file == nullptr) return 0;
    const bool read = std::fscanf(file, "%u %u", &first, &last) == 2;
    std::fclose(file);
    return read && last >= first ? last - first + 1 : 0;
}

/// A port of our own choice. Taken ones are tried past; in the end the system may choose.
void bind_anywhere(int socket, const base::Endpoint& server, base::RandomSource& random) noexcept
{
    base::Endpoint local;
    local.address = server.address.is_v4() ? base::IpAddress{} : base::IpAddress::v6({});
    for (unsigned i = 0; i < kPortTries; ++i) {
        local.port = static_cast<std::uint16_t>(kFirstPort + random.number() % (65'536U - kFirstPort));
        sockaddr_storage address{};
        const socklen_t size = local.to_sockaddr(address);
        if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), size) == 0) return;
    }
}

} // namespace

bool system_ports_suffice() noexcept
{
    static const bool enough = system_ports() >= kLeastPorts;
    return enough;
}

bool RecurseSocket::start(net::Worker& worker, iterate::Token token, const base::Endpoint& server, base::Bytes query)
{
    worker_ = &worker;
    token_ = token;
    is_v4_ = server.address.is_v4();
    sockaddr_storage address{};
    const socklen_t size = server.to_sockaddr(address);
    const bool rested = static_cast<bool>(socket_);
    if (!rested) socket_ = net::Descriptor{::socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket_) return false;
    if (!system_ports_suffice()) bind_anywhere(socket_.get(), server, worker.random());
    // Draws the port where it was not drawn here.
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return false;
    if (!rested && !watch_.start(worker, socket_.get(), net::kReadable)) return false;
    return ::send(socket_.get(), query.data(), query.size(), MSG_NOSIGNAL) >= 0;
}

bool RecurseSocket::rest() noexcept
{
    if (!system_ports_suffice()) return false; // a port of our own choice stays bound
    sockaddr nobody{};
    nobody.sa_family = AF_UNSPEC;
    if (::connect(socket_.get(), &nobody, sizeof nobody) != 0) return false;
    // From here on nothing comes. What came before must not meet the next query.
    std::array<std::uint8_t, 1> octet;
    for (unsigned i = 0; i < kReads; ++i) {
        const ssize_t got = ::recv(socket_.get(), octet.data(), octet.size(), 0);
        if (got < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    }
    return false;
}

void RecurseSocket::readable(std::uint32_t, base::Instant) noexcept
{
    const base::MutableBytes room = worker_->read_buffer();
    for (unsigned i = 0; i < kReads; ++i) {
        const ssize_t got = ::recv(socket_.get(), room.data(), room.size(), 0);
        if (got < 0) {
            if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return;
            user_.socket_failed(token_); // may be the end of this
            return;
        }
        // This may be gone when that says so.
        if (!user_.datagram_arrived(token_, room.first(static_cast<std::size_t>(got)))) return;
    }
}

} // namespace sallyport::resolver
