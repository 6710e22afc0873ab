#pragma once

#include "base/bytes.hpp"
#include "base/ip_address.hpp"

#include <cstdint>
#include <memory>
#include <span>

namespace sallyport::net {

/// One datagram that arrived; borrowed until the next `receive`.
struct Datagram {
    base::MutableBytes data;
    base::Endpoint peer;
    base::Endpoint local; ///< the address it was sent to (IP_PKTINFO); its port is the socket's
    std::uint8_t ecn = 0; ///< two bits of the IP header (RFC 3168)
    std::uint16_t segment_size =
        0; ///< other than 0: `data` is several datagrams of this size, the last perhaps shorter (GRO)
};

/// Reads datagrams in batches (recvmmsg). Belongs to one worker; its buffers serve all sockets of that worker in turn.
class UdpReceiver {
public:
    /// `slots` datagrams at most a call, each up to `slot_size` octets; what is longer is cut and left out.
    UdpReceiver(std::size_t slots, std::size_t slot_size);
    ~UdpReceiver();

    /// What is there now, without waiting. Datagrams longer than a slot are left out and counted in `oversized()`.
    [[nodiscard]] std::span<Datagram> receive(int fd) noexcept;
    /// True when the last call filled every slot: more may be waiting.
    [[nodiscard]] bool full() const noexcept;
    [[nodiscard]] std::uint64_t oversized() const noexcept;

private:
    struct Slots;
    std::unique_ptr<Slots> slots_;
};

/// Collects datagrams and sends them with as few calls as possible (sendmmsg, and GSO where asked).
class UdpSender {
public:
    /// Holds up to `slots` messages and `bytes` octets between flushes; when either is full it flushes by itself.
    UdpSender(std::size_t slots, std::size_t bytes);
    ~UdpSender();

    /// Copies a datagram into the batch for `fd`. `local` other than 0.0.0.0 is the source address. `segment_size`
    /// other than 0 sends `data` as datagrams of that size with one call (UDP_SEGMENT).
    void add(int fd, base::Bytes data, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn = 0,
             std::uint16_t segment_size = 0) noexcept;
    /// Sends the batch. What the kernel does not take (full buffer, unreachable) is dropped and counted, as a network
    /// would.
    void flush() noexcept;
    [[nodiscard]] std::uint64_t dropped() const noexcept;

private:
    struct Batch;
    std::unique_ptr<Batch> batch_;
};

} // namespace sallyport::net
