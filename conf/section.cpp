#include "conf/section.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <optional>

namespace sallyport::conf {
namespace {

/// Splits `64KiB` into 64 and `KiB`.
std::optional<std::pair<std::uint64_t, std::string_view>> number_and_unit(std::string_view text)
{
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) return std::nullopt;
    auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
    while (unit.starts_with(' ')) unit.remove_prefix(1);
    return std::pair{number, unit};
}

std::optional<std::uint64_t> scaled(std::string_view text,
                                    std::initializer_list<std::pair<std::string_view, std::uint64_t>> units)
{
    const auto parts = number_and_unit(text);
    if (!parts) return std::nullopt;
    for (const auto& [name, factor] : units) {
        if (parts->second != name) continue;
        if (factor != 0 && parts->first > std::numeric_limits<std::uint64_t>::max() / factor) return std::nullopt;
        return parts->first * factor;
    }
    return std::nullopt;
}

std::optional<std::uint64_t> octets(std::string_view text)
{
    return scaled(text, {{"", 1}, {"B", 1}, {"KiB", 1ULL << 10U}, {"MiB", 1ULL << 20U}, {"GiB", 1ULL << 30U}});
}

std::optional<std::uint64_t> read_milliseconds(std::string_view text)
{
    if (text == "0") return 0;
    return scaled(text, {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}});
}

std::string duration_text(std::chrono::milliseconds value)
{
    const auto count = value.count();
    constexpr std::array<std::pair<std::int64_t, std::string_view>, 4> kUnits{
        {{86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1000, "s"}}};
    for (const auto& [factor, name] : kUnits)
        if (count != 0 && count % factor == 0) return std::to_string(count / factor) + std::string(name);
    return std::to_string(count) + "ms";
}

