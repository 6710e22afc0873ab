#pragma once

#include "base/bytes.hpp"
#include "base/ip_address.hpp"
#include "base/siphash.hpp"

#include <array>
#include <cstdint>

namespace sallyport::pipeline {

/// Client cookie and server cookie as they stand in the option.
using FullCookie = std::array<std::uint8_t, 24>;

/// Interoperable DNS server cookies (RFC 9018): version, time, SipHash-2-4 over them and the client's address. Gateways
/// that share the secret know each other's cookies.
class ServerCookie {
public:
    enum class Verdict : std::uint8_t {
        absent, ///< only a client cookie, or a server cookie of another kind: the client has proved nothing
        valid,  ///< ours, and not older than an hour
        renew,  ///< as `valid`, but older than half an hour: give a new one (§4.3)
    };

    explicit ServerCookie(const base::SipKey& secret) noexcept : secret_(secret) {}

    /// `option` has 8 or 16 to 40 octets, as the parser checked. `unix_time` in seconds, serial arithmetic (RFC 1982).
    [[nodiscard]] Verdict verify(base::Bytes option, const base::IpAddress& client,
                                 std::uint32_t unix_time) const noexcept;
    /// The cookie to answer with; `client_cookie` has at least 8 octets, of which the first 8 are used.
    [[nodiscard]] FullCookie make(base::Bytes client_cookie, const base::IpAddress& client,
                                  std::uint32_t unix_time) const noexcept;

private:
    base::SipKey secret_;
};

} // namespace sallyport::pipeline
