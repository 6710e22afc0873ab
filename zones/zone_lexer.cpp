#include "zones/zone_lexer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace sallyport::zones {

struct TextInput::File {
    explicit File(int descriptor_in) noexcept : descriptor(descriptor_in) {}
    ~File() { ::close(descriptor); }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    int descriptor;
    std::array<char, 64 * 1024> block;
};

TextInput::TextInput(std::string_view text, std::uint32_t line, std::uint32_t column)
    : at_(text.data()), end_(text.data() + text.size()), line_(line), column_(column)
{
}

TextInput::TextInput(TextInput&&) noexcept = default;
TextInput& TextInput::operator=(TextInput&&) noexcept = default;
TextInput::~TextInput() = default;

base::Result<TextInput> TextInput::open(const std::string& path)
{
    // A pipe or a device would block the control thread.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        auto error = base::system_error("cannot open " + path, errno);
        error.code = errno == ENOENT ? base::ErrorCode::not_found : base::ErrorCode::unreadable;
        return error;
    }
    TextInput input;
    input.file_ = std::make_unique<File>(descriptor);
    struct stat status{};
    if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        return base::Error{base::ErrorCode::unreadable, path + " is no regular file", {}};
    }
    input.skip_byte_order_mark();
    return input;
}

bool TextInput::fill()
{
    if (file_ == nullptr || failed_) return false;
    ssize_t size = 0;
    do size = ::read(file_->descriptor, file_->block.data(), file_->block.size());
    while (size < 0 && errno == EINTR);
    if (size <= 0) {
        failed_ = size < 0;
        return false;
    }
    at_ = file_->block.data();
    end_ = at_ + size;
    return true;
}

void TextInput::skip_byte_order_mark()
{
    constexpr std::string_view kMark = "\xEF\xBB\xBF";
    if (peek() == kEnd) return;
    if (std::string_view{at_, static_cast<std::size_t>(end_ - at_)}.starts_with(kMark)) at_ += kMark.size();
}

bool ZoneLexer::fail(base::ErrorCode code, std::string message, std::uint32_t line, std::uint32_t column)
{
    error_ = {code, std::move(message), {{}, line, column}};
    return false;
}

bool ZoneLexer::fail_here(base::ErrorCode code, std::string message)
{
    return fail(code, std::move(message), input_.line(), input_.column());
}

bool ZoneLexer::take(Entry& entry)
{
    const int octet = input_.peek();
    if (octet == 0) return fail_here(base::ErrorCode::invalid, "octet 0 in zone text, expected text (\\000 in names)");
    if (entry.text.size() >= limit_) {
        const bool open = depth_ != 0;
        return fail(base::ErrorCode::limit,
                    "entry is longer than " + std::to_string(limit_) + " octets" +
                        (open ? std::string{", expected the parenthesis opened here to be closed"} : std::string{}),
                    open ? open_line_ : entry.line, open ? open_column_ : 1);
    }
    entry.text.push_back(static_cast<char>(octet));
    input_.skip();
    return true;
}

bool ZoneLexer::read_escape(Entry& entry)
{
    if (!take(entry)) return false;
    const int octet = input_.peek();
    if (octet == TextInput::kEnd || octet == '\n' || octet == '\r') {
        return fail_here(base::ErrorCode::invalid, "line ends after '\\', expected the character it escapes");
    }
    return take(entry);
}

bool ZoneLexer::read_quoted(Entry& entry)
{
    const std::uint32_t line = input_.line();
    const std::uint32_t column = input_.column();
    if (!take(entry)) return false;
    for (;;) {
        const int octet = input_.peek();
        if (octet == TextInput::kEnd || octet == '\n') {
            return fail(base::ErrorCode::invalid, "quoted text is not closed, expected '\"' in the same line", line,
                        column);
        }
        if (octet == '"') return take(entry);
        if (!(octet == '\\' ? read_escape(entry) : take(entry))) return false;
    }
}

bool ZoneLexer::read_plain(Entry& entry)
{
    for (;;) {
        switch (const int octet = input_.peek(); octet) {
        case TextInput::kEnd:
        case ' ':
        case '\t':
        case '\r':
        case '\n':
        case ';':
        case '(':
        case ')': return true;
        case '\\':
            if (!read_escape(entry)) return false;
            break;
        case '"': // as in alpn="h2,h3": one word (RFC 9460 §2.1)
            if (!read_quoted(entry)) return false;
            break;
        default:
            if (!take(entry)) return false;
        }
    }
}

bool ZoneLexer::read_token(Entry& entry)
{
    if (!entry.tokens.empty()) entry.text.push_back(' ');
    Token token{static_cast<std::uint32_t>(entry.text.size()), 0, input_.line(), input_.column()};
    if (!(input_.peek() == '"' ? read_quoted(entry) : read_plain(entry))) return false;
    token.size = static_cast<std::uint32_t>(entry.text.size()) - token.begin;
    entry.tokens.push_back(token);
    return true;
}

void ZoneLexer::skip_line()
{
    for (int octet = input_.peek(); octet != TextInput::kEnd && octet != '\n'; octet = input_.peek()) input_.skip();
}

bool ZoneLexer::read_entry(Entry& entry)
{
    entry.text.clear();
    entry.tokens.clear();
    entry.line = input_.line();
    const int first = input_.peek();
    entry.starts_blank = first == ' ' || first == '\t';
    depth_ = 0;
    for (;;) {
        switch (const int octet = input_.peek(); octet) {
        case TextInput::kEnd:
            if (depth_ == 0) return true;
            return fail(base::ErrorCode::invalid, "parenthesis is not closed, expected ')'", open_line_, open_column_);
        case '\n':
            if (depth_ == 0) return true;
            input_.skip();
            break;
        case ' ':
        case '\t':
        case '\r': input_.skip(); break;
        case ';': skip_line(); break;
        case '(':
            if (depth_++ == 0) {
                open_line_ = input_.line();
                open_column_ = input_.column();
            }
            input_.skip();
            break;
        case ')':
            if (depth_ == 0) {
                return fail_here(base::ErrorCode::invalid, "')' without '(', expected a record or the end of the line");
            }
            --depth_;
            input_.skip();
            break;
        default:
            if (!read_token(entry)) return false;
        }
    }
}

ZoneLexer::Status ZoneLexer::next(Entry& entry)
{
    while (input_.peek() != TextInput::kEnd) {
        const bool good = read_entry(entry);
        if (!good) skip_line();
        if (input_.peek() == '\n') input_.skip();
        if (!good) return Status::bad;
        if (!entry.tokens.empty()) return Status::entry;
    }
    if (!input_.failed()) return Status::end;
    (void)fail_here(base::ErrorCode::unreadable, "the file cannot be read on");
    return Status::bad;
}

} // namespace sallyport::zones
