#include "net/client/quic_session.hpp"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <sys/random.h>

#include <algorithm>

namespace sallyport::net::client {

namespace {

constexpr std::size_t kPacket = 1452;
constexpr std::uint64_t kQuicStreamWindow = 1U << 17U; // holds the largest DNS message with its wrapping
constexpr std::uint64_t kQuicConnectionWindow = 1U << 20U;
constexpr std::size_t kConnectionIdSize = 8;
constexpr auto kIdle = 30 * NGTCP2_SECONDS;
constexpr auto kHandshake = 10 * NGTCP2_SECONDS;

void fill_random(base::MutableBytes octets) noexcept
{
    // Up to 256 octets at once never fail once the kernel's generator is seeded (getrandom(2)).
    for (std::size_t at = 0; at < octets.size();) {
        const ssize_t got = ::getrandom(octets.data() + at, octets.size() - at, 0);
        if (got > 0) at += static_cast<std::size_t>(got);
    }
}

ngtcp2_cid random_id() noexcept
{
    std::array<std::uint8_t, kConnectionIdSize> octets{};
    fill_random(octets);
    ngtcp2_cid id{};
    ngtcp2_cid_init(&id, octets.data(), octets.size());
    return id;
}

std::string describe(const ngtcp2_ccerr& error)
{
    if (error.type == NGTCP2_CCERR_TYPE_TRANSPORT && (error.error_code & ~0xFFULL) == NGTCP2_CRYPTO_ERROR) {
        const auto alert = static_cast<gnutls_alert_description_t>(error.error_code & 0xFFU);
        const char* name = gnutls_alert_get_name(alert);
        return std::string{"TLS alert "} + (name == nullptr ? std::to_string(alert) : name);
    }
    const bool ours = error.type == NGTCP2_CCERR_TYPE_APPLICATION;
    std::string text = (ours ? "application error " : "QUIC error ") + std::to_string(error.error_code);
    if (error.reasonlen > 0) text += " '" + std::string{base::as_text({error.reason, error.reasonlen})} + "'";
    return text;
}

} // namespace

/// The trampolines: `user_data` back to the object, our result to their code.
struct QuicSession::Callbacks {
    static QuicSession& self(void* user) noexcept { return *static_cast<QuicSession*>(user); }
    static int result(bool good) noexcept { return good ? 0 : NGTCP2_ERR_CALLBACK_FAILURE; }

    static ngtcp2_conn* connection_of(ngtcp2_crypto_conn_ref* reference) noexcept
    {
        return self(reference->user_data).connection_.get();
    }
    static int handshake_completed(ngtcp2_conn*, void* user) noexcept
    {
        return result(self(user).handshake_completed());
    }
    static int stream_data(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream, std::uint64_t,
                           const std::uint8_t* data, std::size_t size, void* user, void*) noexcept
    {
        return result(self(user).stream_data(stream, {data, size}, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0));
    }
    static int acked(ngtcp2_conn*, std::int64_t stream, std::uint64_t, std::uint64_t size, void* user, void*) noexcept
    {
        self(user).stream_acked(stream, size);
        return 0;
    }
    static int closed(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream, std::uint64_t error, void* user,
                      void*) noexcept
    {
        const bool with_error = (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0;
        self(user).stream_closed(stream, with_error ? error : self(user).no_error());
        return 0;
    }
    static int reset(ngtcp2_conn*, std::int64_t stream, std::uint64_t, std::uint64_t error, void* user, void*) noexcept
    {
        self(user).stream_reset(stream, error);
        return 0;
    }
    static int unblocked(ngtcp2_conn*, std::int64_t stream, std::uint64_t, void* user, void*) noexcept
    {
        self(user).stream_unblocked(stream);
        return 0;
    }
    static void random(std::uint8_t* to, std::size_t size, const ngtcp2_rand_ctx*) noexcept { fill_random({to, size}); }
    static int new_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size, void*) noexcept
    {
        std::array<std::uint8_t, NGTCP2_MAX_CIDLEN> octets{};
        fill_random({octets.data(), size});
        ngtcp2_cid_init(id, octets.data(), size);
        fill_random({token, NGTCP2_STATELESS_RESET_TOKENLEN});
        return 0;
    }
    static int new_token(ngtcp2_conn*, const std::uint8_t* token, std::size_t size, void* user) noexcept
    {
        if (PeerMemory* memory = self(user).memory_; memory != nullptr) memory->quic_token.assign(token, token + size);
        return 0;
    }
    static int ticket(gnutls_session_t session, unsigned type, unsigned, unsigned, const gnutls_datum_t*) noexcept
    {
        const auto* reference = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
        PeerMemory* memory = self(reference->user_data).memory_;
        gnutls_datum_t data{};
        if (type != GNUTLS_HANDSHAKE_NEW_SESSION_TICKET || memory == nullptr) return 0;
        if (gnutls_session_get_data2(session, &data) == 0) {
            memory->quic_session.assign(data.data, data.data + data.size);
            gnutls_free(data.data);
        }
        return 0;
    }

