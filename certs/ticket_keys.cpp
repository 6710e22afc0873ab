#include "certs/ticket_keys.hpp"

#include "base/log.hpp"
#include "certs/files.hpp"
#include "certs/replay_store.hpp"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

namespace sallyport::certs {

namespace {

constexpr std::string_view kFileWanted = "session ticket keys of 80 octets each";
constexpr auto kMinRotation = std::chrono::minutes{1};
constexpr auto kMaxRotation = std::chrono::hours{12};

TicketKey key_from(base::Bytes octets)
{
    TicketKey key;
    std::copy_n(octets.begin(), 16, key.name.begin());
    std::copy_n(octets.begin() + 16, 32, key.mac.begin());
    std::copy_n(octets.begin() + 48, 32, key.cipher.begin());
    return key;
}

base::Error file_error(const std::string& file, const base::Error& error)
{
    return {error.code, fmt::format("{}: {}", file, error.message)};
}

/// HKDF-SHA256. False only where the library refuses, which is out of memory or a crippled build.
bool derive(const TicketKey& from, std::string_view info, base::MutableBytes out)
{
    EVP_KDF* hkdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
    EVP_KDF_CTX* context = hkdf != nullptr ? EVP_KDF_CTX_new(hkdf) : nullptr;
    EVP_KDF_free(hkdf);
    if (context == nullptr) return false;
    std::array<std::uint8_t, kTicketKeySize> secret;
    std::ranges::copy(from.name, secret.begin());
    std::ranges::copy(from.mac, secret.begin() + 16);
    std::ranges::copy(from.cipher, secret.begin() + 48);
    char digest[] = "SHA256";
    std::string label{info};
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
                                 OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, label.data(), label.size()),
                                 OSSL_PARAM_construct_end()};
    const bool done = EVP_KDF_derive(context, out.data(), out.size(), params) == 1;
    EVP_KDF_CTX_free(context);
    OPENSSL_cleanse(secret.data(), secret.size());
    return done;
}

base::Result<TicketKey> random_key()
{
    std::array<std::uint8_t, kTicketKeySize> octets;
    if (RAND_bytes(octets.data(), static_cast<int>(octets.size())) != 1) {
        return base::Error{base::ErrorCode::system, "the random generator gave no session ticket key"};
    }
    TicketKey key = key_from(octets);
    OPENSSL_cleanse(octets.data(), octets.size());
    return key;
}

base::Result<std::vector<TicketKey>> read_key_file(const std::string& file)
{
    const auto content = read_file(file, kMaxTicketFile, kFileWanted);
    if (!content) return content.error();
    // Whoever reads these keys reads the sessions; whoever writes them chooses the keys.
    if ((content->mode() & 027U) != 0) {
        return base::Error{base::ErrorCode::unreadable,
                           fmt::format("{}: mode {:04o} lets others at the session ticket keys, expected 0600 or 0640",
                                       file, content->mode())};
    }
    auto keys = parse_ticket_keys(content->bytes());
    if (!keys) return file_error(file, keys.error());
    return keys;
}

} // namespace

TicketKey::~TicketKey() { OPENSSL_cleanse(this, sizeof *this); }

base::Result<std::vector<TicketKey>> parse_ticket_keys(base::Bytes file)
{
    const auto invalid = [](std::string message) { return base::Error{base::ErrorCode::invalid, std::move(message)}; };
    if (file.empty()) return invalid(fmt::format("empty, expected {}, newest first", kFileWanted));
    if (file.size() % kTicketKeySize != 0) {
        return invalid(fmt::format("{} octets, expected {}, newest first", file.size(), kFileWanted));
    }
    std::vector<TicketKey> keys;
    keys.reserve(kMaxTicketKeys);
    const std::size_t count = std::min(file.size() / kTicketKeySize, kMaxTicketKeys);
    for (std::size_t i = 0; i < count; ++i) {
        const base::Bytes octets = file.subspan(i * kTicketKeySize, kTicketKeySize);
        const auto is_zero = [](std::uint8_t octet) { return octet == 0; };
        if (std::ranges::all_of(octets.subspan(16), is_zero)) return invalid(fmt::format("key {} is all zeros", i + 1));
        TicketKey key = key_from(octets);
        const auto same = std::ranges::find(keys, key.name, &TicketKey::name);
        if (same != keys.end()) {
            return invalid(fmt::format("keys {} and {} have the same name (their first 16 octets)",
                                       same - keys.begin() + 1, i + 1));
        }
        keys.push_back(key);
    }
    return keys;
}

