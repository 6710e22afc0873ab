#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <optional>
#include <span>

/// The records that DNSSEC is made of, as views of their RDATA.
namespace sallyport::dnssec {

/// One RRset with the signatures that cover it, wherever it is kept. Everything is borrowed; RDATA is uncompressed.
struct RrsetView {
    const wire::Name* owner = nullptr;
    wire::RrType type{};
    wire::RrClass rr_class = wire::RrClass::IN;
    wire::Ttl ttl{}; ///< as received
    std::span<const base::Bytes> rdatas{};
    std::span<const base::Bytes> signatures{}; ///< RDATA of the RRSIGs beside it; those of other types are passed over
};

/// RFC 4034 §3.1
struct RrsigView {
    wire::RrType type_covered{};
    std::uint8_t algorithm = 0;
    std::uint8_t labels = 0;
    std::uint32_t original_ttl = 0;
    std::uint32_t expiration = 0;
    std::uint32_t inception = 0;
    std::uint16_t key_tag = 0;
    wire::Name signer;
    base::Bytes fields;    ///< the RDATA up to the signer, which stands behind it
    base::Bytes signature; ///< may be empty: then it is a bad signature
};
[[nodiscard]] std::optional<RrsigView> read_rrsig(base::Bytes rdata) noexcept;
/// The fields that `RrsigView` begins with, without the cost of a name.
[[nodiscard]] std::optional<wire::RrType> type_covered(base::Bytes rrsig_rdata) noexcept;

/// RFC 4034 §2.1
struct DnskeyView {
    std::uint16_t flags = 0;
    std::uint8_t protocol = 0;
    std::uint8_t algorithm = 0;
    base::Bytes public_key;

    [[nodiscard]] bool is_zone_key() const noexcept { return (flags & 0x0100U) != 0; }
    [[nodiscard]] bool is_revoked() const noexcept { return (flags & 0x0080U) != 0; } ///< RFC 5011 §7
    [[nodiscard]] bool is_secure_entry_point() const noexcept { return (flags & 0x0001U) != 0; }
};
[[nodiscard]] std::optional<DnskeyView> read_dnskey(base::Bytes rdata) noexcept;
/// RFC 4034 appendix B, B.1 for algorithm 1.
[[nodiscard]] std::uint16_t key_tag(base::Bytes dnskey_rdata) noexcept;

/// RFC 4034 §5.1
struct DsView {
    std::uint16_t key_tag = 0;
    std::uint8_t algorithm = 0;
    std::uint8_t digest_type = 0;
    base::Bytes digest;
};
[[nodiscard]] std::optional<DsView> read_ds(base::Bytes rdata) noexcept;

/// Type bit maps (RFC 4034 §4.1.2): windows rising, each of 1 to 32 octets, to the end.
[[nodiscard]] bool check_type_bitmap(base::Bytes bitmap) noexcept;
/// False too where the map is malformed before the type's place.
[[nodiscard]] bool has_type(base::Bytes bitmap, wire::RrType type) noexcept;

/// RFC 4034 §4.1
struct NsecView {
    wire::Name next;
    base::Bytes types;
};
[[nodiscard]] std::optional<NsecView> read_nsec(base::Bytes rdata) noexcept;

/// RFC 5155 §3.1
struct Nsec3View {
    std::uint8_t hash_algorithm = 0;
    std::uint8_t flags = 0;
    std::uint16_t iterations = 0;
    base::Bytes salt;
    base::Bytes next_hash;
    base::Bytes types;

    [[nodiscard]] bool is_opt_out() const noexcept { return (flags & 1U) != 0; }
};
[[nodiscard]] std::optional<Nsec3View> read_nsec3(base::Bytes rdata) noexcept;

} // namespace sallyport::dnssec
