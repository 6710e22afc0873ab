#pragma once

#include "base/handle.hpp"
#include "base/result.hpp"
#include "net/client/options.hpp"
#include "net/client/session.hpp"

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace sallyport::net::client {

/// What is remembered of one peer between connections so that the next one starts faster.
struct PeerMemory {
    base::Handle<SSL_SESSION, SSL_SESSION_free> tls_session;
    std::vector<std::uint8_t> quic_session;    ///< the QUIC library's TLS session
    std::vector<std::uint8_t> quic_parameters; ///< the peer's transport parameters, for 0-RTT
    std::vector<std::uint8_t> quic_token;      ///< from NEW_TOKEN
};

/// The rules of TLS for streams: TLS 1.2 and 1.3, the CA store, whether and what name to verify.
class TlsContext {
public:
    /// Errors: a CA file that is not there or holds no certificate.
    [[nodiscard]] static base::Result<std::unique_ptr<TlsContext>> make(const TlsOptions& options);

    [[nodiscard]] SSL_CTX* native() const noexcept { return context_.get(); }
    [[nodiscard]] const TlsOptions& options() const noexcept { return options_; }

private:
    explicit TlsContext(TlsOptions options) : options_(std::move(options)) {}

    TlsOptions options_;
    base::Handle<SSL_CTX, SSL_CTX_free> context_;
};

/// TLS between octets of a stream and octets of an application; no socket.
class TlsChannel {
public:
    /// `alpn` is in wire form (length before each name), empty offers none. `memory` may be null.
    TlsChannel(const TlsContext& context, std::string_view alpn, PeerMemory* memory);

    /// Begins or continues the handshake with what has been fed.
    void advance();
    void feed(base::Bytes wire);
    /// Appends all that can be decrypted.
    void read(std::vector<std::uint8_t>& plain);
    /// Encrypts; only when `open()`.
    void write(base::Bytes plain);
    /// close_notify.
    void close() noexcept;
    void flush(Output& output);

    [[nodiscard]] bool open() const noexcept { return open_; }
    [[nodiscard]] bool peer_finished() const noexcept { return peer_finished_; }
    [[nodiscard]] const Failure& failure() const noexcept { return failure_; }
    [[nodiscard]] SecurityReport report() const;
    [[nodiscard]] std::string_view alpn() const noexcept;

private:
    void failed(int result);
    [[nodiscard]] bool pin_fits() const;

    const TlsContext& context_;
    PeerMemory* memory_;
    base::Handle<SSL, SSL_free> ssl_;
    BIO* from_peer_ = nullptr; // the SSL object's
    BIO* to_peer_ = nullptr;   // the SSL object's
    bool open_ = false;
    bool peer_finished_ = false;
    Failure failure_;
};

/// An IPv4 or IPv6 address as text: then a certificate is checked for the address and no SNI is sent (RFC 6066 §3).
[[nodiscard]] bool is_address(const std::string& name);

} // namespace sallyport::net::client
