#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::zones {

/// Octets of zone text with the place they stand at: a file read in blocks, or text that is there already.
class TextInput {
public:
    static constexpr int kEnd = -1;

    /// Opens a regular file. Errors: `not_found`, `unreadable`.
    [[nodiscard]] static base::Result<TextInput> open(const std::string& path);
    /// Text inside another file (a configuration): places count on from `line` and `column`.
    TextInput(std::string_view text, std::uint32_t line, std::uint32_t column);
    TextInput(TextInput&&) noexcept;
    TextInput& operator=(TextInput&&) noexcept;
    ~TextInput();

    /// The octet at the cursor, or `kEnd`.
    [[nodiscard]] int peek()
    {
        if (at_ == end_ && !fill()) return kEnd;
        return static_cast<unsigned char>(*at_);
    }
    /// Steps over the octet that `peek` has shown.
    void skip() noexcept
    {
        if (*at_++ == '\n') {
            ++line_;
            column_ = 1;
        } else {
            ++column_;
        }
    }
    [[nodiscard]] std::uint32_t line() const noexcept { return line_; }
    [[nodiscard]] std::uint32_t column() const noexcept { return column_; }
    /// True after the operating system refused to read on.
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    TextInput() = default;
    [[nodiscard]] bool fill();
    void skip_byte_order_mark();

    struct File;
    std::unique_ptr<File> file_;
    const char* at_ = nullptr;
    const char* end_ = nullptr;
    std::uint32_t line_ = 1;
    std::uint32_t column_ = 1;
    bool failed_ = false;
};

/// One word of an entry as it is spelled, escapes and quotes included.
struct Token {
    std::uint32_t begin = 0; ///< in `Entry::text`
    std::uint32_t size = 0;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
};

/// One entry of a zone file: a line, or several joined by parentheses, comments left out (RFC 1035 §5.1).
struct Entry {
    std::string text; ///< the tokens, one blank between them: what the rest of a record reads like in one line
    std::vector<Token> tokens;
    bool starts_blank = false; ///< the owner is the one before
    std::uint32_t line = 0;

    [[nodiscard]] std::string_view token(std::size_t number) const
    {
        return std::string_view{text}.substr(tokens[number].begin, tokens[number].size);
    }
    /// All tokens from `number` on, as one text.
    [[nodiscard]] std::string_view rest(std::size_t number) const
    {
        return number < tokens.size() ? std::string_view{text}.substr(tokens[number].begin) : std::string_view{};
    }
};

/// Cuts zone text into entries. Memory is one entry at a time.
class ZoneLexer {
public:
    enum class Status : std::uint8_t { entry, end, bad };

    ZoneLexer(TextInput& input, std::size_t entry_limit) noexcept : input_(input), limit_(entry_limit) {}

    /// The next entry that has tokens. On `bad`, `error` says what is wrong (its position without a file name) and the
    /// cursor stands behind the line.
    [[nodiscard]] Status next(Entry& entry);
    [[nodiscard]] const base::Error& error() const noexcept { return error_; }

private:
    [[nodiscard]] bool read_entry(Entry& entry);
    [[nodiscard]] bool read_token(Entry& entry);
    [[nodiscard]] bool read_plain(Entry& entry);
    [[nodiscard]] bool read_quoted(Entry& entry);
    [[nodiscard]] bool read_escape(Entry& entry);
    [[nodiscard]] bool take(Entry& entry);
    void skip_line();
    bool fail(base::ErrorCode code, std::string message, std::uint32_t line, std::uint32_t column);
    bool fail_here(base::ErrorCode code, std::string message);

    TextInput& input_;
    std::size_t limit_;
    unsigned depth_ = 0; // of parentheses
    std::uint32_t open_line_ = 0;
    std::uint32_t open_column_ = 0;
    base::Error error_;
};

} // namespace sallyport::zones
