#pragma once

#include "tests/replay/scenario.hpp"

#include <optional>
#include <string>

namespace sallyport::replay {

/// Whether an upstream query fits the pattern of an entry.
[[nodiscard]] bool fits_query(const Entry& pattern, const Message& query, bool tcp);

/// How much of an answer is compared.
enum class Level : std::uint8_t {
    /// Header but AA, question, answer section by record sets, the authority section of negative answers, EDNS by
    /// presence; TTLs where the entry says `ttl`.
    semantic,
    strict, ///< AA, all sections and the options of EDNS, too
};

/// Whether an answer to a client is what an entry expects. The text says where it is not. An entry with `whole` is
/// compared strictly and with TTLs, whatever the level.
[[nodiscard]] std::optional<std::string> find_difference(const Entry& expected, Message answer, bool tcp, Level level);

[[nodiscard]] std::string to_text(const Message& message);

} // namespace sallyport::replay
