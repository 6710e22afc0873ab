#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "listeners/listeners.hpp"
#include "listeners/quic/connection_id.hpp"

#include <array>
#include <cstdint>

namespace sallyport::listeners::quic {

/// What a token says of the address that sent it (RFC 9000 §8.1).
struct TokenVerdict {
    enum class Kind : std::uint8_t {
        none,      ///< not ours, too old, or of another address: as if there were none (§8.1.3)
        retry,     ///< proves the address; from our Retry packet
        bad_retry, ///< claims to be from a Retry packet and is not valid: the client cannot recover (§8.1.2)
        new_token, ///< proves the address; from a NEW_TOKEN frame of an earlier connection
    };
    Kind kind = Kind::none;
    ConnectionId original; ///< `retry`: the destination ID of the client's very first packet
};

struct Token {
    std::array<std::uint8_t, 128> octets{};
    std::size_t size = 0;
    [[nodiscard]] base::Bytes bytes() const noexcept { return {octets.data(), size}; }
};

using ResetToken = std::array<std::uint8_t, 16>;

/// Makes and checks tokens with the secrets that all workers share. Retry tokens are bound to address, port and
/// connection IDs; NEW_TOKEN tokens to the address alone, as ports change. Stateless.
class Tokens {
public:
    /// A client may come back with a NEW_TOKEN token this long.
    static constexpr std::chrono::hours kNewTokenLife{12};

    /// `port_index` goes into the reset tokens: a port must not tell the token of another port's connection (the
    /// oracle of RFC 9000 §21.11).
    Tokens(const SharedSecrets& secrets, base::Duration retry_life, std::size_t port_index = 0) noexcept;

    [[nodiscard]] Token make_retry(std::uint32_t version, const base::Endpoint& peer, const ConnectionId& retry_scid,
                                   const ConnectionId& original, base::Instant now) const noexcept;
    [[nodiscard]] Token make_new_token(const base::Endpoint& peer, base::Instant now) const noexcept;
    [[nodiscard]] TokenVerdict check(base::Bytes token, std::uint32_t version, const base::Endpoint& peer,
                                     const ConnectionId& dcid, base::Instant now) const noexcept;
    /// The token that a stateless reset for `id` carries (RFC 9000 §10.3.2).
    [[nodiscard]] ResetToken reset_token(const ConnectionId& id) const noexcept;

private:
    const SharedSecrets* secrets_;
    base::Duration retry_life_;
    std::array<std::uint8_t, 40> reset_secret_{}; ///< the shared one and the port
};

} // namespace sallyport::listeners::quic
