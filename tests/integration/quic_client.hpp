#pragma once

#include "base/clock.hpp"
#include "base/random.hpp"
#include "listeners/quic/quic_handle.hpp"

#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::test {

using Octets = std::vector<std::uint8_t>;

/// A QUIC client for tests: the library and nothing else, no socket. Packets are taken from `outbox` and given to
/// `receive`; time is what the test says.
class QuicClient {
public:
    struct Options {
        std::string alpn = "doq";
        std::string server_name = "gate.test";
        std::uint32_t version = NGTCP2_PROTO_VER_V1;
        Octets token{};            ///< of an earlier connection (NEW_TOKEN)
        Octets session{};          ///< to be resumed
        Octets early_parameters{}; ///< with `session`: 0-RTT is tried
        std::uint64_t stream_window = 1U << 20U;
        std::uint64_t connection_window = 8U << 20U;
        bool offer_alpn = true;
    };
    struct Stream {
        Octets out{};
        std::size_t sent = 0;
        bool fin = false;
        bool fin_sent = false;
        bool open = true;
        Octets in{};
        bool in_fin = false;
        std::optional<std::uint64_t> reset_code{};
        std::optional<std::uint64_t> stopped_code{};
    };

    QuicClient(const Options& options, const base::Endpoint& own, const base::Endpoint& server, base::Instant now)
        : self(own), local_(own), server_(server), alpn_(options.alpn), now_(now)
    {
        gnutls_certificate_allocate_credentials(&credentials_);
        unsigned flags = GNUTLS_CLIENT | GNUTLS_NO_END_OF_EARLY_DATA;
        if (!options.early_parameters.empty()) flags |= GNUTLS_ENABLE_EARLY_DATA;
        gnutls_session_t session = nullptr;
        gnutls_init(&session, flags);
        session_.reset(session);
        gnutls_priority_set_direct(session,
                                   "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:-GROUP-ALL:+GROUP-X25519:"
                                   "%DISABLE_TLS13_COMPAT_MODE",
                                   nullptr);
        ngtcp2_crypto_gnutls_configure_client_session(session);
        reference_.get_conn = [](ngtcp2_crypto_conn_ref* reference) {
            return static_cast<QuicClient*>(reference->user_data)->conn_.get();
        };
        reference_.user_data = this;
        gnutls_session_set_ptr(session, &reference_);
        gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials_);
        if (options.offer_alpn) {
            gnutls_datum_t datum{reinterpret_cast<unsigned char*>(alpn_.data()), static_cast<unsigned>(alpn_.size())};
            gnutls_alpn_set_protocols(session, &datum, 1, 0);
        }
        gnutls_server_name_set(session, GNUTLS_NAME_DNS, options.server_name.data(), options.server_name.size());
        if (!options.session.empty()) gnutls_session_set_data(session, options.session.data(), options.session.size());
        gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_NEW_SESSION_TICKET, GNUTLS_HOOK_POST,
                                           ticket_arrived);
        make_connection(options);
    }
    ~QuicClient()
    {
        conn_.reset();
        session_.reset();
        gnutls_certificate_free_credentials(credentials_);
    }
    QuicClient(const QuicClient&) = delete;
    QuicClient& operator=(const QuicClient&) = delete;

    /// Writes all packets that may be written now into `outbox`.
    void write(base::Instant now)
    {
        now_ = std::max(now_, now);
        if (error != 0 || closed) return;
        for (int packets = 0; packets < 1000; ++packets) {
            std::uint8_t out[1452];
            const ngtcp2_ssize size = write_one(out);
            if (size < 0) {
                error = static_cast<int>(size);
                return;
            }
            if (size == 0) break;
            outbox.emplace_back(out, out + size);
        }
        ngtcp2_conn_update_pkt_tx_time(conn_.get(), listeners::quic::to_timestamp(now_));
    }
    void receive(base::Bytes packet, base::Instant now)
    {
        now_ = std::max(now_, now);
        if (error != 0 || closed) return;
        bytes_received += packet.size();
        const listeners::quic::Path path{local_, server_};
        const ngtcp2_pkt_info info{};
        const int result = ngtcp2_conn_read_pkt(conn_.get(), path.get(), &info, packet.data(), packet.size(),
                                                listeners::quic::to_timestamp(now_));
        if (result == NGTCP2_ERR_DRAINING) {
            const ngtcp2_ccerr* const why = ngtcp2_conn_get_ccerr(conn_.get());
            closed = why->error_code;
            closed_by_application = why->type == NGTCP2_CCERR_TYPE_APPLICATION;
        } else if (result != 0) {
            error = result;
        }
    }
    /// Does what time demands (retransmissions, acknowledgements).
    void tick(base::Instant now)
    {
        now_ = std::max(now_, now);
        if (error != 0 || closed) return;
        const auto stamp = listeners::quic::to_timestamp(now_);
        if (ngtcp2_conn_get_expiry(conn_.get()) <= stamp) {
            if (const int result = ngtcp2_conn_handle_expiry(conn_.get(), stamp); result != 0) error = result;
        }
        write(now);
    }
    /// Opens a stream with these octets; nothing where the server gives no credit.
    std::optional<std::int64_t> open(const Octets& data, bool fin = true, bool unidirectional = false)
    {
        std::int64_t id = -1;
        const int result = unidirectional ? ngtcp2_conn_open_uni_stream(conn_.get(), &id, nullptr)
                                          : ngtcp2_conn_open_bidi_stream(conn_.get(), &id, nullptr);
        if (result != 0) return std::nullopt;
        streams[id] = Stream{.out = data, .fin = fin};
        return id;
    }
    void add(std::int64_t id, const Octets& data, bool fin)
    {
        Stream& stream = streams[id];
        stream.out.insert(stream.out.end(), data.begin(), data.end());
        stream.fin = fin;
    }
    void reset(std::int64_t id, std::uint64_t code) { ngtcp2_conn_shutdown_stream_write(conn_.get(), 0, id, code); }
    void stop(std::int64_t id, std::uint64_t code) { ngtcp2_conn_shutdown_stream_read(conn_.get(), 0, id, code); }
    Octets close(std::uint64_t code)
    {
        ngtcp2_ccerr reason;
        ngtcp2_ccerr_set_application_error(&reason, code, nullptr, 0);
        Octets out(1452);
        ngtcp2_path_storage path;
        ngtcp2_path_storage_zero(&path);
        ngtcp2_pkt_info info{};
        const auto size = ngtcp2_conn_write_connection_close(conn_.get(), &path.path, &info, out.data(), out.size(),
                                                             &reason, listeners::quic::to_timestamp(now_));
        out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        closed = code;
        return out;
    }
    /// Goes on from another address of the client's own; false where the library has no ID or path for it now.
    bool move(const base::Endpoint& to)
    {
        const listeners::quic::Path path{to, server_};
        if (ngtcp2_conn_initiate_immediate_migration(conn_.get(), path.get(), listeners::quic::to_timestamp(now_)) != 0)
            return false;
        local_ = to;
        return true;
    }
    [[nodiscard]] bool handshaken() const { return handshaken_; }
    [[nodiscard]] bool resumed() const { return resumed_; }
    [[nodiscard]] bool early_accepted() const { return ngtcp2_conn_get_tls_early_data_rejected(conn_.get()) == 0; }
    [[nodiscard]] std::uint64_t streams_left() const { return ngtcp2_conn_get_streams_bidi_left(conn_.get()); }
    /// What a later connection needs to resume this one.
    [[nodiscard]] Octets session_data() const
    {
        if (!ticket_) return {};
        gnutls_datum_t datum{};
        if (gnutls_session_get_data2(session_.get(), &datum) != 0) return {};
        Octets data(datum.data, datum.data + datum.size);
        gnutls_free(datum.data);
        return data;
    }
    [[nodiscard]] Octets early_parameters() const
    {
        Octets out(256);
        const auto size = ngtcp2_conn_encode_0rtt_transport_params(conn_.get(), out.data(), out.size());
        out.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return out;
    }
    [[nodiscard]] ngtcp2_conn* native() { return conn_.get(); }

    base::Endpoint self; ///< as the server sees it; may change: a NAT that forgot
    std::vector<Octets> outbox;
    std::map<std::int64_t, Stream> streams;
    Octets token; ///< NEW_TOKEN
    int error = 0;
    std::optional<std::uint64_t> closed; ///< code of the server's CONNECTION_CLOSE
    bool closed_by_application = false;
    bool got_retry = false;
    bool got_stateless_reset = false;
    std::vector<std::uint32_t> offered_versions;
    std::uint64_t bytes_received = 0;

