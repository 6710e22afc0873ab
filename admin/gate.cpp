#include "admin/gate.hpp"

#include "admin/json.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace sallyport::admin {
namespace {

using std::chrono::seconds;

constexpr std::size_t kMostAddresses = 1024; // whose wrong tokens are remembered
constexpr unsigned kMostDoublings = 9;
constexpr seconds kLongestLockout{300};
constexpr seconds kForgotten{900}; // without a wrong token
constexpr std::size_t kMostParameters = 64;

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool same_word(std::string_view left, std::string_view right) noexcept
{
    return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                      [](char a, char b) { return lower(a) == lower(b); });
}

int hex_digit(char c) noexcept
{
    if (c >= '0' && c <= '9') return c - '0';
    const char letter = lower(c);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/// Percent-decoding; nothing for an escape that is none, and for control characters.
std::optional<std::string> decode(std::string_view text, bool plus_is_blank)
{
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) return std::nullopt;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return std::nullopt;
        decoded += c;
    }
    return decoded;
}

/// The only spelling of a path that is taken is the one that routes are written in: then nothing can pass the check
/// under one name and reach a route under another.
bool is_normal(std::string_view raw, std::string_view path) noexcept
{
    const auto holds = [path](std::string_view part) { return path.find(part) != std::string_view::npos; };
    const auto slashes = [](std::string_view text) { return std::count(text.begin(), text.end(), '/'); };
    return path.starts_with('/') && slashes(raw) == slashes(path) && !holds("//") && !holds("\\") && !holds("/./") &&
           !holds("/../") && !path.ends_with("/.") && !path.ends_with("/..");
}

bool read_parameters(std::string_view text, Request& request)
{
    while (!text.empty()) {
        const auto part = text.substr(0, text.find('&'));
        text.remove_prefix(std::min(text.size(), part.size() + 1));
        if (part.empty()) continue;
        const auto equals = part.find('=');
        const auto name = decode(part.substr(0, equals), true);
        const auto value =
            equals == std::string_view::npos ? std::optional<std::string>{""} : decode(part.substr(equals + 1), true);
        if (!name || !value || request.parameters.size() >= kMostParameters) return false;
        request.parameters.insert_or_assign(*name, *value);
    }
    return true;
}

/// `host:port` without its port.
std::string_view without_port(std::string_view host) noexcept
{
    const auto colon = host.rfind(':');
    const bool port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos &&
                      std::all_of(host.begin() + static_cast<std::ptrdiff_t>(colon) + 1, host.end(),
                                  [](char c) { return c >= '0' && c <= '9'; });
    return port ? host.substr(0, colon) : host;
}

bool is_json_type(std::string_view content_type) noexcept
{
    auto type = content_type.substr(0, content_type.find(';'));
    while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
    return same_word(type, "application/json");
}

} // namespace

std::optional<Request> parse_target(std::string_view target)
{
    const auto question = target.find('?');
    const auto raw = target.substr(0, question);
    auto path = decode(raw, false);
    if (!path || !is_normal(raw, *path)) return std::nullopt;
    Request request;
    request.path = std::move(*path);
    if (question != std::string_view::npos && !read_parameters(target.substr(question + 1), request))
        return std::nullopt;
    return request;
}

bool equal_in_constant_time(std::string_view left, std::string_view right) noexcept
{
    // The length of the right one is no secret; that of ours must not show.
    unsigned char difference = left.size() == right.size() ? 0 : 1;
    for (std::size_t i = 0; i < right.size(); ++i) {
        const char own = left.empty() ? '\0' : left[i % left.size()];
        difference = static_cast<unsigned char>(
            difference | (static_cast<unsigned char>(own) ^ static_cast<unsigned char>(right[i])));
        asm volatile("" : "+r"(difference)); // the compiler must not leave early either
    }
    return difference == 0;
}

base::Duration Lockout::left(const std::string& address, base::Instant now) const
{
    const auto found = addresses_.find(address);
    return found == addresses_.end() || found->second.until <= now ? base::Duration::zero() : found->second.until - now;
}

void Lockout::failed(const std::string& address, base::Instant now)
{
    if (addresses_.size() >= kMostAddresses && !addresses_.contains(address))
        addresses_.erase(std::min_element(addresses_.begin(), addresses_.end(),
                                          [](const auto& a, const auto& b) { return a.second.last < b.second.last; }));
    Entry& entry = addresses_[address];
    if (entry.failures > 0 && now - entry.last > kForgotten) entry = {};
    entry.last = now;
    if (++entry.failures < failures_) return;
    const unsigned doublings = std::min(entry.failures - failures_, kMostDoublings);
    entry.until = now + std::min(seconds{1} * (1U << doublings), kLongestLockout);
}

Gate::Gate(std::vector<Route> routes, ServerStats& stats)
    : routes_(std::move(routes)), lockout_(Options{}.failures), stats_(stats)
{
}