    static ngtcp2_callbacks table() noexcept
    {
        ngtcp2_callbacks t{};
        t.client_initial = ngtcp2_crypto_client_initial_cb;
        t.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
        t.encrypt = ngtcp2_crypto_encrypt_cb;
        t.decrypt = ngtcp2_crypto_decrypt_cb;
        t.hp_mask = ngtcp2_crypto_hp_mask_cb;
        t.recv_retry = ngtcp2_crypto_recv_retry_cb;
        t.update_key = ngtcp2_crypto_update_key_cb;
        t.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
        t.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
        t.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
        t.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
        t.handshake_completed = handshake_completed;
        t.recv_stream_data = stream_data;
        t.acked_stream_data_offset = acked;
        t.stream_close = closed;
        t.stream_reset = reset;
        t.extend_max_stream_data = unblocked;
        t.rand = random;
        t.get_new_connection_id = new_id;
        t.recv_new_token = new_token;
        return t;
    }
};

QuicSession::QuicSession(SessionUser& user, const QuicTls& tls, PeerMemory* memory, std::string alpn,
                         const Limits& limits)
    : user_(user), tls_(tls), memory_(memory), alpn_(std::move(alpn)), limits_(limits)
{
    ngtcp2_ccerr_default(&close_reason_);
}

QuicSession::~QuicSession() = default;

ngtcp2_tstamp QuicSession::timestamp(base::Instant now) noexcept
{
    // The library ends the process when time goes back; a caller may hold the time of an earlier moment of its wake-up.
    const auto given = static_cast<ngtcp2_tstamp>(std::chrono::nanoseconds{now.time_since_epoch()}.count());
    return last_timestamp_ = std::max(last_timestamp_, given);
}

void QuicSession::start(const base::Endpoint& local, const base::Endpoint& peer, base::Instant now)
{
    if (!make_tls()) {
        fail(FailureKind::system, "GnuTLS makes no session");
        return;
    }
    make_connection(local, peer, now);
    if (!connection_ || !tried_early_data_) return;
    usable_ = true;
    if (opened()) user_.session_ready();
}

bool QuicSession::make_tls()
{
    session_ = tls_.session(alpn_);
    if (!session_ || ngtcp2_crypto_gnutls_configure_client_session(session_.get()) != 0) return false;
    reference_ = {Callbacks::connection_of, this};
    gnutls_session_set_ptr(session_.get(), &reference_);
    gnutls_handshake_set_hook_function(session_.get(), GNUTLS_HANDSHAKE_NEW_SESSION_TICKET, GNUTLS_HOOK_POST,
                                       Callbacks::ticket);
    if (memory_ != nullptr && !memory_->quic_session.empty()) {
        gnutls_session_set_data(session_.get(), memory_->quic_session.data(), memory_->quic_session.size());
    }
    return true;
}

void QuicSession::make_connection(const base::Endpoint& local, const base::Endpoint& peer, base::Instant now)
{
    path_.local = {reinterpret_cast<sockaddr*>(&local_), local.to_sockaddr(local_)};
    path_.remote = {reinterpret_cast<sockaddr*>(&peer_), peer.to_sockaddr(peer_)};
    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings);
    settings.initial_ts = timestamp(now);
    settings.handshake_timeout = kHandshake;
    settings.no_pmtud = 1; // queries are small
    if (memory_ != nullptr && !memory_->quic_token.empty()) {
        settings.token = memory_->quic_token.data();
        settings.tokenlen = memory_->quic_token.size();
        settings.token_type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
    }
    ngtcp2_transport_params ours;
    ngtcp2_transport_params_default(&ours);
    ours.initial_max_stream_data_bidi_local = kQuicStreamWindow;
    ours.initial_max_stream_data_uni = kQuicStreamWindow;
    ours.initial_max_data = kQuicConnectionWindow;
    ours.initial_max_streams_uni = alpn_ == "doq" ? 0 : 3; // HTTP/3's control and QPACK streams
    ours.max_idle_timeout = kIdle;
    ours.active_connection_id_limit = 7;

