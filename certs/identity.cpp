#include "certs/identity.hpp"

#include "base/log.hpp"
#include "certs/files.hpp"
#include "certs/openssl_handle.hpp"
#include "certs/server_names.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <span>
#include <utility>

namespace sallyport::certs {

namespace {

constexpr std::string_view kChainWanted = "a PEM certificate chain";
constexpr std::string_view kKeyWanted = "a PEM private key";
constexpr int kMinRsaBits = 2048;

struct NamesFree {
    void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};

std::string subject_of(const X509* certificate)
{
    const BioHandle out{BIO_new(BIO_s_mem())};
    X509_NAME_print_ex(out.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string{"no subject"};
}

/// Nothing where the certificate holds no time that can be read.
std::optional<base::WallTime> to_wall(const ASN1_TIME* time)
{
    std::tm parts{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

/// Passed through the password callback: that it is called at all means the key is encrypted.
int refuse_password(char*, int, int, void* asked) noexcept
{
    *static_cast<bool*>(asked) = true;
    return -1;
}

/// Empty for the curves TLS 1.3 has no signature for (RFC 8446 §4.2.3), such as secp256k1.
std::string curve_of(EVP_PKEY* key)
{
    char group[80] = {};
    if (EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1) return {};
    const std::string_view name{group};
    if (name == "prime256v1") return "P-256";
    if (name == "secp384r1") return "P-384";
    if (name == "secp521r1") return "P-521";
    return {};
}

std::string key_kind_of(EVP_PKEY* key)
{
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: return fmt::format("RSA-{}", EVP_PKEY_get_bits(key));
    case EVP_PKEY_EC: return curve_of(key);
    case EVP_PKEY_ED25519: return "ED25519";
    default: return {};
    }
}

} // namespace

std::string take_openssl_reason()
{
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    std::string text = reason != nullptr ? reason : "no reason given";
    ERR_clear_error();
    return text;
}

std::string format_time(base::WallTime time)
{
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[40] = {};
    std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts);
    return text;
}

struct Identity::Parts {
    std::vector<std::string> names;
    std::vector<base::IpAddress> addresses;
    base::WallTime not_before, not_after;
    bool is_ca = false;
    std::string key_kind, chain_file, key_file;
    X509Handle leaf;
    KeyHandle key;
    ChainHandle intermediates;
};

Identity::Identity() : parts_{std::make_unique<Parts>()} {}
Identity::~Identity() = default;

const std::vector<std::string>& Identity::names() const noexcept { return parts_->names; }
const std::vector<base::IpAddress>& Identity::addresses() const noexcept { return parts_->addresses; }
base::WallTime Identity::not_before() const noexcept { return parts_->not_before; }
base::WallTime Identity::not_after() const noexcept { return parts_->not_after; }
bool Identity::is_ca() const noexcept { return parts_->is_ca; }
const std::string& Identity::key_kind() const noexcept { return parts_->key_kind; }
const std::string& Identity::chain_file() const noexcept { return parts_->chain_file; }
const std::string& Identity::key_file() const noexcept { return parts_->key_file; }
x509_st* Identity::leaf() const noexcept { return parts_->leaf.get(); }
evp_pkey_st* Identity::key() const noexcept { return parts_->key.get(); }
stack_st_X509* Identity::intermediates() const noexcept { return parts_->intermediates.get(); }

/// Each step adds what it finds wrong to the problems; later steps are skipped only where they need what is missing.
class IdentityParser {
public:
    IdentityParser(const PemSource& chain, const PemSource& key, base::WallTime wall,
                   const base::SourcePosition& position, base::Problems& problems)
        : chain_{chain}, key_{key}, wall_{wall}, position_{position}, problems_{problems}, identity_{new Identity}
    {
    }

    std::shared_ptr<const Identity> parse()
    {
        const std::size_t before = problems_.size();
        parts().chain_file = chain_.file;
        parts().key_file = key_.file;
        const bool have_chain = parse_chain();
        const bool have_key = parse_key();
        if (have_chain) check_chain();
        if (have_chain && have_key) check_match();
        ERR_clear_error();
        if (problems_.size() != before) return nullptr;
        return identity_;
    }

private:
    Identity::Parts& parts() { return *identity_->parts_; }

    void fault(base::ErrorCode code, const std::string& file, std::string_view what)
    {
        problems_.push_back({code, fmt::format("{}: {}", file, what), position_});
    }

    bool parse_chain();
    bool parse_key();
    void check_chain();
    void check_match();
    void check_key_strength();
    void check_order();
    void check_time(X509* certificate, bool is_leaf);
    void check_purpose();
    void read_names();
    void take_name(const GENERAL_NAME& name);

