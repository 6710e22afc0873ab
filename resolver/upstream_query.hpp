#pragma once

#include "base/bytes.hpp"
#include "base/ip_address.hpp"
#include "base/random.hpp"
#include "wire/message_view.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <array>
#include <cstdint>
#include <optional>

/// What goes to an upstream, and whether what comes back is the answer to it.
///
/// A query is written anew from its parsed form: nothing of the client's octets, no id and no EDNS option of the
/// client's ever leaves.
namespace sallyport::resolver {

/// What is asked.
struct Inquiry {
    wire::Name qname; ///< lower case
    wire::RrType qtype{};
    wire::RrClass qclass = wire::RrClass::IN;
    bool dnssec_ok = false;
    bool checking_disabled = false;
    /// Of the client, where it makes a difference to the recursion. Upstreams are told nothing of it.
    std::optional<base::Prefix> subnet{};
};

/// How it is asked.
struct QueryForm {
    std::uint16_t id = 0;
    wire::Name spelled; ///< the name with the letters as they are sent
    bool edns = true;
    std::uint16_t udp_payload_size = 1232;
    base::Bytes cookie{}; ///< whole option (RFC 7873 §4); empty for none
    bool padded = false;  ///< to a multiple of 128 octets (RFC 8467 §4.1)
};

/// Room for any query of ours: header, name, OPT, cookie, padding.
inline constexpr std::size_t kQueryRoom = 512;

/// Writes it; the octets written.
[[nodiscard]] base::Bytes write_query(base::MutableBytes room, const Inquiry& inquiry, const QueryForm& form) noexcept;

/// Letters at random (draft-vixie-dnsext-dns0x20 §3): what a forger must guess too.
void randomise_case(wire::Name& name, base::RandomSource& random) noexcept;

enum class Fit : std::uint8_t {
    fits,
    other_case, ///< all is right but the letters of the name
    foreign,    ///< not an answer to this query
};

/// Whether a response answers the query: QR, opcode, id and question.
[[nodiscard]] Fit fit(const wire::MessageView& response, const Inquiry& inquiry, const QueryForm& form) noexcept;

/// What one server and we know each other by (RFC 7873). Only over UDP and TCP.
class CookieJar {
public:
    /// The option for the next query: client cookie, and the server's where there is one. Borrowed until the next call.
    [[nodiscard]] base::Bytes option(base::RandomSource& random) noexcept;

    enum class Verdict : std::uint8_t {
        good,
        foreign, ///< not our client cookie, or none although this server has shown that it knows cookies (§5.3)
    };
    /// Judges the cookie of a response, and keeps the server's. `authentic`: it came over TCP, which is believed: a
    /// server that has ceased to know cookies is taken at its word.
    [[nodiscard]] Verdict judge(const wire::EdnsView* edns, bool authentic) noexcept;

    [[nodiscard]] bool knows_server() const noexcept { return server_size_ > 0; }

private:
    static constexpr std::size_t kClient = 8;

    std::array<std::uint8_t, 40> octets_{}; // client cookie, server cookie
    std::uint8_t server_size_ = 0;
    bool made_ = false;
};

} // namespace sallyport::resolver
