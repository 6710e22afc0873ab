// The digest functions below EVP: EVP_DigestInit_ex allocates a context every time, and an answer allocates nothing.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "zones/nsec3.hpp"

#include <openssl/sha.h>

#include <cstring>

namespace sallyport::zones {

namespace {

/// One round: out = SHA-1(octets | salt). `octets` may be `out`.
[[nodiscard]] bool round(base::Bytes octets, base::Bytes salt, Nsec3Hash& out) noexcept
{
    SHA_CTX context;
    return SHA1_Init(&context) == 1 && SHA1_Update(&context, octets.data(), octets.size()) == 1 &&
           SHA1_Update(&context, salt.data(), salt.size()) == 1 && SHA1_Final(out.data(), &context) == 1;
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
    Nsec3Hash hash{};
    const base::Bytes salt{parameters.salt.data(), parameters.salt_size};
    bool good = round(lower_name, salt, hash);
    for (unsigned i = 0; good && i < parameters.iterations; ++i) good = round(hash, salt, hash);
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