    const PemSource& chain_;
    const PemSource& key_;
    base::WallTime wall_;
    const base::SourcePosition& position_;
    base::Problems& problems_;
    std::shared_ptr<Identity> identity_;
};

bool IdentityParser::parse_chain()
{
    const BioHandle in = borrow_bio(chain_.pem);
    parts().intermediates.reset(sk_X509_new_null());
    int count = 0;
    for (; count <= kMaxChain; ++count) {
        X509Handle certificate{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
        if (!certificate) break;
        if (count == 0) {
            parts().leaf = std::move(certificate);
        } else if (sk_X509_push(parts().intermediates.get(), certificate.get()) > 0) {
            static_cast<void>(certificate.release()); // the stack owns it now
        }
    }
    if (count > kMaxChain) {
        fault(base::ErrorCode::limit, chain_.file, fmt::format("more than {} certificates in one chain", kMaxChain));
        return false;
    }
    // "No start line" is how a good file ends; anything else is damage.
    const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const std::string reason = take_openssl_reason();
    if (!ended) {
        fault(base::ErrorCode::invalid, chain_.file,
              fmt::format("certificate {} cannot be read ({}), expected {}", count + 1, reason, kChainWanted));
        return false;
    }
    if (count == 0) {
        fault(base::ErrorCode::invalid, chain_.file,
              fmt::format("no certificate in it, expected {} (\"-----BEGIN CERTIFICATE-----\"), the server's own first",
                          kChainWanted));
    }
    return count > 0;
}

bool IdentityParser::parse_key()
{
    const BioHandle in = borrow_bio(key_.pem);
    bool asked_password = false;
    parts().key.reset(PEM_read_bio_PrivateKey(in.get(), nullptr, refuse_password, &asked_password));
    const std::string reason = take_openssl_reason();
    if (asked_password) {
        fault(base::ErrorCode::unsupported, key_.file,
              "the key is encrypted with a passphrase, expected one without (openssl pkey -in FILE -out FILE)");
        return false;
    }
    if (parts().key) return true;
    if (base::as_text(key_.pem).find("PRIVATE KEY-----") == std::string_view::npos) {
        fault(base::ErrorCode::invalid, key_.file,
              fmt::format("no key in it, expected {} (\"-----BEGIN PRIVATE KEY-----\")", kKeyWanted));
    } else {
        fault(base::ErrorCode::invalid, key_.file,
              fmt::format("the key cannot be read ({}), expected {}", reason, kKeyWanted));
    }
    return false;
}

void IdentityParser::check_chain()
{
    check_time(parts().leaf.get(), true);
    auto* rest = parts().intermediates.get();
    for (int i = 0; i < sk_X509_num(rest); ++i) {
        X509* certificate = sk_X509_value(rest, i);
        // A root sent along is ignored by clients; so is its end.
        const bool root = X509_check_issued(certificate, certificate) == X509_V_OK;
        if (!root) check_time(certificate, false);
    }
    check_order();
    check_purpose();
    read_names();
}

void IdentityParser::check_time(X509* certificate, bool is_leaf)
{
    const auto begins = to_wall(X509_get0_notBefore(certificate));
    const auto ends = to_wall(X509_get0_notAfter(certificate));
    const std::string who = is_leaf ? "the certificate" : fmt::format("the intermediate {}", subject_of(certificate));
    if (!begins || !ends) {
        fault(base::ErrorCode::invalid, chain_.file, fmt::format("{} has no readable time of validity", who));
        return;
    }
    if (wall_ < *begins) {
        fault(base::ErrorCode::invalid, chain_.file,
              fmt::format("{} is not valid before {}, now is {}", who, format_time(*begins), format_time(wall_)));
    }
    if (wall_ >= *ends) {
        fault(base::ErrorCode::invalid, chain_.file,
              fmt::format("{} expired at {}, now is {}", who, format_time(*ends), format_time(wall_)));
    }
    if (is_leaf) parts().not_before = *begins;
    if (is_leaf || *ends < parts().not_after) parts().not_after = *ends;
}

void IdentityParser::check_order()
{
    X509* subject = parts().leaf.get();
    auto* rest = parts().intermediates.get();
    for (int i = 0; i < sk_X509_num(rest); ++i) {
        X509* issuer = sk_X509_value(rest, i);
        EVP_PKEY* signer = X509_get0_pubkey(issuer);
        const bool named = X509_check_issued(issuer, subject) == X509_V_OK;
        if (!named || signer == nullptr || X509_verify(subject, signer) != 1) {
            fault(
                base::ErrorCode::invalid, chain_.file,
                fmt::format("the chain is out of order or broken: certificate {} ({}) is not issued by certificate {} "
                            "({}), expected the server's own first, then each one's issuer",
                            i + 1, subject_of(subject), i + 2, subject_of(issuer)));
            return;
        }
        subject = issuer;
    }
}

void IdentityParser::check_purpose()
{
    X509* leaf = parts().leaf.get();
    const std::uint32_t flags = X509_get_extension_flags(leaf);
    parts().is_ca = (flags & EXFLAG_CA) != 0;
    if ((flags & EXFLAG_XKUSAGE) == 0) return;
    if ((X509_get_extended_key_usage(leaf) & (XKU_SSL_SERVER | XKU_ANYEKU)) == 0) {
        fault(base::ErrorCode::unsupported, chain_.file,
              "the certificate's extended key usage does not allow a TLS server, expected serverAuth");
    }
}

void IdentityParser::read_names()
{
    const std::unique_ptr<GENERAL_NAMES, NamesFree> names{
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(parts().leaf.get(), NID_subject_alt_name, nullptr, nullptr))};
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) take_name(*sk_GENERAL_NAME_value(names.get(), i));
    if (!parts().names.empty() || !parts().addresses.empty()) return;
    fault(base::ErrorCode::invalid, chain_.file,
          fmt::format("the certificate ({}) has no subjectAltName with a DNS name or an address; clients look at "
                      "nothing else (RFC 9525)",
                      subject_of(parts().leaf.get())));
}

void IdentityParser::take_name(const GENERAL_NAME& name)
{
    if (name.type == GEN_DNS) {
        const base::Bytes text{ASN1_STRING_get0_data(name.d.dNSName),
                               static_cast<std::size_t>(ASN1_STRING_length(name.d.dNSName))};
        // What no client can ask for is no name of ours; one that is only odd does not spoil the others.
        if (auto host = canonical_host_name(base::as_text(text))) parts().names.push_back(std::move(*host));
    } else if (name.type == GEN_IPADD) {
        const base::Bytes octets{ASN1_STRING_get0_data(name.d.iPAddress),
                                 static_cast<std::size_t>(ASN1_STRING_length(name.d.iPAddress))};
        if (octets.size() == 4 || octets.size() == 16) {
            parts().addresses.push_back(base::IpAddress::from_octets(octets));
        }
    }
}

void IdentityParser::check_match()
{
    parts().key_kind = key_kind_of(parts().key.get());
    EVP_PKEY* certified = X509_get0_pubkey(parts().leaf.get());
    if (certified == nullptr) {
        fault(base::ErrorCode::unsupported, chain_.file, "the certificate's public key is of an unknown kind");
        return;
    }
    if (EVP_PKEY_eq(certified, parts().key.get()) != 1) {
        fault(base::ErrorCode::conflict, key_.file,
              fmt::format("the key does not match the certificate in {}", chain_.file));
        return;
    }
    check_key_strength();
}

void IdentityParser::check_key_strength()
{
    EVP_PKEY* key = parts().key.get();
    const int bits = EVP_PKEY_get_bits(key);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits < kMinRsaBits) {
        fault(base::ErrorCode::unsupported, key_.file,
              fmt::format("an RSA key of {} bits is too short, expected at least {}", bits, kMinRsaBits));
    } else if (parts().key_kind.empty()) {
        fault(base::ErrorCode::unsupported, key_.file,
              fmt::format("a key of kind {} cannot be served, expected ECDSA (P-256, P-384, P-521), Ed25519 or RSA",
                          EVP_PKEY_get0_type_name(key)));
    }
}

