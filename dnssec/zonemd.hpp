#pragma once

#include "base/bytes.hpp"
#include "dnssec/canonical.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

/// Digests over whole zones (RFC 8976).
namespace sallyport::dnssec {

/// RFC 8976 §2.2
struct ZonemdView {
    static constexpr std::uint8_t kSimple = 1; ///< the scheme: one digest over all records
    static constexpr std::uint8_t kSha384 = 1;
    static constexpr std::uint8_t kSha512 = 2;

    std::uint32_t serial = 0;
    std::uint8_t scheme = 0;
    std::uint8_t hash = 0;
    base::Bytes digest;
};
[[nodiscard]] std::optional<ZonemdView> read_zonemd(base::Bytes rdata) noexcept;

/// Octets of a digest by that hash; 0 for one that is not known here.
[[nodiscard]] std::size_t zone_digest_size(std::uint8_t hash) noexcept;

/// The digest of the scheme SIMPLE (RFC 8976 §3.3), record set by record set. Whoever calls knows which sets belong in
/// it, and hands them over in canonical order (§3.3.2).
class ZoneDigest {
public:
    explicit ZoneDigest(std::uint8_t hash);
    ~ZoneDigest();
    ZoneDigest(const ZoneDigest&) = delete;
    ZoneDigest& operator=(const ZoneDigest&) = delete;

    /// `lower_owner` is in lower case; RDATA is uncompressed, in any order and case. A record that comes twice counts
    /// once.
    void add(base::Bytes lower_owner, wire::RrType type, wire::RrClass rr_class, wire::Ttl ttl,
             std::span<const base::Bytes> rdatas);
    /// Empty where the hash is not known, or RDATA did not fit its type. The object is spent.
    [[nodiscard]] std::vector<std::uint8_t> finish();

private:
    struct State;
    std::unique_ptr<State> state_; // null after a fault
    CanonicalRrset canonical_;
    std::vector<std::uint8_t> octets_;
};

} // namespace sallyport::dnssec
