#pragma once

#include "base/ip_address.hpp"
#include "policy/options.hpp"
#include "resolver/iterate/options.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::pipeline {

/// A door as clients are told of it by DDR (RFC 9461, RFC 9462). Filled from the configured doors.
struct Designation {
    std::vector<std::string> alpn; ///< `dot`; `h2`, `h3`; `doq`
    std::uint16_t port = 0;
    std::string doh_path;                   ///< `/dns-query{?dns}`; empty for DoT and DoQ
    std::vector<base::IpAddress> addresses; ///< hints
    bool on_any_address = false;            ///< stands on 0.0.0.0 or ::, so also on the address that was asked
};

struct DdrOptions {
    bool enabled = true;
    std::string target;                    ///< the name on our certificate: `gate.test`
    std::vector<std::string> names;        ///< `_dns.<name>` is answered for each, the target among them
    std::vector<Designation> designations; ///< best first
    std::uint32_t ttl = 300;
};

/// What a blocked name is answered with.
struct BlockOptions {
    enum class Kind : std::uint8_t { nxdomain, nodata, zero_address, refused, address };
    Kind kind = Kind::nxdomain;
    std::vector<base::IpAddress> addresses; ///< of `address`: where blocked names lead
    std::uint32_t ttl = 60;
};

/// Queries that wait for their answer, of one worker.
struct WaitOptions {
    std::uint32_t per_client = 1000;               ///< of one IPv4 address, or one /64 of IPv6; more get SERVFAIL
    std::chrono::milliseconds stale_after{1800};   ///< a client takes what is stale (RFC 8767 §5)
    std::chrono::milliseconds late_over_udp{1900}; ///< older ones are not answered over UDP, where there are many
    std::uint32_t late_from = 100;                 ///< so many of one client, or half of `queries_in_flight`
    std::chrono::milliseconds longest{10'000};     ///< then SERVFAIL
};

/// Who may be told of the network that a client is in (RFC 7871). Nobody where the rules name nobody.
struct ClientSubnetOptions {
    resolver::iterate::SubnetOptions rules{};
    bool from_clients = false; ///< what clients say of their network is believed
};

struct Options {
    BlockOptions block;
    ClientSubnetOptions client_subnet;
    policy::AccessOptions access;
    policy::RateLimitOptions rate_limit;
    DdrOptions ddr;
    /// Largest answer over UDP, octets: 512 to 4096 (RFC 9715 recommends 1232).
    std::uint16_t udp_payload_size = 1232;
    /// Answered as NSID (RFC 5001) to those who ask; empty: not answered.
    std::string nsid;
    /// Answer `id.server.`/`version.bind.` in class CH.
    bool identity_names = false;
    /// DNS cookies (RFC 7873, RFC 9018) on UDP and TCP.
    bool cookies = true;
    /// 32 hexadecimal digits that all gateways of one address share; empty: one of our own.
    std::string cookie_secret;
    /// Answers on encrypted doors are padded to a multiple of this (RFC 8467 §4.1); 0 switches it off.
    std::uint16_t padding_block = 468;
    /// Told to TCP and DoT clients that ask (RFC 7828); the idle timeout of those doors.
    std::uint32_t keepalive_milliseconds = 10'000;
    /// Queries that wait for their answer at once, per worker.
    std::uint32_t queries_in_flight = 20'000;
    WaitOptions waiting;
    /// What their requests may take, octets, per worker. One of up to 1 KiB always finds room: there are so many at
    /// most.
    std::uint32_t queries_in_flight_octets = 32U << 20U;
};

} // namespace sallyport::pipeline
