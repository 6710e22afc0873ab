#pragma once

#include "base/ip_address.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>

namespace sallyport::listeners {

/// How many connections one worker may hold, in all and for one network (/32, /56).
///
/// The kernel spreads connections over the workers by a hash of their addresses, so each worker counts by itself: in
/// all it takes its share, rounded up. A network's connections do not fall evenly, so a worker takes up to twice the
/// share of `per_address`, but never more than the whole number.
class ConnectionLimits {
public:
    ConnectionLimits(std::uint32_t in_all, std::uint32_t per_address, unsigned workers);
    /// Other numbers from now on; who is in stays.
    void set(std::uint32_t in_all, std::uint32_t per_address, unsigned workers) noexcept;

    [[nodiscard]] bool full() const noexcept { return held_ >= most_; }
    /// Above 80 %: idle connections get less time.
    [[nodiscard]] bool crowded() const noexcept { return held_ * 5 > std::uint64_t{most_} * 4; }
    void add() noexcept { ++held_; }
    void remove() noexcept { --held_; }
    /// False when this network has its number already.
    [[nodiscard]] bool add_address(const base::IpAddress& address);
    void remove_address(const base::IpAddress& address) noexcept;

    [[nodiscard]] std::uint32_t held() const noexcept { return held_; }
    [[nodiscard]] std::uint32_t most() const noexcept { return most_; }
    [[nodiscard]] std::uint32_t most_of_address() const noexcept { return most_of_address_; }
    /// Networks with a connection now.
    [[nodiscard]] std::size_t networks() const noexcept { return networks_.size(); }

private:
    struct KeyedHash {
        std::size_t operator()(std::uint64_t network) const noexcept;
    };

    std::uint32_t most_ = 1;
    std::uint32_t most_of_address_ = 1;
    std::uint32_t held_ = 0;
    boost::unordered_flat_map<std::uint64_t, std::uint32_t, KeyedHash> networks_;
};

} // namespace sallyport::listeners
