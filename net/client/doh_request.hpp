#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "net/client/options.hpp"

#include <cstdint>
#include <string>
#include <string_view>

/// What a DoH request says (RFC 8484 §4.1), the same in every version of HTTP.
namespace sallyport::net::client {

inline constexpr std::string_view kDnsMessage = "application/dns-message";
inline constexpr std::string_view kUserAgent = "sallyport";

/// base64url without padding (RFC 4648 §5).
[[nodiscard]] std::string base64url(base::Bytes octets);

/// `:path` of a request: the target's path, for GET with the query in `dns`.
[[nodiscard]] std::string request_path(const DohTarget& target, base::Bytes query);

/// What an `https://host[:port]/path` says. `{?dns}` at the end of a template is dropped.
struct DohUrl {
    std::string host; ///< without brackets
    std::uint16_t port = 443;
    DohTarget target;
};
[[nodiscard]] base::Result<DohUrl> parse_doh_url(std::string_view url);

/// An HTTP answer as it comes together.
struct HttpAnswer {
    unsigned status = 0;
    std::string content_type;
    std::string cache_control;
    std::string alt_svc;
    std::string body;

    /// Keeps the headers that matter; names are in lower case.
    void header(std::string_view name, std::string_view value);
    /// Whether it is a DNS message.
    [[nodiscard]] bool is_dns() const noexcept { return status == 200 && content_type.starts_with(kDnsMessage); }
    /// Why not, in one line.
    [[nodiscard]] std::string complaint() const;
};

} // namespace sallyport::net::client
