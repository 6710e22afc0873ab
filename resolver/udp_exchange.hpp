#pragma once

#include "base/ip_address.hpp"
#include "net/socket.hpp"
#include "net/worker.hpp"
#include "resolver/try.hpp"

namespace sallyport::resolver {

/// One query over UDP: a socket of its own, connected, so that the kernel takes datagrams from that address and port
/// only, with a port that the kernel has drawn (RFC 5452 §9.2).
class UdpExchange {
public:
    explicit UdpExchange(Try& owner) noexcept : owner_(owner) {}

    /// Opens the socket and sends.
    [[nodiscard]] Trouble start(net::Worker& worker, const base::Endpoint& server, base::Bytes query);

private:
    void readable(std::uint32_t events, base::Instant now) noexcept;

    Try& owner_;
    net::Worker* worker_ = nullptr;
    net::Descriptor socket_;
    net::Watch watch_{net::Watch::of<&UdpExchange::readable>(*this)}; // goes before the socket does
};

} // namespace sallyport::resolver
