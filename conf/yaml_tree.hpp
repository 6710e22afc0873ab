#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::conf {

/// A YAML document as it was written: every key and value with its place, duplicate keys still there to be complained
/// of.
///
/// Anchors, aliases and tags are refused (a few lines of them can mean gigabytes, and a configuration needs none), and
/// so are nesting beyond 32 levels and more than 1,000,000 nodes.
struct YamlNode {
    enum class Kind : std::uint8_t { null, scalar, sequence, map };

    struct Entry; // key and value

    Kind kind = Kind::null;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    std::string scalar;
    std::vector<YamlNode> items; ///< of a sequence
    std::vector<Entry> entries;  ///< of a map, in order
};

struct YamlNode::Entry {
    std::string key;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    YamlNode value;
};

/// Reads one document. An empty text gives a null node. Errors carry line and column; `file` is put into them.
[[nodiscard]] base::Result<YamlNode> parse_yaml(std::string_view text, const std::string& file);

} // namespace sallyport::conf
