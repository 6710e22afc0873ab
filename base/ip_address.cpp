#include "base/ip_address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace sallyport::base {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

Error bad(std::string_view what, std::string_view text, std::string_view expected)
{
    return Error{ErrorCode::invalid,
                 "'" + std::string(text) + "' is not " + std::string(what) + "; expected " + std::string(expected)};
}

Result<std::uint16_t> parse_port(std::string_view text)
{
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty())
        return bad("a port", text, "a number from 0 to 65535");
    return port;
}

} // namespace

IpAddress IpAddress::v4(std::array<std::uint8_t, 4> octets) noexcept
{
    IpAddress address;
    std::copy(octets.begin(), octets.end(), address.octets_.begin());
    return address;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& octets) noexcept
{
    if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), octets.begin()))
        return v4({octets[12], octets[13], octets[14], octets[15]});
    IpAddress address;
    address.octets_ = octets;
    address.v4_ = false;
    return address;
}

IpAddress IpAddress::from_octets(Bytes octets) noexcept
{
    if (octets.size() == 4) return v4({octets[0], octets[1], octets[2], octets[3]});
    if (octets.size() != 16) return {};
    std::array<std::uint8_t, 16> copy{};
    std::copy(octets.begin(), octets.end(), copy.begin());
    return v6(copy);
}

Result<IpAddress> IpAddress::parse(std::string_view text)
{
    char buffer[INET6_ADDRSTRLEN + 1] = {};
    std::array<std::uint8_t, 16> octets{};
    if (text.size() < sizeof buffer) {
        std::copy(text.begin(), text.end(), buffer);
        if (text.find('\0') == std::string_view::npos) {
            if (::inet_pton(AF_INET, buffer, octets.data()) == 1)
                return v4({octets[0], octets[1], octets[2], octets[3]});
            if (::inet_pton(AF_INET6, buffer, octets.data()) == 1) return v6(octets);
        }
    }
    return bad("an IP address", text, "one like 192.0.2.1 or 2001:db8::1");
}

Bytes IpAddress::octets() const noexcept { return Bytes{octets_.data(), v4_ ? 4U : 16U}; }

bool IpAddress::is_loopback() const noexcept
{
    if (v4_) return octets_[0] == 127;
    return octets_[15] == 1 && std::all_of(octets_.begin(), octets_.end() - 1, [](auto o) { return o == 0; });
}

bool IpAddress::is_local_network() const noexcept
{
    if (is_loopback()) return true;
    const auto a = octets_[0];
    const auto b = octets_[1];
    if (v4_) return a == 10 || (a == 172 && (b & 0xF0U) == 16) || (a == 192 && b == 168) || (a == 169 && b == 254);
    return (a & 0xFEU) == 0xFC || (a == 0xFE && (b & 0xC0U) == 0x80);
}

std::string IpAddress::to_string() const
{
    char buffer[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(v4_ ? AF_INET : AF_INET6, octets_.data(), buffer, sizeof buffer);
    return buffer;
}

Prefix::Prefix(const IpAddress& address, unsigned length) noexcept
{
    const Bytes octets = address.octets();
    length_ = std::min<unsigned>(length, static_cast<unsigned>(octets.size() * 8));
    std::array<std::uint8_t, 16> kept{};
    for (std::size_t i = 0; i < octets.size(); ++i) {
        const unsigned bits = length_ > i * 8 ? std::min<unsigned>(8, length_ - static_cast<unsigned>(i * 8)) : 0;
        kept[i] = static_cast<std::uint8_t>(octets[i] & (0xFFU << (8U - bits)));
    }
    address_ = IpAddress::from_octets(Bytes{kept.data(), octets.size()});
}

Result<Prefix> Prefix::parse(std::string_view text)
{
    const auto slash = text.find('/');
    const auto address = IpAddress::parse(text.substr(0, slash));
    if (!address) return bad("a network", text, "one like 10.0.0.0/8, 2001:db8::/32 or a single address");
    const auto most = static_cast<unsigned>(address->octets().size() * 8);
    if (slash == std::string_view::npos) return Prefix{*address, most};
    const auto digits = text.substr(slash + 1);
    unsigned length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > most)
        return bad("a network", text, "a prefix length from 0 to " + std::to_string(most));
    return Prefix{*address, length};
}