TicketKeySet::TicketKeySet(std::vector<TicketKey> keys) : keys_{std::move(keys)}
{
    if (!derive(keys_.front(), "sallyport quic tickets", quic_master_)) throw std::bad_alloc{};
}

TicketKeySet::~TicketKeySet() { OPENSSL_cleanse(quic_master_.data(), quic_master_.size()); }

const TicketKey* TicketKeySet::find(std::span<const std::uint8_t, 16> name) const noexcept
{
    const auto found =
        std::ranges::find_if(keys_, [name](const TicketKey& key) { return std::ranges::equal(key.name, name); });
    return found != keys_.end() ? &*found : nullptr;
}

namespace {

/// Keys of our own: made from the system's randomness, never on disk.
class OwnKeys final : public TicketKeys {
public:
    OwnKeys(std::chrono::seconds rotate_every, const TicketKey& first, base::Instant now)
        : TicketKeys{rotate_every}, made_{now}
    {
        publish({first});
    }

    base::Result<void> tick(base::Instant now) override
    {
        if (now - made_ < rotate_every()) return {};
        auto fresh = random_key();
        if (!fresh) return fresh.error();
        // One that has been out of use for a whole period decrypts nothing any more.
        const bool previous_counts = now - made_ < 2 * rotate_every();
        std::vector<TicketKey> keys{*fresh};
        if (previous_counts) keys.push_back(current()->newest());
        publish(std::move(keys));
        made_ = now;
        return {};
    }

private:
    base::Instant made_;
};

/// Keys of a file that several gateways share; whoever writes the file rotates them.
class FileKeys final : public TicketKeys {
public:
    FileKeys(std::chrono::seconds rotate_every, std::string file, FileState state, std::vector<TicketKey> keys)
        : TicketKeys{rotate_every}, file_{std::move(file)}, state_{state}
    {
        publish(std::move(keys));
    }

    base::Result<void> tick(base::Instant) override
    {
        const FileState state = file_state(file_);
        if (state == state_) return {};
        state_ = state; // an error is told once for each state of the file
        auto keys = read_key_file(file_);
        if (!keys) return keys.error();
        publish(std::move(*keys));
        base::log::info(fmt::format("{}: session ticket keys read again", file_));
        return {};
    }

private:
    std::string file_;
    FileState state_;
};

} // namespace

struct TicketKeys::Shared {
    mutable std::mutex mutex;
    std::shared_ptr<const TicketKeySet> keys;
    ReplayStore replays;
};

TicketKeys::TicketKeys(std::chrono::seconds rotate_every)
    : shared_{std::make_unique<Shared>()}, rotate_every_{rotate_every}
{
}

TicketKeys::~TicketKeys() = default;

std::shared_ptr<const TicketKeySet> TicketKeys::current() const noexcept
{
    const std::lock_guard lock{shared_->mutex};
    return shared_->keys;
}

ReplayStore& TicketKeys::replays() const noexcept { return shared_->replays; }

void TicketKeys::publish(std::vector<TicketKey> keys)
{
    auto fresh = std::make_shared<const TicketKeySet>(std::move(keys));
    const std::lock_guard lock{shared_->mutex};
    shared_->keys.swap(fresh); // the old set is let go after the lock
}

base::Result<std::shared_ptr<TicketKeys>> TicketKeys::make(const TicketOptions& options, base::Instant now)
{
    if (options.rotate_every < kMinRotation || options.rotate_every > kMaxRotation) {
        return base::Error{
            base::ErrorCode::invalid,
            fmt::format("session ticket keys rotated every {} s, expected 60 s to 12 h", options.rotate_every.count())};
    }
    if (options.key_file.empty()) {
        auto key = random_key();
        if (!key) return key.error();
        return std::shared_ptr<TicketKeys>{std::make_shared<OwnKeys>(options.rotate_every, *key, now)};
    }
    const FileState state = file_state(options.key_file);
    auto keys = read_key_file(options.key_file);
    if (!keys) return keys.error();
    return std::shared_ptr<TicketKeys>{
        std::make_shared<FileKeys>(options.rotate_every, options.key_file, state, std::move(*keys))};
}

} // namespace sallyport::certs
