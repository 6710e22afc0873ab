#pragma once

#include "base/bytes.hpp"
#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "listeners/listeners.hpp"
#include "listeners/quic/stats.hpp"

#include <cstdint>
#include <functional>
#include <memory>

namespace sallyport::listeners {

struct DohContext;

namespace quic {

/// Where packets leave. The endpoint's own is the socket's batch; tests and the fuzz harness give theirs.
class PacketSender {
public:
    /// `segment_size` other than 0: `data` is several datagrams of that size, the last perhaps shorter.
    virtual void send(base::Bytes data, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn,
                      std::uint16_t segment_size) noexcept = 0;

protected:
    ~PacketSender() = default;
};

/// The octets that one worker's QUIC ports may hold together, and do hold. Belongs to the worker.
struct MemoryShare {
    std::uint64_t limit;
    std::uint64_t used = 0;
};

/// A worker's share of `QuicLimits::memory`; its ports use it as they need, whichever the clients prefer.
[[nodiscard]] MemoryShare memory_share(const Options& options) noexcept;

/// What one QUIC port of one worker counts.
struct PortStats {
    QuicStats quic;
    certs::Stats tls;
};

class EndpointCore;

/// One QUIC port of one worker: DoQ (RFC 9250) and DoH/3 (RFC 9114), told apart by ALPN.
///
/// Datagrams come from the socket, or from another worker by `packet_routed`; each goes to the connection its
/// connection ID names. All packets of a wake-up are handled first, then each touched connection writes once, then one
/// flush sends everything. Belongs to its worker.
class QuicEndpoint {
public:
    struct Setup {
        net::Worker& worker;
        pipeline::Pipeline& pipeline;
        std::shared_ptr<const certs::TlsIdentities> identities;
        const Options& options; ///< `options.workers` is set
        const Port& port;       ///< with `doq`, `doh` (http3 on) or both
        std::size_t port_index; ///< the port's id, given to `router`
        int fd;                 ///< stays the caller's; -1: no socket, packets come by `packet_arrived` only
        PacketRouter& router;
        const SharedSecrets& secrets;
        DohContext* doh = nullptr;      ///< request rules and counters of DoH; null where the port has no DoH/3
        unsigned quic_ports = 1;        ///< ports that share this worker's QUIC limits
        PacketSender* sender = nullptr; ///< null: the socket
        /// Of the worker, for all its QUIC ports; null: the port has the worker's share for itself.
        std::shared_ptr<MemoryShare> memory = nullptr;
        /// Keeps options, port and doh alive; null: they outlive the endpoint.
        std::shared_ptr<const void> terms = nullptr;
        /// Where it counts; null: at the endpoint's own. Outlives the endpoint.
        PortStats* stats = nullptr;
    };
    /// What may change while it serves.
    struct Renewal {
        const Options& options;
        const Port& port;
        DohContext* doh;
        unsigned quic_ports;
        std::shared_ptr<const void> terms;
    };

    explicit QuicEndpoint(const Setup& setup);
    ~QuicEndpoint();
    QuicEndpoint(const QuicEndpoint&) = delete;
    QuicEndpoint& operator=(const QuicEndpoint&) = delete;

    /// Begins to read; worker 0 also tells the kernel which packet is whose (SO_ATTACH_REUSEPORT_CBPF).
    [[nodiscard]] base::Result<void> start();
    /// New connections use these from now on; those that live keep theirs.
    void set_identities(std::shared_ptr<const certs::TlsIdentities> identities);
    /// New connections are served by this; those that live go on as they began, unless their protocol is gone from the
    /// port: then they finish. An endpoint that was draining takes connections again.
    void renew(const Renewal& renewal);
    /// Takes no new connection, lets those that live finish (GOAWAY, CONNECTION_CLOSE without error) until
    /// `options.drain` is over, then calls `done` once.
    void drain(std::function<void()> done);
    /// A datagram from the network, as the socket hands it in; tests and the fuzz harness do too.
    void packet_arrived(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                        std::uint8_t ecn) noexcept;
    /// A datagram that another worker got.
    void packet_routed(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                       std::uint8_t ecn) noexcept;
    /// Writes what touched connections have to say; the end of each wake-up does so by itself.
    void flush(base::Instant now) noexcept;

    [[nodiscard]] std::size_t connections() const noexcept;
    /// Any thread.
    [[nodiscard]] const QuicStats& stats() const noexcept;
    [[nodiscard]] const certs::Stats& tls_stats() const noexcept;
    /// Visits every counter of the port: (name, help, counter). Any thread.
    template <class V>
    void each(V&& visit) const
    {
        stats().each(visit);
        tls_stats().each(visit);
    }

private:
    std::unique_ptr<EndpointCore> core_;
};

} // namespace quic

using quic::QuicEndpoint;

} // namespace sallyport::listeners