bool Prefix::contains(const IpAddress& address) const noexcept
{
    if (address.is_v4() != address_.is_v4()) return false;
    const Bytes mine = address_.octets();
    const Bytes other = address.octets();
    const unsigned whole = length_ / 8;
    if (!std::equal(mine.begin(), mine.begin() + whole, other.begin())) return false;
    const unsigned rest = length_ % 8;
    return rest == 0 || ((mine[whole] ^ other[whole]) & (0xFFU << (8U - rest)) & 0xFFU) == 0;
}

std::string Prefix::to_string() const { return address_.to_string() + "/" + std::to_string(length_); }

Result<Endpoint> Endpoint::parse(std::string_view text, std::uint16_t default_port)
{
    constexpr std::string_view kExpected = "ADDRESS:PORT, like 127.0.0.1:853 or [::1]:853";
    std::string_view host = text;
    std::string_view port;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return bad("an address with a port", text, kExpected);
        host = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        if (!rest.empty() && rest.front() != ':') return bad("an address with a port", text, kExpected);
        if (!rest.empty()) port = rest.substr(1);
        if (rest == ":") return bad("an address with a port", text, kExpected);
    } else if (std::count(text.begin(), text.end(), ':') == 1) {
        const auto colon = text.find(':');
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        if (port.empty()) return bad("an address with a port", text, kExpected);
    }
    const auto address = IpAddress::parse(host);
    if (!address) return bad("an address with a port", text, kExpected);
    if (port.empty()) {
        if (default_port == 0) return bad("an address with a port", text, kExpected);
        return Endpoint{*address, default_port};
    }
    const auto number = parse_port(port);
    if (!number) return number.error();
    return Endpoint{*address, *number};
}

Endpoint Endpoint::from_sockaddr(const sockaddr* address) noexcept
{
    Endpoint endpoint;
    if (address->sa_family == AF_INET) {
        sockaddr_in in{};
        std::memcpy(&in, address, sizeof in);
        endpoint.address = IpAddress::from_octets({reinterpret_cast<const std::uint8_t*>(&in.sin_addr), 4});
        endpoint.port = ntohs(in.sin_port);
    } else if (address->sa_family == AF_INET6) {
        sockaddr_in6 in{};
        std::memcpy(&in, address, sizeof in);
        endpoint.address = IpAddress::from_octets({reinterpret_cast<const std::uint8_t*>(&in.sin6_addr), 16});
        endpoint.port = ntohs(in.sin6_port);
        if (!endpoint.address.is_v4()) endpoint.scope_id = in.sin6_scope_id;
    }
    return endpoint;
}

socklen_t Endpoint::to_sockaddr(sockaddr_storage& out, bool v6_socket) const noexcept
{
    const Bytes octets = address.octets();
    if (address.is_v4() && !v6_socket) {
        sockaddr_in in{};
        in.sin_family = AF_INET;
        in.sin_port = htons(port);
        std::memcpy(&in.sin_addr, octets.data(), 4);
        std::memcpy(&out, &in, sizeof in);
        return sizeof in;
    }
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    in.sin6_scope_id = scope_id;
    auto* const target = reinterpret_cast<std::uint8_t*>(&in.sin6_addr);
    if (address.is_v4()) {
        std::copy(kMappedPrefix.begin(), kMappedPrefix.end(), target);
        std::memcpy(target + 12, octets.data(), 4);
    } else {
        std::memcpy(target, octets.data(), 16);
    }
    std::memcpy(&out, &in, sizeof in);
    return sizeof in;
}

std::string Endpoint::to_string() const
{
    const std::string host = address.to_string();
    return (address.is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
}

} // namespace sallyport::base
