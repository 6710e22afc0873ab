#include "listeners/quic/endpoint_core.hpp"

#include "listeners/quic/pools.hpp"

#include <linux/filter.h>
#include <sys/socket.h>

#include <algorithm>

namespace sallyport::listeners::quic {
namespace {

constexpr std::size_t kReceiveSlots = 16;
constexpr std::size_t kReceiveSlotSize = 65'536; // with GRO one slot holds many datagrams
constexpr std::size_t kSendSlots = 64;
constexpr std::size_t kSendBytes = 256U << 10U;
constexpr unsigned kBatchesAtOnce = 4;
constexpr std::size_t kMinInitial = 1'200; // RFC 9000 §14.1
constexpr std::size_t kMinFirstId = 8;     // RFC 9000 §7.2
// A stateless reset must look like a packet and be smaller than what it answers (RFC 9000 §10.3).
constexpr std::size_t kMinResetAnswered = 43;
constexpr std::size_t kResetSize = 41;
// The one who was silent for less than this keeps its place when a newcomer finds the house full.
constexpr std::chrono::seconds kKeptFor{2};

std::vector<std::string> protocols_of(const Port& port)
{
    std::vector<std::string> protocols;
    if (port.doq != nullptr) protocols.emplace_back("doq");
    if (port.doh != nullptr && port.doh->doh.http3) protocols.emplace_back("h3");
    return protocols;
}

std::shared_ptr<const Terms> make_terms(const Options& options, const Port& port, DohContext* doh,
                                        std::shared_ptr<const void> owner)
{
    return std::make_shared<const Terms>(Terms{.options = options,
                                               .port = port,
                                               .doh = doh,
                                               .owner = std::move(owner),
                                               .alpn = {.protocols = protocols_of(port), .none_offered_is_fine = false},
                                               .early_data = port.doq != nullptr && port.doq->early_data});
}

bool speaks(const Terms& terms, base::Transport transport)
{
    const auto& protocols = terms.alpn.protocols;
    const char* const wanted = transport == base::Transport::doh3 ? "h3" : "doq";
    return std::find(protocols.begin(), protocols.end(), wanted) != protocols.end();
}

} // namespace

// ---- remnants

Remnant::Remnant(EndpointCore& owner) noexcept
    : Target(Kind::remnant), endpoint(owner), timer(net::Timer::of<&Remnant::expired>(*this))
{
}

void Remnant::expired(base::Instant) noexcept { endpoint.remove(*this); }

// ---- counting by network

AddressCounts::Key AddressCounts::key(const base::IpAddress& address) noexcept
{
    const base::Bytes octets = address.octets();
    Key key{};
    std::copy_n(octets.begin(), address.is_v4() ? 4 : 7, key.begin()); // /32 and /56
    key[7] = address.is_v4() ? 4 : 6;
    return key;
}

std::uint32_t AddressCounts::count(const base::IpAddress& address) const noexcept
{
    const auto position = counts_.find(key(address));
    return position == counts_.end() ? 0 : position->second;
}

void AddressCounts::add(const base::IpAddress& address) { ++counts_[key(address)]; }

void AddressCounts::remove(const base::IpAddress& address) noexcept
{
    const auto position = counts_.find(key(address));
    if (position != counts_.end() && --position->second == 0) counts_.erase(position);
}

// ---- the endpoint

EndpointCore::EndpointCore(const QuicEndpoint::Setup& setup)
    : EndpointCore(setup, setup.stats == nullptr ? std::make_unique<PortStats>() : nullptr)
{
}

EndpointCore::EndpointCore(const QuicEndpoint::Setup& setup, std::unique_ptr<PortStats> own)
    : worker(setup.worker),
      pipeline(setup.pipeline),
      secrets(setup.secrets),
      stats(own ? own->quic : setup.stats->quic),
      tls_stats(own ? own->tls : setup.stats->tls),
      memory(setup.memory ? setup.memory : std::make_shared<MemoryShare>(memory_share(setup.options)), stats),
      tokens(setup.secrets, setup.options.quic.retry_token, setup.port_index),
      own_stats_(std::move(own)),
      terms_(make_terms(setup.options, setup.port, setup.doh, setup.terms)),
      identities_(setup.identities),
      router_(setup.router),
      port_id_(setup.port_index),
      fd_(setup.fd),
      quic_ports_(std::max(1U, setup.quic_ports)),
      sender_(setup.sender),
      watch_(net::Watch::of<&EndpointCore::socket_ready>(*this)),
      flush_(net::Flush::of<&EndpointCore::run_flush>(*this)),
      drain_timer_(net::Timer::of<&EndpointCore::drain_expired>(*this)),
      scratch_(new std::uint8_t[kScratch]),
      pools_(std::make_unique<Pools>()),
      resets_(setup.options.quic.resets_per_second, setup.options.quic.resets_per_second, worker.now()),
      refusals_(resets_)
{
}

EndpointCore::~EndpointCore()
{
    while (!connections_.empty()) destroy(connections_.front());
    while (!remnants_.empty()) remove(remnants_.front());
}

std::uint64_t EndpointCore::share(std::uint64_t total) const noexcept
{
    const std::uint64_t parts = std::uint64_t{std::max(1U, options().workers)} * quic_ports_;
    return std::max<std::uint64_t>(1, (total + parts - 1) / parts);
}

std::uint64_t EndpointCore::per_address() const noexcept
{
    // The kernel does not spread a client's connections evenly over the workers: twice the even share, as for streams.
    const std::uint64_t limit = std::max(1U, options().quic.connections_per_address);
    const std::uint64_t workers = std::max(1U, options().workers);
    return std::min(limit, 2 * ((limit + workers - 1) / workers));
}

base::Result<void> EndpointCore::start()
{
    if (fd_ < 0) return {};
    bound_ = net::local_endpoint(fd_);
    receiver_.emplace(kReceiveSlots, kReceiveSlotSize);
    if (sender_ == nullptr) udp_.emplace(kSendSlots, kSendBytes);
    if (worker.index() == 0 && options().workers > 1) direct_packets();
    return watch_.start(worker, fd_, net::kReadable);
}

// Tells the kernel which worker's socket a packet is for: octet 0 of its destination ID modulo the number of workers.
// The sockets of the group count in the order they were bound. Where this fails, packets are handed on by `router_`.
void EndpointCore::direct_packets() noexcept
{
    sock_filter code[] = {
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 0},                  // the first octet of the packet
        {BPF_JMP | BPF_JSET | BPF_K, 0, 2, 0x80},             // long header?
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 6},                  // version, length, then the ID
        {BPF_JMP | BPF_JA, 0, 0, 1},                          //
        {BPF_LD | BPF_B | BPF_ABS, 0, 0, 1},                  // short header: the ID follows
        {BPF_ALU | BPF_MOD | BPF_K, 0, 0, options().workers}, //
        {BPF_RET | BPF_A, 0, 0, 0},
    };
    const sock_fprog program{.len = static_cast<unsigned short>(std::size(code)), .filter = code};
    ::setsockopt(fd_, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program);
}

