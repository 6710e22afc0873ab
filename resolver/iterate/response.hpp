#pragma once

#include "cache/rrset_store.hpp"
#include "resolver/iterate/delegations.hpp"
#include "resolver/iterate/stats.hpp"
#include "wire/message_view.hpp"

#include <optional>
#include <vector>

/// What a name server's reply says, and how little of it is used: only what answers the question, from the zone that
/// was asked.
namespace sallyport::resolver::iterate {

inline constexpr std::size_t kMaxSetsInSection = 512;
inline constexpr std::size_t kMaxRecordsInSet = 256;

/// A reply taken apart into record sets, RRSIGs with the set they cover.
struct Response {
    wire::Rcode rcode{};
    bool authoritative = false;
    bool truncated = false;
    bool recursion_available = false;
    bool edns = false;
    bool incomplete = false; ///< records were left out, for their RDATA does not fit their type
    std::size_t octets = 0;  ///< of the message
    std::vector<cache::Rrset> answers;
    std::vector<cache::Rrset> authority;
    std::vector<cache::Rrset> additional;
};

/// RDATA that does not fit its type is left out. Nothing where a section has more sets or a set more records than
/// anybody needs.
[[nodiscard]] std::optional<Response> read_response(const wire::MessageView& message, wire::RrType qtype);

/// Which server was asked for what.
struct Asked {
    wire::Name qname;
    wire::RrType qtype{};
    wire::Name zone;
    bool forward = false; ///< the server recurses
};

enum class ReplyKind : std::uint8_t {
    answer,         ///< the set, or an alias
    no_data,        ///< the name is there, or may be
    no_name,        ///< NXDOMAIN
    referral,       ///< to a zone strictly below
    lame,           ///< the server does not serve the zone
    lame_recursive, ///< it answers from a cache of its own
    useless,        ///< an error code
};

[[nodiscard]] ReplyKind classify(const Response& response, const Asked& asked);

/// What the answer section says of the question: the set asked for, or the chain of aliases up to where it leaves the
/// zone or ends. A CNAME that a DNAME makes is made here; it has the DNAME in its `authority`.
/// Empty where it says nothing, or where a DNAME makes the name too long: `find_long_dname`.
[[nodiscard]] std::vector<cache::Rrset> take_answer(Response& response, const Asked& asked, Stats& stats);

/// The DNAME, of the zone that was asked, by which the name becomes too long (RFC 6672 §2.2: YXDOMAIN); null without
/// one. The RCODE alone proves nothing.
[[nodiscard]] const cache::Rrset* find_long_dname(const Response& response, const Asked& asked);

/// The SOA and the proofs of a negative reply, as one set that says so. TTL by RFC 2308 §5; 0 without SOA.
[[nodiscard]] cache::Rrset take_denial(Response& response, const Asked& asked, cache::RrsetKind kind);

/// The cut of a referral. Glue of names within the asked zone only.
struct Referral {
    Delegation delegation;
    wire::Ttl ttl;
    std::optional<cache::Rrset> ds;
    std::vector<cache::Rrset> denials; ///< NSEC or NSEC3 in the place of DS
};
[[nodiscard]] Referral take_referral(Response& response, const Asked& asked, const Options& options, Stats& stats);

/// Addresses of `name` in the additional section.
[[nodiscard]] std::vector<base::Endpoint> find_glue(const Response& response, const wire::Name& name,
                                                    const Options& options);

/// The CNAME that a DNAME makes of a name under it (RFC 6672 §3.4); nothing where that is too long.
[[nodiscard]] std::optional<cache::Rrset> make_cname(const cache::RrsetPtr& dname, const wire::Name& qname);

/// Whether a record is, or hints at (RFC 9460 §7.3), an address out of one of the networks.
[[nodiscard]] bool holds_address(wire::RrType type, base::Bytes rdata, const std::vector<base::Prefix>& networks);

/// Where a CNAME set leads.
[[nodiscard]] std::optional<wire::Name> alias_target(const cache::Rrset& set);

/// Whether an answer made of it needs a proof beside it: its signature has fewer labels than its owner (RFC 4035
/// §3.1.3.3).
[[nodiscard]] bool is_from_wildcard(const cache::Rrset& set);

} // namespace sallyport::resolver::iterate
