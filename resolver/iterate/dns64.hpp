#pragma once

#include "resolver/iterate/iterate.hpp"

#include <array>

/// IPv6 addresses made of IPv4 ones, for clients whose network translates (RFC 6147): what is made of what. Asks
/// nobody.
namespace sallyport::resolver::iterate {

/// Of an IPv6 prefix that addresses can be embedded in (RFC 6052 §2.2): 32, 40, 48, 56, 64 or 96 bits, octet 8 zero.
[[nodiscard]] bool is_dns64_prefix(const base::Prefix& prefix) noexcept;
[[nodiscard]] base::IpAddress embed_ipv4(const base::Prefix& prefix, const base::IpAddress& address) noexcept;
/// Nothing where the address is not of the prefix, or says something in the octets that have to be zero.
[[nodiscard]] std::optional<base::IpAddress> extract_ipv4(const base::Prefix& prefix,
                                                          const base::IpAddress& address) noexcept;

/// The rules of one configuration. Borrows the options.
class Dns64 {
public:
    explicit Dns64(const Dns64Options& options) : options_(options) {}

    /// Whether an answer may have to be made or looked through. Not where CD is set: who checks for himself synthesises
    /// for himself (RFC 6147 §5.5).
    [[nodiscard]] bool concerns(const Question& question) const;
    /// What is known of the names that clients learn the prefix by (RFC 7050, RFC 8880 §7).
    [[nodiscard]] std::optional<Answer> answer_locally(const Question& question, base::Instant now) const;

    /// Whether the answer to AAAA leaves room for one made of A (§5.1.1 to §5.1.4). A server that fails to tell of AAAA
    /// is no reason to give none (§5.1.3); data that does not validate is.
    [[nodiscard]] bool wants_ipv4(const Answer& ipv6) const;
    /// The answer to AAAA from what AAAA and A brought (§5.1.5 to §5.1.7). It is never secure: nobody signed it.
    [[nodiscard]] Answer combine(const Answer& ipv6, const Answer& ipv4, base::Instant now) const;
    /// Without the AAAA that do not count (§5.1.4).
    [[nodiscard]] Answer without_excluded(const Answer& ipv6) const;

    /// The name in in-addr.arpa for one in ip6.arpa that a prefix covers (§5.3.1).
    [[nodiscard]] std::optional<wire::Name> reverse_name(const wire::Name& qname) const;
    /// The names found there, as those of the IPv6 address; nothing where none was.
    [[nodiscard]] static std::optional<Answer> as_reverse(const Answer& found, const wire::Name& qname,
                                                          base::Instant now);

private:
    [[nodiscard]] bool counts(base::Bytes ipv6) const;
    [[nodiscard]] bool is_ignored(const wire::Name& owner) const;
    [[nodiscard]] bool is_made_for(const base::Prefix& prefix, const base::IpAddress& address) const;
    [[nodiscard]] cache::RdataList make_records(const cache::RdataList& ipv4) const;
    [[nodiscard]] std::optional<base::IpAddress> embedded(const wire::Name& qname) const;

    const Dns64Options& options_;
};

} // namespace sallyport::resolver::iterate