private:
    static QuicClient& of(void* user) { return *static_cast<QuicClient*>(user); }
    static int ticket_arrived(gnutls_session_t session, unsigned, unsigned, unsigned, const gnutls_datum_t*)
    {
        auto* const reference = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
        of(reference->user_data).ticket_ = true;
        return 0;
    }

    void make_connection(const Options& options)
    {
        ngtcp2_callbacks table{};
        table.client_initial = ngtcp2_crypto_client_initial_cb;
        table.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
        table.encrypt = ngtcp2_crypto_encrypt_cb;
        table.decrypt = ngtcp2_crypto_decrypt_cb;
        table.hp_mask = ngtcp2_crypto_hp_mask_cb;
        table.recv_retry = [](ngtcp2_conn* conn, const ngtcp2_pkt_hd* header, void* user) {
            of(user).got_retry = true;
            return ngtcp2_crypto_recv_retry_cb(conn, header, user);
        };
        table.recv_version_negotiation = [](ngtcp2_conn*, const ngtcp2_pkt_hd*, const std::uint32_t* versions,
                                            std::size_t count, void* user) {
            of(user).offered_versions.assign(versions, versions + count);
            return 0;
        };
        table.recv_stateless_reset = [](ngtcp2_conn*, const ngtcp2_pkt_stateless_reset*, void* user) {
            of(user).got_stateless_reset = true;
            return 0;
        };
        table.handshake_completed = [](ngtcp2_conn*, void* user) {
            of(user).handshaken_ = true;
            of(user).resumed_ = gnutls_session_is_resumed(of(user).session_.get()) != 0;
            return 0;
        };
        table.recv_stream_data = [](ngtcp2_conn* conn, std::uint32_t flags, std::int64_t id, std::uint64_t,
                                    const std::uint8_t* data, std::size_t size, void* user, void*) {
            Stream& stream = of(user).streams[id];
            stream.in.insert(stream.in.end(), data, data + size);
            if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) stream.in_fin = true;
            ngtcp2_conn_extend_max_offset(conn, size);
            ngtcp2_conn_extend_max_stream_offset(conn, id, size);
            return 0;
        };
        table.stream_reset = [](ngtcp2_conn*, std::int64_t id, std::uint64_t, std::uint64_t code, void* user, void*) {
            of(user).streams[id].reset_code = code;
            return 0;
        };
        table.stream_stop_sending = [](ngtcp2_conn*, std::int64_t id, std::uint64_t code, void* user, void*) {
            of(user).streams[id].stopped_code = code;
            return 0;
        };
        table.stream_close = [](ngtcp2_conn*, std::uint32_t, std::int64_t id, std::uint64_t, void* user, void*) {
            of(user).streams[id].open = false;
            return 0;
        };
        table.recv_new_token = [](ngtcp2_conn*, const std::uint8_t* data, std::size_t size, void* user) {
            of(user).token.assign(data, data + size);
            return 0;
        };
        table.rand = [](std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx*) {
            base::SystemRandom{}.fill({out, size});
        };
        table.get_new_connection_id = [](ngtcp2_conn*, ngtcp2_cid* cid, std::uint8_t* reset, std::size_t size, void*) {
            base::SystemRandom random;
            cid->datalen = size;
            random.fill({cid->data, size});
            random.fill({reset, NGTCP2_STATELESS_RESET_TOKENLEN});
            return 0;
        };
        table.update_key = ngtcp2_crypto_update_key_cb;
        table.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
        table.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
        table.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
        table.version_negotiation = ngtcp2_crypto_version_negotiation_cb;

        ngtcp2_settings settings;
        ngtcp2_settings_default(&settings);
        settings.initial_ts = listeners::quic::to_timestamp(now_);
        settings.token = options.token.empty() ? nullptr : options.token.data();
        settings.tokenlen = options.token.size();
        ngtcp2_transport_params params;
        ngtcp2_transport_params_default(&params);
        params.initial_max_stream_data_bidi_local = options.stream_window;
        params.initial_max_stream_data_uni = 65'536;
        params.initial_max_data = options.connection_window;
        params.initial_max_streams_uni = 8;
        params.max_idle_timeout = 60 * NGTCP2_SECONDS;
        params.active_connection_id_limit = 4;
        base::SystemRandom random;
        ngtcp2_cid dcid{}, scid{};
        dcid.datalen = 18;
        random.fill({dcid.data, dcid.datalen});
        scid.datalen = 8;
        random.fill({scid.data, scid.datalen});
        const listeners::quic::Path path{local_, server_};
        ngtcp2_conn* conn = nullptr;
        ngtcp2_conn_client_new(&conn, &dcid, &scid, path.get(), options.version, &table, &settings, &params, nullptr,
                               this);
        conn_.reset(conn);
        ngtcp2_conn_set_tls_native_handle(conn, session_.get());
        if (!options.early_parameters.empty())
            ngtcp2_conn_decode_and_set_0rtt_transport_params(conn, options.early_parameters.data(),
                                                             options.early_parameters.size());
    }

    ngtcp2_ssize write_one(base::MutableBytes out)
    {
        ngtcp2_path_storage path;
        ngtcp2_path_storage_zero(&path);
        ngtcp2_pkt_info info{};
        const auto stamp = listeners::quic::to_timestamp(now_);
        for (auto& [id, stream] : streams) {
            if (stream.sent == stream.out.size() && (!stream.fin || stream.fin_sent)) continue;
            if (!stream.open || (id & 1) != 0) continue;
            ngtcp2_vec piece{stream.out.data() + stream.sent, stream.out.size() - stream.sent};
            ngtcp2_ssize taken = -1;
            const auto size = ngtcp2_conn_writev_stream(
                conn_.get(), &path.path, &info, out.data(), out.size(), &taken,
                NGTCP2_WRITE_STREAM_FLAG_MORE | (stream.fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0U), id, &piece, 1, stamp);
            if (taken >= 0) {
                stream.sent += static_cast<std::size_t>(taken);
                if (stream.sent == stream.out.size() && stream.fin) stream.fin_sent = true;
            }
            if (size == NGTCP2_ERR_WRITE_MORE || size == NGTCP2_ERR_STREAM_DATA_BLOCKED) continue;
            if (size == NGTCP2_ERR_STREAM_SHUT_WR || size == NGTCP2_ERR_STREAM_NOT_FOUND) {
                stream.fin_sent = true;
                stream.sent = stream.out.size();
                continue;
            }
            if (size != 0) return size;
        }
        return ngtcp2_conn_writev_stream(conn_.get(), &path.path, &info, out.data(), out.size(), nullptr, 0, -1,
                                         nullptr, 0, stamp);
    }

    base::Endpoint local_; ///< as the client sees itself
    base::Endpoint server_;
    std::string alpn_;
    base::Instant now_;
    gnutls_certificate_credentials_t credentials_ = nullptr;
    listeners::quic::SessionHandle session_;
    ngtcp2_crypto_conn_ref reference_{};
    listeners::quic::ConnHandle conn_;
    bool handshaken_ = false;
    bool resumed_ = false;
    bool ticket_ = false;
};

} // namespace sallyport::test
