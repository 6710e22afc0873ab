#include "net/client/tls_client.hpp"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

namespace sallyport::net::client {

namespace {

constexpr std::size_t kRecord = 16384;

std::string openssl_error()
{
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "TLS failed" : reason;
}

// Where an SSL object keeps the memory of its peer.
int memory_index()
{
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

int keep_session(SSL* ssl, SSL_SESSION* session) noexcept
{
    auto* memory = static_cast<PeerMemory*>(SSL_get_ex_data(ssl, memory_index()));
    if (memory == nullptr) return 0;
    memory->tls_session.reset(session); // takes the reference it is given
    return 1;
}

Failure verify_failure(long code)
{
    const std::string reason = X509_verify_cert_error_string(code);
    switch (code) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return {FailureKind::wrong_name, reason};
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return {FailureKind::not_trusted, reason};
    default: return {FailureKind::certificate, reason};
    }
}

std::string name_text(const X509_NAME* name)
{
    const base::Handle<BIO, BIO_free> out{BIO_new(BIO_s_mem())};
    X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_ONELINE & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

std::string general_name_text(const GENERAL_NAME* name)
{
    int type = 0;
    const void* value = GENERAL_NAME_get0_value(name, &type);
    if (type != GEN_DNS && type != GEN_IPADD) return {};
    const auto* text = static_cast<const ASN1_STRING*>(value);
    const base::Bytes octets{ASN1_STRING_get0_data(text), static_cast<std::size_t>(ASN1_STRING_length(text))};
    if (type == GEN_DNS) return std::string{base::as_text(octets)};
    return base::IpAddress::from_octets(octets).to_string();
}

std::string alternative_names(const X509* certificate)
{
    const base::Handle<GENERAL_NAMES, GENERAL_NAMES_free> names{
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr))};
    std::string all;
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const std::string one = general_name_text(sk_GENERAL_NAME_value(names.get(), i));
        if (!one.empty()) all += (all.empty() ? "" : " ") + one;
    }
    return all.empty() ? name_text(X509_get_subject_name(certificate)) : all;
}

std::string expiry_text(const X509* certificate)
{
    std::tm when{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &when) != 1) return {};
    std::array<char, 32> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%d", &when);
    return {text.data(), size};
}

bool key_is_pinned(const X509* certificate, const std::vector<SpkiPin>& pins)
{
    unsigned char* der = nullptr;
    const int size = certificate == nullptr ? 0 : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (size <= 0) return false;
    SpkiPin key{};
    EVP_Digest(der, static_cast<std::size_t>(size), key.data(), nullptr, EVP_sha256(), nullptr);
    OPENSSL_free(der);
    return std::find(pins.begin(), pins.end(), key) != pins.end();
}

/// False where the library does not take the name: without it any certificate of a known authority would do.
bool expect_name(SSL* ssl, const std::string& name)
{
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
    if (is_address(name)) return X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name.c_str()) == 1 &&
           X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size()) == 1;
}

} // namespace

bool is_address(const std::string& name) { return base::IpAddress::parse(name).has_value(); }

base::Result<std::unique_ptr<TlsContext>> TlsContext::make(const TlsOptions& options)
{
    std::unique_ptr<TlsContext> made{new TlsContext(options)};
    made->context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* context = made->context_.get();
    if (context == nullptr) return base::Error{base::ErrorCode::system, "OpenSSL: " + openssl_error()};
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION); // pins and names are checked once
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    SSL_CTX_set_verify(context, options.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    if (options.ca_file.empty()) {
        SSL_CTX_set_default_verify_paths(context);
    } else if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1) {
        return base::Error{base::ErrorCode::unreadable,
                           options.ca_file + ": no CA certificate could be read from it (" + openssl_error() + ")"};
    }
    return made;
}

TlsChannel::TlsChannel(const TlsContext& context, std::string_view alpn, PeerMemory* memory)
    : context_(context),
      memory_(memory),
      ssl_(SSL_new(context.native())),
      from_peer_(BIO_new(BIO_s_mem())),
      to_peer_(BIO_new(BIO_s_mem()))
{
    SSL_set_bio(ssl_.get(), from_peer_, to_peer_);
    SSL_set_connect_state(ssl_.get());
    const std::string& name = context.options().server_name;
    if (!name.empty() && !expect_name(ssl_.get(), name))
        failure_ = {FailureKind::wrong_name, "no certificate can be for a name like this"};
    const auto offer = base::as_bytes(alpn);
    if (!offer.empty()) SSL_set_alpn_protos(ssl_.get(), offer.data(), static_cast<unsigned>(offer.size()));
    SSL_set_ex_data(ssl_.get(), memory_index(), memory);
    if (memory != nullptr && memory->tls_session) SSL_set_session(ssl_.get(), memory->tls_session.get());
}

