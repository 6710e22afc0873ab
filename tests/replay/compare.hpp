#pragma once

#include "tests/replay/scenario.hpp"

#include <optional>
#include <string>

namespace sallyport::replay {

/// Whether an upstream query fits the pattern of an entry.
[[nodiscard]] bool fits_query(const Entry& pattern, const Message& query, bool tcp);

/// Whether an answer to a client is what an entry expects: header, question, answer section by record sets, the
/// authority section of negative answers, EDNS by presence. The text says where it is not.
[[nodiscard]] std::optional<std::string> find_difference(const Entry& expected, Message answer, bool tcp);

[[nodiscard]] std::string to_text(const Message& message);

} // namespace sallyport::replay
