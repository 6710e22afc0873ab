#include "dnssec/keys.hpp"
#include "dnssec/openssl_handle.hpp"

#include <array>

namespace sallyport::dnssec {

namespace {

enum Algorithm : std::uint8_t {
    kRsaSha1 = 5,
    kRsaSha1Nsec3 = 7,
    kRsaSha256 = 8,
    kRsaSha512 = 10,
    kEcdsaP256 = 13,
    kEcdsaP384 = 14,
    kEd25519 = 15,
    kEd448 = 16,
};

constexpr int kLeastRsaBits = 1'024;
constexpr int kMostRsaBits = 4'096;
constexpr int kMostExponentBits = 34; // 2^33 is the first number of so many

[[nodiscard]] PkeyHandle make_from(const char* type, OSSL_PARAM_BLD* parts) noexcept
{
    const ParamList params{OSSL_PARAM_BLD_to_param(parts)};
    const PkeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr)};
    EVP_PKEY* key = nullptr;
    if (params == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
        return nullptr;
    }
    return PkeyHandle{key};
}

[[nodiscard]] BignumHandle to_number(base::Bytes octets) noexcept
{
    return BignumHandle{BN_bin2bn(octets.data(), static_cast<int>(octets.size()), nullptr)};
}

/// An exponent of 2^33 and below; even ones and 1 are no keys.
[[nodiscard]] bool good_exponent(const BIGNUM* exponent) noexcept
{
    if (BN_is_odd(exponent) != 1 || BN_is_one(exponent) == 1) return false;
    return BN_num_bits(exponent) < kMostExponentBits;
}

/// RFC 3110 §2: length of the exponent in one octet, or in two after a zero; exponent; modulus.
[[nodiscard]] PkeyHandle make_rsa(base::Bytes octets) noexcept
{
    if (octets.size() < 3) return nullptr;
    std::size_t exponent_size = octets[0];
    octets = octets.subspan(1);
    if (exponent_size == 0) {
        exponent_size = base::load_be16(octets, 0);
        octets = octets.subspan(2);
    }
    if (exponent_size == 0 || octets.size() <= exponent_size || octets.size() > 2 * (kMostRsaBits / 8)) return nullptr;
    const BignumHandle exponent = to_number(octets.first(exponent_size));
    const BignumHandle modulus = to_number(octets.subspan(exponent_size));
    if (exponent == nullptr || modulus == nullptr || !good_exponent(exponent.get())) return nullptr;
    const int bits = BN_num_bits(modulus.get());
    if (bits < kLeastRsaBits || bits > kMostRsaBits) return nullptr;
    const ParamBuilder parts{OSSL_PARAM_BLD_new()};
    if (parts == nullptr || OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1) {
        return nullptr;
    }
    return make_from("RSA", parts.get());
}

/// RFC 6605 §4: x and y without the octet that says "uncompressed". The library refuses points off the curve.
[[nodiscard]] PkeyHandle make_ec(const char* group, std::size_t size, base::Bytes octets) noexcept
{
    if (octets.size() != size) return nullptr;
    std::array<std::uint8_t, 97> point{4};
    std::copy(octets.begin(), octets.end(), point.begin() + 1);
    const ParamBuilder parts{OSSL_PARAM_BLD_new()};
    if (parts == nullptr || OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), size + 1) != 1) {
        return nullptr;
    }
    return make_from("EC", parts.get());
}

[[nodiscard]] PkeyHandle make_edwards(int type, base::Bytes octets) noexcept
{
    return PkeyHandle{EVP_PKEY_new_raw_public_key(type, nullptr, octets.data(), octets.size())};
}

[[nodiscard]] PkeyHandle make_key(std::uint8_t algorithm, base::Bytes octets) noexcept
{
    switch (algorithm) {
    case kRsaSha1:
    case kRsaSha1Nsec3:
    case kRsaSha256:
    case kRsaSha512: return make_rsa(octets);
    case kEcdsaP256: return make_ec("P-256", 64, octets);
    case kEcdsaP384: return make_ec("P-384", 96, octets);
    case kEd25519: return make_edwards(EVP_PKEY_ED25519, octets);
    case kEd448: return make_edwards(EVP_PKEY_ED448, octets);
    default: return nullptr;
    }
}