void TlsChannel::advance()
{
    if (open_ || failure_) return;
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result != 1) {
        failed(result);
        return;
    }
    if (pin_fits()) {
        open_ = true;
        return;
    }
    if (memory_ != nullptr) memory_->tls_session.reset();
    failure_ = {FailureKind::certificate, "no key of its certificates is one of those pinned"};
}

bool TlsChannel::pin_fits() const
{
    const auto& pins = context_.options().spki_pins;
    // What is resumed was begun with this very peer, under the same options.
    if (pins.empty() || SSL_session_reused(ssl_.get()) == 1) return true;
    if (key_is_pinned(SSL_get0_peer_certificate(ssl_.get()), pins)) return true;
    // The keys of issuers count only where the chain was verified (RFC 7858 §4.2); the server may send any.
    const STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl_.get());
    if (!context_.options().verify || chain == nullptr) return false;
    for (int i = 0; i < sk_X509_num(chain); ++i)
        if (key_is_pinned(sk_X509_value(chain, i), pins)) return true;
    return false;
}

void TlsChannel::feed(base::Bytes wire) { BIO_write(from_peer_, wire.data(), static_cast<int>(wire.size())); }

void TlsChannel::read(std::vector<std::uint8_t>& plain)
{
    while (open_ && !failure_ && !peer_finished_) {
        const std::size_t before = plain.size();
        plain.resize(before + kRecord);
        ERR_clear_error();
        const int got = SSL_read(ssl_.get(), plain.data() + before, static_cast<int>(kRecord));
        plain.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
        if (got > 0) continue;
        failed(got);
        return;
    }
}

void TlsChannel::failed(int result)
{
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
    if (error == SSL_ERROR_ZERO_RETURN) {
        peer_finished_ = true;
        return;
    }
    const long verified = SSL_get_verify_result(ssl_.get());
    if (!open_ && verified != X509_V_OK && (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER) != 0) {
        failure_ = verify_failure(verified);
        ERR_clear_error();
        return;
    }
    failure_ = {FailureKind::tls, openssl_error()};
}

void TlsChannel::write(base::Bytes plain)
{
    if (plain.empty() || failure_) return;
    ERR_clear_error();
    std::size_t written = 0;
    while (written < plain.size()) {
        std::size_t now = 0;
        if (SSL_write_ex(ssl_.get(), plain.data() + written, plain.size() - written, &now) != 1) {
            failure_ = {FailureKind::tls, openssl_error()};
            return;
        }
        written += now;
    }
}

void TlsChannel::close() noexcept
{
    if (open_ && !failure_) SSL_shutdown(ssl_.get());
}

void TlsChannel::flush(Output& output)
{
    char* data = nullptr;
    const long size = BIO_get_mem_data(to_peer_, &data);
    if (size <= 0) return;
    output.send({reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)});
    BIO_reset(to_peer_);
}

std::string_view TlsChannel::alpn() const noexcept
{
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return base::as_text({name, size});
}

SecurityReport TlsChannel::report() const
{
    SecurityReport report;
    if (!open_) return report;
    report.version = SSL_get_version(ssl_.get());
    report.cipher = SSL_get_cipher_name(ssl_.get());
    const int group = static_cast<int>(SSL_get_negotiated_group(ssl_.get()));
    const char* group_name = SSL_group_to_name(ssl_.get(), group);
    report.group = group_name == nullptr ? "" : group_name;
    report.alpn = alpn();
    report.resumed = SSL_session_reused(ssl_.get()) == 1;
    report.verified = (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER) != 0;
    const X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (certificate == nullptr) return report;
    report.certificate_names = alternative_names(certificate);
    report.certificate_issuer = name_text(X509_get_issuer_name(certificate));
    report.certificate_expiry = expiry_text(certificate);
    return report;
}

} // namespace sallyport::net::client
