#include "certs/quic_credentials.hpp"

#include "base/handle.hpp"
#include "certs/openssl_handle.hpp"
#include "certs/replay_store.hpp"
#include "certs/ticket_keys.hpp"

#include <fmt/format.h>
#include <gnutls/gnutls.h>
#include <openssl/pem.h>

#include <array>
#include <ctime>
#include <limits>
#include <mutex>
#include <utility>

namespace sallyport::certs {

namespace {

using CredentialsHandle = base::Handle<gnutls_certificate_credentials_st, gnutls_certificate_free_credentials>;
using PriorityHandle = base::Handle<gnutls_priority_st, gnutls_priority_deinit>;

// TLS 1.3 only (RFC 9001 §4.2); the ciphers QUIC has header protection for (§5.4) without CCM.
constexpr const char* kCiphers = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:"
                                 "+CHACHA20-POLY1305:-GROUP-ALL:";
constexpr const char* kGroups = "+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";
// In GnuTLS from 3.8.8, if built with ML-KEM: trying tells.
constexpr const char* kHybridGroup = "+GROUP-X25519-MLKEM768:";
// GnuTLS makes a new key from the master every three lifetimes: 12 hours at most, as our own rotation.
constexpr std::chrono::seconds kMaxTicketLifetime = std::chrono::hours{4};
// RFC 9001 §4.6.1: the only value that means "early data" in QUIC.
constexpr std::size_t kQuicEarlyData = 0xFFFF'FFFFU;
constexpr std::size_t kMaxServerName = 256;

base::Error library_error(std::string_view what, int code)
{
    return {base::ErrorCode::system, fmt::format("GnuTLS refuses {}: {}", what, gnutls_strerror(code))};
}

gnutls_datum_t datum(base::Bytes bytes) noexcept
{
    return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned>(bytes.size())};
}

/// What was written into a memory BIO, borrowed.
gnutls_datum_t content_of(BIO* bio) noexcept
{
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    return {reinterpret_cast<unsigned char*>(text), static_cast<unsigned>(size)};
}

bool write_chain(BIO* out, const Identity& identity)
{
    if (PEM_write_bio_X509(out, identity.leaf()) != 1) return false;
    auto* rest = identity.intermediates();
    for (int i = 0; i < sk_X509_num(rest); ++i) {
        if (PEM_write_bio_X509(out, sk_X509_value(rest, i)) != 1) return false;
    }
    return true;
}

/// Both stacks serve what OpenSSL has read and checked, so what GnuTLS gets is written anew from that.
base::Result<CredentialsHandle> make_credentials(const Identity& identity)
{
    gnutls_certificate_credentials_t raw = nullptr;
    if (const int code = gnutls_certificate_allocate_credentials(&raw); code < 0) {
        return library_error("more memory", code);
    }
    CredentialsHandle credentials{raw};
    const BioHandle chain{BIO_new(BIO_s_mem())};
    const BioHandle key{BIO_new(BIO_s_secmem())}; // wiped when freed
    if (!write_chain(chain.get(), identity) ||
        PEM_write_bio_PKCS8PrivateKey(key.get(), identity.key(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
        return base::Error{base::ErrorCode::system,
                           fmt::format("{}: {}", identity.chain_file(), take_openssl_reason())};
    }
    const gnutls_datum_t chain_pem = content_of(chain.get());
    const gnutls_datum_t key_pem = content_of(key.get());
    const int code = gnutls_certificate_set_x509_key_mem(raw, &chain_pem, &key_pem, GNUTLS_X509_FMT_PEM);
    if (code < 0) return library_error(fmt::format("the certificate in {}", identity.chain_file()), code);
    return credentials;
}

base::Result<PriorityHandle> make_priority()
{
    gnutls_priority_t raw = nullptr;
    const std::string hybrid = fmt::format("{}{}{}", kCiphers, kHybridGroup, kGroups);
    const std::string plain = fmt::format("{}{}", kCiphers, kGroups);
    if (gnutls_priority_init(&raw, hybrid.c_str(), nullptr) == GNUTLS_E_SUCCESS) return PriorityHandle{raw};
    if (const int code = gnutls_priority_init(&raw, plain.c_str(), nullptr); code < 0) {
        return library_error("the priorities for QUIC", code);
    }
    return PriorityHandle{raw};
}

int remember_early_data(void* store, std::time_t expires, const gnutls_datum_t* key, const gnutls_datum_t*) noexcept
{
    // The clock GnuTLS has computed `expires` with.
    const auto outcome = static_cast<ReplayStore*>(store)->add({key->data, key->size}, std::time(nullptr), expires);
    return outcome == ReplayStore::Outcome::fresh ? GNUTLS_E_SUCCESS : GNUTLS_E_DB_ENTRY_EXISTS;
}

/// Sessions only read the object, so all workers share it; the store behind it has its own lock.
base::Result<gnutls_anti_replay_t> anti_replay_of(ReplayStore& store)
{
    if (!store.library_state) {
        gnutls_anti_replay_t raw = nullptr;
        if (const int code = gnutls_anti_replay_init(&raw); code < 0) return library_error("anti-replay", code);
        gnutls_anti_replay_set_ptr(raw, &store);
        gnutls_anti_replay_set_add_function(raw, remember_early_data);
        store.library_state = std::shared_ptr<gnutls_anti_replay_st>{raw, gnutls_anti_replay_deinit};
    }
    return static_cast<gnutls_anti_replay_t>(store.library_state.get());
}

} // namespace

struct QuicCredentials::Parts {
    std::shared_ptr<const IdentitySet> identities;
    std::shared_ptr<TicketKeys> tickets; // owns the replay store too
    std::vector<CredentialsHandle> credentials;
    PriorityHandle priority;
    gnutls_anti_replay_t anti_replay = nullptr; // the replay store's

    /// What a session points to. Its own pointer is ngtcp2's, so this hangs on the session cache's, which is unused:
    /// tickets are stateless and anti-replay has a pointer of its own. One for each worker, not for each session.
    struct Binding {
        const Parts* parts;
        Stats* stats;
    };
    std::mutex mutex;
    std::vector<std::unique_ptr<Binding>> bindings;

    Binding& binding_for(Stats& stats)
    {
        const std::lock_guard lock{mutex};
        for (const auto& binding : bindings) {
            if (binding->stats == &stats) return *binding;
        }
        return *bindings.emplace_back(std::make_unique<Binding>(Binding{this, &stats}));
    }

    int client_hello_arrived(gnutls_session_t session, Stats& stats) const noexcept;
    int choose_identity(gnutls_session_t session, Stats& stats) const noexcept;
    static int on_client_hello(gnutls_session_t session) noexcept
    {
        const auto* binding = static_cast<const Binding*>(gnutls_db_get_ptr(session));
        return binding->parts->client_hello_arrived(session, *binding->stats);
    }
};

/// RFC 9001 §8.1: without a common protocol the connection ends, also where the client offers none.
int QuicCredentials::Parts::client_hello_arrived(gnutls_session_t session, Stats& stats) const noexcept
{
    gnutls_datum_t selected{};
    if (gnutls_alpn_get_selected_protocol(session, &selected) < 0) {
        ++stats.alpn_refused;
        return GNUTLS_E_NO_APPLICATION_PROTOCOL;
    }
    return choose_identity(session, stats);
}

int QuicCredentials::Parts::choose_identity(gnutls_session_t session, Stats& stats) const noexcept
{
    std::array<char, kMaxServerName> name;
    std::size_t size = name.size();
    unsigned type = 0;
    if (gnutls_server_name_get(session, name.data(), &size, &type, 0) < 0 || type != GNUTLS_NAME_DNS) return 0;
    const auto index = identities->by_name.find({name.data(), size});
    if (!index) {
        ++stats.unknown_server_names;
        return 0; // the default's credentials are set already
    }
    return gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials[*index].get());
}

QuicCredentials::QuicCredentials(std::unique_ptr<Parts> parts) : parts_{std::move(parts)} {}
QuicCredentials::~QuicCredentials() = default;

base::Result<std::unique_ptr<QuicCredentials>> QuicCredentials::make(std::shared_ptr<const IdentitySet> identities,
                                                                     std::shared_ptr<TicketKeys> tickets)
{
    auto parts = std::make_unique<Parts>();
    auto priority = make_priority();
    if (!priority) return priority.error();
    const auto anti_replay = anti_replay_of(tickets->replays());
    if (!anti_replay) return anti_replay.error();
    for (const auto& identity : identities->identities) {
        auto credentials = make_credentials(*identity);
        if (!credentials) return credentials.error();
        parts->credentials.push_back(std::move(*credentials));
    }
    parts->priority = std::move(*priority);
    parts->anti_replay = *anti_replay;
    parts->identities = std::move(identities);
    parts->tickets = std::move(tickets);
    return std::unique_ptr<QuicCredentials>{new QuicCredentials{std::move(parts)}};
}

namespace {

int set_alpn(gnutls_session_t session, const AlpnPolicy& policy)
{
    std::vector<gnutls_datum_t> protocols;
    protocols.reserve(policy.protocols.size());
    for (const std::string& protocol : policy.protocols) protocols.push_back(datum(base::as_bytes(protocol)));
    return gnutls_alpn_set_protocols(session, protocols.data(), static_cast<unsigned>(protocols.size()),
                                     GNUTLS_ALPN_SERVER_PRECEDENCE);
}

int set_tickets(gnutls_session_t session, const TicketKeys& keys)
{
    const auto lifetime = std::min(keys.rotate_every(), kMaxTicketLifetime);
    gnutls_db_set_cache_expiration(session, static_cast<int>(lifetime.count()));
    const auto current = keys.current();
    const gnutls_datum_t master = datum(current->quic_master());
    return gnutls_session_ticket_enable_server(session, &master);
}

} // namespace

base::Result<void> QuicCredentials::prepare(gnutls_session_int* session, const AlpnPolicy& policy, bool early_data,
                                            Stats& stats)
{
    const auto failed = [](int code) { return library_error("a session's settings", code); };
    if (const int code = gnutls_priority_set(session, parts_->priority.get()); code < 0) return failed(code);
    const int code = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, parts_->credentials.front().get());
    if (code < 0) return failed(code);
    if (const int alpn = set_alpn(session, policy); alpn < 0) return failed(alpn);
    if (const int tickets = set_tickets(session, *parts_->tickets); tickets < 0) return failed(tickets);
    if (early_data) {
        gnutls_anti_replay_enable(session, parts_->anti_replay);
        if (const int size = gnutls_record_set_max_early_data_size(session, kQuicEarlyData); size < 0) {
            return failed(size);
        }
    }
    gnutls_db_set_ptr(session, &parts_->binding_for(stats));
    gnutls_handshake_set_post_client_hello_function(session, Parts::on_client_hello);
    return {};
}

void complete_quic_session(gnutls_session_int* session, Stats& stats) noexcept
{
    if (gnutls_session_is_resumed(session) != 0) ++stats.tickets_accepted;
    // One, as for streams: a resumption brings a new one.
    if (gnutls_session_ticket_send(session, 1, 0) == GNUTLS_E_SUCCESS) ++stats.tickets_issued;
}

} // namespace sallyport::certs
