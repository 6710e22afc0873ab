#include "listeners/doh_request.hpp"

#include "listeners/base64url.hpp"
#include "listeners/http_blank.hpp"

#include <algorithm>
#include <charconv>

namespace sallyport::listeners {

namespace {

constexpr std::string_view kDnsMessage = "application/dns-message";
constexpr std::size_t kLongestMessage = 65'535;
constexpr std::size_t kFieldOverhead = 32; // RFC 9113 §6.5.2, RFC 9114 §4.2.2

char lower(char letter) noexcept { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter; }

bool same_letters(std::string_view left, std::string_view lower_case) noexcept
{
    return std::equal(left.begin(), left.end(), lower_case.begin(), lower_case.end(),
                      [](char a, char b) { return lower(a) == b; });
}

std::string_view text_of(unsigned status) noexcept
{
    switch (status) {
    case 400: return "Bad request: expected one DNS message (RFC 8484)\n";
    case 404: return "Not found: no DNS is served at this path\n";
    case 405: return "Method not allowed: use GET or POST\n";
    case 408: return "Request timeout: the body did not come in time\n";
    case 413: return "Content too large: a DNS message has at most 65535 octets\n";
    case 414: return "URI too long: a DNS message has at most 65535 octets\n";
    case 415: return "Unsupported media type: expected application/dns-message\n";
    case 431: return "Request header fields too large\n";
    case 501: return "Not implemented: unknown transfer coding\n";
    case 503: return "Service unavailable: try again later\n";
    case 505: return "HTTP version not supported\n";
    default: return "Request failed\n";
    }
}

std::string_view write_number(std::span<char> out, std::string_view before, std::uint64_t number) noexcept
{
    char* const begin = std::copy(before.begin(), before.end(), out.data());
    const auto result = std::to_chars(begin, out.data() + out.size(), number);
    return {out.data(), static_cast<std::size_t>(result.ptr - out.data())};
}

} // namespace

void DohRequest::begin(const DohContext& context, bool from_listed_proxy) noexcept
{
    clear();
    context_ = &context;
    from_listed_proxy_ = from_listed_proxy;
}

void DohRequest::clear() noexcept
{
    if (charged_ > 0) context_->budget->bodies.give_back(charged_);
    charged_ = 0;
    message_.clear();
    forwarded_.clear();
    path_ = {};
    allowed_origin_ = {};
    content_length_.reset();
    header_size_ = 0;
    method_ = Method::none;
    content_type_ = MediaType::missing;
    verdict_ = Verdict::more;
    forwarding_seen_ = header_done_ = dns_seen_ = expects_continue_ = false;
    parameter_fault_ = field_fault_ = status_ = 0;
}

bool DohRequest::field(std::string_view name, std::string_view value) noexcept
{
    header_size_ += name.size() + value.size() + kFieldOverhead;
    if (header_size_ > context_->limits->header_list) {
        ++context_->stats->header_lists_too_long;
        return false;
    }
    if (header_done_ || verdict_ != Verdict::more) return true; // trailers say nothing here
    switch (name.size()) {
    case 5:
        if (name == ":path") path(value);
        break;
    case 6:
        if (name == "origin") origin(value);
        if (name == "expect") expects_continue_ = same_letters(trim(value), "100-continue");
        break;
    case 7:
        if (name == ":method") method(value);
        break;
    case 9:
        if (name == "forwarded") forwarding(value, false);
        break;
    case 12:
        if (name == "content-type") content_type(value);
        break;
    case 14:
        if (name == "content-length") content_length(value);
        break;
    case 15:
        if (name == "x-forwarded-for") forwarding(value, true);
        break;
    case 16:
        if (name == "content-encoding") content_encoding(value);
        break;
    default: break;
    }
    return true;
}

void DohRequest::method(std::string_view value) noexcept
{
    method_ = value == "GET"       ? Method::get
              : value == "POST"    ? Method::post
              : value == "HEAD"    ? Method::head
              : value == "OPTIONS" ? Method::options
                                   : Method::other;
}

void DohRequest::path(std::string_view value) noexcept
{
    const std::size_t mark = std::min(value.find('?'), value.size());
    const std::string_view plain = value.substr(0, mark);
    for (const std::string& served : context_->options->paths) {
        if (plain == served) path_ = served;
    }
    if (mark < value.size()) query_string(value.substr(mark + 1));
}

/// Looks for `dns`; other parameters are none of our business (RFC 8484 §4.1 leaves room for them).
void DohRequest::query_string(std::string_view text) noexcept
{
    constexpr std::string_view kName = "dns=";
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('&'), text.size());
        const std::string_view parameter = text.substr(0, end);
        if (parameter.starts_with(kName)) dns_parameter(parameter.substr(kName.size()));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

void DohRequest::dns_parameter(std::string_view value) noexcept
{
    if (dns_seen_) parameter_fault_ = 400; // which of the two is meant, nobody can say
    dns_seen_ = true;
    if (parameter_fault_ != 0) return;
    parameter_fault_ = decode_parameter(value);
    if (parameter_fault_ != 0) message_.clear();
}

unsigned DohRequest::decode_parameter(std::string_view value) noexcept
{
    if (value.size() > context_->limits->query_parameter) return 414;
    const std::string_view text = without_padding(value);
    const auto size = base64url_decoded_size(text.size());
    if (!size || *size == 0) return 400;
    if (*size > kLongestMessage) return 414;
    if (!charge(*size)) return 503;
    const base::MutableBytes out = message_.make(*size);
    return !out.empty() && base64url_decode(text, out) ? 0 : 400;
}

void DohRequest::content_type(std::string_view value) noexcept
{
    // Parameters are tolerated, none is defined (RFC 8484 §7.1).
    const std::string_view type = trim(value.substr(0, value.find(';')));
    const bool fits = content_type_ != MediaType::other && same_letters(type, kDnsMessage);
    content_type_ = fits ? MediaType::dns_message : MediaType::other;
}

void DohRequest::content_length(std::string_view value) noexcept
{
    std::uint64_t length = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
    const bool number = error == std::errc{} && end == value.data() + value.size();
    if (!number || (content_length_ && *content_length_ != length)) field_fault_ = 400;
    content_length_ = length;
}

void DohRequest::content_encoding(std::string_view value) noexcept
{
    const std::string_view coding = trim(value);
    if (!coding.empty() && !same_letters(coding, "identity") && field_fault_ == 0) field_fault_ = 415;
}

void DohRequest::origin(std::string_view value) noexcept
{
    for (const std::string& allowed : context_->options->cors_origins) {
        if (allowed == "*" || allowed == value) allowed_origin_ = allowed;
    }
}

void DohRequest::forwarding(std::string_view value, bool x_forwarded_for) noexcept
{
    if (!from_listed_proxy_) {
        if (!forwarding_seen_) ++context_->stats->forwarded_ignored;
        forwarding_seen_ = true;
        return;
    }
    forwarding_seen_ = true;
    const std::span<const base::Prefix> proxies{context_->options->forwarded_from};
    if (x_forwarded_for) {
        forwarded_.x_forwarded_for(value, proxies);
    } else {
        forwarded_.forwarded(value, proxies);
    }
}

DohRequest::Verdict DohRequest::header_done(bool end) noexcept
{
    if (header_done_ || verdict_ != Verdict::more) return verdict_;
    header_done_ = true;
    count_method();
    if (const unsigned status = judge_header(end)) return refuse(status);
    if (method_ == Method::post) {
        message_.clear(); // a dns parameter beside a body
        return verdict_;
    }
    return end ? finished() : verdict_;
}

void DohRequest::count_method() noexcept
{
    HttpStats& stats = *context_->stats;
    switch (method_) {
    case Method::get: ++stats.requests_get; break;
    case Method::head: ++stats.requests_head; break;
    case Method::post: ++stats.requests_post; break;
    case Method::options: ++stats.requests_options; break;
    default: break;
    }
}

/// The status of the refusal that the header deserves; 0: none.
unsigned DohRequest::judge_header(bool end) const noexcept
{
    if (forwarded_.contradictory()) return 400;
    if (path_.empty()) return 404;
    switch (method_) {
    case Method::get:
    case Method::head: return judge_get();
    case Method::post: return judge_post(end);
    case Method::options: return context_->options->cors_origins.empty() ? 405 : 204;
    default: return 405;
    }
}

unsigned DohRequest::judge_get() const noexcept
{
    // Content in a GET means nothing and is how requests are smuggled (RFC 9110 §9.3.1).
    if (content_length_.value_or(0) > 0) return 400;
    return dns_seen_ ? parameter_fault_ : 400;
}

unsigned DohRequest::judge_post(bool end) const noexcept
{
    if (content_type_ != MediaType::dns_message) return 415;
    if (field_fault_ != 0) return field_fault_;
    if (content_length_.value_or(0) > context_->limits->body) return 413;
    return end || (content_length_ && *content_length_ == 0) ? 400 : 0;
}

bool DohRequest::charge(std::size_t capacity) noexcept
{
    if (capacity <= kInlineMessage || capacity <= charged_) return true;
    if (!context_->budget->bodies.take(capacity - charged_)) {
        ++context_->stats->bodies_over_total_limit;
        return false;
    }
    charged_ = capacity;
    return true;
}

DohRequest::Verdict DohRequest::body(base::Bytes octets) noexcept
{
    if (verdict_ != Verdict::more || octets.empty()) return verdict_;
    if (method_ != Method::post) return refuse(400);
    if (octets.size() > context_->limits->body - std::min<std::size_t>(message_.size(), context_->limits->body)) {
        ++context_->stats->bodies_too_long;
        return refuse(413);
    }
    if (!charge(message_.capacity_for(octets.size())) || !message_.append(octets)) return refuse(503);
    return verdict_;
}

DohRequest::Verdict DohRequest::finished() noexcept
{
    if (verdict_ != Verdict::more) return verdict_;
    if (message_.size() == 0) return refuse(400);
    if (method_ == Method::post && content_length_ && *content_length_ != message_.size()) return refuse(400);
    return verdict_ = Verdict::query;
}

DohRequest::Verdict DohRequest::refuse(unsigned status) noexcept
{
    if (verdict_ == Verdict::respond) return verdict_;
    status_ = status;
    verdict_ = Verdict::respond;
    return verdict_;
}

pipeline::Client DohRequest::client(const pipeline::Client& base) const noexcept
{
    pipeline::Client client = base;
    client.path = path_;
    if (const auto forwarded = forwarded_.client()) {
        client.peer = *forwarded;
        ++context_->stats->forwarded_believed;
    }
    return client;
}

void DohRequest::add_common(DohResponse& response) noexcept
{
    if (!context_->options->cors_origins.empty()) {
        if (!allowed_origin_.empty()) response.add("access-control-allow-origin", allowed_origin_);
        if (allowed_origin_ != "*") response.add("vary", "origin");
    }
    if (!context_->alt_svc.empty()) response.add("alt-svc", context_->alt_svc);
    if (context_->date != nullptr) response.add("date", context_->date->text());
}

DohResponse DohRequest::answer(const pipeline::Reply& reply) noexcept
{
    DohResponse response;
    response.body_size = is_head() ? 0 : reply.message.size();
    response.add("content-type", kDnsMessage);
    response.add("content-length", write_number(length_text_, {}, reply.message.size()), true);
    // RFC 8484 §5.1: freshness is that of the record that dies first.
    response.add("cache-control", write_number(cache_text_, "max-age=", reply.smallest_ttl.seconds()), true);
    add_common(response);
    ++context_->stats->answers;
    return response;
}

DohResponse DohRequest::refusal() noexcept
{
    if (status_ == 204) return preflight();
    DohResponse response;
    response.status = status_;
    response.text = text_of(status_);
    response.body_size = is_head() ? 0 : response.text.size();
    response.add("content-type", "text/plain");
    response.add("content-length", write_number(length_text_, {}, response.text.size()), true);
    response.add("cache-control", "no-store");
    if (status_ == 405) {
        response.add("allow", context_->options->cors_origins.empty() ? "GET, HEAD, POST" : "GET, HEAD, OPTIONS, POST");
    }
    add_common(response);
    context_->stats->count_status(status_);
    return response;
}

/// Fetch standard, "CORS-preflight request".
DohResponse DohRequest::preflight() noexcept
{
    DohResponse response;
    response.status = 204;
    response.add("allow", "GET, HEAD, OPTIONS, POST");
    response.add("access-control-allow-methods", "GET, HEAD, POST");
    response.add("access-control-allow-headers", "accept, content-type");
    response.add("access-control-max-age", "86400");
    add_common(response);
    return response;
}

} // namespace sallyport::listeners
