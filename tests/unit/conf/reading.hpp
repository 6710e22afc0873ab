#pragma once

#include "conf/configuration.hpp"

#include <string>

/// What the tests of the sections share: a configuration with one door, read from text.
namespace sallyport::conf::reading {

struct Read {
    Configuration configuration;
    std::string problems;
};

/// `text` begins at the second line of `dir/c.yaml`.
inline Read read(const std::string& text)
{
    base::Problems problems;
    Read result{parse_configuration("listen: [{do53: {on: '127.0.0.1:5300'}}]\n" + text, "dir/c.yaml", {}, problems),
                {}};
    for (const auto& problem : problems) result.problems += problem.to_string() + '\n';
    return result;
}

} // namespace sallyport::conf::reading
