#pragma once

#include "dnssec/options.hpp"
#include "dnssec/records.hpp"
#include "dnssec/verdict.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace sallyport::dnssec {

/// A public key that signatures can be checked with. Keys outside the limits do not exist: RSA of 1,024 to 4,096 bits
/// with an exponent to 2^33 (RFC 3110), points that lie on their curve (RFC 6605), 32 and 57 octets (RFC 8080).
class PublicKey {
public:
    PublicKey() noexcept;
    ~PublicKey();
    PublicKey(PublicKey&& other) noexcept;
    PublicKey& operator=(PublicKey&& other) noexcept;

    /// An unusable key where `octets`, as they stand in DNSKEY, are none of `algorithm`.
    [[nodiscard]] static PublicKey make(std::uint8_t algorithm, base::Bytes octets) noexcept;
    [[nodiscard]] bool is_usable() const noexcept { return key_ != nullptr; }
    [[nodiscard]] bool verify(base::Bytes data, base::Bytes signature) const noexcept;

private:
    struct Free {
        void operator()(void* key) const noexcept;
    };
    std::unique_ptr<void, Free> key_;
    std::uint8_t algorithm_ = 0;
};

/// Algorithms that this build can check: 5, 7, 8, 10, 13, 14, 15, 16.
[[nodiscard]] bool is_known_algorithm(std::uint8_t algorithm) noexcept;
/// DS digests that this build can compute: 1, 2, 4.
[[nodiscard]] bool is_known_digest(std::uint8_t digest_type) noexcept;

/// The keys of one zone, ready for use: its validated DNSKEY RRset, copied. Only keys with the zone bit, protocol 3,
/// without the revoked bit and of an accepted algorithm are kept (RFC 4034 §2.1, RFC 5011 §2.1). A key is read when it
/// is first needed, so this belongs to one worker.
class ZoneKeys {
public:
    ZoneKeys() = default;
    /// `with_revoked` is for the one thing a revoked key still says: that it is revoked (RFC 5011 §2.1).
    ZoneKeys(const wire::Name& zone, std::span<const base::Bytes> dnskeys, const Algorithms& algorithms,
             bool with_revoked = false);

    [[nodiscard]] const wire::Name& zone() const noexcept { return zone_; }
    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
    [[nodiscard]] bool empty() const noexcept { return keys_.empty(); }
    /// Whether some key of this zone was of no use for its missing zone bit (EDE 11).
    [[nodiscard]] bool lacks_zone_bit() const noexcept { return !without_zone_bit_.empty(); }
    /// Whether it is the key of this tag and algorithm that was.
    [[nodiscard]] bool lacks_zone_bit(std::uint16_t tag, std::uint8_t algorithm) const noexcept;
    /// Octets held, for whoever accounts for memory.
    [[nodiscard]] std::size_t memory() const noexcept;

    /// The key of this tag and algorithm that comes after `number` others of the same; -1 without one.
    [[nodiscard]] int find(std::uint16_t tag, std::uint8_t algorithm, std::uint32_t number) const noexcept;
    [[nodiscard]] bool verify(int key, base::Bytes data, base::Bytes signature) noexcept;
    [[nodiscard]] base::Bytes rdata(int key) const noexcept { return keys_[static_cast<std::size_t>(key)].rdata; }

private:
    struct Key {
        std::vector<std::uint8_t> rdata;
        std::uint16_t tag;
        std::uint8_t algorithm;
        bool read;
        PublicKey key;
    };
    wire::Name zone_;
    std::vector<Key> keys_;
    ForeignVerifier foreign_ = nullptr;
    std::vector<std::pair<std::uint16_t, std::uint8_t>> without_zone_bit_; // tag and algorithm
};

/// Whether `digest` of the DS is that of the key (RFC 4034 §5.1.4). False for unknown digests and wrong lengths.
[[nodiscard]] bool ds_matches(const DsView& ds, const wire::Name& owner, base::Bytes dnskey_rdata) noexcept;
/// RDATA of the DS for a key; empty for an unknown digest.
[[nodiscard]] std::vector<std::uint8_t> make_ds(const wire::Name& owner, base::Bytes dnskey_rdata,
                                                std::uint8_t digest_type);

/// The DS records of a delegation that count, strongest digests preferred.
struct DsChoice {
    std::vector<DsView> usable; ///< borrowed from the RRset; at most `Limits::ds_per_delegation`
    Verdict verdict;            ///< where none is usable: insecure with EDE 1 or 2; bogus where all are malformed
};
/// Leaves out what is malformed or of an algorithm or digest that is not accepted (RFC 4035 §5.2), SHA-1 where a
/// better digest is there (RFC 4509 §3), and of one key all but its strongest digest.
[[nodiscard]] DsChoice choose_ds(std::span<const base::Bytes> ds_rdatas, const Policy& policy);

} // namespace sallyport::dnssec