    const ngtcp2_cid destination = random_id();
    const ngtcp2_cid source = random_id();
    const ngtcp2_callbacks callbacks = Callbacks::table();
    ngtcp2_conn* made = nullptr;
    if (ngtcp2_conn_client_new(&made, &destination, &source, &path_, NGTCP2_PROTO_VER_V1, &callbacks, &settings, &ours,
                               nullptr, this) != 0) {
        fail(FailureKind::system, "no memory for a QUIC connection");
        return;
    }
    connection_.reset(made);
    ngtcp2_conn_set_tls_native_handle(made, session_.get());
    const bool may = tls_.options().early_data && memory_ != nullptr && !memory_->quic_session.empty();
    if (may && !memory_->quic_parameters.empty()) {
        tried_early_data_ = ngtcp2_conn_decode_and_set_0rtt_transport_params(made, memory_->quic_parameters.data(),
                                                                             memory_->quic_parameters.size()) == 0;
    }
}

bool QuicSession::handshake_completed()
{
    if (!quic_pin_fits(session_.get(), tls_.options())) {
        if (memory_ != nullptr) memory_->quic_session.clear();
        fail(FailureKind::certificate, "the key of its certificate is none of those pinned");
        return false;
    }
    if (memory_ != nullptr) {
        std::array<std::uint8_t, 512> parameters{};
        const auto size =
            ngtcp2_conn_encode_0rtt_transport_params(connection_.get(), parameters.data(), parameters.size());
        if (size > 0) memory_->quic_parameters.assign(parameters.begin(), parameters.begin() + size);
    }
    if (!tried_early_data_) {
        usable_ = true;
        if (!opened()) return false;
        user_.session_ready();
        return true;
    }
    if ((gnutls_session_get_flags(session_.get()) & GNUTLS_SFLAGS_EARLY_DATA) != 0) return true;
    return ngtcp2_conn_tls_early_data_rejected(connection_.get()) == 0 && early_data_refused();
}

void QuicSession::receive(base::Bytes bytes, base::Instant now)
{
    if (!connection_ || failure() || close_sent_) return;
    const ngtcp2_pkt_info info{};
    const int result =
        ngtcp2_conn_read_pkt(connection_.get(), &path_, &info, bytes.data(), bytes.size(), timestamp(now));
    if (result == NGTCP2_ERR_DRAINING) {
        peer_ended();
    } else if (result != 0) {
        library_failed(result);
    }
}

void QuicSession::peer_ended()
{
    const ngtcp2_ccerr* error = ngtcp2_conn_get_ccerr(connection_.get());
    const bool tls =
        error->type == NGTCP2_CCERR_TYPE_TRANSPORT && (error->error_code & ~0xFFULL) == NGTCP2_CRYPTO_ERROR;
    fail(tls ? FailureKind::tls : FailureKind::closed, "the server closed the connection: " + describe(*error));
}

void QuicSession::library_failed(int error)
{
    if (error == NGTCP2_ERR_CRYPTO) {
        ngtcp2_ccerr_set_tls_alert(&close_reason_, ngtcp2_conn_get_tls_alert(connection_.get()), nullptr, 0);
        if (const Failure wrong = quic_certificate_failure(session_.get()); wrong) fail(wrong.kind, wrong.detail);
        fail(FailureKind::tls, "the handshake failed: " + describe(close_reason_));
    } else if (error == NGTCP2_ERR_RECV_VERSION_NEGOTIATION) {
        fail(FailureKind::protocol, "the server does not speak QUIC version 1");
    } else {
        ngtcp2_ccerr_set_liberr(&close_reason_, error, nullptr, 0);
        fail(FailureKind::protocol, std::string{"QUIC: "} + ngtcp2_strerror(error));
    }
    close_wanted_ = error != NGTCP2_ERR_DROP_CONN && error != NGTCP2_ERR_RECV_VERSION_NEGOTIATION;
}

