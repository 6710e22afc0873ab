#pragma once

#include "base/bytes.hpp"

#include <array>
#include <cstdint>

namespace sallyport::base {

using SipKey = std::array<std::uint8_t, 16>;

/// SipHash-2-4: a keyed hash that other implementations must be able to repeat (RFC 9018 §4.4). For tables of our own
/// `keyed_hash` is quicker.
[[nodiscard]] std::uint64_t siphash24(Bytes bytes, const SipKey& key) noexcept;

} // namespace sallyport::base
