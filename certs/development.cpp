#include "base/ip_address.hpp"
#include "base/log.hpp"
#include "certs/certs.hpp"
#include "certs/files.hpp"
#include "certs/identity.hpp"
#include "certs/issuer.hpp"
#include "certs/server_names.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace sallyport::certs {

namespace {

constexpr std::chrono::hours kDay{24};
constexpr auto kKeptWithin = 7 * kDay; // what ends sooner is made anew
constexpr auto kCaValidity = 3650 * kDay;
constexpr auto kClockSkew = std::chrono::hours{1}; // a phone's clock may be slow
constexpr const char* kCaName = "Sallyport development CA";
constexpr const char* kLeafName = "Sallyport development gateway"; // clients look at subjectAltName only
constexpr mode_t kKeyMode = 0600;
constexpr mode_t kCertificateMode = 0644;

struct Authority {
    X509Handle certificate;
    KeyHandle key; // null where it was lost
};

/// One run of `make_development`: the CA first, then what it signs.
class Development {
public:
    Development(const DevelopmentOptions& options, base::WallTime wall)
        : options_{options},
          wall_{wall},
          ca_file_{path("ca.crt")},
          ca_key_file_{path("ca.key")},
          chain_file_{path("dev.crt")},
          key_file_{path("dev.key")}
    {
    }

    base::Result<DevelopmentResult> run()
    {
        if (auto fine = check_options(); !fine) return fine.error();
        if (auto there = make_directory(); !there) return there.error();
        DevelopmentResult result{ca_file_, chain_file_, key_file_};
        Authority authority;
        if (!options_.replace) {
            auto kept = read_authority();
            if (!kept) return kept.error();
            authority = std::move(*kept);
        }
        auto leaf_kept = keep_leaf(authority);
        if (!leaf_kept) return leaf_kept.error();
        if (*leaf_kept) return result;
        if (!authority.key) {
            if (auto made = make_authority(authority); !made) return made.error();
            result.made_ca = true;
        }
        if (auto made = make_leaf(authority); !made) return made.error();
        result.made_leaf = true;
        return result;
    }

private:
    std::string path(const char* name) const { return (std::filesystem::path{options_.directory} / name).string(); }

    base::Result<void> check_options() const;
    base::Result<void> make_directory() const;
    base::Result<Authority> read_authority() const;
    base::Result<bool> keep_leaf(const Authority& authority) const;
    bool is_leaf_good(const Identity& leaf, const Authority& authority) const;
    bool has_all_names(const Identity& leaf) const;
    base::Result<void> make_authority(Authority& authority) const;
    base::Result<void> make_leaf(const Authority& authority) const;
    static base::Result<void> write_pair(const std::string& key_file, EVP_PKEY* key,
                                         const std::string& certificate_file, X509* certificate);

    /// Still good for a week, and not from the future.
    bool is_lasting(const X509* certificate) const
    {
        auto soon = std::chrono::system_clock::to_time_t(wall_ + kKeptWithin);
        auto now = std::chrono::system_clock::to_time_t(wall_);
        return X509_cmp_time(X509_get0_notAfter(certificate), &soon) > 0 &&
               X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0;
    }