// ---- packets in

void EndpointCore::socket_ready(std::uint32_t, base::Instant now) noexcept
{
    for (unsigned batch = 0; batch < kBatchesAtOnce; ++batch) {
        for (const net::Datagram& arrived : receiver_->receive(fd_)) {
            base::Endpoint local = arrived.local;
            if (local.address == base::IpAddress{}) local.address = bound_.address;
            local.port = bound_.port;
            base::Bytes rest = arrived.data;
            const std::size_t segment = arrived.segment_size == 0 ? rest.size() : arrived.segment_size;
            while (!rest.empty()) {
                const base::Bytes one = rest.first(std::min(segment, rest.size()));
                datagram(one, arrived.peer, local, arrived.ecn, false, now);
                rest = rest.subspan(one.size());
            }
        }
        if (!receiver_->full()) break;
    }
}

void EndpointCore::packet_arrived(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                                  std::uint8_t ecn) noexcept
{
    datagram(packet, peer, local, ecn, false, worker.now());
}

void EndpointCore::packet_routed(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                                 std::uint8_t ecn) noexcept
{
    datagram(packet, peer, local, ecn, true, worker.now());
}

void EndpointCore::datagram(base::Bytes data, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn,
                            bool routed, base::Instant now) noexcept
{
    ++stats.datagrams;
    stats.bytes_received.add(data.size());
    if (data.empty()) { // the library asserts that there is something
        ++stats.unreadable;
        return;
    }
    const Packet packet{data, peer, local, ecn, data.size()};
    ngtcp2_version_cid header{};
    const int decoded = ngtcp2_pkt_decode_version_cid(&header, data.data(), data.size(), ConnectionId::kOurs);
    if (decoded == NGTCP2_ERR_VERSION_NEGOTIATION) return negotiate_version(header, packet);
    const bool is_long = (data[0] & 0x80U) != 0;
    // A Version Negotiation packet (version 0) is nothing that a server is sent.
    if (decoded != 0 || header.dcidlen > ConnectionId::kMax || header.dcidlen == 0 ||
        (is_long && header.version == 0)) {
        ++stats.unreadable;
        return;
    }
    const ConnectionId id{{header.dcid, header.dcidlen}};
    if (Target* const target = map_.find(id)) return known(*target, packet, now);
    if (const unsigned owner = id.owner(options().workers); owner != worker.index() && options().workers > 1) {
        if (routed) {
            ++stats.routed_wrong;
            return;
        }
        ++stats.routed_out;
        return router_.route(owner, port_id_, data, peer, local, ecn);
    }
    if (routed) ++stats.routed_in;
    if (is_long) return unknown_long(packet, now);
    ++stats.unknown_packets;
    send_reset(id, packet, now);
}

