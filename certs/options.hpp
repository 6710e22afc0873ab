#pragma once

#include "base/result.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace sallyport::certs {

/// Explicit ones and those of the directory together; more is an error.
inline constexpr std::size_t kMaxCertificates = 1000;

/// One certificate with its key, as PEM files.
struct CertificateOptions {
    std::string chain_file; ///< leaf first, then intermediates
    std::string key_file;
    base::SourcePosition position; ///< where the configuration names it
};

struct TicketOptions {
    /// 80 octets a key, newest first (at most 4 are used), shared by several gateways; empty: keys of our own.
    std::string key_file;
    /// Own keys are replaced this often; the previous one still decrypts. 1 minute to 12 hours.
    std::chrono::seconds rotate_every = std::chrono::hours{6};
};

struct Options {
    /// Explicit pairs; the first is the default for clients that send no server name.
    std::vector<CertificateOptions> certificates;
    /// A folder in which every NAME.crt / NAME.pem with its NAME.key is taken, in name order, after the explicit ones.
    std::string directory;
    base::SourcePosition directory_position;
    TicketOptions tickets;
    /// Files are looked at this often for a change.
    std::chrono::seconds watch_every = std::chrono::seconds{2};
    /// TLS 1.2 can be switched off; 1.3 cannot.
    bool allow_tls12 = true;
};

} // namespace sallyport::certs
