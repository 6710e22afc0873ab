#pragma once

#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "conf/yaml_tree.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::conf {

/// What one reading of a configuration collects.
struct Reading {
    std::string file;
    /// Looks up an environment variable; null where there is none.
    std::function<const char*(const char*)> environment;
    base::Problems problems;
    /// Every key this program knows, `limits.streams.idle`, as it was asked for: for documentation and suggestions.
    std::set<std::string> known_keys;

    void complain(const YamlNode& node, std::string message);
    void complain(base::SourcePosition position, std::string message);
    [[nodiscard]] base::SourcePosition position(const YamlNode& node) const { return {file, node.line, node.column}; }
};

/// A map of the configuration whose keys are taken one by one; what is left over when it goes is unknown and complained
/// of, with the nearest known key. A section that the file does not have is read all the same: its keys may stand in
/// the environment.
class Section {
public:
    /// `node` may be null or a null node. `path` is `limits.streams`; empty at the top. Items of sequences can not be
    /// named in the environment.
    Section(Reading& reading, const YamlNode* node, std::string path, bool in_environment = true);
    ~Section();
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

    /// Each leaves `value` alone where the key is absent and complains where it is not what was expected.
    template <class Integer>
    void number(std::string_view key, Integer& value, std::uint64_t least = 0,
                std::uint64_t most = std::numeric_limits<Integer>::max())
    {
        std::uint64_t wide = value;
        read_number(key, wide, least, most);
        value = static_cast<Integer>(wide);
    }
    /// A number of octets: `65536`, `64KiB`, `128MiB`, `1GiB`.
    template <class Integer>
    void size(std::string_view key, Integer& value, std::uint64_t least, std::uint64_t most)
    {
        std::uint64_t wide = value;
        read_size(key, wide, least, most);
        value = static_cast<Integer>(wide);
    }
    /// `250ms`, `5s`, `2m`, `6h`, `1d`.
    template <class Duration>
    void duration(std::string_view key, Duration& value, std::chrono::milliseconds least,
                  std::chrono::milliseconds most)
    {
        auto wide = std::chrono::duration_cast<std::chrono::milliseconds>(value);
        read_duration(key, wide, least, most);
        value = std::chrono::duration_cast<Duration>(wide);
    }
    void boolean(std::string_view key, bool& value);
    void text(std::string_view key, std::string& value);
    /// A file or folder: relative to the folder of the configuration file.
    void path(std::string_view key, std::string& value);
    /// One of a few words.
    template <class Enum>
    void choice(std::string_view key, Enum& value, std::initializer_list<std::pair<std::string_view, Enum>> words)
    {
        std::vector<std::string_view> names;
        for (const auto& word : words) names.push_back(word.first);
        if (const auto index = read_choice(key, names); index >= 0) value = (words.begin() + index)->second;
    }
    /// A list of texts, or one alone. With positions of each.
    void texts(std::string_view key, std::vector<std::string>& values,
               std::vector<base::SourcePosition>* positions = nullptr);
    void prefixes(std::string_view key, std::vector<base::Prefix>& values);

    /// A map below; read it with a Section of its own. Null where absent.
    [[nodiscard]] const YamlNode* map(std::string_view key);
    /// The items below; complains where it is no list. Empty where absent.
    [[nodiscard]] const std::vector<YamlNode>& items(std::string_view key);

    [[nodiscard]] std::string path_of(std::string_view key) const;
    [[nodiscard]] Reading& reading() noexcept { return reading_; }
    /// Where the key stands, or the section where it is absent.
    [[nodiscard]] base::SourcePosition position_of(std::string_view key) const;

private:
    /// A scalar from the environment or the file.
    struct Scalar {
        std::string text;
        base::SourcePosition position;
    };
    [[nodiscard]] const YamlNode* find(std::string_view key);
    [[nodiscard]] bool scalar(std::string_view key, std::string_view expected, Scalar& out);
    void read_number(std::string_view key, std::uint64_t& value, std::uint64_t least, std::uint64_t most);
    void read_size(std::string_view key, std::uint64_t& value, std::uint64_t least, std::uint64_t most);
    void read_duration(std::string_view key, std::chrono::milliseconds& value, std::chrono::milliseconds least,
                       std::chrono::milliseconds most);
    [[nodiscard]] int read_choice(std::string_view key, const std::vector<std::string_view>& words);
    void complain_of_left_over();

    Reading& reading_;
    const YamlNode* node_;
    std::string path_;
    bool in_environment_;
    std::vector<std::string> known_;
};

/// The entry of `candidates` that differs least from `word`, when it is near enough to be what was meant; else empty.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// `file` as seen from the folder of `configuration_file`; absolute ones stay.
[[nodiscard]] std::string relative_to(const std::string& configuration_file, const std::string& file);

} // namespace sallyport::conf
