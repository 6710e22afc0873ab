#pragma once

/// Module `certs`: who we are to clients.
///
/// PEM files become an `Identity` (one certificate, its key, the names it is for); all identities together become a
/// `TlsIdentities` snapshot from which both TLS stacks are served: OpenSSL for streams, GnuTLS for QUIC. It does no
/// handshakes and owns no socket. Files are read on the control thread; what fails leaves the old snapshot in use.
/// Start reading at `identity.hpp`.

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/result.hpp"
#include "certs/options.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The stacks' own types stay opaque here.
struct ssl_ctx_st;
struct ssl_st;
struct gnutls_session_int;

namespace sallyport::certs {

class Identity;
class ReplayStore;
class TicketKeySet;
class TicketKeys;
struct TicketKey;

/// The protocols a listening port speaks, best first: "dot", "h2", "http/1.1"; "doq", "h3".
struct AlpnPolicy {
    std::vector<std::string> protocols;
    /// A client that offers no ALPN at all is taken (as DoT: Android offers none). One whose offers we do not speak
    /// is refused with no_application_protocol, always (RFC 7301 §3.2).
    bool none_offered_is_fine = false;
};

struct Stats { // written by workers' handshakes: one per worker
    base::Counter unknown_server_names, alpn_refused, tickets_issued, tickets_accepted, tickets_refused;
    template <class V>
    void each(V&& visit) const
    {
        visit("tls_unknown_server_names_total", "Handshakes whose server name no certificate has",
              unknown_server_names);
        visit("tls_alpn_refused_total", "Handshakes refused because no offered protocol is spoken", alpn_refused);
        visit("tls_tickets_issued_total", "Session tickets issued", tickets_issued);
        visit("tls_tickets_accepted_total", "Sessions resumed by ticket", tickets_accepted);
        visit("tls_tickets_refused_total", "Session tickets not accepted (unknown key, damaged)", tickets_refused);
    }
};

/// All certificates at one moment; immutable but for the ticket keys, which it shares with its successors. Any thread.
class TlsIdentities {
public:
    ~TlsIdentities();
    TlsIdentities(const TlsIdentities&) = delete;
    TlsIdentities& operator=(const TlsIdentities&) = delete;

    /// A context for server streams: TLS 1.3, and 1.2 with AEAD and forward secrecy only; no renegotiation, no
    /// compression, no session cache, stateless tickets, SSL_MODE_RELEASE_BUFFERS, certificate chosen by server name.
    /// Borrowed; a connection made from it keeps what it needs alive by itself (SSL_new takes a reference).
    [[nodiscard]] ssl_ctx_st* stream_context() const noexcept;
    /// Call on each new SSL of `stream_context()` before the handshake; `policy` and `stats` must outlive it.
    static void prepare_stream(ssl_st* ssl, const AlpnPolicy& policy, Stats& stats) noexcept;

#ifdef SALLYPORT_HAS_QUIC
    /// Sets priorities, certificates by server name, ALPN and ticket key on a fresh GnuTLS server session for QUIC
    /// (the caller made it with gnutls_init and does the ngtcp2 part). The snapshot and `policy` must outlive the
    /// session, and so must `stats`. With `early_data`, 0-RTT is taken, protected by the shared anti-replay store; give
    /// GNUTLS_ENABLE_EARLY_DATA to gnutls_init exactly then, and GNUTLS_NO_AUTO_SEND_TICKET always.
    /// Taken here: the post-ClientHello hook and the session's db pointer. The session pointer and the handshake hook
    /// stay the caller's. A client without a common ALPN, or without any, gets GNUTLS_E_NO_APPLICATION_PROTOCOL.
    [[nodiscard]] base::Result<void> prepare_quic(gnutls_session_int* session, const AlpnPolicy& policy,
                                                  bool early_data, Stats& stats) const;
    /// Call when the handshake is complete: counts a resumption and sends one session ticket.
    static void complete_quic(gnutls_session_int* session, Stats& stats) noexcept;
#endif

    /// Every DNS name of every certificate, in lower case, the default's first.
    [[nodiscard]] const std::vector<std::string>& names() const noexcept;
    [[nodiscard]] std::span<const std::shared_ptr<const Identity>> identities() const noexcept;

private:
    friend class IdentityLoader;
    TlsIdentities();
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

/// The keys that encrypt session tickets, for both stacks; rotated, shared by all workers. Any thread.
class TicketKeys {
public:
    /// Own keys, or those of the options' file. Errors name the file and what it must hold.
    [[nodiscard]] static base::Result<std::shared_ptr<TicketKeys>> make(const TicketOptions& options,
                                                                        base::Instant now);
    virtual ~TicketKeys();
    TicketKeys(const TicketKeys&) = delete;
    TicketKeys& operator=(const TicketKeys&) = delete;
    /// Rotates when due, or reads the key file again when it changed; cheap otherwise. Control thread.
    virtual base::Result<void> tick(base::Instant now) = 0;

    /// The keys in use. Takes a lock for the copy of a pointer.
    [[nodiscard]] std::shared_ptr<const TicketKeySet> current() const noexcept;
    /// A ticket is good for this long; with keys of our own they decrypt for at least this long.
    [[nodiscard]] std::chrono::seconds rotate_every() const noexcept { return rotate_every_; }
    /// What early data has been seen; here because it must outlive every snapshot whose tickets it guards.
    [[nodiscard]] ReplayStore& replays() const noexcept;

protected:
    explicit TicketKeys(std::chrono::seconds rotate_every);
    void publish(std::vector<TicketKey> keys);

private:
    struct Shared;
    std::unique_ptr<Shared> shared_;
    std::chrono::seconds rotate_every_;
};

/// Reads and checks all the files: each key matches its leaf, the leaf is valid at `wall` (expired is an error, less
/// than 14 days left a warning in the log), the chain is in order. All that is wrong comes back in `problems`, with
/// file names; the result is null then. Blocks on files.
[[nodiscard]] std::shared_ptr<const TlsIdentities> load(const Options& options, std::shared_ptr<TicketKeys> tickets,
                                                        base::WallTime wall, base::Problems& problems);

/// Notices that a file `load` read has changed (by what stat says, twice the same in a row so that a half-written pair
/// is not taken), or that a directory has other files. Make it before the first `load`, so that a change between the
/// two is seen. The ticket key file is `TicketKeys::tick`'s. Control thread.
class Watch {
public:
    explicit Watch(const Options& options);
    ~Watch();
    /// True once for each settled change.
    [[nodiscard]] bool changed();

private:
    struct Files;
    std::unique_ptr<Files> files_;
};

/// Makes a development CA (`ca.crt`, `ca.key`) and a leaf (`dev.crt`, `dev.key`, P-256) in `directory`, keys with mode
/// 0600. What is there and still valid for 7 days and for all `names` is kept: a CA that a browser trusts stays.
struct DevelopmentOptions {
    std::string directory = "certs/dev";
    std::vector<std::string> names{"gate.test", "*.gate.test", "localhost", "127.0.0.1", "::1"};
    std::chrono::hours validity{24 * 90};
    bool replace = false; ///< make all anew
};
struct DevelopmentResult {
    std::string ca_file, chain_file, key_file;
    bool made_ca = false, made_leaf = false;
};
[[nodiscard]] base::Result<DevelopmentResult> make_development(const DevelopmentOptions& options, base::WallTime wall);

} // namespace sallyport::certs
