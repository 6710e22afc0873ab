#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "resolver/iterate/options.hpp"
#include "wire/name.hpp"

#include <array>
#include <cstdint>
#include <list>
#include <unordered_map>

namespace sallyport::resolver::iterate {

/// What is known of one server (RFC 6298 for the round trip, RFC 6891 §6.2.2 for EDNS).
struct Server {
    base::IpAddress address;
    std::chrono::microseconds smoothed{0}; ///< 0: never measured
    std::chrono::microseconds variation{0};
    unsigned failures = 0; ///< time-outs in a row
    base::Instant paused_until{};
    bool probing = false; ///< the one query that may go out while it pauses has gone out
    /// Does not understand EDNS, as far as one reply said: believed for `Options::lame_for`. Without an end, one forged
    /// or passing FORMERR would leave the server without DNSSEC for good.
    base::Instant plain_until{};
    base::Instant no_subnet_until{}; ///< does not like the option of RFC 7871: asked without it for a while
    bool cookie_known = false;
    std::array<std::uint8_t, 32> cookie{};
    std::uint8_t cookie_size = 0;
};

/// Servers by address, and which zones they do not serve though they should. Bounded: the one unused longest goes.
class Servers {
public:
    struct Hash {
        std::size_t operator()(const base::IpAddress& address) const noexcept;
    };

    explicit Servers(const Options& options) : options_(options) {}

    /// The entry; made where there is none.
    Server& get(const base::IpAddress& address);
    [[nodiscard]] const Server* find(const base::IpAddress& address) const;

    void answered(const base::IpAddress& address, std::chrono::microseconds rtt);
    void timed_out(const base::IpAddress& address, base::Instant now);
    /// How long to wait for it now; doubled by each failure in a row.
    [[nodiscard]] std::chrono::milliseconds timeout(const base::IpAddress& address) const;
    /// What choosing it costs: its round trip, or what is assumed.
    [[nodiscard]] std::chrono::microseconds cost(const base::IpAddress& address) const { return cost(find(address)); }
    [[nodiscard]] std::chrono::microseconds cost(const Server* server) const;
    [[nodiscard]] bool is_paused(const base::IpAddress& address, base::Instant now) const
    {
        return is_paused(find(address), now);
    }
    [[nodiscard]] bool is_paused(const Server* server, base::Instant now) const;

    /// Lame for one type only: some servers have no idea of AAAA, and answer A well (RFC 4074 §4).
    void set_lame(const base::IpAddress& address, const wire::Name& zone, wire::RrType qtype, base::Instant now);
    [[nodiscard]] bool is_lame(const base::IpAddress& address, const wire::Name& zone, wire::RrType qtype,
                               base::Instant now) const;
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    struct Lame {
        base::IpAddress address;
        wire::Name zone;
        wire::RrType qtype{};
        base::Instant until;
    };
    const Options& options_;
    std::list<Server> entries_; // the one used last stands first
    std::unordered_map<base::IpAddress, std::list<Server>::iterator, Hash> table_;
    std::unordered_map<std::uint64_t, Lame> lame_;
};

} // namespace sallyport::resolver::iterate
