#include "tests/replay/settings.hpp"

#include "base/handle.hpp"

#include <openssl/core_names.h>
#include <openssl/dsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <vector>

namespace sallyport::replay {
namespace {

using BigNumber = base::Handle<BIGNUM, BN_free>;
using Builder = base::Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>;
using Parameters = base::Handle<OSSL_PARAM, OSSL_PARAM_free>;
using KeyContext = base::Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free>;
using PublicKey = base::Handle<EVP_PKEY, EVP_PKEY_free>;
using DigestContext = base::Handle<EVP_MD_CTX, EVP_MD_CTX_free>;

constexpr std::size_t kQ = 20;

BigNumber read_number(base::Bytes octets)
{
    return BigNumber(BN_bin2bn(octets.data(), static_cast<int>(octets.size()), nullptr));
}

/// T, Q, P, G, Y (RFC 2536 §2).
PublicKey read_key(base::Bytes octets)
{
    if (octets.empty() || octets[0] > 8) return nullptr;
    const std::size_t size = 64U + 8U * octets[0];
    if (octets.size() != 1 + kQ + 3 * size) return nullptr;
    const BigNumber q = read_number(octets.subspan(1, kQ));
    const BigNumber p = read_number(octets.subspan(1 + kQ, size));
    const BigNumber g = read_number(octets.subspan(1 + kQ + size, size));
    const BigNumber y = read_number(octets.subspan(1 + kQ + 2 * size, size));
    const Builder builder(OSSL_PARAM_BLD_new());
    if (!q || !p || !g || !y || !builder ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_FFC_P, p.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_FFC_Q, q.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_FFC_G, g.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, y.get()) != 1) {
        return nullptr;
    }
    const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
    const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "DSA", nullptr));
    EVP_PKEY* key = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
        return nullptr;
    }
    return PublicKey(key);
}

/// T, R, S (RFC 2536 §3) as DER; what is DER already stays.
std::vector<std::uint8_t> to_der(base::Bytes signature)
{
    if (signature.size() != 1 + 2 * kQ) return {signature.begin(), signature.end()};
    const base::Handle<DSA_SIG, DSA_SIG_free> both(DSA_SIG_new());
    if (!both || DSA_SIG_set0(both.get(), read_number(signature.subspan(1, kQ)).release(),
                              read_number(signature.subspan(1 + kQ, kQ)).release()) != 1) {
        return {};
    }
    const int size = i2d_DSA_SIG(both.get(), nullptr);
    if (size <= 0) return {};
    std::vector<std::uint8_t> out(static_cast<std::size_t>(size));
    unsigned char* at = out.data();
    i2d_DSA_SIG(both.get(), &at);
    return out;
}

} // namespace

namespace {

/// Keys of 512 bits, which nobody should believe any more (RFC 3110 §2).
PublicKey read_short_rsa_key(base::Bytes octets)
{
    if (octets.size() < 4) return nullptr;
    const std::size_t head = octets[0] != 0 ? 1 : 3;
    const std::size_t size = octets[0] != 0 ? octets[0] : base::load_be16(octets, 1);
    if (octets.size() <= head + size) return nullptr;
    const BigNumber e = read_number(octets.subspan(head, size));
    const BigNumber n = read_number(octets.subspan(head + size));
    const Builder builder(OSSL_PARAM_BLD_new());
    if (!e || !n || !builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1) {
        return nullptr;
    }
    const Parameters parameters(OSSL_PARAM_BLD_to_param(builder.get()));
    const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* key = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
        return nullptr;
    }
    return PublicKey(key);
}

bool verify_short_rsa(const EVP_MD* digest, base::Bytes public_key, base::Bytes data, base::Bytes signature)
{
    const PublicKey key = read_short_rsa_key(public_key);
    const DigestContext context(EVP_MD_CTX_new());
    return key && context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.get()) == 1 &&
           EVP_DigestVerify(context.get(), signature.data(), signature.size(), data.data(), data.size()) == 1;
}

} // namespace

bool verify_old(std::uint8_t algorithm, base::Bytes public_key, base::Bytes data, base::Bytes signature) noexcept
{
    if (algorithm == 5 || algorithm == 7) return verify_short_rsa(EVP_sha1(), public_key, data, signature);
    if (algorithm == 8) return verify_short_rsa(EVP_sha256(), public_key, data, signature);
    if (algorithm == 10) return verify_short_rsa(EVP_sha512(), public_key, data, signature);
    if (algorithm != 3 && algorithm != 6) return false;
    const PublicKey key = read_key(public_key);
    const DigestContext context(EVP_MD_CTX_new());
    const auto der = to_der(signature);
    if (!key || !context || der.empty()) return false;
    return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha1(), nullptr, key.get()) == 1 &&
           EVP_DigestVerify(context.get(), der.data(), der.size(), data.data(), data.size()) == 1;
}

} // namespace sallyport::replay
