#pragma once

#include "base/ip_address.hpp"
#include "base/result.hpp"
#include "wire/edns.hpp"
#include "wire/message_view.hpp"
#include "wire/name.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Scenario files (`.rpl`) as values. The format is that of Unbound's Testbound. What is read here comes from
/// strangers: every fault is an error with its line, nothing else.
namespace sallyport::replay {

inline constexpr std::size_t kMaxFile = 4U << 20U;
inline constexpr std::size_t kMaxLine = 64U << 10U;
inline constexpr std::size_t kMaxEntries = 5000;
inline constexpr std::size_t kMaxRecords = 50'000;

struct Record {
    wire::Name owner;
    wire::RrType type{};
    wire::RrClass rr_class = wire::RrClass::IN;
    std::uint32_t ttl = 3600;
    std::vector<std::uint8_t> rdata;
};

struct QuestionLine {
    wire::Name qname;
    wire::RrType qtype{};
    wire::RrClass qclass = wire::RrClass::IN;
};

/// A message, or the pattern of one.
struct Message {
    wire::Opcode opcode = wire::Opcode::QUERY;
    std::uint16_t rcode = 0;
    std::uint16_t flags = 0; ///< QR AA TC RD RA AD CD as they stand on the wire
    std::vector<QuestionLine> questions;
    std::vector<Record> sections[3]; ///< answer, authority, additional; OPT is not among them
    bool edns = false;
    bool dnssec_ok = false;
    bool compact_ok = false;
    std::uint16_t udp_size = 1232;
    std::vector<std::uint8_t> edns_data;

    /// The client subnet option (RFC 7871), where it is there and well-formed.
    [[nodiscard]] std::optional<wire::ClientSubnet> subnet() const;
    [[nodiscard]] std::vector<std::uint8_t> subnet_bytes() const;
};

struct Match {
    bool opcode = false, qtype = false, qname = false, subdomain = false, rcode = false, question = false,
         answer = false, all = false, all_noedns = false, ttl = false, dnssec_ok = false, compact_ok = false,
         no_edns = false, edns_data = false, udp = false, tcp = false, client_cookie = false, server_cookie = false;
    bool whole = false; ///< of our own: every section as it stands, TTLs, all flags, EDNS
    bool any_ede = false;
    std::optional<std::uint16_t> ede;
    std::optional<std::uint32_t> serial;
};

struct Adjust {
    bool copy_id = false, copy_query = false, copy_subnet = false, increment_scope = false;
    std::optional<std::uint8_t> scope; ///< of our own: `ecs_scope=16`
};

struct Entry {
    std::size_t line = 0;
    Match match;
    Adjust adjust;
    Message message;
    std::vector<Message> more;                      ///< EXTRA_PACKET
    std::optional<std::vector<std::uint8_t>> bytes; ///< HEX_ANSWER
};

struct Range {
    std::uint64_t first = 0, last = 0;
    std::optional<base::IpAddress> address; ///< without one: every address
    std::vector<Entry> entries;
};

enum class StepKind : std::uint8_t {
    query,
    check_answer,
    check_out_query,
    reply,
    timeout,
    error,
    time_passes,
    traffic,
    nothing,
    assign,
    check_autotrust,
    check_tempfile,
    infra_rtt,
    flush_message,
    expire_message,
};

struct Step {
    std::size_t line = 0;
    std::uint64_t number = 0;
    StepKind kind{};
    std::optional<base::IpAddress> address;
    std::string words; ///< behind the kind: ELAPSE, EVAL, an assignment, …
    std::optional<Entry> entry;
    std::vector<std::string> text; ///< of CHECK_AUTOTRUST and CHECK_TEMPFILE
};

struct ConfigLine {
    std::size_t line = 0;
    std::string section; ///< `server`, `stub-zone`, …; each such block has its own `block`
    unsigned block = 0;
    std::string name;
    std::string value;
};

struct Scenario {
    std::string title;
    std::vector<ConfigLine> config;
    std::vector<std::string> commands;                     ///< COMMANDLINE
    std::map<std::string, std::vector<std::string>> files; ///< TEMPFILE_CONTENTS
    std::map<std::string, std::vector<std::string>> autotrust;
    std::vector<Range> ranges;
    std::vector<Step> steps;
};

/// Reads a whole file. The error says which line and what was expected.
[[nodiscard]] base::Result<Scenario> parse_scenario(std::string_view text, const std::string& file);

/// One record as scenarios write them: in zone text, but with RDATA of any length after `\#`, signatures missing or
/// damaged, numbers too many. `origin` and `ttl` are what `$ORIGIN` and `$TTL` set.
[[nodiscard]] base::Result<Record> parse_record(std::string_view line, const wire::Name& origin, std::uint32_t ttl);

/// A message as a value; records in RDATA without compression. Nothing where the octets are no message.
[[nodiscard]] std::optional<Message> to_message(base::Bytes bytes);
/// Its octets: names plain, records in order, OPT last.
[[nodiscard]] std::vector<std::uint8_t> to_bytes(const Message& message, std::uint16_t id);

} // namespace sallyport::replay
