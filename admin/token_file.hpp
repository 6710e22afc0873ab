#pragma once

#include "base/result.hpp"

#include <string>

namespace sallyport::admin {

/// The token that stands in a file: 16 to 512 printable characters in one line. Empty for no file. A file that others
/// than its owner and group can read, or others than its owner can write, is a problem, and so is a token too short to
/// be a secret. No message holds any of it.
[[nodiscard]] std::string read_token(const std::string& file, const base::SourcePosition& position,
                                     base::Problems& problems);

} // namespace sallyport::admin
