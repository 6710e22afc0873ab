#include "pipeline/server_cookie.hpp"

#include <algorithm>

namespace sallyport::pipeline {
namespace {

constexpr std::size_t kClientCookie = 8;
constexpr std::size_t kFullCookie = 24;
constexpr std::uint8_t kVersion = 1;
constexpr std::int32_t kOldest = 3600;
constexpr std::int32_t kRenewAfter = 1800;
constexpr std::int32_t kFuture = -300; // clocks of gateways that share a secret may differ by so much

/// SipHash-2-4( Client Cookie | Version | Reserved | Timestamp | Client-IP ), RFC 9018 §4.4.
std::uint64_t sign(base::Bytes cookie_head, const base::IpAddress& client, const base::SipKey& secret) noexcept
{
    std::array<std::uint8_t, 16 + 16> input{};
    std::copy_n(cookie_head.begin(), 16, input.begin());
    const base::Bytes address = client.octets();
    std::copy(address.begin(), address.end(), input.begin() + 16);
    return base::siphash24(base::Bytes{input.data(), 16 + address.size()}, secret);
}

void store_hash(std::uint64_t hash, base::MutableBytes out) noexcept
{
    // SipHash gives its octets little-endian, and so they stand in the cookie.
    for (unsigned i = 0; i < 8; ++i) out[i] = static_cast<std::uint8_t>(hash >> (8U * i));
}

/// In a time that does not tell how much of it was right.
bool same(base::Bytes left, base::Bytes right) noexcept
{
    unsigned difference = 0;
    for (std::size_t i = 0; i < left.size(); ++i) difference |= static_cast<unsigned>(left[i] ^ right[i]);
    return difference == 0;
}

} // namespace

ServerCookie::Verdict ServerCookie::verify(base::Bytes option, const base::IpAddress& client,
                                           std::uint32_t unix_time) const noexcept
{
    if (option.size() != kFullCookie || option[kClientCookie] != kVersion) return Verdict::absent;
    std::array<std::uint8_t, 8> expected{};
    store_hash(sign(option.first(16), client, secret_), expected);
    if (!same(expected, option.subspan(16))) return Verdict::absent;
    const auto age = static_cast<std::int32_t>(unix_time - base::load_be32(option, 12));
    if (age > kOldest || age < kFuture) return Verdict::absent;
    return age > kRenewAfter ? Verdict::renew : Verdict::valid;
}

FullCookie ServerCookie::make(base::Bytes client_cookie, const base::IpAddress& client,
                              std::uint32_t unix_time) const noexcept
{
    FullCookie cookie{};
    std::copy_n(client_cookie.begin(), kClientCookie, cookie.begin());
    cookie[kClientCookie] = kVersion;
    base::store_be32(cookie, 12, unix_time);
    store_hash(sign(base::Bytes{cookie}.first(16), client, secret_), base::MutableBytes{cookie}.subspan(16));
    return cookie;
}

} // namespace sallyport::pipeline
