#pragma once

#include "listeners/doh_context.hpp"
#include "listeners/stream_session.hpp"

#include <memory>

/// DNS over HTTP on a stream: the protocol is chosen by ALPN, or on a cleartext port by the first octets.
namespace sallyport::listeners {

/// HTTP/1.1 (RFC 9112) and 1.0: for old clients and reverse proxies.
[[nodiscard]] std::unique_ptr<StreamSession> make_http1_session(StreamChannel& channel, DohContext& context,
                                                                base::Instant now);

/// HTTP/2 (RFC 9113), by ALPN `h2` or, on a cleartext port, by prior knowledge.
[[nodiscard]] std::unique_ptr<StreamSession> make_http2_session(StreamChannel& channel, DohContext& context,
                                                                base::Instant now);

/// Whether a cleartext stream begins with HTTP/2's preface (RFC 9113 §3.4).
enum class Http2Preface : std::uint8_t { no, undecided, yes };
[[nodiscard]] Http2Preface looks_like_http2(base::Bytes first_octets) noexcept;

} // namespace sallyport::listeners
