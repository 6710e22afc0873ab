#pragma once

#include "base/bytes.hpp"
#include "base/random.hpp"
#include "base/siphash.hpp"

#include <cstdint>
#include <vector>

namespace sallyport::dnssec {

/// Signatures that have verified: the same octets under the same key need no second look. What a wildcard makes, and
/// the proofs that stand beside many answers, cost their arithmetic once. Says nothing of dates or of who signed.
///
/// Keeps hashes of 128 bits under keys of its own, so that nobody can make another message that is taken for one that
/// was seen. A table of fixed size: a new one takes the place of an old one. One worker's.
class KnownSignatures {
public:
    struct Mark {
        std::uint64_t first = 0;
        std::uint64_t second = 0;
        friend bool operator==(const Mark&, const Mark&) = default;
    };

    static constexpr std::size_t kSlots = 8192;

    explicit KnownSignatures(base::RandomSource& random);

    [[nodiscard]] Mark mark(base::Bytes dnskey_rdata, base::Bytes data, base::Bytes signature) const noexcept;
    [[nodiscard]] bool contains(const Mark& mark) const noexcept { return slot(mark) == mark; }
    void add(const Mark& mark) noexcept { slots_[mark.first % kSlots] = mark; }

private:
    [[nodiscard]] const Mark& slot(const Mark& mark) const noexcept { return slots_[mark.first % kSlots]; }

    base::SipKey first_key_{};
    base::SipKey second_key_{};
    std::vector<Mark> slots_;
};

} // namespace sallyport::dnssec
