#pragma once

#include "cache/entry.hpp"
#include "cache/records.hpp"

#include <optional>
#include <string_view>

namespace sallyport::cache {

/// What is to be stored, measured.
struct Draft {
    base::Bytes records;
    Counts counts;
    std::size_t size = 0; ///< of the entry
    std::uint16_t flags = 0;
    std::string_view ede_text;
};

/// Nothing where the message is not of this key, or has more than an entry can say.
[[nodiscard]] std::optional<Draft> draft_of(const Key& key, const Prepared& prepared, const Notes& notes) noexcept;

/// Fills the room that a shard gave: `draft.size` octets.
void fill(std::uint8_t* entry, const Key& key, const Prepared& prepared, const Notes& notes, const Draft& draft,
          Tick now) noexcept;

} // namespace sallyport::cache
