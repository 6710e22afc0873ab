#pragma once

#include "certs/certs.hpp"
#include "certs/identity_set.hpp"

#include <memory>

namespace sallyport::certs {

/// What GnuTLS needs to serve all identities over QUIC: credentials for each, the priorities, the anti-replay object.
/// Any thread.
class QuicCredentials {
public:
    [[nodiscard]] static base::Result<std::unique_ptr<QuicCredentials>>
    make(std::shared_ptr<const IdentitySet> identities, std::shared_ptr<TicketKeys> tickets);
    ~QuicCredentials();

    /// See `TlsIdentities::prepare_quic`.
    [[nodiscard]] base::Result<void> prepare(gnutls_session_int* session, const AlpnPolicy& policy, bool early_data,
                                             Stats& stats);

private:
    struct Parts;
    explicit QuicCredentials(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

/// See `TlsIdentities::complete_quic`.
void complete_quic_session(gnutls_session_int* session, Stats& stats) noexcept;

} // namespace sallyport::certs
