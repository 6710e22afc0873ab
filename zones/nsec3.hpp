#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>
#include <optional>

namespace sallyport::zones {

/// SHA-1 is the only hash that RFC 5155 §11 knows.
using Nsec3Hash = std::array<std::uint8_t, 20>;

struct Nsec3Parameters {
    std::uint8_t algorithm = 1;
    std::uint16_t iterations = 0;
    std::uint8_t salt_size = 0;
    std::array<std::uint8_t, 255> salt{};
};

/// Reads the fields that NSEC3 and NSEC3PARAM begin with (RFC 5155 §3.2, §4.2); nothing where they do not fit.
[[nodiscard]] std::optional<Nsec3Parameters> read_nsec3_parameters(base::Bytes rdata) noexcept;
[[nodiscard]] bool same_parameters(const Nsec3Parameters& left, const Nsec3Parameters& right) noexcept;

/// IH(salt, name, iterations) of RFC 5155 §5. About 0.5 µs and 0.3 µs an iteration. All zero where the library
/// refuses SHA-1.
[[nodiscard]] Nsec3Hash nsec3_hash(const Nsec3Parameters& parameters, base::Bytes lower_name) noexcept;

/// The hash that a label of 32 base32hex characters stands for (RFC 4648 §7, without padding).
[[nodiscard]] std::optional<Nsec3Hash> nsec3_label(base::Bytes label) noexcept;

} // namespace sallyport::zones
