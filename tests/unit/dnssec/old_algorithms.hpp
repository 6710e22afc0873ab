#pragma once

#include "base/bytes.hpp"
#include "dnssec/options.hpp"

#include <cstdint>
#include <vector>

/// What recorded data needs and the product has not: DSA with SHA-1 (algorithms 3 and 6, RFC 2536) and RSA keys that
/// are too short. For tests only.
namespace sallyport::dnssec_testing {

/// A `dnssec::ForeignVerifier`.
[[nodiscard]] bool verify_old(std::uint8_t algorithm, base::Bytes public_key, base::Bytes data,
                              base::Bytes signature) noexcept;

/// Everything the product knows, SHA-1 included, and what `verify_old` adds.
[[nodiscard]] dnssec::Algorithms all_algorithms() noexcept;

/// RRSIG RDATA of algorithm 3 or 6 whose signature is DER becomes T | r | s (RFC 2536 §3); others are left alone.
void fix_dsa_signature(std::vector<std::uint8_t>& rrsig_rdata);

} // namespace sallyport::dnssec_testing
