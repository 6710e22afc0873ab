#include "dnssec/known_signatures.hpp"

#include <array>

namespace sallyport::dnssec {

namespace {

/// The parts are hashed each for itself, so that no octet can move from one to the next unseen.
[[nodiscard]] std::uint64_t hash_of(base::Bytes key, base::Bytes data, base::Bytes signature,
                                    const base::SipKey& secret) noexcept
{
    std::array<std::uint8_t, 24> hashes;
    std::size_t at = 0;
    for (const base::Bytes part : {key, data, signature}) {
        const std::uint64_t hash = base::siphash24(part, secret);
        for (unsigned i = 0; i < 8; ++i) hashes[at++] = static_cast<std::uint8_t>(hash >> (8 * i));
    }
    return base::siphash24(hashes, secret);
}

} // namespace

KnownSignatures::KnownSignatures(base::RandomSource& random) : slots_(kSlots)
{
    random.fill(first_key_);
    random.fill(second_key_);
    // An empty slot must not look like a mark: this one belongs to another.
    slots_.front() = {1, 0};
}

KnownSignatures::Mark KnownSignatures::mark(base::Bytes dnskey_rdata, base::Bytes data,
                                            base::Bytes signature) const noexcept
{
    return {hash_of(dnskey_rdata, data, signature, first_key_), hash_of(dnskey_rdata, data, signature, second_key_)};
}

} // namespace sallyport::dnssec
