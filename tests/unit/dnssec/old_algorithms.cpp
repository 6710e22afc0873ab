#include "old_algorithms.hpp"

#include "dnssec/openssl_handle.hpp"
#include "dnssec/records.hpp"

#include <openssl/dsa.h>

namespace sallyport::dnssec_testing {

namespace {

using namespace sallyport::dnssec;
using DsaSignature = base::Handle<DSA_SIG, DSA_SIG_free>;

constexpr std::size_t kHalf = 20; // octets of q, r and s

[[nodiscard]] BignumHandle number(base::Bytes octets)
{
    return BignumHandle{BN_bin2bn(octets.data(), static_cast<int>(octets.size()), nullptr)};
}

[[nodiscard]] PkeyHandle make(const char* type, OSSL_PARAM_BLD* parts)
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

[[nodiscard]] bool verify(EVP_PKEY* key, const EVP_MD* digest, base::Bytes data, base::Bytes signature)
{
    const DigestContext context{EVP_MD_CTX_new()};
    return key != nullptr && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
           EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(), data.size()) == 1;
}

/// RFC 2536 §2: T, q, p, g, y.
[[nodiscard]] bool verify_dsa(base::Bytes octets, base::Bytes data, base::Bytes signature)
{
    if (octets.empty() || octets[0] > 8 || signature.size() != 1 + 2 * kHalf) return false;
    const std::size_t size = 64 + std::size_t{octets[0]} * 8;
    if (octets.size() != 1 + kHalf + 3 * size) return false;
    const auto q = number(octets.subspan(1, kHalf));
    const auto p = number(octets.subspan(1 + kHalf, size));
    const auto g = number(octets.subspan(1 + kHalf + size, size));
    const auto y = number(octets.subspan(1 + kHalf + 2 * size, size));
    const ParamBuilder parts{OSSL_PARAM_BLD_new()};
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_FFC_P, p.get());
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_FFC_Q, q.get());
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_FFC_G, g.get());
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, y.get());
    const PkeyHandle key = make("DSA", parts.get());
    const DsaSignature both{DSA_SIG_new()};
    DSA_SIG_set0(both.get(), number(signature.subspan(1, kHalf)).release(),
                 number(signature.subspan(1 + kHalf)).release());
    std::uint8_t der[64];
    std::uint8_t* end = der;
    const int der_size = i2d_DSA_SIG(both.get(), &end);
    return der_size > 0 && verify(key.get(), EVP_sha1(), data, {der, static_cast<std::size_t>(der_size)});
}

[[nodiscard]] bool verify_rsa(const EVP_MD* digest, base::Bytes octets, base::Bytes data, base::Bytes signature)
{
    if (octets.size() < 3) return false;
    const std::size_t exponent_size = octets[0] != 0 ? octets[0] : base::load_be16(octets, 1);
    octets = octets.subspan(octets[0] != 0 ? 1 : 3);
    if (octets.size() <= exponent_size) return false;
    const auto exponent = number(octets.first(exponent_size));
    const auto modulus = number(octets.subspan(exponent_size));
    const ParamBuilder parts{OSSL_PARAM_BLD_new()};
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
    OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
    const PkeyHandle key = make("RSA", parts.get());
    return verify(key.get(), digest, data, signature);
}

[[nodiscard]] bool is_dsa(std::uint8_t algorithm) { return algorithm == 3 || algorithm == 6; }

} // namespace

bool verify_old(std::uint8_t algorithm, base::Bytes public_key, base::Bytes data, base::Bytes signature) noexcept
{
    if (is_dsa(algorithm)) return verify_dsa(public_key, data, signature);
    switch (algorithm) {
    case 1: return verify_rsa(EVP_md5(), public_key, data, signature);
    case 5:
    case 7: return verify_rsa(EVP_sha1(), public_key, data, signature);
    case 8: return verify_rsa(EVP_sha256(), public_key, data, signature);
    case 10: return verify_rsa(EVP_sha512(), public_key, data, signature);
    default: return false;
    }
}

dnssec::Algorithms all_algorithms() noexcept
{
    auto algorithms = dnssec::Algorithms::recommended(true, true);
    for (const unsigned number : {3U, 6U}) algorithms.signatures.set(number);
    algorithms.foreign = &verify_old;
    return algorithms;
}

void fix_dsa_signature(std::vector<std::uint8_t>& rrsig_rdata)
{
    const auto view = read_rrsig(rrsig_rdata);
    if (!view || !is_dsa(view->algorithm)) return;
    if (view->signature.size() == 1 + 2 * kHalf || view->signature.empty() || view->signature[0] != 0x30) return;
    const std::uint8_t* at = view->signature.data();
    const DsaSignature both{d2i_DSA_SIG(nullptr, &at, static_cast<long>(view->signature.size()))};
    if (both == nullptr) return;
    std::uint8_t plain[1 + 2 * kHalf] = {};
    const BIGNUM* r = nullptr;
    const BIGNUM* s = nullptr;
    DSA_SIG_get0(both.get(), &r, &s);
    if (BN_bn2binpad(r, plain + 1, kHalf) < 0 || BN_bn2binpad(s, plain + 1 + kHalf, kHalf) < 0) return;
    rrsig_rdata.resize(rrsig_rdata.size() - view->signature.size());
    rrsig_rdata.insert(rrsig_rdata.end(), std::begin(plain), std::end(plain));
}

} // namespace sallyport::dnssec_testing
