#pragma once

#include "base/ip_address.hpp"
#include "base/result.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::admin {

using namespace std::chrono_literals;

/// Who may open the Unix socket of the door for operators.
enum class SocketMode : std::uint8_t { owner, group }; ///< 0600, 0660

/// The door for operators: HTTP/1.1, on loopback unless told otherwise.
struct Options {
    std::string on; ///< `127.0.0.1:8080`, `[::1]:8080` or `unix:/run/sallyport/admin.sock`; empty: off
    base::SourcePosition position;
    std::string
        token_file; ///< whoever changes state must send what stands in it; empty: nothing can be changed over TCP
    base::SourcePosition token_position;
    std::vector<std::string> hosts;             ///< accepted in `Host` beside the address itself and localhost
    SocketMode socket_mode = SocketMode::owner; ///< who may open it may change state without a token
    std::uint32_t connections = 100;
    std::chrono::milliseconds request = 10s; ///< one request complete, or one answer taken; idle connections too
    std::uint32_t head = 16'384;             ///< octets
    std::uint32_t body = 1U << 20U;          ///< octets
    unsigned failures = 10;                  ///< wrong tokens of one address, then 429 for 1, 2, 4, … at most 300 s
};

enum class LogKind : std::uint8_t { file, stdout_, syslog };

struct LogOutput {
    LogKind kind = LogKind::file;
    std::string path;                          ///< of a file; of the socket of syslog, /dev/log where empty
    std::uint64_t rotate_size = 100ULL << 20U; ///< octets; 0: not by size
    std::chrono::seconds rotate_every{86'400}; ///< 0: not by age
    bool compress = true;                      ///< gzip what was rotated
    unsigned keep = 7;                         ///< rotated files that stay
    base::SourcePosition position;
};

/// How much of a client's address is written.
enum class Mask : std::uint8_t { none, network, all }; ///< network: /24 and /48

struct QueryLogOptions {
    std::vector<LogOutput> outputs; ///< empty: off
    Mask mask = Mask::none;
    bool response_data = true; ///< the answer's records as text
    /// Events waiting to be written, per worker, of 256 octets on average; more are dropped and counted.
    std::uint32_t ring = 4096;
};

} // namespace sallyport::admin
