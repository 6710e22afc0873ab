#include "dnssec/zonemd.hpp"

#include "dnssec/openssl_handle.hpp"

namespace sallyport::dnssec {

namespace {

const EVP_MD* hash_function(std::uint8_t hash) noexcept
{
    switch (hash) {
    case ZonemdView::kSha384: return EVP_sha384();
    case ZonemdView::kSha512: return EVP_sha512();
    default: return nullptr;
    }
}

} // namespace

std::optional<ZonemdView> read_zonemd(base::Bytes rdata) noexcept
{
    constexpr std::size_t kFixed = 6;
    constexpr std::size_t kLeastDigest = 12; // RFC 8976 §2.2.4
    if (rdata.size() < kFixed + kLeastDigest) return std::nullopt;
    return ZonemdView{base::load_be32(rdata, 0), rdata[4], rdata[5], rdata.subspan(kFixed)};
}

std::size_t zone_digest_size(std::uint8_t hash) noexcept
{
    switch (hash) {
    case ZonemdView::kSha384: return 48;
    case ZonemdView::kSha512: return 64;
    default: return 0;
    }
}

struct ZoneDigest::State {
    DigestContext context;
};

ZoneDigest::ZoneDigest(std::uint8_t hash)
{
    const EVP_MD* const function = hash_function(hash);
    if (function == nullptr) return;
    auto made = std::make_unique<State>(State{DigestContext{EVP_MD_CTX_new()}});
    if (made->context != nullptr && EVP_DigestInit_ex(made->context.get(), function, nullptr) == 1)
        state_ = std::move(made);
}

ZoneDigest::~ZoneDigest() = default;

void ZoneDigest::add(base::Bytes lower_owner, wire::RrType type, wire::RrClass rr_class, wire::Ttl ttl,
                     std::span<const base::Bytes> rdatas)
{
    if (!state_) return;
    if (!canonical_.set(type, rdatas)) {
        state_.reset();
        return;
    }
    // RFC 8976 §3.3.2: RR(i) = owner | type | class | TTL | RDATA length | RDATA
    octets_.clear();
    for (const base::Bytes rdata : canonical_.rdatas()) {
        const std::size_t at = octets_.size() + lower_owner.size();
        octets_.insert(octets_.end(), lower_owner.begin(), lower_owner.end());
        octets_.resize(at + 10);
        base::store_be16(octets_, at, static_cast<std::uint16_t>(type));
        base::store_be16(octets_, at + 2, static_cast<std::uint16_t>(rr_class));
        base::store_be32(octets_, at + 4, ttl.seconds());
        base::store_be16(octets_, at + 8, static_cast<std::uint16_t>(rdata.size()));
        octets_.insert(octets_.end(), rdata.begin(), rdata.end());
    }
    if (EVP_DigestUpdate(state_->context.get(), octets_.data(), octets_.size()) != 1) state_.reset();
}

std::vector<std::uint8_t> ZoneDigest::finish()
{
    std::vector<std::uint8_t> digest(EVP_MAX_MD_SIZE);
    unsigned size = 0;
    if (!state_ || EVP_DigestFinal_ex(state_->context.get(), digest.data(), &size) != 1) size = 0;
    state_.reset();
    digest.resize(size);
    return digest;
}

} // namespace sallyport::dnssec
