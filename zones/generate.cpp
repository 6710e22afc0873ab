#include "zones/generate.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace sallyport::zones {

namespace {

constexpr std::uint32_t kLargest = 0x7FFF'FFFF;
constexpr std::uint32_t kWidest = 255;

[[nodiscard]] base::Error invalid(std::string message) { return {base::ErrorCode::invalid, std::move(message), {}}; }

template <class T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text)
{
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// What stands between `${` and `}`.
struct Modifier {
    std::int64_t offset = 0;
    std::uint32_t width = 0;
    char base = 'd';
};

[[nodiscard]] std::optional<Modifier> parse_modifier(std::string_view text)
{
    Modifier out;
    const auto next_part = [&text]() {
        const auto comma = text.find(',');
        const auto part = text.substr(0, comma);
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
        return part;
    };
    const bool has_width = text.find(',') != std::string_view::npos;
    auto offset_text = next_part();
    if (offset_text.starts_with('+')) offset_text.remove_prefix(1);
    const auto offset = parse_number<std::int32_t>(offset_text);
    if (!offset) return std::nullopt;
    out.offset = *offset;
    if (!has_width) return out;
    const bool has_base = text.find(',') != std::string_view::npos;
    const auto width = parse_number<std::uint32_t>(next_part());
    if (!width || *width > kWidest) return std::nullopt;
    out.width = *width;
    if (!has_base) return out;
    if (text.size() != 1 || std::string_view{"doxXnN"}.find(text.front()) == std::string_view::npos) {
        return std::nullopt;
    }
    out.base = text.front();
    return out;
}

/// Nibbles, the lowest first, with dots between: for names under ip6.arpa. The width counts the dots.
void append_nibbles(std::uint32_t value, std::uint32_t width, bool capitals, std::string& out)
{
    const std::string_view digits = capitals ? "0123456789ABCDEF" : "0123456789abcdef";
    do {
        out.push_back(digits[value & 0xFU]);
        value >>= 4U;
        if (width > 0) --width;
        if (width == 0 && value == 0) break;
        out.push_back('.');
        if (width > 0) --width;
    } while (value != 0 || width > 0);
}

void append_number(std::uint32_t value, const Modifier& modifier, std::string& out)
{
    if (modifier.base == 'n' || modifier.base == 'N') {
        append_nibbles(value, modifier.width, modifier.base == 'N', out);
        return;
    }
    const int base = modifier.base == 'd' ? 10 : modifier.base == 'o' ? 8 : 16;
    char digits[16];
    const auto end = std::to_chars(digits, digits + sizeof digits, value, base).ptr;
    if (modifier.base == 'X') {
        std::transform(digits, end, digits, [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
    }
    const auto size = static_cast<std::size_t>(end - digits);
    if (size < modifier.width) out.append(modifier.width - size, '0');
    out.append(digits, size);
}

} // namespace

base::Result<GenerateRange> parse_generate_range(std::string_view text)
{
    const auto bad = [text] {
        return invalid("'" + std::string{text.substr(0, 64)} + "' is no range, expected START-STOP or START-STOP/STEP");
    };
    const auto slash = text.find('/');
    const auto span = text.substr(0, slash);
    const auto dash = span.find('-');
    if (dash == std::string_view::npos) return bad();
    const auto start = parse_number<std::uint32_t>(span.substr(0, dash));
    const auto stop = parse_number<std::uint32_t>(span.substr(dash + 1));
    const auto step = slash == std::string_view::npos ? std::optional<std::uint32_t>{1}
                                                      : parse_number<std::uint32_t>(text.substr(slash + 1));
    if (!start || !stop || !step || *step == 0 || *start > *stop || *stop > kLargest) return bad();
    return GenerateRange{*start, *stop, *step};
}

base::Result<void> expand_generate(std::string_view pattern, std::uint32_t number, std::string& out)
{
    for (std::size_t at = 0; at < pattern.size(); ++at) {
        const char c = pattern[at];
        const char following = at + 1 < pattern.size() ? pattern[at + 1] : '\0';
        if (c == '\\' && following != '\0') {
            if (following != '$') out.push_back(c);
            out.push_back(following);
            ++at;
        } else if (c != '$') {
            out.push_back(c);
        } else if (following == '$') {
            out.push_back('$');
            ++at;
        } else {
            Modifier modifier;
            if (following == '{') {
                const auto close = pattern.find('}', at);
                const auto parsed = close == std::string_view::npos
                                        ? std::nullopt
                                        : parse_modifier(pattern.substr(at + 2, close - at - 2));
                if (!parsed) {
                    return invalid("'" + std::string{pattern.substr(at, 40)} +
                                   "' is no modifier, expected ${OFFSET,WIDTH,BASE} with base d, o, x, X, n or N");
                }
                modifier = *parsed;
                at = close;
            }
            const std::int64_t value = std::int64_t{number} + modifier.offset;
            if (value < 0) {
                return invalid("the offset makes " + std::to_string(value) + ", expected 0 or more");
            }
            append_number(static_cast<std::uint32_t>(value), modifier, out);
        }
    }
    return {};
}

} // namespace sallyport::zones
