#include "listeners/quic/connection.hpp"

#include "base/log.hpp"
#include "listeners/doh3.hpp"
#include "listeners/doq.hpp"
#include "listeners/quic/endpoint_core.hpp"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>

// How a connection is made: the callbacks of the library, what we declare, the TLS session and what it agrees on.

namespace sallyport::listeners::quic {
namespace {

// What a GnuTLS session costs beside what the QUIC library allocates; measured, and given back with it.
constexpr std::size_t kSessionCost = 20'480;
// What a connection costs beside what the QUIC library allocates: itself, what speaks on it, its places in tables, and
// the cipher contexts of its keys (GnuTLS; measured).
constexpr std::size_t kOwnCost = sizeof(Connection) + 1'024 + 4'096;
// One query of 65,535 octets with its length, or a request with its header: all that a stream may ever carry.
constexpr std::uint64_t kStreamWindow = 98'304;
// Control and the two QPACK streams of HTTP/3, and one of a kind we do not know (RFC 9114 §6.2).
constexpr std::uint64_t kUnidirectionalStreams = 4;
constexpr std::uint64_t kUnidirectionalWindow = 16'384;

} // namespace

/// The trampolines: the library's types to ours, our result to its code.
struct ConnectionCallbacks {
    static Connection& self(void* user) noexcept { return *static_cast<Connection*>(user); }
    // An ending that was noted stops the packet at once.
    static int result(const Connection& connection) noexcept
    {
        return connection.ending_ ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
    }