void EndpointCore::known(Target& target, const Packet& packet, base::Instant now) noexcept
{
    if (target.kind() == Target::Kind::connection) {
        auto& connection = static_cast<Connection&>(target);
        if (connection.ending()) return; // it goes when this wake-up's packets are through
        connection.read(packet.data, packet.peer, packet.local, packet.ecn, now);
        heard(connection);
        return touch(connection);
    }
    auto& remnant = static_cast<Remnant&>(target);
    ++remnant.heard;
    // Less and less often: two closing ends must not answer each other for ever (RFC 9000 §10.2.1).
    if (remnant.close_packet.empty() || (remnant.heard & (remnant.heard - 1)) != 0) return;
    if (packet.datagram_size * 3 < remnant.close_packet.size()) return;
    ++stats.close_packets_repeated;
    send(remnant.close_packet, packet.peer, packet.local);
}

void EndpointCore::unknown_long(const Packet& packet, base::Instant now) noexcept
{
    ngtcp2_pkt_hd header{};
    if (ngtcp2_accept(&header, packet.data.data(), packet.data.size()) != 0 || header.type != NGTCP2_PKT_INITIAL) {
        ++stats.unknown_packets;
        return;
    }
    if (packet.datagram_size < kMinInitial) {
        ++stats.short_initials;
        return;
    }
    accept(header, packet, now);
}

void EndpointCore::accept(const ngtcp2_pkt_hd& header, const Packet& packet, base::Instant now) noexcept
{
    const ConnectionId dcid{{header.dcid.data, header.dcid.datalen}};
    const TokenVerdict verdict = tokens.check({header.token, header.tokenlen}, header.version, packet.peer, dcid, now);
    if (header.tokenlen > 0)
        ++(verdict.kind == TokenVerdict::Kind::retry || verdict.kind == TokenVerdict::Kind::new_token
               ? stats.tokens_valid
               : stats.tokens_invalid);
    if (verdict.kind == TokenVerdict::Kind::bad_retry) return refuse(header, packet, NGTCP2_INVALID_TOKEN);
    const bool validated = verdict.kind != TokenVerdict::Kind::none;
    // Forged first packets may fill half of an address's places, so that its owner finds room.
    const bool wants_retry =
        !validated && (options().quic.always_retry || handshaking_ >= share(options().quic.handshakes_before_retry) ||
                       addresses_.count(packet.peer.address) > per_address() / 2);
    // All but the ID that our own Retry gave have eight octets or more (RFC 9000 §7.2).
    if (verdict.kind != TokenVerdict::Kind::retry && dcid.octets().size() < kMinFirstId) {
        ++stats.unreadable;
        return;
    }
    if (wants_retry) return send_retry(header, packet, now);
    if (!admit(header, packet, now)) return;
    Connection::Origin origin{.header = header,
                              .peer = packet.peer,
                              .local = packet.local,
                              .original = verdict.kind == TokenVerdict::Kind::retry ? verdict.original : dcid,
                              .after_retry = verdict.kind == TokenVerdict::Kind::retry,
                              .validated = validated,
                              .token = {header.token, header.tokenlen}};
    begin(origin, packet, now);
}

