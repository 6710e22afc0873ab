#pragma once

#include "certs/certs.hpp"
#include "certs/files.hpp"
#include "certs/identity.hpp"
#include "certs/issuer.hpp"
#include "certs/ticket_keys.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/err.h>

#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

/// What the tests of this module share: a directory that goes away, and certificates made as needed.
namespace sallyport::certs::test {

inline const base::WallTime kNow = std::chrono::system_clock::from_time_t(1'790'000'000); // 2026-09-21
inline constexpr std::chrono::hours kDay{24};

class Directory {
public:
    Directory()
    {
        static std::atomic<int> number{0};
        path_ = (std::filesystem::temp_directory_path() /
                 fmt::format("sallyport-certs-{}-{}", ::getpid(), number.fetch_add(1)))
                    .string();
        std::filesystem::create_directories(path_);
    }
    ~Directory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
    std::string write(const std::string& name, const std::string& content, mode_t mode = 0600) const
    {
        std::ofstream(file(name), std::ios::binary) << content;
        ::chmod(file(name).c_str(), mode);
        return file(name);
    }

private:
    std::string path_;
};

/// A certificate with its key, as objects and as PEM.
struct Made {
    X509Handle certificate;
    KeyHandle key;
    [[nodiscard]] std::string chain_pem() const { return to_pem(certificate.get()); }
    [[nodiscard]] std::string key_pem() const { return to_pem(key.get()); }
    [[nodiscard]] Signer signer() const { return {certificate.get(), key.get()}; }
};

inline Made make_with(KeyHandle key, const CertificateSpec& spec, const Signer& signer = {})
{
    auto certificate = issue(spec, key.get(), signer);
    if (!certificate) throw std::runtime_error(certificate.error().message);
    return {std::move(*certificate), std::move(key)};
}

inline CertificateSpec spec_for(std::vector<std::string> names)
{
    return {"test", std::move(names), kNow - kDay, kNow + 90 * kDay, false};
}

inline Made make_leaf(std::vector<std::string> names, const Signer& signer = {})
{
    return make_with(*make_key(), spec_for(std::move(names)), signer);
}

inline Made make_ca(const std::string& name = "test CA", const Signer& signer = {})
{
    return make_with(*make_key(), {name, {}, kNow - kDay, kNow + 900 * kDay, true}, signer);
}

inline CertificateOptions write_pair(const Directory& directory, const std::string& stem, const Made& made)
{
    return {directory.write(stem + ".crt", made.chain_pem(), 0644), directory.write(stem + ".key", made.key_pem()), {}};
}

inline std::shared_ptr<TicketKeys> own_tickets(base::Instant now = base::Instant{std::chrono::hours{1}})
{
    return *TicketKeys::make({}, now);
}

inline std::shared_ptr<const TlsIdentities> must_load(const Options& options,
                                                      std::shared_ptr<TicketKeys> tickets = own_tickets())
{
    base::Problems problems;
    auto loaded = load(options, std::move(tickets), kNow, problems);
    for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
    return loaded;
}

} // namespace sallyport::certs::test
