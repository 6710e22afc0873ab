#pragma once

#include <iosfwd>

namespace sallyport::apps {

class Gateway;

/// Prints the doors and, for each, lines to paste into another terminal.
void print_hints(const Gateway& gateway, std::ostream& out);

} // namespace sallyport::apps