std::shared_ptr<const Identity> parse_identity(const PemSource& chain, const PemSource& key, base::WallTime wall,
                                               const base::SourcePosition& position, base::Problems& problems)
{
    return IdentityParser{chain, key, wall, position, problems}.parse();
}

namespace {

void warn_of(const Identity& identity, mode_t key_mode, base::WallTime wall)
{
    if ((key_mode & 07U) != 0) {
        base::log::warning(fmt::format("{}: the key's mode {:04o} lets every user of this machine at it, expected 0600",
                                       identity.key_file(), key_mode));
    }
    if (identity.not_after() - wall < kNearExpiry) {
        const auto hours = std::chrono::duration_cast<std::chrono::hours>(identity.not_after() - wall).count();
        base::log::warning(fmt::format("{}: the certificate expires at {}, in {} days and {} hours",
                                       identity.chain_file(), format_time(identity.not_after()), hours / 24,
                                       hours % 24));
    }
    if (identity.is_ca()) {
        base::log::warning(fmt::format(
            "{}: the certificate is marked as a CA's; some clients refuse that from a server", identity.chain_file()));
    }
}

} // namespace

std::shared_ptr<const Identity> read_identity(const CertificateOptions& options, base::WallTime wall,
                                              base::Problems& problems)
{
    const std::string& key_file = options.key_file.empty() ? options.chain_file : options.key_file;
    auto chain = read_file(options.chain_file, kMaxPemSize, kChainWanted);
    auto key = read_file(key_file, kMaxPemSize, kKeyWanted);
    for (const auto* file : {&chain, &key}) {
        if (file->has_value()) continue;
        problems.push_back(file->error());
        problems.back().position = options.position;
    }
    if (!chain || !key) return nullptr;
    auto identity = parse_identity({options.chain_file, chain->bytes()}, {key_file, key->bytes()}, wall,
                                   options.position, problems);
    if (identity) warn_of(*identity, key->mode(), wall);
    return identity;
}

} // namespace sallyport::certs
