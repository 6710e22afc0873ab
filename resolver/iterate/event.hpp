#pragma once

#include "resolver/iterate/iterate.hpp"

namespace sallyport::resolver::iterate {

/// One step of a search, for whoever watches it. All of it is borrowed for the call.
struct Event {
    enum class Kind : std::uint8_t {
        ask,      ///< a query goes out
        reply,    ///< something came for it; `word` says what it is
        no_reply, ///< nothing came in time, or there is no way to the server; `word`
        failure,  ///< a look-up ended without result; `text` says why
        cut,      ///< the DS of a zone, secure, in `set`
        keys,     ///< the DNSKEY of a zone, secure, in `set`
        zone,   ///< a zone is insecure or bogus, and all below with it; `text`; `set`: its DNSKEY, where they are known
        judged, ///< what is to be believed of `set`
    };
    Kind kind{};
    const wire::Name* name = nullptr; ///< asked for, in lower case, or judged
    wire::RrType type{};

    // Of a query and its reply.
    const wire::Name* zone = nullptr;        ///< whose server it is thought to be
    const wire::Name* server_name = nullptr; ///< null where it was told by address
    base::Endpoint server{};
    std::string_view group{}; ///< of upstreams that is asked in the place of a server
    bool tcp = false;
    bool edns = false;
    bool minimised = false; ///< a part of the name alone was asked for (RFC 9156)
    base::Duration rtt{};
    std::size_t sent = 0, received = 0; ///< octets of the messages
    wire::Rcode rcode{};
    std::string_view word{};
    const wire::Name* cut = nullptr;                    ///< `reply`: the zone it refers to
    const std::vector<cache::Rrset>* answers = nullptr; ///< `reply`: its answer section

    // Of validation.
    const cache::Rrset* set = nullptr;
    wire::ValidationState state = wire::ValidationState::unchecked;
    std::optional<wire::ExtendedError> ede{};
    std::uint16_t key_tag = 0;  ///< of the key that signed; with `algorithm` 0 it is not known
    std::uint8_t algorithm = 0; ///< of that
    std::string_view text{};
};

/// `ask`, `reply`, `timeout` …: what `set_trace` tells as `what`.
[[nodiscard]] std::string_view short_word(const Event& event) noexcept;
/// One line without names of what is clear from `short_word`.
[[nodiscard]] std::string to_text(const Event& event);

/// Of `reply` and `no_reply`, for people: `referral to tld.`, `answer: 192.0.2.80`, `NXDOMAIN`, `no reply`.
[[nodiscard]] std::string result_text(const Event& event);
/// Of validation, for people: `secure, signed by key 20326/8`, `bogus, signature expired (EDE 7)`.
[[nodiscard]] std::string verdict_text(const Event& event);
/// The keys that a DNSKEY or DS set names: `20326/8, 38696/8`, tag and algorithm.
[[nodiscard]] std::string keys_text(const cache::Rrset& set);
[[nodiscard]] std::string_view state_word(wire::ValidationState state) noexcept;

} // namespace sallyport::resolver::iterate
