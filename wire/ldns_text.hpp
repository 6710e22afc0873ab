#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// RDATA to and from text by ldns: for LOC, whose presentation format is a small language of its own.
namespace sallyport::wire {

/// The text; nothing where ldns does not read its own text back as the same octets.
[[nodiscard]] std::optional<std::string> ldns_rdata_to_text(RrType type, base::Bytes rdata);
/// The octets. The error carries the words of ldns.
[[nodiscard]] base::Result<std::vector<std::uint8_t>> ldns_rdata_from_text(RrType type, std::string_view text,
                                                                           const Name& origin);

} // namespace sallyport::wire
