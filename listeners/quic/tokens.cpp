#include "listeners/quic/tokens.hpp"

#include "listeners/quic/quic_handle.hpp"

#include <algorithm>

namespace sallyport::listeners::quic {
namespace {

static_assert(NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN2 <= sizeof(Token::octets));
static_assert(NGTCP2_CRYPTO_MAX_REGULAR_TOKENLEN <= sizeof(Token::octets));

struct Address {
    explicit Address(const base::Endpoint& endpoint) noexcept : size(endpoint.to_sockaddr(storage)) {}
    [[nodiscard]] const ngtcp2_sockaddr* get() const noexcept
    {
        return reinterpret_cast<const ngtcp2_sockaddr*>(&storage);
    }
    sockaddr_storage storage{};
    ngtcp2_socklen size;
};

} // namespace

Tokens::Tokens(const SharedSecrets& secrets, base::Duration retry_life, std::size_t port_index) noexcept
    : secrets_(&secrets), retry_life_(retry_life)
{
    const auto end = std::copy(secrets.quic_resets.begin(), secrets.quic_resets.end(), reset_secret_.begin());
    for (std::size_t i = 0; i < 8; ++i)
        end[static_cast<std::ptrdiff_t>(i)] = static_cast<std::uint8_t>(std::uint64_t{port_index} >> (8 * i));
}

Token Tokens::make_retry(std::uint32_t version, const base::Endpoint& peer, const ConnectionId& retry_scid,
                         const ConnectionId& original, base::Instant now) const noexcept
{
    Token token;
    const Address address{peer};
    const ngtcp2_cid scid = to_cid(retry_scid);
    const ngtcp2_cid odcid = to_cid(original);
    const auto size = ngtcp2_crypto_generate_retry_token2(token.octets.data(), secrets_->quic_tokens.data(),
                                                          secrets_->quic_tokens.size(), version, address.get(),
                                                          address.size, &scid, &odcid, to_timestamp(now));
    token.size = size > 0 ? static_cast<std::size_t>(size) : 0;
    return token;
}

Token Tokens::make_new_token(const base::Endpoint& peer, base::Instant now) const noexcept
{
    Token token;
    const Address address{peer};
    const auto size = ngtcp2_crypto_generate_regular_token(token.octets.data(), secrets_->quic_tokens.data(),
                                                           secrets_->quic_tokens.size(), address.get(), address.size,
                                                           to_timestamp(now));
    token.size = size > 0 ? static_cast<std::size_t>(size) : 0;
    return token;
}

TokenVerdict Tokens::check(base::Bytes token, std::uint32_t version, const base::Endpoint& peer,
                           const ConnectionId& dcid, base::Instant now) const noexcept
{
    using Kind = TokenVerdict::Kind;
    if (token.empty()) return {};
    const Address address{peer};
    const auto& secret = secrets_->quic_tokens;
    if (token[0] == NGTCP2_CRYPTO_TOKEN_MAGIC_RETRY2) {
        const ngtcp2_cid scid = to_cid(dcid);
        ngtcp2_cid odcid;
        const int error = ngtcp2_crypto_verify_retry_token2(&odcid, token.data(), token.size(), secret.data(),
                                                            secret.size(), version, address.get(), address.size, &scid,
                                                            to_duration(retry_life_), to_timestamp(now));
        if (error == 0) return {Kind::retry, ConnectionId{{odcid.data, odcid.datalen}}};
        // Unreadable: another server's token may begin with the same octet.
        return {error == NGTCP2_CRYPTO_ERR_VERIFY_TOKEN ? Kind::bad_retry : Kind::none, {}};
    }
    if (token[0] != NGTCP2_CRYPTO_TOKEN_MAGIC_REGULAR) return {};
    const int error =
        ngtcp2_crypto_verify_regular_token(token.data(), token.size(), secret.data(), secret.size(), address.get(),
                                           address.size, to_duration(kNewTokenLife), to_timestamp(now));
    return {error == 0 ? Kind::new_token : Kind::none, {}};
}

ResetToken Tokens::reset_token(const ConnectionId& id) const noexcept
{
    ResetToken token{};
    const ngtcp2_cid cid = to_cid(id);
    // Fails only where the hash is unknown to the library, which start-up would have shown.
    if (ngtcp2_crypto_generate_stateless_reset_token(token.data(), reset_secret_.data(), reset_secret_.size(), &cid) !=
        0)
        token.fill(0);
    return token;
}

} // namespace sallyport::listeners::quic
