#pragma once

#include "base/ip_address.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::listeners {

using namespace std::chrono_literals;

enum class DoorKind : std::uint8_t { do53, dot, doh, doq };

/// Where a door stands: an address with a port, a Unix stream socket (`unix:/run/sallyport/dns.sock`, Do53 framing), or
/// a socket that systemd hands over (`systemd:NAME`, by FileDescriptorName).
struct ListenAddress {
    base::Endpoint endpoint;
    std::string unix_path;    ///< not empty: a Unix stream socket
    std::string systemd_name; ///< not empty: a socket of that name from the service manager
    base::SourcePosition position;
};

struct DohOptions {
    std::vector<std::string> paths{"/dns-query"};
    bool http3 = true;                     ///< also over QUIC on the same port
    bool cleartext = false;                ///< HTTP/1.1 and h2c without TLS: only behind a proxy
    std::vector<std::string> cors_origins; ///< `*` or origins; empty: no CORS headers
    bool alt_svc = true;                   ///< tell HTTP/2 and HTTP/1.1 clients of HTTP/3 where it is on
    /// Proxies whose Forwarded / X-Forwarded-For is believed.
    std::vector<base::Prefix> forwarded_from;
};

/// One entry of `listen`. The same address in several entries is one port with many doors, told apart by ALPN:
/// DoT and DoH share a TCP port, DoQ and DoH/3 share a UDP port.
struct DoorOptions {
    DoorKind kind = DoorKind::do53;
    std::vector<ListenAddress> on;
    bool udp = true; ///< do53 only
    bool tcp = true; ///< do53 only
    DohOptions doh;
    bool early_data = false; ///< doq only: answer QUERY from 0-RTT (RFC 9250 §4.5); replays are possible
    /// Proxies that put a PROXY v2 header before the stream; others on this door are served without one.
    std::vector<base::Prefix> proxy_protocol_from;
    base::SourcePosition position;
};

/// Streams: TCP, DoT, HTTP over TLS. Numbers of every kind are per gateway unless said otherwise; a worker takes its
/// share.
struct StreamLimits {
    std::uint32_t connections = 10'000;
    std::uint32_t connections_per_address = 100; ///< per /32, /56
    std::chrono::milliseconds handshake = 5s;    ///< TLS complete
    std::chrono::milliseconds message = 5s;      ///< a message (or PROXY header) complete after its first octet
    std::chrono::milliseconds idle = 10s;
    std::chrono::milliseconds idle_when_full = 2s; ///< above 80 % of `connections`
    std::chrono::milliseconds write_stall = 5s;
    std::uint32_t backlog_bytes = 65'536; ///< answers waiting for the peer: reading stops
    std::uint32_t backlog_answers = 100;
    std::uint32_t queries_in_work = 100;  ///< per connection
    std::uint32_t messages_per_turn = 32; ///< before other connections get theirs
    std::uint32_t reserved_descriptors = 64;
};

struct HttpLimits {
    std::uint32_t concurrent_streams = 100;
    std::uint32_t reset_burst = 1'000;   ///< streams that end before their answer: a bucket of so many,
    std::uint32_t reset_per_second = 33; ///< refilled at this rate; then GOAWAY ENHANCE_YOUR_CALM
    std::uint32_t continuations = 8;     ///< CONTINUATION frames of one header block
    std::uint32_t header_block = 16'384; ///< octets, encoded
    std::uint32_t header_list = 16'384;  ///< octets, decoded, counted while decoding; over it the connection ends
    std::uint32_t settings_per_frame = 32;
    std::uint32_t control_queue = 1'000; ///< control frames waiting for the peer
    std::uint32_t offence_burst = 1'000; ///< PING, SETTINGS, PRIORITY, empty DATA, WINDOW_UPDATE, unknown frames
    std::uint32_t offence_per_second = 100;
    std::uint32_t body = 65'535;
    std::chrono::milliseconds body_time = 5s;
    std::uint32_t query_parameter = 88'000;           ///< octets of `dns=` before decoding
    std::uint32_t answers_per_connection = 1U << 20U; ///< octets of answers held for one peer
    std::uint32_t answers_in_all = 64U << 20U;
    std::chrono::milliseconds stall = 10s; ///< answers held and no progress
    std::uint32_t read_at_once = 16'384;
    std::chrono::milliseconds idle = 60s; ///< an HTTP connection without a request
};

struct QuicLimits {
    std::uint32_t connections = 10'000;
    std::uint32_t connections_per_address = 100;
    std::uint32_t handshakes_before_retry = 1'000; ///< unvalidated at once; then Retry
    std::chrono::milliseconds handshake = 5s;
    std::chrono::milliseconds idle = 30s;
    std::chrono::milliseconds retry_token = 10s;
    std::uint32_t streams = 100;
    std::uint64_t memory = 64ULL << 20U;    ///< all QUIC memory
    std::chrono::milliseconds message = 5s; ///< query complete after the stream's first octet
    std::uint32_t unread_per_connection = 256U << 10U;
    bool always_retry = false;
    std::uint32_t resets_per_second = 100; ///< stateless resets, and as many refusals; more is met by silence
    std::uint32_t remnants = 10'000;       ///< closed connections remembered until their packets have died out
};

struct Options {
    std::vector<DoorOptions> doors;
    StreamLimits streams;
    HttpLimits http;
    QuicLimits quic;
    std::uint32_t udp_batch = 32; ///< datagrams read at once
    std::uint32_t udp_receive_buffer = 1U << 20U;
    std::chrono::milliseconds drain = 5s; ///< how long connections may finish when the gateway ends
    unsigned workers = 1;                 ///< filled by the program
};

} // namespace sallyport::listeners
