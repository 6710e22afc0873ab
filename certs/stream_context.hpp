#pragma once

#include "certs/certs.hpp"
#include "certs/identity_set.hpp"
#include "certs/openssl_handle.hpp"

#include <memory>

namespace sallyport::certs {

/// One context for all identities: a certificate is put on the connection when its ClientHello has been read, so there
/// is no second context whose options could differ. The context owns what its callbacks use, and every SSL owns its
/// context: a connection outlives the snapshot it was made from.
[[nodiscard]] base::Result<SslContextHandle> make_stream_context(std::shared_ptr<const IdentitySet> identities,
                                                                 std::shared_ptr<const TicketKeys> tickets,
                                                                 bool allow_tls12);

/// Attaches what the handshake's callbacks read and count.
void attach_stream(SSL* ssl, const AlpnPolicy& policy, Stats& stats) noexcept;

} // namespace sallyport::certs
