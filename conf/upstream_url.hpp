#pragma once

#include "resolver/options.hpp"

#include <string>
#include <string_view>

namespace sallyport::conf {

/// Reads who is meant by `udp://192.0.2.1`, `tcp://…:5353`, `tls://192.0.2.1#dns.example`, `https://dns.example/path`,
/// `quic://…`, `h3://…`, or a plain address (UDP). Fills transport, host, port, server name, path, and the address
/// where `host` is one. Empty when it is good, else what is wrong and what was expected.
[[nodiscard]] std::string read_upstream_url(std::string_view url, resolver::UpstreamOptions& options);

/// A domain name in its usual spelling; the last dot may stand.
[[nodiscard]] bool is_domain_name(std::string_view text) noexcept;

} // namespace sallyport::conf
