#pragma once

#include "dnssec/records.hpp"

#include <cstdint>
#include <vector>

namespace sallyport::dnssec {

/// RDATA of an RRset in canonical form and order (RFC 4034 §6.2, §6.3): names in lower case for the types that
/// RFC 6840 §5.1 leaves in the list, sorted as octets, duplicates gone.
class CanonicalRrset {
public:
    /// False where RDATA that holds names to be lower-cased does not fit its type.
    [[nodiscard]] bool set(wire::RrType type, std::span<const base::Bytes> rdatas);

    [[nodiscard]] std::span<const base::Bytes> rdatas() const noexcept { return sorted_; }
    /// The octets that `signature` signs (RFC 4034 §3.1.8.1), into `out`. `owner` is the owner as signed: a wildcard
    /// where the signature has fewer labels.
    void write_signed_data(const RrsigView& signature, const wire::Name& owner, wire::RrType type,
                           wire::RrClass rr_class, std::vector<std::uint8_t>& out) const;

private:
    std::vector<base::Bytes> sorted_;
    std::vector<std::uint8_t> lowered_; // RDATA that had to be changed
};

/// Types whose RDATA has names that are lower-cased (RFC 4034 §6.2 with RFC 6840 §5.1).
[[nodiscard]] bool has_canonical_names(wire::RrType type) noexcept;

/// Labels as RRSIG counts them: without the root's and without a leading `*` (RFC 4034 §3.1.3).
[[nodiscard]] unsigned signed_labels(const wire::Name& owner) noexcept;

} // namespace sallyport::dnssec
