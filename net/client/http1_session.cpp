#include "net/client/http1_session.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace sallyport::net::client {

namespace {

// Requests in flight on one connection; pipelining more gains nothing.
constexpr std::size_t kPipelined = 16;

std::string lower(std::string_view text)
{
    std::string out{text};
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
    return out;
}

std::string_view trim(std::string_view text)
{
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

std::optional<std::size_t> number(std::string_view text, int radix)
{
    std::size_t value = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value, radix);
    if (read.ec != std::errc{} || read.ptr == text.data()) return std::nullopt;
    return value;
}

enum class Chunks : std::uint8_t { more, done, bad };

/// Reads a chunked body (RFC 9112 §7.1) from `text`; `size` is what it takes with its trailer.
Chunks read_chunks(std::string_view text, std::size_t limit, std::string& body, std::size_t& size)
{
    std::size_t at = 0;
    while (true) {
        const auto end = text.find("\r\n", at);
        if (end == std::string_view::npos) return Chunks::more;
        const auto length = number(text.substr(at, end - at), 16);
        if (!length || *length > limit || body.size() + *length > limit) return Chunks::bad;
        at = end + 2;
        if (*length == 0) break;
        if (text.size() < at + *length + 2) return Chunks::more;
        body.append(text.substr(at, *length));
        at += *length + 2;
    }
    const auto end = text.substr(at).starts_with("\r\n") ? at : text.find("\r\n\r\n", at);
    if (end == std::string_view::npos || text.size() < end + 2) return Chunks::more;
    size = end == at ? at + 2 : end + 4;
    return Chunks::done;
}

} // namespace

unsigned Http1Session::room() const noexcept
{
    return is_open() ? static_cast<unsigned>(kPipelined - std::min(kPipelined, waiting_.size())) : 0U;
}

bool Http1Session::ask(std::uint16_t tag, base::Bytes query)
{
    if (room() == 0) return false;
    std::string head = target_.get ? "GET " : "POST ";
    head += request_path(target_, query) + " HTTP/1.1\r\nHost: " + target_.authority +
            "\r\nUser-Agent: " + std::string{kUserAgent} + "\r\nAccept: " + std::string{kDnsMessage} + "\r\n";
    if (!target_.get) {
        head += "Content-Type: " + std::string{kDnsMessage} + "\r\nContent-Length: " + std::to_string(query.size()) +
                "\r\n";
    }
    head += "\r\n";
    const auto octets = base::as_bytes(head);
    requests_.insert(requests_.end(), octets.begin(), octets.end());
    if (!target_.get) requests_.insert(requests_.end(), query.begin(), query.end());
    waiting_.push_back(tag);
    return true;
}

void Http1Session::produce(std::vector<std::uint8_t>& plain)
{
    plain.insert(plain.end(), requests_.begin(), requests_.end());
    requests_.clear();
}

std::size_t Http1Session::consume(base::Bytes plain)
{
    const std::string_view text = base::as_text(plain);
    std::size_t used = 0;
    while (!failure() && used < text.size()) {
        const std::size_t one = consume_one(text.substr(used));
        if (one == 0) break;
        used += one;
    }
    if (text.size() - used > limits_.buffered) fail(FailureKind::protocol, "HTTP/1.1: the answer is too large");
    return used;
}

Http1Session::Head Http1Session::read_head(std::string_view text) const
{
    Head head;
    const auto end = text.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        head.bad = text.size() > limits_.header_list;
        return head;
    }
    const auto status = text.starts_with("HTTP/1.") && text.size() > 12 ? number(text.substr(9, 3), 10) : std::nullopt;
    head.bad = !status;
    head.size = end + 4;
    head.answer.status = static_cast<unsigned>(status.value_or(0));
    for (auto at = text.find("\r\n"); at < end; at = text.find("\r\n", at + 2)) {
        const std::string_view line = text.substr(at + 2, text.find("\r\n", at + 2) - at - 2);
        const auto colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        const std::string name = lower(line.substr(0, colon));
        const std::string_view value = trim(line.substr(colon + 1));
        if (name == "content-length") head.length = number(value, 10).value_or(SIZE_MAX);
        if (name == "transfer-encoding") head.chunked = lower(value).ends_with("chunked");
        head.answer.header(name, value);
    }
    head.bad = head.bad || head.length > limits_.body;
    return head;
}

std::size_t Http1Session::consume_one(std::string_view text)
{
    Head head = read_head(text);
    if (head.bad || (head.size != 0 && waiting_.empty())) {
        fail(FailureKind::protocol, "HTTP/1.1: what the server sent is no answer to a request");
        return 0;
    }
    if (head.size == 0) return 0;
    if (head.answer.status < 200) return head.size; // interim (RFC 9110 §15.2)
    std::size_t size = head.length;
    if (head.chunked) {
        const Chunks chunks = read_chunks(text.substr(head.size), limits_.body, head.answer.body, size);
        if (chunks == Chunks::bad) fail(FailureKind::protocol, "HTTP/1.1: bad chunk");
        if (chunks != Chunks::done) return 0;
    } else {
        if (text.size() - head.size < size) return 0;
        head.answer.body = text.substr(head.size, size);
    }
    deliver(head.answer);
    return head.size + size;
}

void Http1Session::deliver(HttpAnswer& received)
{
    const std::uint16_t tag = waiting_.front();
    waiting_.pop_front();
    if (!received.is_dns()) {
        user().unanswered(tag, received.status, received.complaint());
        return;
    }
    Answer answer;
    answer.tag = tag;
    answer.message = base::as_bytes(received.body);
    answer.http_status = received.status;
    answer.content_type = received.content_type;
    answer.cache_control = received.cache_control;
    answer.alt_svc = received.alt_svc;
    user().answered(answer);
}

} // namespace sallyport::net::client
