#pragma once

#include "base/ip_address.hpp"
#include "base/transport.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

/// `sallyport ask`: our own client for every door.
namespace sallyport::apps {

/// What `sallyport ask` ends with; as dig does, and documented in its --help.
enum AskExit : int {
    ask_answered = 0, ///< an answer came, whatever its RCODE
    ask_usage = 2,
    ask_no_answer = 9, ///< nobody answered, or not in time, or not in a way to be trusted
};

struct AskQuestion {
    wire::Name qname;
    wire::RrType qtype = wire::RrType::A;
    wire::RrClass qclass = wire::RrClass::IN;
};

struct AskQueryOptions {
    bool recurse = true;
    bool checking_disabled = false;
    bool dnssec_ok = false;
    bool edns = true;
    std::uint16_t payload_size = 1232;
    std::uint16_t pad_block = 0; ///< octets; 0: no padding
    bool nsid = false;
    bool cookie = false;
    std::optional<base::Prefix> subnet;
    std::optional<std::uint16_t> id;
};

/// Of `--trace`: where the search begins, and what is believed.
struct AskTrace {
    bool on = false;
    std::string config; ///< of a gateway; empty: as by default
    std::string root_hints;
    std::vector<std::string> trust_anchors; ///< files
    std::optional<std::uint16_t> port;
    bool allow_loopback = false;
    bool ipv4_only = false, ipv6_only = false;
    std::optional<std::chrono::milliseconds> time; ///< for one question
};

struct AskOptions {
    base::Transport transport = base::Transport::udp;
    std::string host = "127.0.0.1"; ///< a name or an address
    std::uint16_t port = 53;
    std::string tls_name; ///< empty: `host`
    std::string ca_file;
    bool verify = true;
    bool early_data = false;
    std::string doh_authority; ///< empty: from `tls_name` and `port`
    std::string doh_path = "/dns-query";
    bool doh_get = false;
    bool doh_cleartext = false;

    AskQueryOptions query;
    std::vector<AskQuestion> questions;
    std::chrono::milliseconds timeout{5000};
    unsigned retries = 2; ///< UDP: how often to send again
    bool ignore_truncation = false;
    unsigned repeat = 0;
    bool reconnect = false; ///< a new connection for each repetition
    bool print_short = false;
    bool print_json = false;
    bool batch = false;
    AskTrace trace;
};

/// Asks, prints, and returns an `AskExit`.
[[nodiscard]] int ask(const AskOptions& options);

/// Adds the subcommand; its end is written to `exit_code` when it has run.
void add_ask(CLI::App& app, int& exit_code);

} // namespace sallyport::apps
