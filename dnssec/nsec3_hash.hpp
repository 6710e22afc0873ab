#pragma once

#include "base/bytes.hpp"
#include "dnssec/budget.hpp"
#include "wire/name.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace sallyport::dnssec {

/// SHA-1 is the only hash that RFC 5155 §11 knows.
using Nsec3Hash = std::array<std::uint8_t, 20>;

/// What a hash is made with (RFC 5155 §3.1). Borrows the salt.
struct Nsec3Parameters {
    std::uint8_t hash_algorithm = 1;
    std::uint16_t iterations = 0;
    base::Bytes salt;

    [[nodiscard]] bool same(const Nsec3Parameters& other) const noexcept
    {
        return hash_algorithm == other.hash_algorithm && iterations == other.iterations &&
               base::equal(salt, other.salt);
    }
};

/// IH(salt, name, iterations) of RFC 5155 §5; letters count as lower case. All zero where the library refuses SHA-1.
[[nodiscard]] Nsec3Hash nsec3_hash(const Nsec3Parameters& parameters, const wire::Name& name) noexcept;

/// The hash that stands in the first label of an NSEC3 owner: 32 characters of base32hex.
[[nodiscard]] std::optional<Nsec3Hash> nsec3_owner_hash(const wire::Name& owner) noexcept;
/// The first label of the owner for a hash.
[[nodiscard]] std::array<std::uint8_t, 32> nsec3_label(const Nsec3Hash& hash) noexcept;

/// Hashes of one proof, each computed once: work that was put off does not pay twice.
class Nsec3Memo {
public:
    /// Null where the budget grants no hash now; `why` says for how long.
    [[nodiscard]] const Nsec3Hash* hash(const Nsec3Parameters& parameters, const wire::Name& name, Budget& budget,
                                        Budget::Grant& why);

private:
    struct Known {
        wire::Name name;
        Nsec3Hash hash;
    };
    std::vector<Known> known_;
};

} // namespace sallyport::dnssec
