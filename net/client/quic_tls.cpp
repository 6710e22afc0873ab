#include "net/client/quic_tls.hpp"

#include "net/client/tls_client.hpp"

#include <gnutls/x509.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <vector>

namespace sallyport::net::client {

namespace {

constexpr const char* kPriority =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-X25519:"
    "+GROUP-SECP256R1:+GROUP-SECP384R1:%DISABLE_TLS13_COMPAT_MODE";
constexpr unsigned kFlags = GNUTLS_CLIENT | GNUTLS_ENABLE_EARLY_DATA | GNUTLS_NO_END_OF_EARLY_DATA;

using GnutlsCertificate = base::Handle<std::remove_pointer_t<gnutls_x509_crt_t>, gnutls_x509_crt_deinit>;

GnutlsCertificate leaf_of(gnutls_session_t session)
{
    unsigned count = 0;
    const gnutls_datum_t* chain = gnutls_certificate_get_peers(session, &count);
    gnutls_x509_crt_t certificate = nullptr;
    if (count == 0 || gnutls_x509_crt_init(&certificate) != 0) return nullptr;
    GnutlsCertificate owned{certificate};
    if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) != 0) return nullptr;
    return owned;
}

std::string alternative_names(gnutls_x509_crt_t certificate)
{
    std::string all;
    std::array<std::uint8_t, 256> name{};
    for (unsigned i = 0;; ++i) {
        std::size_t size = name.size();
        const int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, name.data(), &size, nullptr);
        if (type < 0) break;
        const base::Bytes octets{name.data(), size};
        std::string one;
        if (type == GNUTLS_SAN_DNSNAME) one = base::as_text(octets);
        if (type == GNUTLS_SAN_IPADDRESS) one = base::IpAddress::from_octets(octets).to_string();
        if (!one.empty()) all += (all.empty() ? "" : " ") + one;
    }
    return all;
}

std::string issuer_of(gnutls_x509_crt_t certificate)
{
    std::array<char, 256> text{};
    std::size_t size = text.size();
    if (gnutls_x509_crt_get_issuer_dn(certificate, text.data(), &size) != 0) return {};
    return {text.data(), size};
}

std::string expiry_of(gnutls_x509_crt_t certificate)
{
    const std::time_t when = gnutls_x509_crt_get_expiration_time(certificate);
    std::tm parts{};
    gmtime_r(&when, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts)};
}

} // namespace

base::Result<std::unique_ptr<QuicTls>> QuicTls::make(const TlsOptions& options)
{
    std::unique_ptr<QuicTls> made{new QuicTls(options)};
    gnutls_certificate_credentials_t credentials = nullptr;
    gnutls_priority_t priority = nullptr;
    if (gnutls_certificate_allocate_credentials(&credentials) != 0 ||
        gnutls_priority_init(&priority, kPriority, nullptr) != 0) {
        return base::Error{base::ErrorCode::system, "GnuTLS does not start"};
    }
    made->credentials_.reset(credentials);
    made->priority_.reset(priority);
    if (options.ca_file.empty()) {
        if (options.verify) gnutls_certificate_set_x509_system_trust(credentials);
        return made;
    }
    const int read = gnutls_certificate_set_x509_trust_file(credentials, options.ca_file.c_str(), GNUTLS_X509_FMT_PEM);
    if (read > 0) return made;
    return base::Error{base::ErrorCode::unreadable, options.ca_file + ": no CA certificate could be read from it (" +
                                                        (read < 0 ? gnutls_strerror(read) : "none in it") + ")"};
}

GnutlsSession QuicTls::session(std::string_view alpn) const
{
    gnutls_session_t made = nullptr;
    if (gnutls_init(&made, kFlags) != 0) return nullptr;
    GnutlsSession session{made};
    gnutls_priority_set(made, priority_.get());
    gnutls_credentials_set(made, GNUTLS_CRD_CERTIFICATE, credentials_.get());
    // GnuTLS only reads the name of a protocol, but its type is not const.
    const gnutls_datum_t protocol{reinterpret_cast<unsigned char*>(const_cast<char*>(alpn.data())),
                                  static_cast<unsigned>(alpn.size())};
    gnutls_alpn_set_protocols(made, &protocol, 1, GNUTLS_ALPN_MANDATORY);
    const std::string& name = options_.server_name;
    if (!name.empty() && !is_address(name)) gnutls_server_name_set(made, GNUTLS_NAME_DNS, name.data(), name.size());
    if (options_.verify) gnutls_session_set_verify_cert(made, name.empty() ? nullptr : name.c_str(), 0);
    return session;
}

SecurityReport quic_security(gnutls_session_t session, const TlsOptions& options)
{
    SecurityReport report;
    report.version = "TLSv1.3 in QUIC v1";
    report.cipher = std::string{gnutls_cipher_get_name(gnutls_cipher_get(session))};
    const char* group = gnutls_group_get_name(gnutls_group_get(session));
    report.group = group == nullptr ? "" : group;
    gnutls_datum_t alpn{};
    if (gnutls_alpn_get_selected_protocol(session, &alpn) == 0) report.alpn = base::as_text({alpn.data, alpn.size});
    report.resumed = gnutls_session_is_resumed(session) != 0;
    report.early_data = (gnutls_session_get_flags(session) & GNUTLS_SFLAGS_EARLY_DATA) != 0;
    report.verified = options.verify;
    if (const auto leaf = leaf_of(session)) {
        report.certificate_names = alternative_names(leaf.get());
        report.certificate_issuer = issuer_of(leaf.get());
        report.certificate_expiry = expiry_of(leaf.get());
    }
    return report;
}

bool quic_pin_fits(gnutls_session_t session, const TlsOptions& options)
{
    // What is resumed was begun with this very peer, under the same options.
    if (options.spki_pins.empty() || gnutls_session_is_resumed(session) != 0) return true;
    const auto leaf = leaf_of(session);
    SpkiPin key{};
    std::size_t size = key.size();
    return leaf && gnutls_x509_crt_get_key_id(leaf.get(), GNUTLS_KEYID_USE_SHA256, key.data(), &size) == 0 &&
           std::find(options.spki_pins.begin(), options.spki_pins.end(), key) != options.spki_pins.end();
}

Failure quic_certificate_failure(gnutls_session_t session)
{
    const unsigned status = gnutls_session_get_verify_cert_status(session);
    // Before there is anything to judge all bits are set.
    if (status == 0 || status == static_cast<unsigned>(-1)) return {};
    if ((status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA)) != 0) {
        return {FailureKind::not_trusted, "its issuer is not trusted here"};
    }
    if ((status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0) return {FailureKind::wrong_name, "it is for another name"};
    if ((status & GNUTLS_CERT_EXPIRED) != 0) return {FailureKind::certificate, "certificate has expired"};
    if ((status & GNUTLS_CERT_NOT_ACTIVATED) != 0) return {FailureKind::certificate, "certificate is not yet valid"};
    return {FailureKind::certificate, "the certificate does not verify"};
}

} // namespace sallyport::net::client
