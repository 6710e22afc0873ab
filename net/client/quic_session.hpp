#pragma once

#include "net/client/quic_tls.hpp"
#include "net/client/tls_client.hpp"

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <array>
#include <string>

namespace sallyport::net::client {

using QuicHandle = base::Handle<ngtcp2_conn, ngtcp2_conn_del>;

/// A QUIC connection (RFC 9000) to one peer: what DoQ and HTTP/3 have in common.
class QuicSession : public Session {
public:
    /// `alpn` is one name.
    QuicSession(SessionUser& user, const QuicTls& tls, PeerMemory* memory, std::string alpn, const Limits& limits);
    ~QuicSession() override;

    [[nodiscard]] bool is_datagram() const noexcept override { return true; }
    void start(const base::Endpoint& local, const base::Endpoint& peer, base::Instant now) override;
    void receive(base::Bytes bytes, base::Instant now) override;
    void peer_closed() noexcept override {}
    void flush(Output& output, base::Instant now) override;
    [[nodiscard]] base::Instant due() const noexcept override;
    void expire(base::Instant now) override;
    void close(base::Instant now) noexcept override;
    [[nodiscard]] SecurityReport security() const override;

protected:
    /// The next octets of a stream to send; stream -1 for none. What it points at stays until it is acknowledged.
    struct Piece {
        std::int64_t stream = -1;
        std::array<ngtcp2_vec, 16> parts{};
        std::size_t count = 0;
        bool fin = false;
    };

    /// Streams can be opened: after the handshake, or before it with early data. False ends the session.
    [[nodiscard]] virtual bool opened() = 0;
    /// The server refused early data: every stream is gone and must be opened again.
    [[nodiscard]] virtual bool early_data_refused() = 0;
    /// False ends the session (`fail` says why).
    [[nodiscard]] virtual bool stream_data(std::int64_t stream, base::Bytes data, bool fin) = 0;
    virtual void stream_reset(std::int64_t stream, std::uint64_t error) = 0;
    virtual void stream_closed(std::int64_t stream, std::uint64_t error) = 0;
    virtual void stream_acked(std::int64_t, std::uint64_t) {}
    virtual void stream_unblocked(std::int64_t stream) = 0;
    [[nodiscard]] virtual Piece next_piece() = 0;
    virtual void piece_taken(std::int64_t stream, std::size_t octets) = 0;
    virtual void piece_blocked(std::int64_t stream) = 0;
    virtual void piece_shut(std::int64_t stream) = 0;
    /// The application's code for an end without error.
    [[nodiscard]] virtual std::uint64_t no_error() const noexcept = 0;

    [[nodiscard]] ngtcp2_conn* connection() noexcept { return connection_.get(); }
    [[nodiscard]] SessionUser& user() noexcept { return user_; }
    [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
    [[nodiscard]] bool usable() const noexcept { return usable_ && !failure(); }
    /// Streams that the peer lets us open now.
    [[nodiscard]] std::uint64_t stream_credit() const noexcept;
    void consumed(std::int64_t stream, std::size_t octets) noexcept;

private:
    struct Callbacks;

    [[nodiscard]] ngtcp2_tstamp timestamp(base::Instant now) noexcept;
    void make_connection(const base::Endpoint& local, const base::Endpoint& peer, base::Instant now);
    [[nodiscard]] bool make_tls();
    void remember(const ngtcp2_transport_params& ours);
    [[nodiscard]] bool handshake_completed();
    void library_failed(int error);
    void peer_ended();
    [[nodiscard]] bool write_packet(Output& output, base::Instant now);
    void write_close(Output& output, base::Instant now);

    SessionUser& user_;
    const QuicTls& tls_;
    PeerMemory* memory_;
    std::string alpn_;
    Limits limits_;
    GnutlsSession session_;
    QuicHandle connection_;
    ngtcp2_crypto_conn_ref reference_{};
    sockaddr_storage local_{};
    sockaddr_storage peer_{};
    ngtcp2_path path_{};
    ngtcp2_tstamp last_timestamp_ = 0;
    bool usable_ = false;
    bool tried_early_data_ = false;
    bool close_wanted_ = false;
    bool close_sent_ = false;
    ngtcp2_ccerr close_reason_{};
};

} // namespace sallyport::net::client