/// Null for the algorithms that hash by themselves.
[[nodiscard]] const EVP_MD* digest_of(std::uint8_t algorithm) noexcept
{
    switch (algorithm) {
    case kRsaSha1:
    case kRsaSha1Nsec3: return EVP_sha1();
    case kRsaSha256:
    case kEcdsaP256: return EVP_sha256();
    case kEcdsaP384: return EVP_sha384();
    case kRsaSha512: return EVP_sha512();
    default: return nullptr;
    }
}

[[nodiscard]] bool verify_octets(EVP_PKEY* key, const EVP_MD* digest, base::Bytes data, base::Bytes signature) noexcept
{
    const DigestContext context{EVP_MD_CTX_new()};
    return context != nullptr && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
           EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(), data.size()) == 1;
}

/// RFC 6605 §4 has r and s side by side; the library wants them in DER.
[[nodiscard]] bool verify_ecdsa(EVP_PKEY* key, const EVP_MD* digest, std::size_t half, base::Bytes data,
                                base::Bytes signature) noexcept
{
    if (signature.size() != 2 * half) return false;
    const EcdsaSignature parts{ECDSA_SIG_new()};
    BignumHandle r = to_number(signature.first(half));
    BignumHandle s = to_number(signature.subspan(half));
    if (parts == nullptr || r == nullptr || s == nullptr) return false;
    if (ECDSA_SIG_set0(parts.get(), r.get(), s.get()) != 1) return false;
    static_cast<void>(r.release()); // both belong to `parts` now
    static_cast<void>(s.release());
    std::array<std::uint8_t, 128> der;
    std::uint8_t* end = der.data();
    const int size = i2d_ECDSA_SIG(parts.get(), nullptr);
    if (size <= 0 || static_cast<std::size_t>(size) > der.size() || i2d_ECDSA_SIG(parts.get(), &end) != size) {
        return false;
    }
    return verify_octets(key, digest, data, {der.data(), static_cast<std::size_t>(size)});
}

} // namespace

Algorithms Algorithms::recommended(bool sha1_signatures, bool sha1_digests) noexcept
{
    Algorithms algorithms;
    for (const unsigned number : {8U, 10U, 13U, 14U, 15U, 16U}) algorithms.signatures.set(number);
    for (const unsigned number : {2U, 4U}) algorithms.digests.set(number);
    algorithms.signatures.set(kRsaSha1, sha1_signatures);
    algorithms.signatures.set(kRsaSha1Nsec3, sha1_signatures);
    algorithms.digests.set(1, sha1_digests);
    return algorithms;
}

Policy Options::policy() const
{
    Policy policy;
    policy.algorithms = Algorithms::recommended(sha1_signatures, sha1_digests);
    policy.limits = limits;
    policy.expired_by = expired_by;
    policy.early_by = early_by;
    return policy;
}

PublicKey::PublicKey() noexcept = default;
PublicKey::~PublicKey() = default;
PublicKey::PublicKey(PublicKey&& other) noexcept = default;
PublicKey& PublicKey::operator=(PublicKey&& other) noexcept = default;

void PublicKey::Free::operator()(void* key) const noexcept { EVP_PKEY_free(static_cast<EVP_PKEY*>(key)); }

PublicKey PublicKey::make(std::uint8_t algorithm, base::Bytes octets) noexcept
{
    PublicKey key;
    key.algorithm_ = algorithm;
    key.key_.reset(make_key(algorithm, octets).release());
    return key;
}

bool PublicKey::verify(base::Bytes data, base::Bytes signature) const noexcept
{
    if (key_ == nullptr || signature.empty()) return false;
    auto* key = static_cast<EVP_PKEY*>(key_.get());
    const EVP_MD* digest = digest_of(algorithm_);
    switch (algorithm_) {
    case kEcdsaP256: return verify_ecdsa(key, digest, 32, data, signature);
    case kEcdsaP384: return verify_ecdsa(key, digest, 48, data, signature);
    default: return verify_octets(key, digest, data, signature);
    }
}

bool is_known_algorithm(std::uint8_t algorithm) noexcept
{
    switch (algorithm) {
    case kRsaSha1:
    case kRsaSha1Nsec3:
    case kRsaSha256:
    case kRsaSha512:
    case kEcdsaP256:
    case kEcdsaP384:
    case kEd25519:
    case kEd448: return true;
    default: return false;
    }
}

} // namespace sallyport::dnssec