bool EndpointCore::admit(const ngtcp2_pkt_hd& header, const Packet& packet, base::Instant now) noexcept
{
    if (draining_) {
        ++stats.refused_draining;
    } else if (addresses_.count(packet.peer.address) >= per_address()) {
        ++stats.refused_per_address;
    } else if (connection_count_ >= share(options().quic.connections) && !make_room(now)) {
        ++stats.refused_connections;
    } else if (!memory.has_room_for_connection() && !(make_room(now) && memory.has_room_for_connection())) {
        ++stats.refused_memory;
    } else {
        return true;
    }
    refuse(header, packet, NGTCP2_CONNECTION_REFUSED);
    return false;
}

// The one that was silent longest goes, if it has nothing in work and was silent long enough.
bool EndpointCore::make_room(base::Instant now) noexcept
{
    if (connections_.empty()) return false;
    Connection& oldest = connections_.front();
    if (!oldest.at_rest() || oldest.ending() || now - oldest.last_heard() < kKeptFor) return false;
    ++stats.evicted;
    oldest.drain(); // finished at once: nothing is in work
    oldest.write(now);
    if (!oldest.ending()) return false;
    finish(oldest, now);
    return true;
}

void EndpointCore::begin(Connection::Origin& origin, const Packet& packet, base::Instant now) noexcept
{
    auto made = std::make_unique<Connection>(*this, origin, now);
    Connection& connection = *made;
    if (connection.made()) connection.read(packet.data, packet.peer, packet.local, packet.ecn, now);
    if (!connection.made() || connection.ending()) {
        // It is not written to, timed out or looked up again.
        ++stats.first_packet_failures;
        for (const ConnectionId& id : connection.ids()) remove_id(id, connection);
        if (connection.made()) first_packet_failed(connection, origin.header, packet);
        return;
    }
    for (const ConnectionId& id : connection.ids())
        if (!add_id(id, connection)) {
            // Another connection has this ID; ours can not be told apart from it.
            for (const ConnectionId& taken : connection.ids()) remove_id(taken, connection);
            ++stats.first_packet_failures;
            return;
        }
    addresses_.add(connection.counted_address());
    connections_.push_back(*made.release());
    stats.connections.set(++connection_count_);
    ++stats.accepted;
    if (connection.counts_as_handshaking()) stats.handshaking.set(++handshaking_);
    touch(connection);
}

// What TLS had against the first packet is told without the connection, by a packet that needs no state.
void EndpointCore::first_packet_failed(Connection& connection, const ngtcp2_pkt_hd& header,
                                       const Packet& packet) noexcept
{
    const CloseReason& reason = *connection.ending();
    if (reason.kind != CloseReason::Kind::transport || reason.library_error != NGTCP2_ERR_CRYPTO) return;
    refuse(header, packet, NGTCP2_CRYPTO_ERROR | connection.tls_alert());
}

// ---- packets without a connection

void EndpointCore::negotiate_version(const ngtcp2_version_cid& header, const Packet& packet) noexcept
{
    if (packet.datagram_size < kMinInitial) {
        ++stats.short_initials;
        return;
    }
    // One version that does not exist keeps clients from growing used to a list (RFC 9000 §6.3).
    std::uint8_t noise[2];
    worker.random().fill(noise);
    const std::uint32_t reserved = 0x0A0A'0A0AU | (std::uint32_t{noise[1]} & 0xF0U) << 24U;
    const std::uint32_t versions[] = {reserved, NGTCP2_PROTO_VER_V1, NGTCP2_PROTO_VER_V2};
    std::uint8_t out[256 * 2 + 64];
    const ngtcp2_ssize size =
        ngtcp2_pkt_write_version_negotiation(out, sizeof out, noise[0], header.scid, header.scidlen, header.dcid,
                                             header.dcidlen, versions, std::size(versions));
    if (size <= 0) return;
    ++stats.version_negotiations;
    send({out, static_cast<std::size_t>(size)}, packet.peer, packet.local);
}

