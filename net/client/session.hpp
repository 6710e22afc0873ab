#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "base/transport.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// The client side of every door: sessions that ask DNS questions over UDP, TCP, TLS, HTTP/1.1, HTTP/2, HTTP/3 and
/// QUIC.
///
/// A session is a state machine without a socket: it is fed octets or datagrams and the time, and gives octets or
/// datagrams to send. `connection.hpp` puts one on a socket, `factory.hpp` makes the right one for a peer.
/// It refuses to resolve names, to retry and to choose among servers: its users do that.
namespace sallyport::net::client {

/// Why a session or a connection ended.
enum class FailureKind : std::uint8_t {
    none,
    refused,     ///< nobody listens there
    unreachable, ///< no route, or the network said so
    closed,      ///< the peer ended the connection, cleanly or not
    not_trusted, ///< the certificate leads to no trust anchor of ours
    wrong_name,  ///< the certificate is another name's
    certificate, ///< anything else that is wrong with it: expired, not a server's …
    tls,         ///< the handshake failed otherwise: no common version, suite or ALPN
    protocol,    ///< the peer broke DNS framing, HTTP or QUIC
    idle,        ///< QUIC's idle or handshake timeout
    system,      ///< our own side: no descriptor, no memory
};

struct Failure {
    FailureKind kind = FailureKind::none;
    std::string detail; ///< for people, without the address

    explicit operator bool() const noexcept { return kind != FailureKind::none; }
};

/// What was agreed with the peer; empty texts where there is nothing to say (UDP and TCP).
struct SecurityReport {
    std::string version; ///< `TLSv1.3`
    std::string cipher;
    std::string group;
    std::string alpn;
    std::string certificate_names; ///< of the leaf, separated by blanks
    std::string certificate_issuer;
    std::string certificate_expiry;
    bool verified = false;
    bool resumed = false;
    bool early_data = false; ///< our early data was accepted
};

/// One answer, borrowed for the call. `tag` is the one given to `ask`.
struct Answer {
    std::uint16_t tag = 0;
    base::Bytes message;
    unsigned http_status = 0; ///< 0 where there is no HTTP
    std::string_view content_type{};
    std::string_view cache_control{};
    std::string_view alt_svc{};
};

/// Told what happens in a session. Calls come from within `receive`, `start`, `expire` and may ask again.
class SessionUser {
public:
    virtual ~SessionUser() = default;
    /// Queries may go from now on.
    virtual void session_ready() noexcept = 0;
    /// A DNS message came back. Whether it fits the question is the user's to check.
    virtual void answered(const Answer& answer) noexcept = 0;
    /// This query will have no answer, the session goes on: an HTTP status other than 200, a stream reset.
    virtual void unanswered(std::uint16_t tag, unsigned http_status, std::string_view reason) noexcept = 0;
};

/// Takes what a session has to send.
class Output {
public:
    virtual ~Output() = default;
    /// Octets of the stream, or one datagram a call.
    virtual void send(base::Bytes bytes) = 0;
};

/// One connection's worth of protocol. Used by one thread.
class Session {
public:
    virtual ~Session() = default;
    Session() = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] virtual bool is_datagram() const noexcept = 0;
    /// The transport below is there.
    virtual void start(const base::Endpoint& local, const base::Endpoint& peer, base::Instant now) = 0;
    /// Octets of the stream, or one datagram.
    virtual void receive(base::Bytes bytes, base::Instant now) = 0;
    /// The peer will send no more octets.
    virtual void peer_closed() noexcept = 0;
    /// Hands everything that can go now to `output`.
    virtual void flush(Output& output, base::Instant now) = 0;
    /// When `expire` must be called; `Instant::max()` for never.
    [[nodiscard]] virtual base::Instant due() const noexcept { return base::Instant::max(); }
    virtual void expire(base::Instant) {}

    /// Queries that may be asked right now: 0 before the session is ready, and while the peer's limit is reached.
    [[nodiscard]] virtual unsigned room() const noexcept = 0;
    /// Takes a query. Over UDP, TCP and DoT `tag` must be its id; tags in flight differ. Where the transport wants id 0
    /// (DoQ) it is written as 0; elsewhere the message goes as it is. False when there is no room.
    [[nodiscard]] virtual bool ask(std::uint16_t tag, base::Bytes query) = 0;
    /// Prepares a clean end (close_notify, GOAWAY, CONNECTION_CLOSE); `flush` sends it.
    virtual void close(base::Instant now) noexcept = 0;

    [[nodiscard]] virtual SecurityReport security() const { return {}; }
    /// The peer takes no new queries here; those in flight may still be answered.
    [[nodiscard]] virtual bool draining() const noexcept { return false; }
    [[nodiscard]] const Failure& failure() const noexcept { return failure_; }

protected:
    /// The first failure counts.
    void fail(FailureKind kind, std::string detail)
    {
        if (!failure_) failure_ = {kind, std::move(detail)};
    }

private:
    Failure failure_;
};

} // namespace sallyport::net::client
