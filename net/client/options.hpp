#pragma once

#include "base/transport.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::net::client {

/// SHA-256 of a SubjectPublicKeyInfo (RFC 7858 §4.2).
using SpkiPin = std::array<std::uint8_t, 32>;

struct TlsOptions {
    std::string server_name; ///< SNI and what the certificate must be for; an IP address is checked as one and not sent
    std::string ca_file;     ///< PEM; empty: the system's store
    bool verify = true;
    std::vector<SpkiPin> spki_pins{}; ///< where given, the key of a certificate in the chain must be one of them
    bool early_data = false;          ///< QUIC only: send the first queries in 0-RTT where an earlier session allows it
};

struct DohTarget {
    std::string authority; ///< `host` or `host:port`, as in the URL
    std::string path = "/dns-query";
    bool get = false;       ///< GET with `?dns=`, else POST
    bool cleartext = false; ///< http:, without TLS
};

/// What a session needs to know of the peer.
struct PeerOptions {
    base::Transport transport = base::Transport::udp;
    TlsOptions tls;
    DohTarget doh;
};

/// Limits of what a server may make us hold.
struct Limits {
    std::uint32_t streams = 100;        ///< queries in flight on one HTTP or QUIC connection
    std::uint32_t body = 65'535;        ///< octets of an HTTP answer; more resets that stream
    std::uint32_t header_list = 16'384; ///< octets of decoded answer headers; more ends the connection
    std::uint32_t buffered = 1U << 20U; ///< octets of an answer that is not whole, per connection of HTTP/1.1
};

} // namespace sallyport::net::client
