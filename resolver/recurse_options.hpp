#pragma once

#include "base/ip_address.hpp"
#include "cache/rrset_store.hpp"
#include "dnssec/options.hpp"
#include "resolver/encrypted_servers.hpp"
#include "resolver/iterate/options.hpp"
#include "resolver/root_copy.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::resolver {

using namespace std::chrono_literals;

/// What the network side of recursion may hold, per worker.
struct RecurseLimits {
    std::uint32_t sockets = 2048;             ///< open for queries, connections included
    std::uint32_t waiting = 4096;             ///< queries that wait for a socket; more fail
    std::uint32_t connections = 256;          ///< over TCP, TLS and QUIC, to all servers together
    std::uint32_t connections_per_server = 2; ///< over each of the three
    std::uint32_t pipeline = 100;             ///< queries in flight on one connection
    std::chrono::milliseconds connect = 3s;   ///< to open a connection
    std::chrono::milliseconds idle = 10s;     ///< a connection without a query is closed
};

/// A copy of the root zone that servers hand out (RFC 8806, RFC 5936).
struct RootTransferOptions {
    std::vector<base::Endpoint> from;            ///< asked in this order; none: nothing is transferred
    std::string state_file;                      ///< where the copy is kept over a restart
    std::uint64_t octets = 64U << 20U;           ///< of the zone, as it comes and as it is kept
    std::uint32_t records = 1'000'000;           ///< of the zone
    std::chrono::milliseconds connect = 5s;      ///< to open a connection
    std::chrono::milliseconds idle = 10s;        ///< without an octet from the server
    std::chrono::milliseconds whole = 120s;      ///< of a transfer, from its beginning to its end
    std::chrono::milliseconds least_pause = 60s; ///< between two looks, whatever the zone says
    std::chrono::milliseconds most_pause = 24h;  ///< between two looks, whatever the zone says

    bool operator==(const RootTransferOptions&) const = default;
};

/// Asking the name servers of the DNS from the root down.
struct RecurseOptions {
    iterate::Options engine;
    dnssec::Options dnssec;
    RecurseLimits limits;
    std::string root_hints; ///< zone text with the root's NS and their addresses; empty: the built-in ones
    base::SourcePosition root_hints_position;
    std::string local_root_file; ///< zone text of the root zone, asked in the place of its servers (RFC 8806)
    base::SourcePosition local_root_position;
    std::string local_root_mark;                ///< of the file that was read; another file has another
    RootTransferOptions local_root_transfer;    ///< in the place of a file
    std::shared_ptr<const RootCopy> local_root; ///< what was read of it; the only thing that may change by itself
    bool opportunistic_tls = false;             ///< RFC 9539: servers that speak DNS over TLS are asked so
    bool opportunistic_quic = false;            ///< the same over QUIC
    std::uint16_t tls_port = 853;               ///< of these; another one is for tests
    std::uint16_t quic_port = 853;              ///< the same for QUIC
    EncryptedServersOptions encrypted;          ///< of these
    bool allow_loopback = false;                ///< servers at 127/8 and ::1 are asked; for tests
    bool strip_private_addresses = false;       ///< fills `engine.private_addresses` where those are empty
    bool subnet_from_clients = false;           ///< what clients say of their network is believed (`engine.subnet`)
    std::uint64_t store_bytes = 64U << 20U;     ///< of the record sets that all workers share
    /// All that it was made from; where it is the same, what has been learned is kept. Empty: never the same.
    std::string fingerprint;
    std::shared_ptr<cache::RrsetStore> store; ///< made by `prepare_recursion`
};

struct Options;

/// Reads what the options name (root hints, trust anchors), and makes the store. Where all is as in `before`, that is
/// taken over whole; else nothing that was believed before is believed on. On the control thread. False in `problems`
/// where something is wrong.
bool prepare_recursion(Options& options, const Options* before, const cache::RrsetOptions& lifetimes, std::int64_t date,
                       base::Problems& problems);

} // namespace sallyport::resolver