    const DevelopmentOptions& options_;
    base::WallTime wall_;
    std::string ca_file_, ca_key_file_, chain_file_, key_file_;
};

base::Result<void> Development::check_options() const
{
    const auto invalid = [](std::string text) { return base::Error{base::ErrorCode::invalid, std::move(text)}; };
    if (options_.names.empty()) return invalid("no name for the certificate, expected at least one");
    for (const std::string& name : options_.names) {
        if (base::IpAddress::parse(name) || canonical_host_name(name)) continue;
        return invalid(
            fmt::format("\"{}\" is no name for a certificate, expected a host name, *.NAME or an address", name));
    }
    if (options_.validity <= kKeptWithin || options_.validity > kCaValidity) {
        return invalid(fmt::format("a validity of {} hours, expected more than 7 days and at most 10 years",
                                   options_.validity.count()));
    }
    return {};
}

base::Result<void> Development::make_directory() const
{
    const std::filesystem::path directory{options_.directory};
    std::error_code error;
    if (std::filesystem::is_directory(directory, error)) return {};
    if (directory.has_parent_path()) std::filesystem::create_directories(directory.parent_path(), error);
    if (::mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
    return base::system_error(fmt::format("{}: cannot make this directory", options_.directory), errno);
}

/// The PEM files of a CA as far as they are usable: a certificate alone still says whom a browser trusts.
base::Result<Authority> Development::read_authority() const
{
    Authority authority;
    auto certificate = read_file(ca_file_, kMaxPemSize, "the development CA's certificate");
    if (!certificate && certificate.error().code == base::ErrorCode::not_found) return authority;
    if (!certificate) return certificate.error();
    auto key = read_file(ca_key_file_, kMaxPemSize, "the development CA's key");
    if (!key && key.error().code != base::ErrorCode::not_found) return key.error();

    authority.certificate.reset(PEM_read_bio_X509(borrow_bio(certificate->bytes()).get(), nullptr, nullptr, nullptr));
    if (key) {
        authority.key.reset(PEM_read_bio_PrivateKey(
            borrow_bio(key->bytes()).get(), nullptr, [](char*, int, int, void*) { return -1; }, nullptr));
    }
    ERR_clear_error();
    X509* ca = authority.certificate.get();
    if (ca == nullptr || (X509_get_extension_flags(ca) & EXFLAG_CA) == 0 || !is_lasting(ca)) return Authority{};
    if (authority.key && X509_check_private_key(ca, authority.key.get()) != 1) authority.key.reset();
    ERR_clear_error();
    return authority;
}

base::Result<bool> Development::keep_leaf(const Authority& authority) const
{
    if (!authority.certificate) return false;
    const auto chain = read_file(chain_file_, kMaxPemSize, "the development certificate");
    const auto key = read_file(key_file_, kMaxPemSize, "the development key");
    for (const auto* file : {&chain, &key}) {
        if (file->has_value()) continue;
        if (file->error().code == base::ErrorCode::not_found) return false;
        return file->error();
    }
    base::Problems problems; // whatever is wrong with it: a new one is made
    const auto leaf = parse_identity({chain_file_, chain->bytes()}, {key_file_, key->bytes()}, wall_, {}, problems);
    return leaf && is_leaf_good(*leaf, authority);
}

bool Development::is_leaf_good(const Identity& leaf, const Authority& authority) const
{
    X509* ca = authority.certificate.get();
    const bool signed_by_ca =
        X509_check_issued(ca, leaf.leaf()) == X509_V_OK && X509_verify(leaf.leaf(), X509_get0_pubkey(ca)) == 1;
    ERR_clear_error();
    return signed_by_ca && is_lasting(leaf.leaf()) && has_all_names(leaf);
}

bool Development::has_all_names(const Identity& leaf) const
{
    return std::ranges::all_of(options_.names, [&leaf](const std::string& name) {
        if (const auto address = base::IpAddress::parse(name)) {
            return std::ranges::find(leaf.addresses(), *address) != leaf.addresses().end();
        }
        return std::ranges::find(leaf.names(), canonical_host_name(name)) != leaf.names().end();
    });
}

base::Result<void> Development::make_authority(Authority& authority) const
{
    std::error_code ignored;
    if (std::filesystem::exists(ca_file_, ignored)) {
        base::log::warning(fmt::format("{}: replaced by a new development CA ({}); browsers and phones that trust the "
                                       "old one must be told",
                                       ca_file_,
                                       options_.replace ? "as asked" : "the old one cannot sign or ends soon"));
    }
    auto key = make_key();
    if (!key) return key.error();
    auto certificate = issue({kCaName, {}, wall_ - kClockSkew, wall_ + kCaValidity, true}, key->get(), {});
    if (!certificate) return certificate.error();
    if (auto written = write_pair(ca_key_file_, key->get(), ca_file_, certificate->get()); !written) return written;
    authority = {std::move(*certificate), std::move(*key)};
    return {};
}

base::Result<void> Development::make_leaf(const Authority& authority) const
{
    auto key = make_key();
    if (!key) return key.error();
    auto certificate = issue({kLeafName, options_.names, wall_ - kClockSkew, wall_ + options_.validity, false},
                             key->get(), {authority.certificate.get(), authority.key.get()});
    if (!certificate) return certificate.error();
    return write_pair(key_file_, key->get(), chain_file_, certificate->get());
}

/// The key first: a run that ends between the two leaves a certificate that does not match, which the next one
/// replaces.
base::Result<void> Development::write_pair(const std::string& key_file, EVP_PKEY* key,
                                           const std::string& certificate_file, X509* certificate)
{
    std::string key_pem = to_pem(key);
    const std::string certificate_pem = to_pem(certificate);
    if (key_pem.empty() || certificate_pem.empty()) {
        return base::Error{base::ErrorCode::system,
                           fmt::format("{}: OpenSSL writes no PEM: {}", certificate_file, take_openssl_reason())};
    }
    auto written = replace_file(key_file, base::as_bytes(key_pem), kKeyMode);
    OPENSSL_cleanse(key_pem.data(), key_pem.size());
    if (!written) return written;
    return replace_file(certificate_file, base::as_bytes(certificate_pem), kCertificateMode);
}

} // namespace

base::Result<DevelopmentResult> make_development(const DevelopmentOptions& options, base::WallTime wall)
{
    return Development{options, wall}.run();
}

} // namespace sallyport::certs
