// The digest functions below EVP: EVP_DigestInit_ex allocates a context every time, and a proof takes many hashes.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "dnssec/nsec3_hash.hpp"

#include <openssl/sha.h>

namespace sallyport::dnssec {

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
    const std::uint8_t letter = wire::lower(character);
    return letter >= 'a' && letter <= 'v' ? letter - 'a' + 10 : -1;
}

} // namespace

Nsec3Hash nsec3_hash(const Nsec3Parameters& parameters, const wire::Name& name) noexcept
{
    Nsec3Hash hash{};
    bool good = round(name.lower().wire(), parameters.salt, hash);
    for (unsigned i = 0; good && i < parameters.iterations; ++i) good = round(hash, parameters.salt, hash);
    return good ? hash : Nsec3Hash{};
}

std::optional<Nsec3Hash> nsec3_owner_hash(const wire::Name& owner) noexcept
{
    constexpr std::size_t kCharacters = 32;
    const base::Bytes octets = owner.wire();
    if (octets[0] != kCharacters) return std::nullopt;
    Nsec3Hash hash{};
    unsigned held = 0;
    unsigned bits = 0;
    std::size_t at = 0;
    for (std::size_t i = 1; i <= kCharacters; ++i) {
        const int value = base32hex_value(octets[i]);
        if (value < 0) return std::nullopt;
        held = (held << 5U) | static_cast<unsigned>(value);
        bits += 5;
        if (bits < 8) continue;
        bits -= 8;
        hash[at++] = static_cast<std::uint8_t>((held >> bits) & 0xFFU);
    }
    return hash;
}

std::array<std::uint8_t, 32> nsec3_label(const Nsec3Hash& hash) noexcept
{
    constexpr std::string_view kAlphabet = "0123456789abcdefghijklmnopqrstuv";
    std::array<std::uint8_t, 32> label{};
    unsigned held = 0;
    unsigned bits = 0;
    std::size_t at = 0;
    for (const std::uint8_t octet : hash) {
        held = (held << 8U) | octet;
        for (bits += 8; bits >= 5;) {
            bits -= 5;
            label[at++] = static_cast<std::uint8_t>(kAlphabet[(held >> bits) & 31U]);
        }
    }
    return label;
}

const Nsec3Hash* Nsec3Memo::hash(const Nsec3Parameters& parameters, const wire::Name& name, Budget& budget,
                                 Budget::Grant& why)
{
    for (const Known& known : known_) {
        if (known.name == name) return &known.hash;
    }
    why = budget.take_hash();
    if (why != Budget::Grant::granted) return nullptr;
    known_.push_back(Known{name, nsec3_hash(parameters, name)});
    return &known_.back().hash;
}

} // namespace sallyport::dnssec
