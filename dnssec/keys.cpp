#include "dnssec/keys.hpp"

#include <algorithm>

namespace sallyport::dnssec {

namespace {

constexpr std::uint8_t kProtocol = 3; // RFC 4034 §2.1.2: the only value there is

} // namespace

ZoneKeys::ZoneKeys(const wire::Name& zone, std::span<const base::Bytes> dnskeys, const Algorithms& algorithms,
                   bool with_revoked)
    : zone_(zone), foreign_(algorithms.foreign)
{
    for (const base::Bytes rdata : dnskeys) {
        const auto key = read_dnskey(rdata);
        if (!key || key->protocol != kProtocol || (key->is_revoked() && !with_revoked)) continue;
        if (!algorithms.signatures.test(key->algorithm)) continue;
        if (!is_known_algorithm(key->algorithm) && foreign_ == nullptr) continue;
        if (!key->is_zone_key()) {
            without_zone_bit_.emplace_back(key_tag(rdata), key->algorithm);
            continue;
        }
        keys_.push_back(Key{{rdata.begin(), rdata.end()}, key_tag(rdata), key->algorithm, false, {}});
    }
}

bool ZoneKeys::lacks_zone_bit(std::uint16_t tag, std::uint8_t algorithm) const noexcept
{
    return std::find(without_zone_bit_.begin(), without_zone_bit_.end(), std::pair{tag, algorithm}) !=
           without_zone_bit_.end();
}

std::size_t ZoneKeys::memory() const noexcept
{
    constexpr std::size_t kReadKey = 1'500; // what the library holds for one, about
    std::size_t size = sizeof *this;
    for (const Key& key : keys_) size += sizeof key + key.rdata.capacity() + kReadKey;
    return size;
}

int ZoneKeys::find(std::uint16_t tag, std::uint8_t algorithm, std::uint32_t number) const noexcept
{
    for (std::size_t i = 0; i < keys_.size(); ++i) {
        if (keys_[i].tag != tag || keys_[i].algorithm != algorithm) continue;
        if (number == 0) return static_cast<int>(i);
        --number;
    }
    return -1;
}

bool ZoneKeys::verify(int key, base::Bytes data, base::Bytes signature) noexcept
{
    Key& chosen = keys_[static_cast<std::size_t>(key)];
    const base::Bytes public_key = base::Bytes{chosen.rdata}.subspan(4);
    if (!chosen.read) {
        chosen.key = PublicKey::make(chosen.algorithm, public_key);
        chosen.read = true;
    }
    if (chosen.key.is_usable()) return chosen.key.verify(data, signature);
    return foreign_ != nullptr && !signature.empty() && foreign_(chosen.algorithm, public_key, data, signature);
}

} // namespace sallyport::dnssec