void EndpointCore::send_retry(const ngtcp2_pkt_hd& header, const Packet& packet, base::Instant now) noexcept
{
    const ConnectionId original{{header.dcid.data, header.dcid.datalen}};
    const ConnectionId id = new_id();
    const Token token = tokens.make_retry(header.version, packet.peer, id, original, now);
    if (token.size == 0) return;
    ngtcp2_cid scid;
    ngtcp2_cid_init(&scid, id.octets().data(), id.octets().size());
    std::uint8_t out[512];
    const ngtcp2_ssize size = ngtcp2_crypto_write_retry(out, sizeof out, header.version, &header.scid, &scid,
                                                        &header.dcid, token.octets.data(), token.size);
    if (size <= 0) return;
    ++stats.retries;
    send({out, static_cast<std::size_t>(size)}, packet.peer, packet.local);
}

void EndpointCore::refuse(const ngtcp2_pkt_hd& header, const Packet& packet, std::uint64_t code) noexcept
{
    if (!refusals_.take(worker.now())) return;
    std::uint8_t out[256];
    const ngtcp2_ssize size = ngtcp2_crypto_write_connection_close(out, sizeof out, header.version, &header.scid,
                                                                   &header.dcid, code, nullptr, 0);
    if (size > 0) send({out, static_cast<std::size_t>(size)}, packet.peer, packet.local);
}

void EndpointCore::send_reset(const ConnectionId& id, const Packet& packet, base::Instant now) noexcept
{
    if (packet.datagram_size < kMinResetAnswered) return;
    if (!resets_.take(now)) {
        ++stats.resets_held_back;
        return;
    }
    const ResetToken token = tokens.reset_token(id);
    std::uint8_t noise[kResetSize - 16];
    worker.random().fill(noise);
    std::uint8_t out[kResetSize];
    const ngtcp2_ssize size = ngtcp2_pkt_write_stateless_reset(out, sizeof out, token.data(), noise, sizeof noise);
    if (size <= 0) return;
    ++stats.resets_sent;
    send({out, static_cast<std::size_t>(size)}, packet.peer, packet.local);
}

// ---- packets out

void EndpointCore::send(base::Bytes data, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn,
                        std::uint16_t segment_size, std::size_t packets) noexcept
{
    stats.packets_sent.add(packets);
    stats.bytes_sent.add(data.size());
    if (sender_ != nullptr) return sender_->send(data, peer, local, ecn, segment_size);
    if (!udp_) return;
    udp_->add(fd_, data, peer, local, ecn, segment_size);
    worker.flush_later(flush_);
}

void EndpointCore::touch(Connection& connection) noexcept
{
    if (!static_cast<TouchedHook&>(connection).is_linked()) touched_.push_back(connection);
    worker.flush_later(flush_);
}

void EndpointCore::run_flush(base::Instant now) noexcept { flush(now); }

void EndpointCore::flush(base::Instant now) noexcept
{
    while (!touched_.empty()) {
        Connection& connection = touched_.front();
        touched_.pop_front();
        if (!connection.ending()) connection.write(now);
        if (connection.ending()) finish(connection, now);
    }
    if (udp_) udp_->flush();
    check_drained();
}

// ---- endings

void EndpointCore::finish(Connection& connection, base::Instant now) noexcept
{
    using Kind = CloseReason::Kind;
    const CloseReason reason = connection.ending().value_or(CloseReason{});
    if (reason.kind == Kind::draining) return make_remnant(connection, {}, now);
    if (reason.kind == Kind::silent) return destroy(connection);
    ++stats.closed_by_us;
    if (!connection.handshake_done()) {
        ++stats.handshake_failures;
        connection.refuse_statelessly();
        return destroy(connection);
    }
    std::uint8_t out[kPacket];
    const std::size_t size = connection.write_close(out, now);
    if (size == 0) return destroy(connection);
    send({out, size}, connection.client().peer, connection.client().local);
    make_remnant(connection, {out, size}, now);
}