void Gate::configure(const Options& options, std::string token)
{
    hosts_ = options.hosts;
    token_ = std::move(token);
    lockout_.set_failures(options.failures);
}

Gate::Decision Gate::refuse(base::Counter& counter, unsigned status, std::string_view message, std::string field)
{
    ++counter;
    Decision decision;
    decision.refusal = error_response(status, message);
    decision.field = std::move(field);
    return decision;
}

Gate::Decision Gate::judge(HttpRequest&& http, const Peer& peer, base::Instant now)
{
    ++stats_.requests;
    auto request = parse_target(http.target);
    if (!request) return refuse(stats_.bad_requests, 400, "the target is no plain path with parameters");
    // A page of somebody else whose name was made to mean our address (DNS rebinding) still says its own name here.
    if (!is_own_host(http.host, peer))
        return refuse(stats_.refused, 403, "Host is not one of ours; names are listed under 'admin.hosts'");
    if (!http.origin.empty()) {
        const auto scheme = http.origin.find("://");
        if (scheme == std::string::npos || !is_own_host(std::string_view{http.origin}.substr(scheme + 3), peer))
            return refuse(stats_.refused, 403, "pages from elsewhere get no answer");
    }
    request->method = http.method == "HEAD" ? "GET" : std::move(http.method);
    const Token token = check_token(http, peer, now);
    request->authorised = token == Token::right || (token == Token::none && peer.by_socket_file);
    if (token == Token::wrong || token == Token::locked_out || (!request->authorised && !is_open(*request)))
        return refuse_token(token, *request, peer, now);
    request->body = std::move(http.body);
    return find_route(std::move(*request), http);
}

Gate::Token Gate::check_token(const HttpRequest& http, const Peer& peer, base::Instant now)
{
    constexpr std::string_view kScheme = "bearer ";
    if (!http.has_authorization) return Token::none;
    if (lockout_.left(peer.address, now) > base::Duration::zero()) return Token::locked_out;
    std::string_view value = http.authorization;
    const bool bearer = value.size() > kScheme.size() && same_word(value.substr(0, kScheme.size()), kScheme);
    if (bearer) value.remove_prefix(kScheme.size());
    if (bearer && !token_.empty() && equal_in_constant_time(token_, value)) {
        lockout_.succeeded(peer.address);
        return Token::right;
    }
    lockout_.failed(peer.address, now);
    return Token::wrong;
}

bool Gate::is_own_host(std::string_view host, const Peer& peer) const
{
    const auto name = without_port(host);
    if (same_word(name, "localhost") || (!peer.local.empty() && same_word(name, peer.local))) return true;
    return std::any_of(hosts_.begin(), hosts_.end(), [&](const std::string& allowed) {
        return same_word(host, allowed) || same_word(name, allowed);
    });
}

/// The list of what is open: what can be read, and tells nothing of who asked for what.
bool Gate::is_open(const Request& request) const noexcept
{
    return request.method == "GET" && std::any_of(routes_.begin(), routes_.end(), [&](const Route& route) {
               return !route.changes_state && !route.confidential && route.method == "GET" &&
                      route.path == request.path;
           });
}

Gate::Decision Gate::refuse_token(Token token, const Request& request, const Peer& peer, base::Instant now)
{
    if (token == Token::locked_out) {
        const auto left = std::chrono::ceil<seconds>(lockout_.left(peer.address, now));
        return refuse(stats_.locked_out, 429, "too many wrong tokens; wait",
                      "Retry-After: " + std::to_string(left.count()) + "\r\n");
    }
    std::string why = token == Token::wrong ? "the token is wrong"
                                            : request.method + " " + request.path + " is not open without the token";
    if (token_.empty()) why = "this needs a token and none is configured; see 'admin.token_file'";
    return refuse(stats_.unauthorised, 401, why, "WWW-Authenticate: Bearer realm=\"sallyport\"\r\n");
}

Gate::Decision Gate::find_route(Request&& request, const HttpRequest& http)
{
    std::string allowed;
    for (const Route& route : routes_) {
        if (route.path != request.path) continue;
        if (route.method != request.method) {
            allowed += (allowed.empty() ? "" : ", ") + route.method;
            continue;
        }
        if (route.changes_state) {
            // No form and no plain cross-site request of a browser has this type.
            if (!is_json_type(http.content_type))
                return refuse(stats_.refused, 415, "changes are sent as application/json");
            if (!request.body.empty() && !is_json(request.body))
                return refuse(stats_.refused, 400, "the body is not JSON, or nested too deep");
        }
        Decision decision;
        decision.route = &route;
        decision.request = std::move(request);
        return decision;
    }
    if (allowed.empty()) return refuse(stats_.refused, 404, "there is nothing at " + request.path);
    return refuse(stats_.refused, 405, "not with this method", "Allow: " + allowed + "\r\n");
}

} // namespace sallyport::admin
