#include "wire/name.hpp"

#include "base/hash.hpp"
#include "wire/octet_copy.hpp"

#include <algorithm>

namespace sallyport::wire {
namespace {

constexpr std::size_t kMaxNameLabels = 127;

/// Where the labels of a name start, the root's left out.
struct LabelStarts {
    explicit LabelStarts(base::Bytes name) noexcept
    {
        for (std::size_t at = 0; name[at] != 0; at += name[at] + std::size_t{1}) {
            starts[count++] = static_cast<std::uint8_t>(at);
        }
    }
    std::array<std::uint8_t, kMaxNameLabels> starts;
    unsigned count = 0;
};

/// RFC 4034 §6.1: labels compare as left-justified octet strings, letters in lower case.
std::strong_ordering compare_labels(const std::uint8_t* left, const std::uint8_t* right) noexcept
{
    const std::size_t common = std::min(*left, *right);
    for (std::size_t i = 1; i <= common; ++i) {
        const auto order = lower(left[i]) <=> lower(right[i]);
        if (order != 0) return order;
    }
    return *left <=> *right;
}

/// The escaped character of presentation format at `text`: `\X` or `\DDD`. Returns the characters used, 0 for none.
std::size_t unescape(std::string_view text, std::uint8_t& octet) noexcept
{
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (text.size() < 2) return 0;
    if (!is_digit(text[1])) {
        octet = static_cast<std::uint8_t>(text[1]);
        return 2;
    }
    if (text.size() < 4 || !is_digit(text[2]) || !is_digit(text[3])) return 0;
    const int value = (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0');
    if (value > 255) return 0;
    octet = static_cast<std::uint8_t>(value);
    return 4;
}

/// Collects the labels of a presentation-format name into wire format.
struct TextNameReader {
    std::uint8_t out[kMaxNameSize];
    std::size_t size = 1; // the length octet of the open label stands before it
    std::size_t label_at = 0;

    [[nodiscard]] std::size_t label_size() const noexcept { return size - label_at - 1; }
    [[nodiscard]] bool put(std::uint8_t octet) noexcept
    {
        if (size >= kMaxNameSize) return false;
        out[size++] = octet;
        return true;
    }
    /// Ends the open label and begins the next.
    [[nodiscard]] std::optional<ParseError> close_label() noexcept
    {
        if (label_size() == 0 || label_size() > kMaxLabelSize) return ParseError::bad_label;
        out[label_at] = static_cast<std::uint8_t>(label_size());
        label_at = size;
        if (!put(0)) return ParseError::name_too_long;
        return std::nullopt;
    }
};

void append_escaped(std::string& text, std::uint8_t octet)
{
    constexpr std::string_view kSpecial = ".\\\"();@$";
    if (octet <= 0x20 || octet >= 0x7F) {
        const char digits[] = {'\\', static_cast<char>('0' + octet / 100), static_cast<char>('0' + octet / 10 % 10),
                               static_cast<char>('0' + octet % 10)};
        text.append(digits, sizeof digits);
        return;
    }
    if (kSpecial.find(static_cast<char>(octet)) != std::string_view::npos) text += '\\';
    text += static_cast<char>(octet);
}

} // namespace

base::Result<std::size_t, ParseError> measure_name(base::Bytes octets) noexcept
{
    std::size_t at = 0;
    for (;;) {
        if (at >= octets.size()) return at >= kMaxNameSize ? ParseError::name_too_long : ParseError::truncated;
        const std::size_t label = octets[at];
        if (label > kMaxLabelSize) return ParseError::bad_label;
        at += label + 1;
        if (at > kMaxNameSize) return ParseError::name_too_long;
        if (label == 0) return at;
    }
}

base::Result<void, ParseError> check_name(base::Bytes wire) noexcept
{
    const auto size = measure_name(wire);
    if (!size) return size.error();
    if (*size != wire.size()) return ParseError::trailing_bytes;
    return {};
}

base::Result<Name, ParseError> Name::from_wire(base::Bytes wire) noexcept
{
    const auto checked = check_name(wire);
    if (!checked) return checked.error();
    base::Result<Name, ParseError> result{Name{}};
    NameBuilder builder{*result};
    static_cast<void>(builder.append(wire)); // at most 255 octets, as checked
    return result;
}

base::Result<Name, ParseError> Name::from_text(std::string_view text, const Name* origin) noexcept
{
    if (text.empty()) return ParseError::bad_text;
    if (text == ".") return Name{};
    if (text == "@" && origin != nullptr) return *origin;

    TextNameReader reader;
    bool absolute = false;
    while (!text.empty()) {
        const char c = text.front();
        std::size_t used = 1;
        if (c == '.') {
            if (const auto error = reader.close_label()) return *error;
            absolute = text.size() == 1;
        } else {
            auto octet = static_cast<std::uint8_t>(c);
            if (c == '\\' && (used = unescape(text, octet)) == 0) return ParseError::bad_text;
            if (!reader.put(octet)) {
                return reader.label_size() > kMaxLabelSize ? ParseError::bad_label : ParseError::name_too_long;
            }
        }
        text.remove_prefix(used);
    }
    if (!absolute) {
        if (const auto error = reader.close_label()) return *error;
    }
    const base::Bytes labels{reader.out, reader.label_at};
    const base::Bytes tail =
        !absolute && origin != nullptr ? origin->wire() : base::Bytes{reader.out + reader.label_at, 1};
    reader.out[reader.label_at] = 0;

    base::Result<Name, ParseError> result{Name{}};
    NameBuilder builder{*result};
    if (!builder.append(labels) || !builder.append(tail)) return ParseError::name_too_long;
    return result;
}

unsigned Name::label_count() const noexcept
{
    unsigned count = 0;
    for (std::size_t at = 0; octets_[at] != 0; at += octets_[at] + std::size_t{1}) ++count;
    return count;
}

Name Name::lower() const noexcept
{
    Name name;
    name.size_ = size_;
    lower_copy(name.octets_.data(), octets_.data(), size_);
    return name;
}

Name Name::parent(unsigned labels) const noexcept
{
    std::size_t at = 0;
    for (; labels > 0 && octets_[at] != 0; --labels) at += octets_[at] + std::size_t{1};
    Name name;
    name.size_ = static_cast<std::uint8_t>(size_ - at);
    copy_octets(name.octets_.data(), octets_.data() + at, name.size_);
    return name;
}

base::Result<Name, ParseError> Name::prepend(base::Bytes label) const noexcept
{
    if (label.empty() || label.size() > kMaxLabelSize) return ParseError::bad_label;
    if (size_ + label.size() + 1 > kMaxNameSize) return ParseError::name_too_long;
    Name name;
    name.octets_[0] = static_cast<std::uint8_t>(label.size());
    copy_octets(name.octets_.data() + 1, label.data(), label.size());
    copy_octets(name.octets_.data() + 1 + label.size(), octets_.data(), size_);
    name.size_ = static_cast<std::uint8_t>(size_ + label.size() + 1);
    return name;
}

base::Result<Name, ParseError> Name::substitute(const Name& owner, const Name& target) const noexcept
{
    const std::size_t kept = size_ >= owner.size_ ? std::size_t{size_} - owner.size_ : 0;
    if (kept + target.size_ > kMaxNameSize) return ParseError::name_too_long;
    Name name;
    copy_octets(name.octets_.data(), octets_.data(), kept);
    copy_octets(name.octets_.data() + kept, target.octets_.data(), target.size_);
    name.size_ = static_cast<std::uint8_t>(kept + target.size_);
    return name;
}

bool Name::is_under(const Name& ancestor) const noexcept
{
    if (size_ < ancestor.size_) return false;
    const std::size_t start = std::size_t{size_} - ancestor.size_;
    std::size_t at = 0;
    while (at < start) at += octets_[at] + std::size_t{1};
    return at == start && equal_ignoring_case(octets_.data() + at, ancestor.octets_.data(), ancestor.size_);
}

std::strong_ordering operator<=>(const Name& left, const Name& right) noexcept
{
    const LabelStarts left_labels{left.wire()};
    const LabelStarts right_labels{right.wire()};
    const unsigned common = std::min(left_labels.count, right_labels.count);
    for (unsigned i = 1; i <= common; ++i) { // from the root down
        const auto order = compare_labels(left.octets_.data() + left_labels.starts[left_labels.count - i],
                                          right.octets_.data() + right_labels.starts[right_labels.count - i]);
        if (order != 0) return order;
    }
    return left_labels.count <=> right_labels.count;
}

std::uint64_t Name::hash() const noexcept
{
    std::uint8_t lower_case[kMaxNameSize];
    lower_copy(lower_case, octets_.data(), size_);
    return hash_lower({lower_case, size_});
}

std::string Name::to_text() const
{
    if (is_root()) return ".";
    std::string text;
    text.reserve(size_ + std::size_t{8});
    for (std::size_t at = 0; octets_[at] != 0; at += octets_[at] + std::size_t{1}) {
        for (std::size_t i = 1; i <= octets_[at]; ++i) append_escaped(text, octets_[at + i]);
        text += '.';
    }
    return text;
}

std::uint64_t hash_lower(base::Bytes lower_case_name) noexcept { return base::keyed_hash(lower_case_name); }

} // namespace sallyport::wire
