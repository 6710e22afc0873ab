#pragma once

#include "base/ip_address.hpp"
#include "dnssec/options.hpp"
#include "wire/name.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::dnssec {
class TrustAnchors;
}

namespace sallyport::resolver::iterate {

using namespace std::chrono_literals;

/// Work that one client query may cause, aliases, address look-ups and validation included.
struct WorkLimits {
    unsigned packets = 100;  ///< queries to name servers
    unsigned lookups = 100;  ///< names and types looked up; zones that serve each other cost work without a packet
    unsigned aliases = 11;   ///< CNAME and DNAME followed
    unsigned depth = 16;     ///< look-ups that wait for look-ups
    unsigned referrals = 30; ///< of one look-up
    std::chrono::milliseconds time = 10s;
    unsigned servers = 13;            ///< name servers used of one delegation
    unsigned addresses = 6;           ///< addresses used of one name server
    unsigned address_lookups = 10;    ///< names of servers looked up for one delegation
    unsigned failing_lookups = 5;     ///< of these, without result
    unsigned minimisation_steps = 10; ///< RFC 9156 §2.3
    unsigned tries = 3;               ///< of one server for one question
    unsigned tcp_tries = 2;           ///< of one server for one question
    unsigned near_misses = 2;         ///< replies that almost fit, then TCP
    unsigned validation_restarts = 2; ///< asking other servers after bogus data
};

/// A zone whose servers are told, not found: the root hints, stub zones, forward zones.
struct FixedZone {
    wire::Name zone;
    std::vector<base::Endpoint> servers;
    std::vector<wire::Name> names; ///< servers given by name
    bool forward = false;          ///< they recurse: RD is set, referrals are not followed
    bool first = false;            ///< where they fail, go on without them
    bool tcp = false;
    std::string group; ///< `forward`: of upstreams, asked in the place of `servers`, over whatever transport they speak
};

/// IPv6 addresses made for hosts that have IPv4 only (RFC 6147).
struct Dns64Options {
    std::vector<base::Prefix> prefixes; ///< of 32, 40, 48, 56, 64 or 96 bits (RFC 6052 §2.2); empty: off
    std::vector<base::Prefix> exclude;  ///< AAAA in these do not count (§5.1.4); ::ffff:0:0/96 always
    std::vector<wire::Name> ignore;     ///< zones whose AAAA do not count: answers are always made of A
};

/// Telling zones of the network a client is in (RFC 7871). Off where no zone is named.
struct SubnetOptions {
    std::vector<wire::Name> zones;     ///< that may be told
    std::vector<base::Prefix> servers; ///< that may be told, whatever zone they are asked for
    std::uint8_t ipv4_bits = 24;       ///< at most so many are told
    std::uint8_t ipv6_bits = 56;
    std::uint32_t max_entries = 10'000;    ///< record sets kept that count for one network
    std::uint64_t max_octets = 16U << 20U; ///< of these
};

struct Options {
    WorkLimits limits;
    std::vector<FixedZone> fixed;           ///< without one for the root: the built-in hints
    bool prime = true;                      ///< asks the root's servers for themselves first (RFC 8109)
    bool qname_minimisation = true;         ///< RFC 9156, with fallback
    bool qname_minimisation_strict = false; ///< without fallback
    bool ipv4 = true;
    bool ipv6 = true;
    bool prefer_ipv6 = false;
    bool case_randomisation = true; ///< 0x20
    bool cookies = true;            ///< RFC 7873
    bool edns = true;
    std::uint16_t udp_payload_size = 1232;
    bool dnssec = true;                                  ///< DO is set
    std::shared_ptr<const dnssec::TrustAnchors> anchors; ///< null or empty: nothing is validated
    dnssec::Policy policy;
    bool aggressive_denial = true; ///< RFC 8198
    Dns64Options dns64;
    SubnetOptions subnet;
    bool sentinel = true;     ///< RFC 8509
    bool permissive = false;  ///< bogus answers are given out, without AD
    bool prefetch = false;    ///< what is asked for in the last tenth of its life is asked anew
    bool serve_stale = false; ///< RFC 8767; needs a store that keeps stale sets
    std::chrono::milliseconds stale_client_timeout = 1800ms; ///< 0: what is stale is given at once
    std::uint32_t stale_ttl = 30;
    bool stale_ede = true;
    bool nothing_below_nxdomain = true; ///< RFC 8020 for names that DNSSEC proves absent
    /// RFC 8020 for names that DNSSEC does not prove absent.
    bool trust_unsigned_nxdomain = false;
    /// Never asked: 0/8, 127/8, 169.254/16, 224/4, 240/4 and their IPv6 kin; see `useless_addresses`.
    std::vector<base::Prefix> do_not_query;
    /// Addresses of this kind are taken out of answers, but for names at or below `private_domains`.
    std::vector<base::Prefix> private_addresses;
    std::vector<wire::Name> private_domains;
    std::uint16_t port = 53;

    std::chrono::milliseconds first_timeout = 376ms; ///< of a server nobody has asked yet
    std::chrono::milliseconds least_timeout = 50ms;
    std::chrono::milliseconds most_timeout = 5s;
    std::chrono::milliseconds group_timeout = 5s; ///< of a group of upstreams, which has tries and time-outs of its own
    std::chrono::milliseconds band = 400ms;       ///< servers this much slower than the best are used, too
    unsigned failures_to_pause = 5;
    std::chrono::seconds pause = 60s;
    std::chrono::seconds lame_for = 900s;
    std::chrono::seconds failure_ttl = 5s; ///< RFC 9520
    std::chrono::seconds bogus_ttl = 60s;

    std::uint32_t max_fetches = 2048; ///< look-ups in flight of a worker
    std::uint32_t max_fetches_per_zone = 100;
    std::uint32_t max_fetches_per_server = 100; ///< with a query on its way to that address
    std::uint32_t max_servers_kept = 20'000;    ///< entries of the server cache
    std::uint32_t max_delegations = 100'000;
    std::uint32_t max_no_cuts = 20'000; ///< names that are known not to be zone cuts
    std::uint32_t max_failures_kept = 10'000;
};

/// What `do_not_query` holds by default.
[[nodiscard]] std::vector<base::Prefix> useless_addresses();

/// The root servers as IANA lists them (2024).
[[nodiscard]] FixedZone root_hints();

} // namespace sallyport::resolver::iterate
