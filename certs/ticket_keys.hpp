#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"
#include "certs/certs.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace sallyport::certs {

inline constexpr std::size_t kTicketKeySize = 80;
inline constexpr std::size_t kMaxTicketKeys = 4;
/// No key file is longer: 4 keys are used, and some room for the ones an operator keeps behind them.
inline constexpr std::size_t kMaxTicketFile = 64 * kTicketKeySize;

/// What encrypts one generation of session tickets (RFC 5077 §4): 16 octets of name, 32 for HMAC-SHA256, 32 for
/// AES-256, in the order of the file. Wiped when let go.
struct TicketKey {
    std::array<std::uint8_t, 16> name{};
    std::array<std::uint8_t, 32> mac{};
    std::array<std::uint8_t, 32> cipher{};

    TicketKey() = default;
    TicketKey(const TicketKey&) = default;
    TicketKey& operator=(const TicketKey&) = default;
    ~TicketKey();
    bool operator==(const TicketKey&) const = default;
};

/// Reads the octets of a key file: keys of 80 octets, newest first, of which the first 4 come back.
/// Errors: no key, a size that is no multiple of 80, a key of zeros only, two keys of one name.
[[nodiscard]] base::Result<std::vector<TicketKey>> parse_ticket_keys(base::Bytes file);

/// The keys at one moment; the first encrypts, all decrypt. Immutable. Any thread.
class TicketKeySet {
public:
    explicit TicketKeySet(std::vector<TicketKey> keys);
    ~TicketKeySet();
    TicketKeySet(const TicketKeySet&) = delete;
    TicketKeySet& operator=(const TicketKeySet&) = delete;

    [[nodiscard]] const TicketKey& newest() const noexcept { return keys_.front(); }
    [[nodiscard]] const TicketKey* find(std::span<const std::uint8_t, 16> name) const noexcept;
    [[nodiscard]] std::span<const TicketKey> all() const noexcept { return keys_; }
    /// The master key of GnuTLS's tickets, derived from the newest key by HKDF (RFC 5869): gateways that share a file
    /// take each other's QUIC tickets too.
    [[nodiscard]] std::span<const std::uint8_t, 64> quic_master() const noexcept { return quic_master_; }

private:
    std::vector<TicketKey> keys_; // at least one
    std::array<std::uint8_t, 64> quic_master_{};
};

} // namespace sallyport::certs
