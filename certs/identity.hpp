#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "certs/options.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

// OpenSSL's types stay opaque here.
struct x509_st;
struct evp_pkey_st;
struct stack_st_X509;

namespace sallyport::certs {

/// A certificate file holds at most this many octets and certificates; a longer one is refused.
inline constexpr std::size_t kMaxPemSize = std::size_t{1} << 20U;
inline constexpr int kMaxChain = 10;
/// Less than this left is worth a warning in the log.
inline constexpr std::chrono::hours kNearExpiry{24 * 14};

/// Octets of a PEM file and the name to use for it in errors.
struct PemSource {
    std::string file;
    base::Bytes pem;
};

/// One certificate with its intermediates and its key, checked; immutable. Any thread.
class Identity {
public:
    ~Identity();
    Identity(const Identity&) = delete;
    Identity& operator=(const Identity&) = delete;

    /// The dNSName entries of subjectAltName in lower case, without a final dot; wildcards as `*.gate.test`.
    [[nodiscard]] const std::vector<std::string>& names() const noexcept;
    /// The iPAddress entries.
    [[nodiscard]] const std::vector<base::IpAddress>& addresses() const noexcept;
    [[nodiscard]] base::WallTime not_before() const noexcept;
    /// The end of the first certificate of the chain to end.
    [[nodiscard]] base::WallTime not_after() const noexcept;
    [[nodiscard]] bool is_ca() const noexcept;
    /// "P-256", "RSA-2048", "ED25519".
    [[nodiscard]] const std::string& key_kind() const noexcept;
    [[nodiscard]] const std::string& chain_file() const noexcept;
    [[nodiscard]] const std::string& key_file() const noexcept;

    /// Borrowed; OpenSSL counts references, so a caller that keeps one takes its own.
    [[nodiscard]] x509_st* leaf() const noexcept;
    [[nodiscard]] evp_pkey_st* key() const noexcept;
    /// The intermediates, without the leaf; may be empty, never null.
    [[nodiscard]] stack_st_X509* intermediates() const noexcept;

private:
    friend class IdentityParser;
    Identity();
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// Reads and checks a chain and its key. Every fault is added to `problems` with `position`; the result is null then.
/// Takes no file from the disk and does not write to the log.
[[nodiscard]] std::shared_ptr<const Identity> parse_identity(const PemSource& chain, const PemSource& key,
                                                             base::WallTime wall, const base::SourcePosition& position,
                                                             base::Problems& problems);

/// The same from files; warns in the log of keys that others can read and of certificates that soon end.
/// With an empty `key_file` the key is expected in the chain's file.
[[nodiscard]] std::shared_ptr<const Identity> read_identity(const CertificateOptions& options, base::WallTime wall,
                                                            base::Problems& problems);

/// `2026-11-20 13:50:00 UTC`
[[nodiscard]] std::string format_time(base::WallTime time);

} // namespace sallyport::certs
