#pragma once

#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::dnssec {

/// Where work stands that may be put off.
enum class Step : std::uint8_t {
    done,  ///< the result is there
    again, ///< this turn's share is used: let others run, call `Budget::begin_turn`, step again
    spent, ///< the query's budget is used up, or a limit was reached: SERVFAIL, and nothing was learned about the data
};

/// What is to be believed of data, and why not.
struct Verdict {
    wire::ValidationState state = wire::ValidationState::indeterminate;
    std::optional<wire::ExtendedError> ede{}; ///< of every state but `secure`, where one fits
    std::string_view reason{};                ///< static text without a full stop: `signature expired`
    wire::Ttl ttl{};                          ///< secure: as long as it may be kept (RFC 4035 §5.3.3)
    std::int64_t valid_until = 0;             ///< secure: expiration of the signature, seconds since 1970
    bool wildcard = false;                    ///< expanded: the owner name needs a proof that it does not exist
    std::uint8_t wildcard_labels = 0;         ///< labels of the closest encloser that `wildcard` implies
    std::uint16_t key_tag = 0;                ///< of the key that signed, or of the signature that failed
    std::uint8_t algorithm = 0;

    [[nodiscard]] bool is_secure() const noexcept { return state == wire::ValidationState::secure; }
    [[nodiscard]] bool is_bogus() const noexcept { return state == wire::ValidationState::bogus; }
    [[nodiscard]] bool is_insecure() const noexcept { return state == wire::ValidationState::insecure; }
};

[[nodiscard]] constexpr Verdict make_verdict(wire::ValidationState state, wire::ExtendedError ede,
                                             std::string_view reason) noexcept
{
    Verdict verdict;
    verdict.state = state;
    verdict.ede = ede;
    verdict.reason = reason;
    return verdict;
}
[[nodiscard]] constexpr Verdict bogus_verdict(wire::ExtendedError ede, std::string_view reason) noexcept
{
    return make_verdict(wire::ValidationState::bogus, ede, reason);
}
[[nodiscard]] constexpr Verdict insecure_verdict(wire::ExtendedError ede, std::string_view reason) noexcept
{
    return make_verdict(wire::ValidationState::insecure, ede, reason);
}

/// What an EDE says to a person: `www.example. A (zone example., key 12345): signature expired`. At most 200 octets.
[[nodiscard]] std::string describe(const Verdict& verdict, const wire::Name& zone, const wire::Name& owner,
                                   wire::RrType type);

} // namespace sallyport::dnssec
