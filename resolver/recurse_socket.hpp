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

/// One query over UDP to one name server at a time: a socket of its own, connected, so that the kernel takes datagrams
/// from that address and port only, at a port drawn at random for this query (RFC 5452 §9.2).
///
/// Between two queries it may rest: it has no port then and nothing can come to it. That costs half of what a new
/// socket does.
class RecurseSocket {
public:
    explicit RecurseSocket(RecurseSocketUser& user) noexcept : user_(user) {}

    /// Opens the socket where it is not open and sends. False: the system would not. One that rests takes servers of
    /// the same family only.
    [[nodiscard]] bool start(net::Worker& worker, iterate::Token token, const base::Endpoint& server,
                             base::Bytes query);
    /// Gives up its port and what is still in its buffer. False where it cannot, and must go.
    [[nodiscard]] bool rest() noexcept;
    [[nodiscard]] bool is_v4() const noexcept { return is_v4_; }

private:
    void readable(std::uint32_t events, base::Instant now) noexcept;

    RecurseSocketUser& user_;
    iterate::Token token_ = 0;
    bool is_v4_ = true;
    net::Worker* worker_ = nullptr;
    net::Descriptor socket_;
    net::Watch watch_{net::Watch::of<&RecurseSocket::readable>(*this)}; // goes before the socket does
};

/// Whether the system draws ports from so many that a forger gains nothing (RFC 5452 §10); else they are drawn here.
[[nodiscard]] bool system_ports_suffice() noexcept;

} // namespace sallyport::resolver
