#pragma once

#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "base/transport.hpp"
#include "resolver/recurse_options.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::resolver {

using namespace std::chrono_literals;

/// Upstreams in one group, at most.
inline constexpr std::size_t kMaxUpstreams = 16;

/// Someone who answers for others. In the configuration: `udp://192.0.2.1`, `tcp://…`, `tls://dns.example`,
/// `https://dns.example/dns-query`, `quic://dns.example`, with `:port` where it is not the usual one.
struct UpstreamOptions {
    std::string name; ///< for logs, metrics and explain; by default the address as it was written
    base::Transport transport = base::Transport::udp;
    std::string host; ///< a name or an address, as written
    std::uint16_t port = 53;
    /// `host`, where that is an address; else what was given with it, and where that is nothing, what the bootstrap
    /// servers say.
    std::vector<base::IpAddress> addresses;
    std::string server_name; ///< TLS name to check; by default `host`
    std::string ca_file;     ///< PEM; empty: the system's
    bool verify = true;
    std::vector<std::string> spki_pins; ///< base64 of SHA-256 of the key; where given, one must fit (RFC 7858 §4.2)
    std::string doh_path = "/dns-query";
    base::SourcePosition position;

    bool operator==(const UpstreamOptions&) const = default;
};

enum class Strategy : std::uint8_t { ordered, fastest, round_robin, race };

struct GroupOptions {
    std::string name;
    Strategy strategy = Strategy::fastest;
    unsigned race = 2; ///< upstreams asked at once by `race`
    std::vector<UpstreamOptions> upstreams;
    base::SourcePosition position;
};

/// Names at or below `zones` go to `group`; the longest match wins.
struct RouteOptions {
    std::vector<std::string> zones;
    std::string group;
    base::SourcePosition position{};
    bool validate = true; ///< where the engine validates: these names, too; else they are insecure (RFC 7646)
    bool first = false;   ///< where the group fails, name servers are asked from the root down
};

/// In `recurse`, names with a route still go to its group, and everything else to the name servers of the DNS.
enum class Mode : std::uint8_t { off, forward, recurse };

struct Limits {
    std::chrono::milliseconds budget = 4s;           ///< one question, all tries: a client's patience is 5 s
    std::chrono::milliseconds first_timeout = 800ms; ///< of one try, before anything is known of the upstream
    unsigned tries = 4;
    std::uint32_t in_flight = 2048;               ///< questions in flight, per worker
    std::uint32_t waiters = 1000;                 ///< clients waiting for one question
    std::uint32_t per_zone = 100;                 ///< questions in flight for names of one zone, then old ones give way
    std::uint32_t per_upstream = 100;             ///< queries in flight to one upstream, then old ones give way
    std::uint32_t in_flight_octets = 64U << 20U;  ///< memory of questions in flight, per worker
    std::uint32_t connections = 4;                ///< of one upstream, per worker
    std::uint32_t pipeline = 100;                 ///< queries in flight on one connection
    std::chrono::milliseconds idle = 30s;         ///< a connection without a query is closed
    unsigned failures_to_open = 5;                ///< in a row, then the circuit breaker opens
    std::chrono::milliseconds backoff_first = 5s; ///< 5, 10, 20, 40, 60 s
    std::chrono::milliseconds backoff_most = 60s;
};

/// How the names of upstreams that have no `addresses` are looked up.
struct BootstrapLimits {
    std::uint32_t addresses = 16;         ///< kept of one upstream
    std::uint32_t look_ups = 4;           ///< names looked up at once
    std::chrono::milliseconds time = 5s;  ///< of one look-up, all tries
    unsigned aliases = 8;                 ///< followed in one look-up
    std::chrono::seconds least_ttl = 60s; ///< what is said to be shorter counts as this
    std::chrono::seconds most_ttl = 24h;

    bool operator==(const BootstrapLimits&) const = default;
};

/// An address that this gateway listens on, and what it speaks there. A wildcard address stands for all of ours.
struct OwnAddress {
    base::Endpoint endpoint;
    base::Transport transport = base::Transport::udp; ///< `udp` and `tcp` of a Do53 door are two
};

struct Options {
    Mode mode = Mode::off;
    std::vector<GroupOptions> groups; ///< the first is the default one
    /// Servers, by address, that are asked for the addresses of upstreams and for nothing else. The system's resolver
    /// is never asked: it may be this gateway.
    std::vector<UpstreamOptions> bootstrap;
    BootstrapLimits bootstrap_limits;
    std::vector<OwnAddress> own; ///< our own doors: no upstream is to be found there
    std::vector<RouteOptions> routes;
    bool validate = false; ///< `forward`: what upstreams say is validated here (RFC 4035 §4); `recurse` always does
    bool first = false;    ///< `forward`, validated: where the default group fails, name servers are asked
    bool case_randomisation = true; ///< 0x20 over UDP (draft-vixie-dnsext-dns0x20)
    bool cookies = true;            ///< RFC 7873, over UDP and TCP
    std::uint16_t udp_payload_size = 1232;
    Limits limits;
    RecurseOptions recurse;
};

/// Whether questions go to the engine that recurses: it is the one that validates, whomever it asks.
[[nodiscard]] constexpr bool needs_engine(const Options& options) noexcept
{
    return options.mode == Mode::recurse || (options.mode == Mode::forward && options.validate);
}

/// What the resolvers of all workers share: questions in flight.
class Shared;

} // namespace sallyport::resolver