void EndpointCore::make_remnant(Connection& connection, base::Bytes close_packet, base::Instant now) noexcept
{
    if (remnant_count_ >= share(options().quic.remnants)) {
        ++stats.remnants_dropped;
        remove(remnants_.front());
    }
    auto made = std::make_unique<Remnant>(*this);
    made->ids = connection.ids();
    made->close_packet.assign(close_packet.begin(), close_packet.end());
    memory.charge(made->cost());
    for (const ConnectionId& id : made->ids) map_.move(id, connection, *made);
    worker.arm(made->timer, now + connection.closing_time());
    remnants_.push_back(*made.release());
    stats.remnants.set(++remnant_count_);
    destroy(connection);
}

void EndpointCore::destroy(Connection& connection) noexcept
{
    for (const ConnectionId& id : connection.ids()) map_.remove(id, connection);
    stats.connection_ids.set(map_.size());
    addresses_.remove(connection.counted_address());
    if (connection.counts_as_handshaking()) stats.handshaking.set(--handshaking_);
    stats.connections.set(--connection_count_);
    delete &connection;
}

void EndpointCore::remove(Remnant& remnant) noexcept
{
    for (const ConnectionId& id : remnant.ids) map_.remove(id, remnant);
    stats.connection_ids.set(map_.size());
    stats.remnants.set(--remnant_count_);
    memory.discharge(remnant.cost());
    delete &remnant;
}

// ---- for connections

bool EndpointCore::add_id(const ConnectionId& id, Connection& connection) noexcept
{
    const bool added = map_.add(id, connection);
    stats.connection_ids.set(map_.size());
    return added;
}

void EndpointCore::remove_id(const ConnectionId& id, const Connection& connection) noexcept
{
    map_.remove(id, connection);
    stats.connection_ids.set(map_.size());
}

ConnectionId EndpointCore::new_id() noexcept
{
    return ConnectionId::make(worker.index(), options().workers, worker.random());
}

void EndpointCore::handshake_over(Connection& connection) noexcept
{
    ++stats.handshakes;
    // The connection has noted its end already; before, it counted unless a token had proven the address.
    if (!connection.validated() && static_cast<ConnectionHook&>(connection).is_linked())
        stats.handshaking.set(--handshaking_);
}

void EndpointCore::heard(Connection& connection) noexcept
{
    connections_.splice(connections_.end(), connections_, connections_.iterator_to(connection));
}

// ---- changes

void EndpointCore::renew(const QuicEndpoint::Renewal& renewal)
{
    const auto& before = terms_->options.quic;
    const auto& quic = renewal.options.quic;
    if (quic.resets_per_second != before.resets_per_second) {
        resets_ = TokenBucket{quic.resets_per_second, quic.resets_per_second, worker.now()};
        refusals_ = resets_;
    }
    port_id_ = renewal.port.id;
    tokens = Tokens{secrets, quic.retry_token, port_id_};
    quic_ports_ = std::max(1U, renewal.quic_ports);
    terms_ = make_terms(renewal.options, renewal.port, renewal.doh, renewal.terms);
    draining_ = false;
    drained_ = nullptr;
    drain_timer_.cancel();
    for (Connection& connection : connections_)
        if (!connection.ending() && connection.handshake_done() && !speaks(*terms_, connection.client().transport))
            connection.drain();
    worker.flush_later(flush_);
}

// ---- the end of the gateway

void EndpointCore::drain(std::function<void()> done)
{
    drained_ = std::move(done);
    draining_ = true;
    for (Connection& connection : connections_)
        if (!connection.ending()) connection.drain();
    worker.arm(drain_timer_, worker.now() + options().drain);
    worker.flush_later(flush_);
}

void EndpointCore::drain_expired(base::Instant now) noexcept
{
    while (!connections_.empty()) {
        Connection& connection = connections_.front();
        connection.close_without_error();
        finish(connection, now);
    }
    worker.flush_later(flush_);
}

void EndpointCore::check_drained() noexcept
{
    if (!draining_ || !drained_ || connection_count_ > 0) return;
    drain_timer_.cancel();
    worker.post(std::exchange(drained_, nullptr));
}

} // namespace sallyport::listeners::quic
