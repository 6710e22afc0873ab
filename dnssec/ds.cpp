#include "dnssec/keys.hpp"
#include "dnssec/openssl_handle.hpp"

#include <algorithm>
#include <array>

namespace sallyport::dnssec {

namespace {

constexpr std::uint8_t kSha1 = 1;

[[nodiscard]] const EVP_MD* digest_function(std::uint8_t digest_type) noexcept
{
    switch (digest_type) {
    case kSha1: return EVP_sha1();
    case 2: return EVP_sha256();
    case 4: return EVP_sha384();
    default: return nullptr;
    }
}

/// Octets of a digest; 0 for an unknown one.
[[nodiscard]] std::size_t digest_size(std::uint8_t digest_type) noexcept
{
    switch (digest_type) {
    case kSha1: return 20;
    case 2: return 32;
    case 4: return 48;
    default: return 0;
    }
}

struct Digest {
    std::array<std::uint8_t, EVP_MAX_MD_SIZE> octets;
    unsigned size = 0;
};

/// RFC 4034 §5.1.4: over the owner in canonical form and the RDATA of the key.
[[nodiscard]] Digest digest_key(const wire::Name& owner, base::Bytes rdata, std::uint8_t digest_type) noexcept
{
    Digest digest;
    const EVP_MD* function = digest_function(digest_type);
    const DigestContext context{EVP_MD_CTX_new()};
    const wire::Name lower = owner.lower();
    if (function == nullptr || context == nullptr || EVP_DigestInit_ex(context.get(), function, nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), lower.wire().data(), lower.size()) != 1 ||
        EVP_DigestUpdate(context.get(), rdata.data(), rdata.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), digest.octets.data(), &digest.size) != 1) {
        digest.size = 0;
    }
    return digest;
}

/// SHA-384 before SHA-256 before SHA-1; the registry's numbers happen to rise with strength.
[[nodiscard]] bool is_stronger(std::uint8_t left, std::uint8_t right) noexcept { return left > right; }

[[nodiscard]] bool same_key(const DsView& left, const DsView& right) noexcept
{
    return left.key_tag == right.key_tag && left.algorithm == right.algorithm;
}

void keep_strongest(std::vector<DsView>& usable)
{
    const bool better_than_sha1 =
        std::any_of(usable.begin(), usable.end(), [](const DsView& ds) { return ds.digest_type != kSha1; });
    if (better_than_sha1) std::erase_if(usable, [](const DsView& ds) { return ds.digest_type == kSha1; });
    const std::vector<DsView> all = usable;
    std::erase_if(usable, [&all](const DsView& ds) {
        return std::any_of(all.begin(), all.end(), [&ds](const DsView& other) {
            return same_key(ds, other) && is_stronger(other.digest_type, ds.digest_type);
        });
    });
}

} // namespace

bool is_known_digest(std::uint8_t digest_type) noexcept { return digest_size(digest_type) != 0; }

bool ds_matches(const DsView& ds, const wire::Name& owner, base::Bytes dnskey_rdata) noexcept
{
    if (ds.digest.size() != digest_size(ds.digest_type)) return false;
    const Digest digest = digest_key(owner, dnskey_rdata, ds.digest_type);
    return digest.size != 0 && base::equal(ds.digest, {digest.octets.data(), digest.size});
}

std::vector<std::uint8_t> make_ds(const wire::Name& owner, base::Bytes dnskey_rdata, std::uint8_t digest_type)
{
    const Digest digest = digest_key(owner, dnskey_rdata, digest_type);
    if (digest.size == 0 || dnskey_rdata.size() <= 4) return {};
    std::vector<std::uint8_t> rdata(4);
    base::store_be16(rdata, 0, key_tag(dnskey_rdata));
    rdata[2] = dnskey_rdata[3];
    rdata[3] = digest_type;
    rdata.insert(rdata.end(), digest.octets.begin(), digest.octets.begin() + digest.size);
    return rdata;
}

DsChoice choose_ds(std::span<const base::Bytes> ds_rdatas, const Policy& policy)
{
    constexpr std::size_t kMostLookedAt = 64; // comparing them is quadratic
    DsChoice choice;
    bool foreign_algorithm = false;
    bool foreign_digest = false;
    for (const base::Bytes rdata : ds_rdatas.first(std::min(ds_rdatas.size(), kMostLookedAt))) {
        const auto ds = read_ds(rdata);
        if (!ds) continue;
        if (!policy.algorithms.signatures.test(ds->algorithm)) {
            foreign_algorithm = true;
        } else if (!policy.algorithms.digests.test(ds->digest_type) || !is_known_digest(ds->digest_type)) {
            foreign_digest = true;
        } else {
            choice.usable.push_back(*ds);
        }
    }
    if (!policy.any_digest) keep_strongest(choice.usable);
    if (choice.usable.size() > policy.limits.ds_per_delegation) choice.usable.resize(policy.limits.ds_per_delegation);
    if (!choice.usable.empty()) return choice;
    using enum wire::ExtendedError;
    if (ds_rdatas.size() > kMostLookedAt) {
        // Their order is whoever sent them's to choose: those that were not looked at may be usable.
        choice.verdict = bogus_verdict(dnssec_bogus, "too many DS records");
    } else if (foreign_algorithm) {
        choice.verdict = insecure_verdict(unsupported_dnskey_algorithm, "no DS with a supported algorithm");
    } else if (foreign_digest) {
        choice.verdict = insecure_verdict(unsupported_ds_digest, "no DS with a supported digest");
    } else {
        choice.verdict = bogus_verdict(dnssec_bogus, "no DS that can be read");
    }
    return choice;
}

} // namespace sallyport::dnssec
