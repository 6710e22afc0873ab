#pragma once

#include "base/ip_address.hpp"
#include "net/socket.hpp"
#include "net/worker.hpp"
#include "resolver/iterate/iterate.hpp"

namespace sallyport::resolver {

/// Told what came to a `RecurseSocket`. Both may destroy it.
class RecurseSocketUser {
public:
    /// False: nobody waits at that socket any more.
    virtual bool datagram_arrived(iterate::Token token, base::Bytes message) noexcept = 0;
    virtual void socket_failed(iterate::Token token) noexcept = 0;

protected:
    ~RecurseSocketUser() = default;
};

/// One query over UDP to one name server: a socket of its own, connected, so that the kernel takes datagrams from that
/// address and port only, at a port drawn at random (RFC 5452 §9.2).
class RecurseSocket {
public:
    RecurseSocket(RecurseSocketUser& user, iterate::Token token) noexcept : user_(user), token_(token) {}

    /// Opens the socket and sends. False: the system would not.
    [[nodiscard]] bool start(net::Worker& worker, const base::Endpoint& server, base::Bytes query);

private:
    void readable(std::uint32_t events, base::Instant now) noexcept;

    RecurseSocketUser& user_;
    iterate::Token token_;
    net::Worker* worker_ = nullptr;
    net::Descriptor socket_;
    net::Watch watch_{net::Watch::of<&RecurseSocket::readable>(*this)}; // goes before the socket does
};

/// Whether the system draws ports from so many that a forger gains nothing (RFC 5452 §10); else they are drawn here.
[[nodiscard]] bool system_ports_suffice() noexcept;

} // namespace sallyport::resolver
