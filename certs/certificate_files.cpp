#include "certs/certificate_files.hpp"

#include "certs/files.hpp"
#include "certs/identity.hpp"
#include "certs/openssl_handle.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <system_error>

namespace sallyport::certs {

namespace {

namespace fs = std::filesystem;

bool is_certificate_file(const fs::path& path)
{
    const auto extension = path.extension();
    return extension == ".crt" || extension == ".pem" || extension == ".key";
}

/// True only for what is surely a CA's and no server's; what cannot be read is left to be reported.
bool is_bare_ca(const std::string& path)
{
    const auto content = read_file(path, kMaxPemSize, "a PEM certificate chain");
    if (!content) return false;
    const BioHandle in = borrow_bio(content->bytes());
    const X509Handle certificate{PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr)};
    ERR_clear_error();
    return certificate && (X509_get_extension_flags(certificate.get()) & EXFLAG_CA) != 0 &&
           X509_get_ext_by_NID(certificate.get(), NID_subject_alt_name, -1) < 0;
}

std::vector<CertificateOptions> pairs_among(const std::vector<std::string>& files, const base::SourcePosition& position)
{
    const std::set<std::string, std::less<>> present(files.begin(), files.end());
    std::vector<CertificateOptions> pairs;
    for (const std::string& file : files) { // sorted, so NAME.crt and NAME.pem follow each other
        const std::string stem = file.substr(0, file.size() - 4);
        if (file.ends_with(".key") || !present.contains(stem + ".key")) continue;
        if (file.ends_with(".pem") && present.contains(stem + ".crt")) continue;
        if (!is_bare_ca(file)) pairs.push_back({file, stem + ".key", position});
    }
    return pairs;
}

} // namespace

base::Result<std::vector<std::string>> list_certificate_files(const std::string& directory)
{
    std::error_code error;
    std::vector<std::string> files;
    for (fs::directory_iterator entry{directory, error}; !error && entry != fs::directory_iterator{};
         entry.increment(error)) {
        if (!is_certificate_file(entry->path())) continue;
        files.push_back(entry->path().string());
        if (files.size() <= 3 * kMaxCertificates) continue;
        return base::Error{base::ErrorCode::limit,
                           fmt::format("{}: more than {} certificate and key files", directory, 3 * kMaxCertificates)};
    }
    if (error) {
        return base::system_error(fmt::format("{}: cannot read this directory of certificates", directory),
                                  error.value());
    }
    std::ranges::sort(files);
    return files;
}

std::vector<CertificateOptions> find_certificate_files(const Options& options, base::Problems& problems)
{
    std::vector<CertificateOptions> pairs = options.certificates;
    if (!options.directory.empty()) {
        const auto files = list_certificate_files(options.directory);
        if (files) {
            std::ranges::move(pairs_among(*files, options.directory_position), std::back_inserter(pairs));
        } else {
            problems.push_back(files.error());
            problems.back().position = options.directory_position;
        }
    }
    if (pairs.size() > kMaxCertificates) {
        problems.push_back({base::ErrorCode::limit,
                            fmt::format("{} certificates, expected at most {}", pairs.size(), kMaxCertificates),
                            options.directory_position});
        pairs.clear();
    }
    return pairs;
}

} // namespace sallyport::certs
