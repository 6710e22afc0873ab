#pragma once

#include "base/bytes.hpp"
#include "base/ip_address.hpp"

#include <cstdint>
#include <optional>

namespace sallyport::listeners {

/// The PROXY protocol header, version 2 (the specification of HAProxy, section 2.2), as a proxy puts it before a
/// stream. It is believed as an address and proves nothing else; its TLVs are skipped.
struct ProxyHeader {
    enum class State : std::uint8_t {
        incomplete, ///< right so far
        bad,        ///< no header, version 1, over 512 octets, or of a family or command that is not served
        local,      ///< the proxy speaks for itself (a health check): the connection's own addresses count
        proxied,    ///< `source` and `destination` are whose connection it is
    };

    State state = State::incomplete;
    std::size_t size = 0; ///< octets of the header, when it is whole
    base::Endpoint source;
    base::Endpoint destination;
};

inline constexpr std::size_t kMaxProxyHeader = 512;

/// Reads a header at the start of `octets`. Allocates nothing; reads nothing behind the header.
[[nodiscard]] ProxyHeader parse_proxy_header(base::Bytes octets) noexcept;

} // namespace sallyport::listeners
