#pragma once

#include "wire/message_view.hpp"

#include <string>

/// Whole messages for people and scripts. Names and octets are escaped: no control character of a peer's choosing
/// reaches a terminal, and JSON is always valid UTF-8.
namespace sallyport::wire {

/// As `dig` prints it: header, EDNS with its options decoded, sections; each line with its line end.
[[nodiscard]] std::string to_dig_text(const MessageView& message);

/// One object in one line, close to the JSON of public DoH services: `Status`, flags as booleans, `Question`, `Answer`,
/// `Authority`, `Additional` (`name`, `type`, `TTL`, `data`; `typeName` and `class` too), `EDNS`.
[[nodiscard]] std::string to_json(const MessageView& message);

} // namespace sallyport::wire
