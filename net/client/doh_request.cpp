#include "net/client/doh_request.hpp"

#include <charconv>

namespace sallyport::net::client {

namespace {

constexpr std::size_t kShownBody = 80;

std::string printable(std::string_view text)
{
    std::string clean;
    for (const char c : text.substr(0, kShownBody)) clean += c >= ' ' && c < 0x7F ? c : ' ';
    return clean;
}

base::Error bad_url(std::string_view url)
{
    return {base::ErrorCode::invalid,
            "'" + std::string{url} + "' is no DoH address: expected https://host[:port]/path"};
}

} // namespace

std::string base64url(base::Bytes octets)
{
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string text;
    text.reserve((octets.size() * 4 + 2) / 3);
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (const std::uint8_t octet : octets) {
        bits = (bits << 8U) | octet;
        for (held += 8; held >= 6; held -= 6) text += kDigits[(bits >> (held - 6)) & 0x3FU];
    }
    if (held > 0) text += kDigits[(bits << (6 - held)) & 0x3FU];
    return text;
}

std::string request_path(const DohTarget& target, base::Bytes query)
{
    if (!target.get) return target.path;
    return target.path + (target.path.find('?') == std::string::npos ? "?dns=" : "&dns=") + base64url(query);
}

base::Result<DohUrl> parse_doh_url(std::string_view url)
{
    DohUrl parsed;
    const auto scheme_end = url.find("://");
    const std::string_view scheme = url.substr(0, scheme_end);
    if (scheme_end == std::string_view::npos || (scheme != "https" && scheme != "http")) return bad_url(url);
    parsed.target.cleartext = scheme == "http";
    parsed.port = parsed.target.cleartext ? 80 : 443;

    std::string_view rest = url.substr(scheme_end + 3);
    const auto slash = rest.find('/');
    const std::string_view authority = rest.substr(0, slash);
    if (slash != std::string_view::npos) parsed.target.path = rest.substr(slash);
    if (const auto brace = parsed.target.path.find("{?"); brace != std::string::npos) parsed.target.path.resize(brace);
    parsed.target.authority = authority;

    std::string_view host = authority;
    std::string_view port;
    const auto bracket = authority.find(']');
    const auto colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
        host = authority.substr(0, colon);
        port = authority.substr(colon + 1);
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host.empty() || host.find('@') != std::string_view::npos) return bad_url(url);
    parsed.host = host;
    if (!port.empty()) {
        const auto read = std::from_chars(port.data(), port.data() + port.size(), parsed.port);
        if (read.ec != std::errc{} || read.ptr != port.data() + port.size() || parsed.port == 0) return bad_url(url);
    }
    return parsed;
}

void HttpAnswer::header(std::string_view name, std::string_view value)
{
    if (name == ":status") {
        status = 0;
        std::from_chars(value.data(), value.data() + value.size(), status);
    } else if (name == "content-type") {
        content_type = value;
    } else if (name == "cache-control") {
        cache_control = value;
    } else if (name == "alt-svc") {
        alt_svc = value;
    }
}

std::string HttpAnswer::complaint() const
{
    if (status != 200) return "HTTP status " + std::to_string(status) + (body.empty() ? "" : ": " + printable(body));
    return "the answer's content-type is '" + printable(content_type) + "', not " + std::string{kDnsMessage};
}

} // namespace sallyport::net::client
