#include "certs/stream_context.hpp"

#include "certs/ticket_keys.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace sallyport::certs {

namespace {

// ECDHE with AEAD only (RFC 9325 §4.2); AES-128 first, it is the fastest where the processor has AES.
constexpr const char* kTls12Suites = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                     "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                     "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kTls13Suites = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
// The hybrid with ML-KEM where the library has it (OpenSSL 3.5), which only trying can tell.
constexpr const char* kHybridGroups = "X25519MLKEM768:X25519:P-256:P-384:P-521";
constexpr const char* kStreamGroups = "X25519:P-256:P-384:P-521";
// 112 bits: RSA and DH from 2048 bits, no SHA-1 signatures.
constexpr int kSecurityLevel = 2;
// One ticket a handshake: a resumption brings a new one, and each costs about 30 µs. Clients that keep several (Android
// keeps 5) use one for each connection and get one back.
constexpr std::size_t kTicketsPerHandshake = 1;
constexpr std::string_view kSessionContext = "sallyport";

using CipherHandle = base::Handle<EVP_CIPHER, EVP_CIPHER_free>;

/// What the callbacks of one context need; owned by the context.
struct Core {
    std::shared_ptr<const IdentitySet> identities;
    std::shared_ptr<const TicketKeys> tickets;
    CipherHandle ticket_cipher; // fetched once: a fetch costs more than the encryption
};

void free_core(void*, void* core, CRYPTO_EX_DATA*, int, long, void*) noexcept { delete static_cast<Core*>(core); }

int core_index() noexcept
{
    static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_core);
    return index;
}
int policy_index() noexcept
{
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}
int stats_index() noexcept
{
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

const Core& core_of(const SSL* ssl) noexcept
{
    return *static_cast<const Core*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), core_index()));
}
const AlpnPolicy* policy_of(const SSL* ssl) noexcept
{
    return static_cast<const AlpnPolicy*>(SSL_get_ex_data(ssl, policy_index()));
}
/// Null on a connection that was not prepared: such a one is refused by its missing policy.
Stats* stats_of(const SSL* ssl) noexcept { return static_cast<Stats*>(SSL_get_ex_data(ssl, stats_index())); }

void count(const SSL* ssl, base::Counter Stats::* counter) noexcept
{
    if (Stats* stats = stats_of(ssl)) ++(stats->*counter);
}

std::optional<std::size_t> find_identity(const SSL* ssl) noexcept
{
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return std::nullopt;
    return core_of(ssl).identities->by_name.find(name);
}

/// First look at a ClientHello: the ALPN callback is not called for a client that offers nothing.
int on_client_hello(SSL* ssl, int* alert, void*) noexcept
{
    const AlpnPolicy* policy = policy_of(ssl);
    const unsigned char* offered = nullptr;
    std::size_t size = 0;
    const bool offers =
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &offered, &size) == 1;
    if (policy != nullptr && (offers || policy->none_offered_is_fine)) return SSL_CLIENT_HELLO_SUCCESS;
    count(ssl, &Stats::alpn_refused);
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
    return SSL_CLIENT_HELLO_ERROR;
}

bool is_offered(base::Bytes offers, std::string_view protocol) noexcept
{
    while (!offers.empty()) {
        const std::size_t size = offers[0];
        if (offers.size() < 1 + size) return false; // OpenSSL has checked the list already
        if (base::as_text(offers.subspan(1, size)) == protocol) return true;
        offers = offers.subspan(1 + size);
    }
    return false;
}

int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
            void*) noexcept
{
    const AlpnPolicy* policy = policy_of(ssl);
    if (policy != nullptr) {
        for (const std::string& protocol : policy->protocols) {
            if (!is_offered({in, in_size}, protocol)) continue;
            *out = base::as_bytes(protocol).data();
            *out_size = static_cast<unsigned char>(protocol.size());
            return SSL_TLSEXT_ERR_OK;
        }
    }
    count(ssl, &Stats::alpn_refused);
    return SSL_TLSEXT_ERR_ALERT_FATAL; // no_application_protocol, RFC 7301 §3.2
}

/// Called on resumption too, unlike `on_certificate`; what it acknowledges is kept in a TLS 1.2 session.
int on_server_name(SSL* ssl, int*, void*) noexcept
{
    if (SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) == nullptr) return SSL_TLSEXT_ERR_NOACK;
    if (find_identity(ssl)) return SSL_TLSEXT_ERR_OK;
    // The default certificate is served: the client judges for itself (RFC 6066 §3 allows that).
    count(ssl, &Stats::unknown_server_names);
    return SSL_TLSEXT_ERR_NOACK;
}

/// Full handshakes only. 1: go on, 0: the handshake fails.
int on_certificate(SSL* ssl, void*) noexcept
{
    const std::size_t index = find_identity(ssl).value_or(0);
    if (index == 0) return 1; // the context has the default already
    const Identity& identity = *core_of(ssl).identities->identities[index];
    // The default's key of another kind must not stay beside this one's: OpenSSL would choose between them.
    SSL_certs_clear(ssl);
    return SSL_use_cert_and_key(ssl, identity.leaf(), identity.key(), identity.intermediates(), 1);
}

bool init_mac(EVP_MAC_CTX* mac, const TicketKey& key)
{
    char digest[] = "SHA256";
    auto secret = key.mac;
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret.data(), secret.size()),
                                 OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    const bool done = EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(secret.data(), secret.size());
    return done;
}