void QuicSession::flush(Output& output, base::Instant now)
{
    if (!connection_ || close_sent_) return;
    if (close_wanted_) {
        write_close(output, now);
        return;
    }
    if (failure()) return;
    // Bounded by the congestion window.
    while (write_packet(output, now)) {}
    ngtcp2_conn_update_pkt_tx_time(connection_.get(), timestamp(now));
    if (close_wanted_) write_close(output, now);
}

bool QuicSession::write_packet(Output& output, base::Instant now)
{
    std::array<std::uint8_t, kPacket> packet;
    while (true) {
        const Piece piece = usable_ ? next_piece() : Piece{};
        const std::uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (piece.fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0U);
        ngtcp2_ssize taken = -1;
        ngtcp2_pkt_info info{};
        const auto size =
            ngtcp2_conn_writev_stream(connection_.get(), nullptr, &info, packet.data(), packet.size(), &taken, flags,
                                      piece.stream, piece.parts.data(), piece.count, timestamp(now));
        if (size == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
            piece_blocked(piece.stream);
            continue;
        }
        if (size == NGTCP2_ERR_STREAM_SHUT_WR || size == NGTCP2_ERR_STREAM_NOT_FOUND) {
            piece_shut(piece.stream);
            continue;
        }
        if (taken >= 0) piece_taken(piece.stream, static_cast<std::size_t>(taken));
        if (size == NGTCP2_ERR_WRITE_MORE) continue;
        if (size < 0) {
            library_failed(static_cast<int>(size));
            return false;
        }
        if (size > 0) output.send({packet.data(), static_cast<std::size_t>(size)});
        return size > 0;
    }
}

void QuicSession::write_close(Output& output, base::Instant now)
{
    close_sent_ = true;
    std::array<std::uint8_t, kPacket> packet;
    const auto size = ngtcp2_conn_write_connection_close(connection_.get(), nullptr, nullptr, packet.data(),
                                                         packet.size(), &close_reason_, timestamp(now));
    if (size > 0) output.send({packet.data(), static_cast<std::size_t>(size)});
}

base::Instant QuicSession::due() const noexcept
{
    if (!connection_ || close_sent_ || failure()) return base::Instant::max();
    const ngtcp2_tstamp when = ngtcp2_conn_get_expiry(connection_.get());
    if (when > static_cast<ngtcp2_tstamp>(base::Instant::max().time_since_epoch().count())) return base::Instant::max();
    return base::Instant{std::chrono::nanoseconds{static_cast<std::int64_t>(when)}};
}

void QuicSession::expire(base::Instant now)
{
    if (!connection_ || close_sent_ || failure()) return;
    const int result = ngtcp2_conn_handle_expiry(connection_.get(), timestamp(now));
    if (result == NGTCP2_ERR_IDLE_CLOSE || result == NGTCP2_ERR_HANDSHAKE_TIMEOUT) {
        fail(FailureKind::idle, usable_ ? "the server is silent" : "the server does not answer the QUIC handshake");
    } else if (result != 0) {
        library_failed(result);
    }
}

void QuicSession::close(base::Instant) noexcept
{
    if (!connection_ || failure()) return;
    ngtcp2_ccerr_set_application_error(&close_reason_, no_error(), nullptr, 0);
    close_wanted_ = true;
}

SecurityReport QuicSession::security() const
{
    if (!session_ || !connection_ || ngtcp2_conn_get_handshake_completed(connection_.get()) == 0) return {};
    return quic_security(session_.get(), tls_.options());
}

std::uint64_t QuicSession::stream_credit() const noexcept
{
    return connection_ ? ngtcp2_conn_get_streams_bidi_left(connection_.get()) : 0;
}

void QuicSession::consumed(std::int64_t stream, std::size_t octets) noexcept
{
    ngtcp2_conn_extend_max_stream_offset(connection_.get(), stream, octets);
    ngtcp2_conn_extend_max_offset(connection_.get(), octets);
}

} // namespace sallyport::net::client
