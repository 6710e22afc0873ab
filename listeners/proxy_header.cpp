#include "listeners/proxy_header.hpp"

#include <algorithm>
#include <array>

namespace sallyport::listeners {
namespace {

using State = ProxyHeader::State;

constexpr std::array<std::uint8_t, 12> kSignature{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                  0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};
constexpr std::size_t kFixedSize = 16; // signature, version and command, family and protocol, length

// Addresses of one family: source, destination, then their ports.
bool read_addresses(base::Bytes body, std::size_t address_size, ProxyHeader& header) noexcept
{
    if (body.size() < 2 * address_size + 4) return false;
    header.source.address = base::IpAddress::from_octets(body.first(address_size));
    header.destination.address = base::IpAddress::from_octets(body.subspan(address_size, address_size));
    header.source.port = base::load_be16(body, 2 * address_size);
    header.destination.port = base::load_be16(body, 2 * address_size + 2);
    return true;
}

State read_body(std::uint8_t command, std::uint8_t family, base::Bytes body, ProxyHeader& header) noexcept
{
    constexpr std::uint8_t kLocal = 0x20;
    constexpr std::uint8_t kProxy = 0x21;
    constexpr std::uint8_t kTcp4 = 0x11;
    constexpr std::uint8_t kTcp6 = 0x21;
    if (command == kLocal) return State::local;
    if (command != kProxy) return State::bad;
    if (family == kTcp4 && read_addresses(body, 4, header)) return State::proxied;
    if (family == kTcp6 && read_addresses(body, 16, header)) return State::proxied;
    return State::bad;
}

} // namespace

ProxyHeader parse_proxy_header(base::Bytes octets) noexcept
{
    ProxyHeader header;
    const std::size_t compared = std::min(octets.size(), kSignature.size());
    if (!std::equal(kSignature.begin(), kSignature.begin() + static_cast<std::ptrdiff_t>(compared), octets.begin())) {
        header.state = State::bad;
        return header;
    }
    if (octets.size() < kFixedSize) return header;
    const std::size_t size = kFixedSize + base::load_be16(octets, 14);
    if (size > kMaxProxyHeader) {
        header.state = State::bad;
        return header;
    }
    if (octets.size() < size) return header;
    header.size = size;
    header.state = read_body(octets[12], octets[13], octets.subspan(kFixedSize, size - kFixedSize), header);
    return header;
}

} // namespace sallyport::listeners