int encrypt_ticket(const Core& core, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac)
{
    const auto keys = core.tickets->current();
    const TicketKey& key = keys->newest();
    const int iv_size = EVP_CIPHER_get_iv_length(core.ticket_cipher.get());
    if (RAND_bytes(iv, iv_size) != 1) return -1;
    std::ranges::copy(key.name, name);
    if (EVP_EncryptInit_ex(cipher, core.ticket_cipher.get(), nullptr, key.cipher.data(), iv) != 1) return -1;
    return init_mac(mac, key) ? 1 : -1;
}

int decrypt_ticket(const Core& core, const unsigned char* name, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
                   EVP_MAC_CTX* mac)
{
    const auto keys = core.tickets->current();
    const TicketKey* key = keys->find(std::span<const std::uint8_t, 16>{name, 16});
    if (key == nullptr) return 0; // a full handshake follows
    if (!init_mac(mac, *key)) return -1;
    if (EVP_DecryptInit_ex(cipher, core.ticket_cipher.get(), nullptr, key->cipher.data(), iv) != 1) return -1;
    // 2, "and renew it", always: with 1 a TLS 1.3 resumption would bring no new ticket, and clients use each one once
    // (RFC 8446 §C.4).
    return 2;
}

int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              int encrypting) noexcept
{
    const Core& core = core_of(ssl);
    if (encrypting == 0) return decrypt_ticket(core, name, iv, cipher, mac);
    count(ssl, &Stats::tickets_issued);
    return encrypt_ticket(core, name, iv, cipher, mac);
}

int on_ticket_made(SSL*, void*) noexcept { return 1; }

/// Only here a ticket that was damaged can be told from a good one. Decides nothing that OpenSSL would not.
SSL_TICKET_RETURN on_ticket_read(SSL* ssl, SSL_SESSION*, const unsigned char*, std::size_t, SSL_TICKET_STATUS status,
                                 void*) noexcept
{
    switch (status) {
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW: count(ssl, &Stats::tickets_accepted); return SSL_TICKET_RETURN_USE_RENEW;
    case SSL_TICKET_NO_DECRYPT: count(ssl, &Stats::tickets_refused); return SSL_TICKET_RETURN_IGNORE_RENEW;
    default: return SSL_TICKET_RETURN_IGNORE_RENEW; // the client asks for a ticket and has none
    }
}

std::uint64_t options() noexcept
{
    std::uint64_t wanted = SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                           SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION;
#ifdef SSL_OP_NO_TX_CERTIFICATE_COMPRESSION // OpenSSL 3.2
    wanted |= SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION;
#endif
    return wanted;
}

bool set_protocol(SSL_CTX* context, bool allow_tls12)
{
    SSL_CTX_set_options(context, options());
    SSL_CTX_set_security_level(context, kSecurityLevel);
    if (SSL_CTX_set_min_proto_version(context, allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) != 1) return false;
    if (SSL_CTX_set_max_proto_version(context, 0) != 1) return false;
    if (SSL_CTX_set_cipher_list(context, kTls12Suites) != 1) return false;
    if (SSL_CTX_set_ciphersuites(context, kTls13Suites) != 1) return false;
    if (SSL_CTX_set1_groups_list(context, kHybridGroups) == 1) return true;
    ERR_clear_error(); // a library without it, which is no fault
    return SSL_CTX_set1_groups_list(context, kStreamGroups) == 1;
}

void set_behaviour(SSL_CTX* context)
{
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_client_hello_cb(context, on_client_hello, nullptr);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, nullptr);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_cert_cb(context, on_certificate, nullptr);
}

bool set_sessions(SSL_CTX* context, std::chrono::seconds lifetime)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, lifetime.count());
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
    const base::Bytes id = base::as_bytes(kSessionContext);
    return SSL_CTX_set_num_tickets(context, kTicketsPerHandshake) == 1 &&
           SSL_CTX_set_session_ticket_cb(context, on_ticket_made, on_ticket_read, nullptr) == 1 &&
           SSL_CTX_set_session_id_context(context, id.data(), static_cast<unsigned>(id.size())) == 1;
}

base::Error library_error(std::string_view what)
{
    return {base::ErrorCode::system, fmt::format("OpenSSL refuses {}: {}", what, take_openssl_reason())};
}

} // namespace

base::Result<SslContextHandle> make_stream_context(std::shared_ptr<const IdentitySet> identities,
                                                   std::shared_ptr<const TicketKeys> tickets, bool allow_tls12)
{
    SslContextHandle context{SSL_CTX_new(TLS_server_method())};
    if (!context || !set_protocol(context.get(), allow_tls12)) return library_error("the TLS settings");
    set_behaviour(context.get());
    if (!set_sessions(context.get(), tickets->rotate_every())) return library_error("the session settings");
    const Identity& first = *identities->identities.front();
    if (SSL_CTX_use_cert_and_key(context.get(), first.leaf(), first.key(), first.intermediates(), 1) != 1) {
        return library_error(fmt::format("the certificate in {}", first.chain_file()));
    }
    CipherHandle cipher{EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr)};
    auto core = std::make_unique<Core>(std::move(identities), std::move(tickets), std::move(cipher));
    if (!core->ticket_cipher || SSL_CTX_set_ex_data(context.get(), core_index(), core.get()) != 1) {
        return library_error("the ticket cipher");
    }
    static_cast<void>(core.release()); // freed with the context
    return context;
}

void attach_stream(SSL* ssl, const AlpnPolicy& policy, Stats& stats) noexcept
{
    // A failure (no memory) leaves the connection without a policy, and it is refused at its ClientHello.
    SSL_set_ex_data(ssl, policy_index(), const_cast<AlpnPolicy*>(&policy));
    SSL_set_ex_data(ssl, stats_index(), &stats);
}

} // namespace sallyport::certs
