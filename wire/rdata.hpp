#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// RDATA: what stands in it by type, and its presentation format. Two tables say it all: `rdata_layout` for octets,
/// `text_fields` for text.
namespace sallyport::wire {

/// One part of the RDATA of a type.
enum class RdataPart : std::uint8_t {
    octet1,
    octet2,
    octet4,
    octet6,
    octet8,
    octet16,           ///< fixed sizes
    name,              ///< a name that must be written plain
    compressible_name, ///< a name of an RFC 1035 type, which may be compressed
    text,              ///< one <character-string>
    texts,             ///< one or more <character-string>, to the end
    rest,              ///< everything to the end
};

/// The parts of a type; empty for types without a known layout (RFC 3597: opaque).
[[nodiscard]] std::span<const RdataPart> rdata_layout(RrType type) noexcept;

/// Checks that uncompressed RDATA fits its type to its last octet. Unknown types fit always.
/// Errors: `bad_rdata`, `truncated`, `bad_label`, `name_too_long`.
[[nodiscard]] base::Result<void, ParseError> check_rdata(RrType type, base::Bytes rdata) noexcept;

/// The name that additional-section processing follows (NS, MX, SRV, PTR, CNAME, DNAME, SVCB/HTTPS target, …);
/// `bad_rdata` where the type has none.
[[nodiscard]] base::Result<Name, ParseError> target_name(RrType type, base::Bytes rdata) noexcept;

/// Takes RDATA at `offset` of a checked message and writes it uncompressed to `out` (appending).
/// Errors as `check_rdata`, `bad_pointer` too.
[[nodiscard]] base::Result<void, ParseError> decompress_rdata(base::Bytes message, std::uint16_t offset,
                                                              std::uint16_t size, RrType type,
                                                              std::vector<std::uint8_t>& out);

/// Presentation format of RDATA, in one line; `\# LENGTH HEX` (RFC 3597 §5) for what has no other.
[[nodiscard]] std::string rdata_to_text(RrType type, base::Bytes rdata);
/// RDATA from presentation format, names relative to `origin`. The error says what was expected.
[[nodiscard]] base::Result<std::vector<std::uint8_t>> rdata_from_text(RrType type, std::string_view text,
                                                                      const Name& origin);

} // namespace sallyport::wire
