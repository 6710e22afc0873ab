#pragma once

#include <iosfwd>
#include <string>

namespace sallyport::apps {

[[nodiscard]] std::string version_line();
/// Version, libraries and what was left out of this build.
void print_version(std::ostream& out);

} // namespace sallyport::apps
