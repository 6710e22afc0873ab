#include "certs/issuer.hpp"

#include "base/ip_address.hpp"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>

namespace sallyport::certs {

namespace {

constexpr int kSerialBits = 127; // at most 20 octets and positive, RFC 5280 §4.1.2.2

using BigNumberHandle = base::Handle<BIGNUM, BN_free>;
using ExtensionHandle = base::Handle<X509_EXTENSION, X509_EXTENSION_free>;

base::Error signing_error(std::string_view what)
{
    return {base::ErrorCode::system, fmt::format("OpenSSL makes no {}: {}", what, take_openssl_reason())};
}

bool set_serial(X509* certificate)
{
    const BigNumberHandle number{BN_new()};
    return number && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
           BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_time(ASN1_TIME* field, base::WallTime time)
{
    return ASN1_TIME_set(field, std::chrono::system_clock::to_time_t(time)) != nullptr;
}

bool set_subject(X509* certificate, const std::string& common_name)
{
    const base::Bytes text = base::as_bytes(common_name);
    return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, text.data(),
                                      static_cast<int>(text.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509* issuer, int kind, const std::string& value)
{
    X509V3_CTX context{};
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const ExtensionHandle extension{X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str())};
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string alternative_names(const std::vector<std::string>& names)
{
    std::string text;
    for (const std::string& name : names) {
        const bool address = base::IpAddress::parse(name).has_value();
        text += fmt::format("{}{}:{}", text.empty() ? "" : ",", address ? "IP" : "DNS", name);
    }
    return text;
}

bool add_extensions(X509* certificate, X509* issuer, const CertificateSpec& spec)
{
    const auto add = [&](int kind, const std::string& value) {
        return add_extension(certificate, issuer, kind, value);
    };
    bool done = add(NID_basic_constraints, spec.is_ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE");
    done = done && add(NID_key_usage, spec.is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    done = done && add(NID_subject_key_identifier, "hash");
    // A root's own identifier says nothing new, RFC 5280 §4.2.1.1.
    if (issuer != certificate) done = done && add(NID_authority_key_identifier, "keyid:always");
    if (!spec.is_ca) done = done && add(NID_ext_key_usage, "serverAuth");
    if (!spec.names.empty()) done = done && add(NID_subject_alt_name, alternative_names(spec.names));
    return done;
}

template <class Write>
std::string written(Write&& write)
{
    const BioHandle out{BIO_new(BIO_s_secmem())};
    char* text = nullptr;
    if (!out || write(out.get()) != 1) return {};
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

} // namespace

base::Result<KeyHandle> make_key()
{
    KeyHandle key{EVP_EC_gen("P-256")};
    if (!key) return signing_error("key");
    return key;
}

base::Result<X509Handle> issue(const CertificateSpec& spec, EVP_PKEY* key, const Signer& signer)
{
    X509Handle certificate{X509_new()};
    X509* const raw = certificate.get();
    X509* const issuer = signer.certificate != nullptr ? signer.certificate : raw;
    EVP_PKEY* const signing = signer.key != nullptr ? signer.key : key;
    const bool done = raw != nullptr && X509_set_version(raw, X509_VERSION_3) == 1 && set_serial(raw) &&
                      set_time(X509_getm_notBefore(raw), spec.not_before) &&
                      set_time(X509_getm_notAfter(raw), spec.not_after) && set_subject(raw, spec.common_name) &&
                      X509_set_issuer_name(raw, X509_get_subject_name(issuer)) == 1 && X509_set_pubkey(raw, key) == 1 &&
                      add_extensions(raw, issuer, spec);
    // Ed25519 brings its own digest.
    const EVP_MD* digest = EVP_PKEY_get_base_id(signing) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
    if (!done || X509_sign(raw, signing, digest) <= 0) return signing_error("certificate");
    return certificate;
}

std::string to_pem(X509* certificate)
{
    return written([certificate](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}

std::string to_pem(EVP_PKEY* key)
{
    return written(
        [key](BIO* out) { return PEM_write_bio_PKCS8PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

} // namespace sallyport::certs
