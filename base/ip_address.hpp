#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::base {

/// An IPv4 or IPv6 address as a value. An IPv4-mapped IPv6 address becomes the IPv4 address it means, so that no
/// rule about an address can be passed by in its other spelling.
class IpAddress {
public:
    /// 0.0.0.0
    constexpr IpAddress() noexcept = default;

    [[nodiscard]] static IpAddress v4(std::array<std::uint8_t, 4> octets) noexcept;
    [[nodiscard]] static IpAddress v6(const std::array<std::uint8_t, 16>& octets) noexcept;
    /// 4 or 16 octets in network order; anything else gives 0.0.0.0.
    [[nodiscard]] static IpAddress from_octets(Bytes octets) noexcept;
    /// `192.0.2.1`, `2001:db8::1`; no brackets, no port, no zone index.
    [[nodiscard]] static Result<IpAddress> parse(std::string_view text);

    [[nodiscard]] bool is_v4() const noexcept { return v4_; }
    /// 4 or 16 octets in network order, borrowed.
    [[nodiscard]] Bytes octets() const noexcept;
    [[nodiscard]] bool is_loopback() const noexcept;
    /// Loopback, private (RFC 1918), link-local and unique-local: what "our own network" means by default.
    [[nodiscard]] bool is_local_network() const noexcept;
    [[nodiscard]] std::string to_string() const;

    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    std::array<std::uint8_t, 16> octets_{}; // an IPv4 address stands in the first four
    bool v4_ = true;
};

/// A network: `10.0.0.0/8`. Host bits are cleared when it is made.
class Prefix {
public:
    constexpr Prefix() noexcept = default;
    /// `length` above the address size is cut to it.
    Prefix(const IpAddress& address, unsigned length) noexcept;
    /// `10.0.0.0/8`, `2001:db8::/32`, or a plain address (a network of one).
    [[nodiscard]] static Result<Prefix> parse(std::string_view text);

    [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
    [[nodiscard]] const IpAddress& address() const noexcept { return address_; }
    [[nodiscard]] unsigned length() const noexcept { return length_; }
    [[nodiscard]] std::string to_string() const;

    friend auto operator<=>(const Prefix&, const Prefix&) = default;

private:
    IpAddress address_;
    unsigned length_ = 0;
};

/// An address with a port, and the scope id that a link-local IPv6 address needs.
struct Endpoint {
    IpAddress address;
    std::uint16_t port = 0;
    std::uint32_t scope_id = 0;

    /// `192.0.2.1:53`, `[2001:db8::1]:53`; with `default_port` other than 0 the port may be left out.
    [[nodiscard]] static Result<Endpoint> parse(std::string_view text, std::uint16_t default_port = 0);
    /// From what the kernel reports; families other than IPv4 and IPv6 give 0.0.0.0:0.
    [[nodiscard]] static Endpoint from_sockaddr(const sockaddr* address) noexcept;
    /// Writes the kernel's form and returns its size. With `v6_socket`, IPv4 is written IPv4-mapped.
    socklen_t to_sockaddr(sockaddr_storage& out, bool v6_socket = false) const noexcept;
    [[nodiscard]] std::string to_string() const;

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

} // namespace sallyport::base
