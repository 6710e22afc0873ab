#pragma once

#include "base/clock.hpp"
#include "base/ip_address.hpp"
#include "base/transport.hpp"
#include "resolver/options.hpp"

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

/// The addresses of upstreams that were given by name: when each is looked up, and what is kept of what comes of it.
/// No I/O, no clock. Who asks: `address_finder.hpp`; where all workers find them: `address_book.hpp`.
namespace sallyport::resolver {

/// Where an upstream is that was given by name. Two upstreams of one host at different ports are two: an address that
/// is one of our own doors for the one may be right for the other.
struct Target {
    std::string host;
    std::uint16_t port = 0;
    base::Transport transport = base::Transport::udp;

    auto operator<=>(const Target&) const = default;
};

/// Whether the upstream has to be looked up.
[[nodiscard]] bool needs_look_up(const UpstreamOptions& options) noexcept;
[[nodiscard]] Target target_of(const UpstreamOptions& options);
/// Of all groups, each once.
[[nodiscard]] std::vector<Target> targets_of(const Options& options);

/// What was found of one family of addresses.
struct Finding {
    enum class Kind : std::uint8_t {
        failed, ///< nobody answered, or with nothing of use
        none,   ///< there are no such addresses
        found,
    };
    Kind kind = Kind::failed;
    std::vector<base::IpAddress> addresses{};
    std::chrono::seconds ttl{};
};

/// Which families this machine has a way to. What it has none to comes last, and is kept all the same.
struct Reach {
    bool v4 = true;
    bool v6 = true;
};

class Bootstrap {
public:
    /// What is wanted from now on. What is known of what stays is kept; what fails is looked up again at once.
    void reconfigure(std::span<const Target> targets, const BootstrapLimits& limits, base::Instant now);

    /// The next look-up that is due; null where there is none, or as many run as may. It runs until `ended`.
    [[nodiscard]] const Target* begin(base::Instant now);

    struct Outcome {
        bool changed = false;   ///< there are other addresses than before
        bool failed = false;    ///< nothing came of it
        bool noted = false;     ///< it was the other way before: worth a line in the log
        std::uint32_t cut = 0;  ///< addresses beyond the limit
        base::Duration again{}; ///< when it is looked up the next time
    };
    [[nodiscard]] Outcome ended(const Target& target, const Finding& v4, const Finding& v6, Reach reach,
                                base::Instant now);

    /// It does not answer where it is said to be: looked up as soon as the shortest TTL that counts is over.
    void doubt(const Target& target) noexcept;
    /// When `begin` has something to give; `Instant::max()`: not before something ends.
    [[nodiscard]] base::Instant due() const noexcept;
    /// Null for what is not wanted; empty for what is not known yet.
    [[nodiscard]] const std::vector<base::IpAddress>* find(const Target& target) const noexcept;
    [[nodiscard]] std::size_t running() const noexcept;

private:
    struct Entry {
        Target target;
        std::vector<base::IpAddress> addresses; // the last good ones, however old
        base::Instant due{};
        base::Instant found_at{};
        unsigned failures = 0; // in a row
        bool running = false;
    };
    [[nodiscard]] Entry* find_entry(const Target& target) noexcept;
    [[nodiscard]] std::vector<base::IpAddress> merge(const Entry& entry, const Finding& v4, const Finding& v6,
                                                     Reach reach, std::uint32_t& cut) const;
    [[nodiscard]] base::Duration lifetime(const Finding& v4, const Finding& v6) const noexcept;

    BootstrapLimits limits_;
    std::vector<Entry> entries_;
};

} // namespace sallyport::resolver