    static int crypto_data(ngtcp2_conn* conn, ngtcp2_encryption_level level, std::uint64_t offset,
                           const std::uint8_t* data, std::size_t size, void* user) noexcept
    {
        if (self(user).session_) return ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, size, user);
        // After the handshake a client has nothing to say in TLS (RFC 9001 §6, §8.3).
        ngtcp2_conn_set_tls_alert(conn, GNUTLS_A_UNEXPECTED_MESSAGE);
        return NGTCP2_ERR_CRYPTO;
    }
    static int handshake_completed(ngtcp2_conn*, void* user) noexcept { return self(user).handshake_completed(); }
    static int tx_key(ngtcp2_conn*, ngtcp2_encryption_level level, void* user) noexcept
    {
        return self(user).keys_installed(level);
    }
    static int stream_open(ngtcp2_conn* conn, std::int64_t stream_id, void* user) noexcept
    {
        Connection& connection = self(user);
        if (!connection.application_) return NGTCP2_ERR_CALLBACK_FAILURE;
        void* const stream = connection.application_->stream_opened(stream_id);
        if (stream != nullptr) ngtcp2_conn_set_stream_user_data(conn, stream_id, stream);
        return result(connection);
    }
    static int stream_data(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream_id, std::uint64_t,
                           const std::uint8_t* data, std::size_t size, void* user, void* stream) noexcept
    {
        Connection& connection = self(user);
        if (!connection.application_) return NGTCP2_ERR_CALLBACK_FAILURE;
        connection.application_->stream_data(stream_id, stream, {data, size},
                                             (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0,
                                             (flags & NGTCP2_STREAM_DATA_FLAG_0RTT) != 0);
        return result(connection);
    }
    static int stream_close(ngtcp2_conn*, std::uint32_t flags, std::int64_t stream_id, std::uint64_t code, void* user,
                            void* stream) noexcept
    {
        Connection& connection = self(user);
        if ((flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) == 0)
            code = connection.application_ ? connection.application_->no_error() : 0;
        if (connection.application_) connection.application_->stream_closed(stream_id, stream, code);
        return result(connection);
    }
    static int stream_reset(ngtcp2_conn*, std::int64_t stream_id, std::uint64_t, std::uint64_t, void* user,
                            void* stream) noexcept
    {
        Connection& connection = self(user);
        if (connection.application_) connection.application_->stream_reset(stream_id, stream);
        return result(connection);
    }
    static int stop_sending(ngtcp2_conn*, std::int64_t stream_id, std::uint64_t, void* user, void* stream) noexcept
    {
        Connection& connection = self(user);
        if (connection.application_) connection.application_->stop_sending(stream_id, stream);
        return result(connection);
    }
    static int acknowledged(ngtcp2_conn*, std::int64_t stream_id, std::uint64_t, std::uint64_t octets, void* user,
                            void* stream) noexcept
    {
        Connection& connection = self(user);
        connection.last_progress_ = connection.now_;
        if (connection.application_) connection.application_->acknowledged(stream_id, stream, octets);
        return result(connection);
    }
    static int stream_unblocked(ngtcp2_conn*, std::int64_t stream_id, std::uint64_t, void* user, void* stream) noexcept
    {
        Connection& connection = self(user);
        if (connection.application_) connection.application_->unblocked(stream_id, stream);
        return result(connection);
    }
    static int streams_allowed(ngtcp2_conn*, std::uint64_t most, void* user) noexcept
    {
        Connection& connection = self(user);
        if (connection.application_) connection.application_->streams_allowed(most);
        return result(connection);
    }
    static void random(std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx* context) noexcept
    {
        static_cast<base::RandomSource*>(context->native_handle)->fill({out, size});
    }
    static int new_connection_id(ngtcp2_conn*, ngtcp2_cid* cid, std::uint8_t* token, std::size_t size,
                                 void* user) noexcept
    {
        return self(user).new_connection_id(*cid, token, size);
    }
    static int remove_connection_id(ngtcp2_conn*, const ngtcp2_cid* cid, void* user) noexcept
    {
        self(user).forget_id(*cid);
        return 0;
    }
    static int path_validated(ngtcp2_conn*, std::uint32_t, const ngtcp2_path* path, const ngtcp2_path*,
                              ngtcp2_path_validation_result outcome, void* user) noexcept
    {
        if (outcome == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) self(user).path_proven(*path);
        return 0;
    }
    static int path_challenge(ngtcp2_conn*, std::uint8_t* data, void* user) noexcept
    {
        self(user).endpoint_.worker.random().fill({data, NGTCP2_PATH_CHALLENGE_DATALEN});
        return 0;
    }

    static const ngtcp2_callbacks& table() noexcept
    {
        static const ngtcp2_callbacks callbacks = [] {
            ngtcp2_callbacks table{};
            table.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
            table.recv_crypto_data = crypto_data;
            table.handshake_completed = handshake_completed;
            table.encrypt = ngtcp2_crypto_encrypt_cb;
            table.decrypt = ngtcp2_crypto_decrypt_cb;
            table.hp_mask = ngtcp2_crypto_hp_mask_cb;
            table.recv_stream_data = stream_data;
            table.acked_stream_data_offset = acknowledged;
            table.stream_open = stream_open;
            table.stream_close = stream_close;
            table.stream_reset = stream_reset;
            table.stream_stop_sending = stop_sending;
            table.extend_max_stream_data = stream_unblocked;
            table.extend_max_remote_streams_bidi = streams_allowed;
            table.rand = random;
            table.get_new_connection_id = new_connection_id;
            table.remove_connection_id = remove_connection_id;
            table.update_key = ngtcp2_crypto_update_key_cb;
            table.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
            table.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
            table.get_path_challenge_data = path_challenge;
            table.path_validation = path_validated;
            table.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
            table.recv_tx_key = tx_key;
            return table;
        }();
        return callbacks;
    }
};

namespace {

ngtcp2_settings settings_for(EndpointCore& endpoint, const Connection::Origin& origin, base::Instant now) noexcept
{
    ngtcp2_settings settings;
    ngtcp2_settings_default(&settings); // qlog stays off: the library's writer trusts what the peer declares
    settings.initial_ts = to_timestamp(now);
    settings.handshake_timeout = to_duration(endpoint.terms()->options.quic.handshake);
    settings.max_tx_udp_payload_size = EndpointCore::kPacket;
    settings.rand_ctx.native_handle = &endpoint.worker.random();
    settings.max_window = 0; // windows do not grow by themselves: they are limits
    settings.max_stream_window = 0;
    // Nobody can acknowledge packets that he has not seen by counting from zero.
    settings.initial_pkt_num = static_cast<std::uint32_t>(endpoint.worker.random().number() & 0x7FFFU);
    if (!origin.token.empty() && origin.validated) {
        settings.token = origin.token.data();
        settings.tokenlen = origin.token.size();
        settings.token_type = origin.after_retry ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
    }
    return settings;
}

ngtcp2_transport_params parameters_for(EndpointCore& endpoint, const Connection::Origin& origin,
                                       const ConnectionId& scid) noexcept
{
    const QuicLimits& limits = endpoint.terms()->options.quic;
    ngtcp2_transport_params params;
    ngtcp2_transport_params_default(&params);
    params.original_dcid = to_cid(origin.original);
    params.original_dcid_present = 1;
    if (origin.after_retry) {
        params.retry_scid = origin.header.dcid;
        params.retry_scid_present = 1;
    }
    params.initial_max_stream_data_bidi_remote = std::min<std::uint64_t>(kStreamWindow, limits.unread_per_connection);
    params.initial_max_stream_data_uni = kUnidirectionalWindow;
    params.initial_max_data = limits.unread_per_connection;
    params.initial_max_streams_bidi = limits.streams;
    params.initial_max_streams_uni = kUnidirectionalStreams;
    params.max_idle_timeout = to_duration(limits.idle);
    // Floods of frames that demand an answer are bounded by the library: it keeps the last four PATH_CHALLENGE, and
    // eight IDs of ours at most, with those retired a moment ago; more active IDs of the client's than this, or 16
    // retirements that he does not confirm, end the connection, as 64 KiB of CRYPTO out of order do.
    params.active_connection_id_limit = 4;
    params.grease_quic_bit = 1;
    const ResetToken token = endpoint.tokens.reset_token(scid);
    std::copy(token.begin(), token.end(), params.stateless_reset_token);
    params.stateless_reset_token_present = 1;
    return params;
}

} // namespace

Connection::Connection(EndpointCore& endpoint, const Origin& origin, base::Instant now)
    : Target(Kind::connection),
      endpoint_(endpoint),
      terms_(endpoint.terms()),
      identities_(endpoint.identities()),
      timer_(net::Timer::of<&Connection::timer_fired>(*this)),
      client_{.peer = origin.peer, .local = origin.local, .transport = base::Transport::doq},
      resets_(endpoint.terms()->options.http.reset_burst, endpoint.terms()->options.http.reset_per_second, now),
      counted_address_(origin.peer.address),
      now_(now),
      last_heard_(now),
      last_progress_(now),
      validated_(origin.validated)
{
    endpoint.memory.charge(kOwnCost);
    const ConnectionId scid = endpoint.new_id();
    ids_ = {to_id(origin.header.dcid), scid};
    const Path path{origin.local, origin.peer};
    const ngtcp2_settings settings = settings_for(endpoint, origin, now);
    const ngtcp2_transport_params params = parameters_for(endpoint, origin, scid);
    const ngtcp2_cid own = to_cid(scid);
    ngtcp2_conn* conn = nullptr;
    if (ngtcp2_conn_server_new(&conn, &origin.header.scid, &own, path.get(), origin.header.version,
                               &ConnectionCallbacks::table(), &settings, &params, endpoint.memory.for_quic(),
                               this) != 0)
        return;
    conn_.reset(conn);
    if (make_session()) ngtcp2_conn_set_tls_native_handle(conn, session_.get());
}

Connection::~Connection()
{
    application_.reset(); // before the library's streams, which it points to
    release_session();
    endpoint_.memory.discharge(kOwnCost);
}

bool Connection::make_session() noexcept
{
    gnutls_session_t session = nullptr;
    unsigned flags = GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET | GNUTLS_NO_END_OF_EARLY_DATA;
    if (terms_->early_data) flags |= GNUTLS_ENABLE_EARLY_DATA;
    if (gnutls_init(&session, flags) != GNUTLS_E_SUCCESS) return false;
    session_.reset(session);
    session_charge_ = kSessionCost;
    endpoint_.memory.charge(session_charge_);
    const auto prepared = identities_->prepare_quic(session, terms_->alpn, terms_->early_data, endpoint_.tls_stats);
    if (!prepared || ngtcp2_crypto_gnutls_configure_server_session(session) != 0) {
        static base::log::Limiter limiter;
        if (!prepared && limiter.admit(now_) != 0)
            base::log::error("QUIC handshakes fail: " + prepared.error().to_string());
        session_.reset();
        return false;
    }
    reference_.get_conn = [](ngtcp2_crypto_conn_ref* reference) {
        return static_cast<Connection*>(reference->user_data)->conn_.get();
    };
    reference_.user_data = this;
    gnutls_session_set_ptr(session, &reference_);
    return true;
}

void Connection::release_session() noexcept
{
    if (conn_ != nullptr) ngtcp2_conn_set_tls_native_handle(conn_.get(), nullptr);
    session_.reset();
    endpoint_.memory.discharge(session_charge_);
    session_charge_ = 0;
}

int Connection::handshake_completed() noexcept
{
    handshake_done_ = true;
    endpoint_.handshake_over(*this);
    if (gnutls_session_is_resumed(session_.get()) != 0) ++endpoint_.stats.resumed;
    certs::TlsIdentities::complete_quic(session_.get(), endpoint_.tls_stats);
    const Token token = endpoint_.tokens.make_new_token(client_.peer, now_);
    if (token.size > 0 && ngtcp2_conn_submit_new_token(conn_.get(), token.octets.data(), token.size) == 0)
        ++endpoint_.stats.tokens_issued;
    // TLS has said all it will: the session, half of what an idle connection costs, goes with the next write.
    release_session_ = true;
    if (application_) application_->handshake_completed();
    return ConnectionCallbacks::result(*this);
}

int Connection::keys_installed(ngtcp2_encryption_level level) noexcept
{
    if (level != NGTCP2_ENCRYPTION_LEVEL_1RTT || application_) return 0;
    return make_application() ? ConnectionCallbacks::result(*this) : NGTCP2_ERR_CALLBACK_FAILURE;
}

bool Connection::make_application() noexcept
{
    char name[256];
    std::size_t size = sizeof name - 1;
    unsigned type = 0;
    if (gnutls_server_name_get(session_.get(), name, &size, &type, 0) == GNUTLS_E_SUCCESS && type == GNUTLS_NAME_DNS) {
        server_name_.assign(name, size);
        while (!server_name_.empty() && server_name_.back() == '\0') server_name_.pop_back();
        for (char& letter : server_name_)
            if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
        client_.server_name = server_name_;
    }
    gnutls_datum_t alpn{};
    if (gnutls_alpn_get_selected_protocol(session_.get(), &alpn) != GNUTLS_E_SUCCESS) return false;
    const std::string_view protocol{reinterpret_cast<const char*>(alpn.data), alpn.size};
    if (protocol == "doq") {
        client_.transport = base::Transport::doq;
        application_ = make_doq(*this);
    } else if (protocol == "h3" && terms_->doh != nullptr) {
        client_.transport = base::Transport::doh3;
        application_ = make_doh3(*this);
    }
    if (application_ && draining_) application_->drain();
    return application_ != nullptr;
}

int Connection::new_connection_id(ngtcp2_cid& cid, std::uint8_t* token, std::size_t size) noexcept
{
    if (size != ConnectionId::kOurs) return NGTCP2_ERR_CALLBACK_FAILURE;
    const ConnectionId id = endpoint_.new_id();
    if (!endpoint_.add_id(id, *this)) return NGTCP2_ERR_CALLBACK_FAILURE;
    ids_.push_back(id);
    cid = to_cid(id);
    const ResetToken reset = endpoint_.tokens.reset_token(id);
    std::copy(reset.begin(), reset.end(), token);
    return 0;
}

void Connection::forget_id(const ngtcp2_cid& cid) noexcept
{
    const ConnectionId id = to_id(cid);
    endpoint_.remove_id(id, *this);
    std::erase(ids_, id);
}

void Connection::refuse_statelessly() noexcept
{
    // An application's error must not be told before the handshake is complete (RFC 9000 §10.2.3).
    const std::uint64_t code = ending_->kind == CloseReason::Kind::application ? NGTCP2_APPLICATION_ERROR
                               : ending_->library_error == NGTCP2_ERR_CRYPTO
                                   ? NGTCP2_CRYPTO_ERROR | tls_alert()
                                   : ngtcp2_err_infer_quic_transport_error_code(ending_->library_error);
    const ngtcp2_cid scid = to_cid(ids_.front());
    std::uint8_t out[256];
    const ngtcp2_ssize size =
        ngtcp2_crypto_write_connection_close(out, sizeof out, ngtcp2_conn_get_client_chosen_version(conn_.get()),
                                             ngtcp2_conn_get_dcid(conn_.get()), &scid, code, nullptr, 0);
    if (size > 0) endpoint_.send({out, static_cast<std::size_t>(size)}, client_.peer, client_.local);
}

std::uint8_t Connection::tls_alert() const noexcept { return ngtcp2_conn_get_tls_alert(conn_.get()); }

} // namespace sallyport::listeners::quic
