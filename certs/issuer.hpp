#pragma once

#include "base/clock.hpp"
#include "base/result.hpp"
#include "certs/openssl_handle.hpp"

#include <string>
#include <vector>

namespace sallyport::certs {

/// A new P-256 key.
[[nodiscard]] base::Result<KeyHandle> make_key();

/// What a certificate is to say.
struct CertificateSpec {
    std::string common_name;
    std::vector<std::string> names; ///< DNS names and addresses, for subjectAltName
    base::WallTime not_before, not_after;
    bool is_ca = false; ///< may sign servers' certificates but no further CA
};

/// Who signs; both null: the certificate signs itself.
struct Signer {
    X509* certificate = nullptr;
    EVP_PKEY* key = nullptr;
};

/// A version 3 certificate for `key` as RFC 5280 §4.2 wants it: key identifiers, key usage, serverAuth for a server.
[[nodiscard]] base::Result<X509Handle> issue(const CertificateSpec& spec, EVP_PKEY* key, const Signer& signer);

[[nodiscard]] std::string to_pem(X509* certificate);
/// PKCS #8, not encrypted: the caller wipes it.
[[nodiscard]] std::string to_pem(EVP_PKEY* key);

} // namespace sallyport::certs
