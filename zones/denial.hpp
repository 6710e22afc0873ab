#pragma once

#include "zones/zone.hpp"

#include <array>
#include <span>

namespace sallyport::zones {

/// The NSEC or NSEC3 owners that prove what a response says is not there (RFC 4035 §3.1.3, RFC 5155 §7.2). They are
/// collected while aliases are followed and written once the answer section is complete. Allocates nothing.
class Denial {
public:
    struct Proof {
        const Zone* zone;
        const Node* node; ///< has NSEC or NSEC3
    };

    /// The name does not exist and no wildcard matches it.
    void name_error(const Zone& zone, base::Bytes qname, const LabelOffsets& labels, const Node& encloser) noexcept;
    /// The name exists, the type does not. Right for a DS query at an unsigned delegation too.
    void no_data(const Zone& zone, const Node& node) noexcept;
    /// The answer came from a wildcard: nothing nearer matches.
    void wildcard_answer(const Zone& zone, base::Bytes qname, const LabelOffsets& labels,
                         const Node& encloser) noexcept;
    /// The wildcard matches but has not the type.
    void wildcard_no_data(const Zone& zone, base::Bytes qname, const LabelOffsets& labels, const Node& encloser,
                          const Node& wildcard) noexcept;

    [[nodiscard]] std::span<const Proof> proofs() const noexcept { return {proofs_.data(), count_}; }

private:
    void add(const Zone& zone, const Node* node) noexcept;
    void cover(const Zone& zone, base::Bytes name) noexcept;
    void cover_nsec3(const Zone& zone, base::Bytes name) noexcept;
    [[nodiscard]] base::Bytes prove_encloser(const Zone& zone, base::Bytes qname, const LabelOffsets& labels,
                                             unsigned strip) noexcept;

    // One for each alias from a wildcard, three at the end; more than any chain makes.
    std::array<Proof, 24> proofs_;
    std::size_t count_ = 0;
};

} // namespace sallyport::zones
