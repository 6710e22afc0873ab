#pragma once

#include <cstdint>
#include <string_view>

namespace sallyport::base {

/// How a query came in. Only policy, limits of answer size, padding and statistics ask.
enum class Transport : std::uint8_t { udp, tcp, dot, doh1, doh2, doh3, doq };

inline constexpr std::size_t kTransports = 7;

[[nodiscard]] constexpr std::string_view to_string(Transport transport) noexcept
{
    constexpr std::string_view kNames[kTransports] = {"udp", "tcp", "dot", "doh1", "doh2", "doh3", "doq"};
    return kNames[static_cast<std::size_t>(transport)];
}

[[nodiscard]] constexpr bool is_datagram(Transport transport) noexcept { return transport == Transport::udp; }

} // namespace sallyport::base
