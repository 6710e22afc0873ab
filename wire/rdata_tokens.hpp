#pragma once

#include <optional>
#include <string_view>

namespace sallyport::wire {

/// One word of presentation format as it stands, escapes and all.
struct TextToken {
    std::string_view text; ///< of a quoted string: what is between the quotes
    bool quoted = false;
};

/// Takes the RDATA part of a record apart (RFC 1035 §5.1): words and quoted strings between blanks. Parentheses and
/// line ends count as blanks, `;` begins a comment.
class TextTokens {
public:
    explicit TextTokens(std::string_view text) noexcept : rest_(text) {}

    /// The next word; nothing at the end, and nothing where a quote is not closed (`is_broken`).
    [[nodiscard]] std::optional<TextToken> next() noexcept
    {
        skip_blanks();
        if (rest_.empty()) return std::nullopt;
        if (rest_.front() == '"') return quoted();
        std::size_t end = 0;
        while (end < rest_.size() && !ends_word(rest_[end]) && rest_[end] != '"') end = after(end);
        return TextToken{take(end), false};
    }
    /// As `next`, but a quoted part belongs to the word that it stands in: `alpn="h2,h3"`.
    [[nodiscard]] std::optional<std::string_view> next_with_quotes() noexcept
    {
        skip_blanks();
        if (rest_.empty()) return std::nullopt;
        std::size_t end = 0;
        bool inside = false;
        for (; end < rest_.size() && (inside || !ends_word(rest_[end])); end = after(end)) {
            if (rest_[end] == '"') inside = !inside;
        }
        broken_ = broken_ || inside;
        return take(end);
    }
    [[nodiscard]] bool is_broken() const noexcept { return broken_; }

private:
    static bool is_blank(char c) noexcept
    {
        return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '(' || c == ')';
    }
    static bool ends_word(char c) noexcept { return is_blank(c) || c == ';'; }
    /// Behind the character at `at`, which may be an escaped one.
    [[nodiscard]] std::size_t after(std::size_t at) const noexcept
    {
        return rest_[at] == '\\' && at + 1 < rest_.size() ? at + 2 : at + 1;
    }
    std::string_view take(std::size_t size) noexcept
    {
        const auto taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    void skip_blanks() noexcept
    {
        while (!rest_.empty()) {
            if (rest_.front() == ';') {
                const std::size_t line_end = rest_.find('\n');
                rest_.remove_prefix(line_end == std::string_view::npos ? rest_.size() : line_end);
            } else if (is_blank(rest_.front())) {
                rest_.remove_prefix(1);
            } else {
                return;
            }
        }
    }
    std::optional<TextToken> quoted() noexcept
    {
        std::size_t end = 1;
        while (end < rest_.size() && rest_[end] != '"') end = after(end);
        if (end >= rest_.size()) {
            broken_ = true;
            rest_ = {};
            return std::nullopt;
        }
        const TextToken token{rest_.substr(1, end - 1), true};
        rest_.remove_prefix(end + 1);
        return token;
    }

    std::string_view rest_;
    bool broken_ = false;
};

} // namespace sallyport::wire
