#include "admin/http_reader.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <utility>

namespace sallyport::admin {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;

constexpr std::string_view kEndOfHead = "\r\n\r\n";
constexpr std::size_t kChunkFraming = 65'536; // octets that chunk sizes and extensions of one body may take up

std::string_view to_view(boost::beast::string_view text) noexcept { return {text.data(), text.size()}; }

bool same_letters(std::string_view text, std::string_view lower_case) noexcept
{
    return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b; });
}

/// Lines end with CR LF, go on in no second line, and hold no control character: what comes between would be read
/// differently by different programs (RFC 9112 §2.2, §5.2).
bool is_clean(std::string_view head) noexcept
{
    for (std::size_t i = 0; i < head.size(); ++i) {
        const auto octet = static_cast<unsigned char>(head[i]);
        if (octet == '\r' && i + 1 < head.size() && head[i + 1] == '\n') {
            ++i;
            if (i + 1 < head.size() && (head[i + 1] == ' ' || head[i + 1] == '\t')) return false;
            continue;
        }
        if (octet == 0x7F || (octet < 0x20 && octet != '\t')) return false;
    }
    return true;
}

} // namespace

/// Hands what Beast finds to the request, and judges the framing.
class HttpReader::Parser final : public http::basic_parser<true> {
public:
    Parser(HttpRequest& request, std::uint32_t head, std::uint32_t body) : request_(request)
    {
        header_limit(head);
        body_limit(body);
        eager(true);
    }

    /// The status that the header deserves; 0: it is in order (RFC 9112 §3.2, §6.1, §6.3).
    [[nodiscard]] unsigned fault() const noexcept
    {
        if (version_ != 10 && version_ != 11) return 505;
        if (hosts_ != 1 || lengths_ > 1 || (lengths_ > 0 && codings_ > 0)) return 400;
        if (codings_ > 0 && version_ == 10) return 400;
        return codings_ > 1 || unknown_coding_ ? 501 : 0;
    }
    [[nodiscard]] bool expects_continue() const noexcept { return expects_continue_ && version_ == 11; }
    [[nodiscard]] bool unknown_coding() const noexcept { return unknown_coding_; }

private:
    void on_request_impl(http::verb, boost::beast::string_view method, boost::beast::string_view target, int version,
                         error_code&) override
    {
        request_.method = to_view(method);
        request_.target = to_view(target);
        version_ = version;
    }

    void on_field_impl(http::field name, boost::beast::string_view, boost::beast::string_view value,
                       error_code&) override
    {
        // Trailers of a body say nothing that counts (RFC 9110 §6.5.1).
        if (is_header_done()) return;
        const auto text = to_view(value);
        switch (name) {
        case http::field::host:
            ++hosts_;
            request_.host = text;
            break;
        case http::field::content_length:
            // A list of equal lengths may be taken (RFC 9110 §8.6), but who sends one means to deceive somebody.
            lengths_ += text.find(',') == std::string_view::npos ? 1U : 2U;
            break;
        case http::field::transfer_encoding:
            ++codings_;
            unknown_coding_ = unknown_coding_ || !same_letters(text, "chunked");
            break;
        case http::field::authorization:
            // Two of them: none can be right.
            request_.authorization = request_.has_authorization ? std::string{} : std::string{text};
            request_.has_authorization = true;
            break;
        case http::field::content_type: request_.content_type = text; break;
        case http::field::origin: request_.origin = text; break;
        case http::field::expect: expects_continue_ = same_letters(text, "100-continue"); break;
        default: break;
        }
    }

    std::size_t on_body_impl(boost::beast::string_view body, error_code&) override
    {
        request_.body.append(body.data(), body.size());
        return body.size();
    }
    std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view body, error_code&) override
    {
        request_.body.append(body.data(), body.size());
        return body.size();
    }
    void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, error_code&) override {}
    void on_finish_impl(error_code&) override {}

    HttpRequest& request_;
    int version_ = 0;
    unsigned hosts_ = 0, lengths_ = 0, codings_ = 0;
    bool unknown_coding_ = false;
    bool expects_continue_ = false;
};

HttpReader::HttpReader(const Options& options) : head_limit_(options.head), body_limit_(options.body) {}
HttpReader::~HttpReader() = default;

bool HttpReader::idle() const noexcept { return buffer_.empty() && !parser_; }

bool HttpReader::wants_continue() noexcept { return std::exchange(wants_continue_, false); }

HttpReader::Step HttpReader::bad(unsigned status) noexcept
{
    status_ = status;
    return Step::bad;
}

HttpReader::Step HttpReader::feed(std::string_view octets)
{
    if (status_ != 0) return Step::bad;
    buffer_.append(octets);
    return parser_ ? read_body() : read_head();
}

HttpRequest HttpReader::take()
{
    parser_.reset();
    body_wire_ = 0;
    wants_continue_ = false;
    return std::exchange(request_, {});
}

HttpReader::Step HttpReader::read_head()
{
    const std::size_t end = buffer_.find(kEndOfHead, searched_);
    const std::size_t size = end == std::string::npos ? buffer_.size() : end + kEndOfHead.size();
    // A CR at the end may get its LF yet.
    const std::size_t sure = end == std::string::npos && buffer_.ends_with('\r') ? size - 1 : size;
    if (!is_clean(std::string_view{buffer_}.substr(0, sure))) return bad(400);
    if (size > head_limit_) return bad(431);
    if (end == std::string::npos) {
        searched_ = buffer_.size() < kEndOfHead.size() ? 0 : buffer_.size() - kEndOfHead.size() + 1;
        return Step::more;
    }
    searched_ = 0;
    // Beast wants to see one octet more than a head of exactly the limit has.
    parser_ = std::make_unique<Parser>(request_, head_limit_ + 1, body_limit_);
    error_code error;
    const std::size_t used = parser_->put(boost::asio::const_buffer{buffer_.data(), size}, error);
    buffer_.erase(0, used);
    if (error && error != http::error::need_more)
        return bad(parser_->unknown_coding()           ? 501
                   : error == http::error::body_limit  ? 413
                   : error == http::error::bad_version ? 505
                                                       : 400);
    if (const unsigned status = parser_->fault()) return bad(status);
    if (!parser_->is_header_done()) return bad(400);
    wants_continue_ = parser_->expects_continue() && !parser_->is_done() && buffer_.empty();
    return read_body();
}

HttpReader::Step HttpReader::read_body()
{
    while (!parser_->is_done()) {
        error_code error;
        const std::size_t used = parser_->put(boost::asio::const_buffer{buffer_.data(), buffer_.size()}, error);
        buffer_.erase(0, used);
        body_wire_ += used;
        if (error && error != http::error::need_more) return bad(error == http::error::body_limit ? 413 : 400);
        if (request_.body.size() > body_limit_ || body_wire_ > std::size_t{body_limit_} + kChunkFraming)
            return bad(413);
        if (parser_->is_done()) break;
        // A chunk's header without end.
        if (buffer_.size() > kChunkFraming) return bad(400);
        if (used == 0) return Step::more;
    }
    request_.keep_alive = parser_->keep_alive();
    return Step::complete;
}

} // namespace sallyport::admin
