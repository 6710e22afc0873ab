#include "zones/nsec3.hpp"

#include "base/handle.hpp"

#include <openssl/evp.h>

#include <cstring>

namespace sallyport::zones {

namespace {

using DigestContext = base::Handle<EVP_MD_CTX, EVP_MD_CTX_free>;
using Digest = base::Handle<EVP_MD, EVP_MD_free>;

/// One round: out = SHA-1(octets | salt).
[[nodiscard]] bool round(EVP_MD_CTX* context, const EVP_MD* sha1, base::Bytes octets, base::Bytes salt,
                         Nsec3Hash& out) noexcept
{
    return EVP_DigestInit_ex(context, sha1, nullptr) == 1 &&
           EVP_DigestUpdate(context, octets.data(), octets.size()) == 1 &&
           EVP_DigestUpdate(context, salt.data(), salt.size()) == 1 &&
           EVP_DigestFinal_ex(context, out.data(), nullptr) == 1;
}

[[nodiscard]] int base32hex_value(std::uint8_t character) noexcept
{
    if (character >= '0' && character <= '9') return character - '0';
    if (character >= 'a' && character <= 'v') return character - 'a' + 10;
    if (character >= 'A' && character <= 'V') return character - 'A' + 10;
    return -1;
}

} // namespace

std::optional<Nsec3Parameters> read_nsec3_parameters(base::Bytes rdata) noexcept
{
    if (rdata.size() < 5 || rdata.size() < std::size_t{5} + rdata[4]) return std::nullopt;
    Nsec3Parameters out;
    out.algorithm = rdata[0];
    out.iterations = base::load_be16(rdata, 2);
    out.salt_size = rdata[4];
    std::memcpy(out.salt.data(), rdata.data() + 5, out.salt_size);
    return out;
}

bool same_parameters(const Nsec3Parameters& left, const Nsec3Parameters& right) noexcept
{
    return left.algorithm == right.algorithm && left.iterations == right.iterations &&
           base::equal({left.salt.data(), left.salt_size}, {right.salt.data(), right.salt_size});
}

Nsec3Hash nsec3_hash(const Nsec3Parameters& parameters, base::Bytes lower_name) noexcept
{
    // Made once a thread, so that answers do not allocate after the first.
    thread_local const DigestContext context{EVP_MD_CTX_new()};
    static const Digest sha1{EVP_MD_fetch(nullptr, "SHA1", nullptr)};
    Nsec3Hash hash{};
    if (context == nullptr || sha1 == nullptr) return hash;
    const base::Bytes salt{parameters.salt.data(), parameters.salt_size};
    bool good = round(context.get(), sha1.get(), lower_name, salt, hash);
    for (unsigned i = 0; good && i < parameters.iterations; ++i) {
        good = round(context.get(), sha1.get(), hash, salt, hash);
    }
    return good ? hash : Nsec3Hash{};
}

std::optional<Nsec3Hash> nsec3_label(base::Bytes label) noexcept
{
    if (label.size() != 32) return std::nullopt;
    Nsec3Hash hash{};
    for (std::size_t i = 0; i < label.size(); ++i) {
        const int value = base32hex_value(label[i]);
        if (value < 0) return std::nullopt;
        for (std::size_t bit = 0; bit < 5; ++bit) {
            if (((value >> (4 - bit)) & 1) == 0) continue;
            const std::size_t at = i * 5 + bit;
            hash[at / 8] = static_cast<std::uint8_t>(hash[at / 8] | (0x80U >> (at % 8)));
        }
    }
    return hash;
}

} // namespace sallyport::zones
