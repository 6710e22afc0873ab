#pragma once

#include "base/handle.hpp"
#include "base/result.hpp"
#include "net/client/options.hpp"
#include "net/client/session.hpp"

#include <gnutls/gnutls.h>

#include <memory>
#include <type_traits>

namespace sallyport::net::client {

using GnutlsSession = base::Handle<std::remove_pointer_t<gnutls_session_t>, gnutls_deinit>;
using GnutlsCredentials =
    base::Handle<std::remove_pointer_t<gnutls_certificate_credentials_t>, gnutls_certificate_free_credentials>;
using GnutlsPriority = base::Handle<std::remove_pointer_t<gnutls_priority_t>, gnutls_priority_deinit>;

/// The rules of TLS inside QUIC: TLS 1.3, the CA store, whether and what name to verify.
class QuicTls {
public:
    /// Errors: a CA file that is not there or holds no certificate.
    [[nodiscard]] static base::Result<std::unique_ptr<QuicTls>> make(const TlsOptions& options);

    /// A client session that offers `alpn` and nothing else; the QUIC library is tied to it by the caller.
    [[nodiscard]] GnutlsSession session(std::string_view alpn) const;
    [[nodiscard]] const TlsOptions& options() const noexcept { return options_; }

private:
    explicit QuicTls(TlsOptions options) : options_(std::move(options)) {}

    TlsOptions options_;
    GnutlsCredentials credentials_;
    GnutlsPriority priority_;
};

/// What was agreed, after the handshake.
[[nodiscard]] SecurityReport quic_security(gnutls_session_t session, const TlsOptions& options);
/// Whether the key of a certificate of the peer is one of those pinned; true where none is.
[[nodiscard]] bool quic_pin_fits(gnutls_session_t session, const TlsOptions& options);
/// What is wrong with the peer's certificate; no failure where nothing is.
[[nodiscard]] Failure quic_certificate_failure(gnutls_session_t session);

} // namespace sallyport::net::client
