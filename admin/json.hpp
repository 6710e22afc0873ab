#pragma once

#include <string>
#include <string_view>

namespace sallyport::admin {

/// Appends a JSON string: quotes, backslashes and control characters escaped, octets that are no UTF-8 replaced.
void append_json(std::string& out, std::string_view text);

/// Whether it is JSON, nested 64 levels at most.
[[nodiscard]] bool is_json(std::string_view text);

} // namespace sallyport::admin
