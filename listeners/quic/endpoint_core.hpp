#pragma once

#include "listeners/doh_context.hpp"
#include "listeners/quic/connection.hpp"
#include "listeners/quic/endpoint.hpp"
#include "listeners/quic/memory.hpp"
#include "listeners/quic/tokens.hpp"
#include "net/udp_batch.hpp"

#include <array>
#include <optional>

namespace sallyport::listeners::quic {

/// What is left of a connection that ended: its IDs, and the packet that says so again (RFC 9000 §10.2).
class Remnant final
    : public Target,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    explicit Remnant(EndpointCore& endpoint) noexcept;

    void expired(base::Instant now) noexcept;
    /// Octets held; does not change once it is made.
    [[nodiscard]] std::size_t cost() const noexcept
    {
        return sizeof *this + ids.capacity() * sizeof(ConnectionId) + close_packet.capacity();
    }

    EndpointCore& endpoint;
    std::vector<ConnectionId> ids;
    std::vector<std::uint8_t> close_packet; ///< empty: draining, silence
    std::uint64_t heard = 0;                ///< packets since the end
    net::Timer timer;
};

/// Connections counted by network: /32 and /56.
class AddressCounts {
public:
    [[nodiscard]] std::uint32_t count(const base::IpAddress& address) const noexcept;
    void add(const base::IpAddress& address);
    void remove(const base::IpAddress& address) noexcept;

private:
    using Key = std::array<std::uint8_t, 8>;
    struct Hash {
        using is_avalanching = void;
        std::size_t operator()(const Key& key) const noexcept { return base::keyed_hash(key); }
    };
    [[nodiscard]] static Key key(const base::IpAddress& address) noexcept;
    boost::unordered_flat_map<Key, std::uint32_t, Hash> counts_;
};

/// What connections are served by; each keeps what it began with.
struct Terms {
    const Options& options;
    const Port& port;
    DohContext* doh;
    std::shared_ptr<const void> owner; ///< of what the references name
    certs::AlpnPolicy alpn;
    bool early_data;
};

/// The inside of `QuicEndpoint`; connections see it, the rest of the program does not.
class EndpointCore {
public:
    explicit EndpointCore(const QuicEndpoint::Setup& setup);
    ~EndpointCore();
    EndpointCore(const EndpointCore&) = delete;
    EndpointCore& operator=(const EndpointCore&) = delete;

    [[nodiscard]] base::Result<void> start();
    void set_identities(std::shared_ptr<const certs::TlsIdentities> identities) { identities_ = std::move(identities); }
    void renew(const QuicEndpoint::Renewal& renewal);
    void drain(std::function<void()> done);
    void packet_arrived(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                        std::uint8_t ecn) noexcept;
    void packet_routed(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                       std::uint8_t ecn) noexcept;
    void flush(base::Instant now) noexcept;

    // For connections and their applications.
    void touch(Connection& connection) noexcept;
    /// Ends and frees it. Not while a library is on the stack.
    void finish(Connection& connection, base::Instant now) noexcept;
    [[nodiscard]] bool add_id(const ConnectionId& id, Connection& connection) noexcept;
    void remove_id(const ConnectionId& id, const Connection& connection) noexcept;
    [[nodiscard]] ConnectionId new_id() noexcept;
    void remove(Remnant& remnant) noexcept;
    void send(base::Bytes data, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn = 0,
              std::uint16_t segment_size = 0, std::size_t packets = 1) noexcept;
    void handshake_over(Connection& connection) noexcept;
    void heard(Connection& connection) noexcept;
    [[nodiscard]] base::MutableBytes scratch() noexcept { return {scratch_.get(), kScratch}; }

    static constexpr std::size_t kPacket = 1452; // NGTCP2_MAX_PMTUD_UDP_PAYLOAD_SIZE
    static constexpr std::size_t kScratch = 65'536;

    net::Worker& worker;
    pipeline::Pipeline& pipeline;
    const SharedSecrets& secrets;
    QuicStats& stats;
    certs::Stats& tls_stats;
    MemoryBudget memory;
    Tokens tokens;