std::size_t edit_distance(std::string_view left, std::string_view right)
{
    std::vector<std::size_t> row(right.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= left.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (left[i - 1] == right[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row.back();
}

std::string variable_name(std::string_view path)
{
    std::string name = "SALLYPORT_";
    for (const char c : path) name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    return name;
}

std::string shown(std::string_view text)
{
    std::string out = "'";
    for (const char c : text.substr(0, 80)) out += (c >= 0x20 && c < 0x7F) ? c : '?';
    return out + (text.size() > 80 ? "…'" : "'");
}

} // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates)
{
    if (word.size() > 64) return {};
    std::string best;
    std::size_t distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const auto& candidate : candidates) {
        const std::size_t d = edit_distance(word, candidate);
        if (d >= distance) continue;
        distance = d;
        best = candidate;
    }
    return best;
}

std::string relative_to(const std::string& configuration_file, const std::string& file)
{
    namespace fs = std::filesystem;
    if (file.empty() || fs::path(file).is_absolute()) return file;
    return (fs::path(configuration_file).parent_path() / file).lexically_normal().string();
}

void Reading::complain(const YamlNode& node, std::string message) { complain(position(node), std::move(message)); }

void Reading::complain(base::SourcePosition position, std::string message)
{
    problems.push_back({base::ErrorCode::invalid, std::move(message), std::move(position)});
}

Section::Section(Reading& reading, const YamlNode* node, std::string path, bool in_environment)
    : reading_(reading), node_(node), path_(std::move(path)), in_environment_(in_environment)
{
    if (node_ == nullptr || node_->kind == YamlNode::Kind::null) {
        node_ = nullptr;
        return;
    }
    if (node_->kind != YamlNode::Kind::map) {
        reading_.complain(*node_, (path_.empty() ? "the configuration" : "'" + path_ + "'") +
                                      std::string(" must be a map of keys and values"));
        node_ = nullptr;
        return;
    }
    std::set<std::string_view> seen;
    for (const auto& entry : node_->entries)
        if (!seen.insert(entry.key).second)
            reading_.complain({reading_.file, entry.line, entry.column},
                              "the key " + shown(entry.key) + " stands here a second time; one of the two must go");
}

Section::~Section() { complain_of_left_over(); }

void Section::complain_of_left_over()
{
    if (node_ == nullptr) return;
    for (const auto& entry : node_->entries) {
        if (std::find(known_.begin(), known_.end(), entry.key) != known_.end()) continue;
        std::string message = "unknown key " + shown(entry.key);
        if (!path_.empty()) message += " in '" + path_ + "'";
        if (const auto meant = nearest(entry.key, known_); !meant.empty()) {
            message += "; did you mean '" + meant + "'?";
        } else {
            message += "; expected one of";
            for (const auto& known : known_) message += (&known == &known_.front() ? " " : ", ") + known;
        }
        reading_.complain({reading_.file, entry.line, entry.column}, std::move(message));
    }
}

std::string Section::path_of(std::string_view key) const
{
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

base::SourcePosition Section::position_of(std::string_view key) const
{
    if (node_ == nullptr) return {reading_.file};
    for (const auto& entry : node_->entries)
        if (entry.key == key) return {reading_.file, entry.line, entry.column};
    return reading_.position(*node_);
}

const YamlNode* Section::find(std::string_view key)
{
    known_.emplace_back(key);
    reading_.known_keys.insert(path_of(key));
    if (node_ == nullptr) return nullptr;
    for (const auto& entry : node_->entries)
        if (entry.key == key) return entry.value.kind == YamlNode::Kind::null ? nullptr : &entry.value;
    return nullptr;
}

bool Section::scalar(std::string_view key, std::string_view expected, Scalar& out)
{
    const YamlNode* const node = find(key);
    if (in_environment_ && reading_.environment) {
        const std::string variable = variable_name(path_of(key));
        if (const char* const value = reading_.environment(variable.c_str()); value != nullptr) {
            out = {value, {"environment variable " + variable}};
            return true;
        }
    }
    if (node == nullptr) return false;
    if (node->kind != YamlNode::Kind::scalar) {
        reading_.complain(*node, "'" + path_of(key) + "' must be " + std::string(expected) + ", not a " +
                                     (node->kind == YamlNode::Kind::map ? "map" : "list"));
        return false;
    }
    out = {node->scalar, reading_.position(*node)};
    return true;
}

void Section::read_number(std::string_view key, std::uint64_t& value, std::uint64_t least, std::uint64_t most)
{
    const std::string expected = "a number from " + std::to_string(least) + " to " + std::to_string(most);
    Scalar found;
    if (!scalar(key, expected, found)) return;
    const auto parts = number_and_unit(found.text);
    if (!parts || !parts->second.empty() || parts->first < least || parts->first > most)
        return reading_.complain(found.position,
                                 "'" + path_of(key) + "' is " + shown(found.text) + "; expected " + expected);
    value = parts->first;
}

void Section::read_size(std::string_view key, std::uint64_t& value, std::uint64_t least, std::uint64_t most)
{
    const std::string expected =
        "a size like 65536, 64KiB or 128MiB, from " + std::to_string(least) + " to " + std::to_string(most) + " octets";
    Scalar found;
    if (!scalar(key, expected, found)) return;
    const auto size = octets(found.text);
    if (!size || *size < least || *size > most)
        return reading_.complain(found.position,
                                 "'" + path_of(key) + "' is " + shown(found.text) + "; expected " + expected);
    value = *size;
}

void Section::read_duration(std::string_view key, std::chrono::milliseconds& value, std::chrono::milliseconds least,
                            std::chrono::milliseconds most)
{
    const std::string expected =
        "a time with its unit (ms, s, m, h, d), from " + duration_text(least) + " to " + duration_text(most);
    Scalar found;
    if (!scalar(key, expected, found)) return;
    const auto time = read_milliseconds(found.text);
    if (!time || *time < static_cast<std::uint64_t>(least.count()) || *time > static_cast<std::uint64_t>(most.count()))
        return reading_.complain(found.position,
                                 "'" + path_of(key) + "' is " + shown(found.text) + "; expected " + expected);
    value = std::chrono::milliseconds{static_cast<std::int64_t>(*time)};
}

void Section::boolean(std::string_view key, bool& value)
{
    Scalar found;
    if (!scalar(key, "true or false", found)) return;
    if (found.text == "true" || found.text == "yes" || found.text == "on")
        value = true;
    else if (found.text == "false" || found.text == "no" || found.text == "off")
        value = false;
    else
        reading_.complain(found.position,
                          "'" + path_of(key) + "' is " + shown(found.text) + "; expected true or false");
}

void Section::text(std::string_view key, std::string& value)
{
    Scalar found;
    if (scalar(key, "a text", found)) value = found.text;
}

void Section::path(std::string_view key, std::string& value)
{
    Scalar found;
    if (scalar(key, "the name of a file or folder", found)) value = relative_to(reading_.file, found.text);
}

int Section::read_choice(std::string_view key, const std::vector<std::string_view>& words)
{
    std::string expected = "one of";
    for (const auto word : words) expected += (word == words.front() ? " " : ", ") + std::string(word);
    Scalar found;
    if (!scalar(key, expected, found)) return -1;
    for (std::size_t i = 0; i < words.size(); ++i)
        if (found.text == words[i]) return static_cast<int>(i);
    reading_.complain(found.position, "'" + path_of(key) + "' is " + shown(found.text) + "; expected " + expected);
    return -1;
}

void Section::texts(std::string_view key, std::vector<std::string>& values,
                    std::vector<base::SourcePosition>* positions)
{
    const YamlNode* const node = find(key);
    if (node == nullptr) return;
    values.clear();
    const auto take = [&](const YamlNode& item) {
        if (item.kind != YamlNode::Kind::scalar)
            return reading_.complain(item, "'" + path_of(key) + "' must be a list of texts");
        values.push_back(item.scalar);
        if (positions != nullptr) positions->push_back(reading_.position(item));
    };
    if (node->kind == YamlNode::Kind::sequence)
        std::for_each(node->items.begin(), node->items.end(), take);
    else
        take(*node);
}

void Section::prefixes(std::string_view key, std::vector<base::Prefix>& values)
{
    std::vector<std::string> words;
    std::vector<base::SourcePosition> positions;
    texts(key, words, &positions);
    for (std::size_t i = 0; i < words.size(); ++i) {
        const auto prefix = base::Prefix::parse(words[i]);
        if (prefix)
            values.push_back(*prefix);
        else
            reading_.complain(positions[i], prefix.error().message);
    }
}

const YamlNode* Section::map(std::string_view key) { return find(key); }

const std::vector<YamlNode>& Section::items(std::string_view key)
{
    static const std::vector<YamlNode> kNone;
    const YamlNode* const node = find(key);
    if (node == nullptr) return kNone;
    if (node->kind == YamlNode::Kind::sequence) return node->items;
    reading_.complain(*node, "'" + path_of(key) + "' must be a list");
    return kNone;
}

} // namespace sallyport::conf