    /// What new connections are served by.
    [[nodiscard]] const std::shared_ptr<const Terms>& terms() const noexcept { return terms_; }
    [[nodiscard]] const std::shared_ptr<const certs::TlsIdentities>& identities() const noexcept { return identities_; }
    [[nodiscard]] std::size_t connections() const noexcept { return connection_count_; }
    /// `total` of the gateway, as this worker and port may use it.
    [[nodiscard]] std::uint64_t share(std::uint64_t total) const noexcept;
    /// Connections one address may have at this worker and port.
    [[nodiscard]] std::uint64_t per_address() const noexcept;

    // Stream objects wait here for their next use.
    struct Pools;
    [[nodiscard]] Pools& pools() noexcept { return *pools_; }

private:
    EndpointCore(const QuicEndpoint::Setup& setup, std::unique_ptr<PortStats> own);

    struct Packet {
        base::Bytes data;
        const base::Endpoint& peer;
        const base::Endpoint& local;
        std::uint8_t ecn;
        std::size_t datagram_size;
    };

    void socket_ready(std::uint32_t events, base::Instant now) noexcept;
    void datagram(base::Bytes data, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn,
                  bool routed, base::Instant now) noexcept;
    void known(Target& target, const Packet& packet, base::Instant now) noexcept;
    void unknown_long(const Packet& packet, base::Instant now) noexcept;
    void accept(const ngtcp2_pkt_hd& header, const Packet& packet, base::Instant now) noexcept;
    [[nodiscard]] bool admit(const ngtcp2_pkt_hd& header, const Packet& packet, base::Instant now) noexcept;
    [[nodiscard]] bool make_room(base::Instant now) noexcept;
    void begin(Connection::Origin& origin, const Packet& packet, base::Instant now) noexcept;
    void first_packet_failed(Connection& connection, const ngtcp2_pkt_hd& header, const Packet& packet) noexcept;
    void negotiate_version(const ngtcp2_version_cid& header, const Packet& packet) noexcept;
    void send_retry(const ngtcp2_pkt_hd& header, const Packet& packet, base::Instant now) noexcept;
    void refuse(const ngtcp2_pkt_hd& header, const Packet& packet, std::uint64_t code) noexcept;
    void send_reset(const ConnectionId& id, const Packet& packet, base::Instant now) noexcept;
    void make_remnant(Connection& connection, base::Bytes close_packet, base::Instant now) noexcept;
    void destroy(Connection& connection) noexcept;
    void run_flush(base::Instant now) noexcept;
    void drain_expired(base::Instant now) noexcept;
    void check_drained() noexcept;
    void direct_packets() noexcept;

    [[nodiscard]] const Options& options() const noexcept { return terms_->options; }

    std::unique_ptr<PortStats> own_stats_; ///< where nobody gave any
    std::shared_ptr<const Terms> terms_;
    std::shared_ptr<const certs::TlsIdentities> identities_;
    PacketRouter& router_;
    std::size_t port_id_;
    int fd_;
    unsigned quic_ports_;
    PacketSender* sender_;
    base::Endpoint bound_;
    std::optional<net::UdpReceiver> receiver_;
    std::optional<net::UdpSender> udp_;
    net::Watch watch_;
    net::Flush flush_;
    net::Timer drain_timer_;
    std::unique_ptr<std::uint8_t[]> scratch_;
    std::unique_ptr<Pools> pools_;
    ConnectionMap map_;
    AddressCounts addresses_;
    TokenBucket resets_;
    TokenBucket refusals_;
    /// Longest without a packet first.
    boost::intrusive::list<Connection, boost::intrusive::base_hook<ConnectionHook>,
                           boost::intrusive::constant_time_size<false>>
        connections_;
    boost::intrusive::list<Connection, boost::intrusive::base_hook<TouchedHook>,
                           boost::intrusive::constant_time_size<false>>
        touched_;
    boost::intrusive::list<Remnant, boost::intrusive::constant_time_size<false>> remnants_;
    std::size_t connection_count_ = 0;
    std::size_t handshaking_ = 0;
    std::size_t remnant_count_ = 0;
    std::function<void()> drained_;
    bool draining_ = false;
};

} // namespace sallyport::listeners::quic
