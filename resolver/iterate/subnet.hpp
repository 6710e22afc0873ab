#pragma once

#include "base/ip_address.hpp"
#include "resolver/iterate/options.hpp"
#include "wire/edns.hpp"
#include "wire/name.hpp"

#include <array>
#include <optional>

/// Rules of telling servers of the network that a client is in (RFC 7871): whom, how much, and what their replies are
/// good for.
///
/// A network of length 0 stands for a client of whom nothing is told. What is found out for such clients counts for
/// such clients alone (§7.3.1), so that others are not kept from answers that are meant for them.
namespace sallyport::resolver::iterate {

/// The option's data, ready to be written.
struct SubnetData {
    std::array<std::uint8_t, 20> octets{};
    std::size_t size = 0;
    [[nodiscard]] base::Bytes bytes() const noexcept { return base::Bytes{octets}.first(size); }
};
[[nodiscard]] SubnetData write_subnet(const base::Prefix& subnet, std::uint8_t scope) noexcept;

[[nodiscard]] inline bool tells_anybody(const SubnetOptions& options) noexcept
{
    return !options.zones.empty() || !options.servers.empty();
}
/// Whether a question for this name may come to a server that may be told.
[[nodiscard]] bool may_be_told_of(const SubnetOptions& options, const wire::Name& qname) noexcept;
/// Whether this server of this zone may be told.
[[nodiscard]] bool may_tell(const SubnetOptions& options, const wire::Name& zone,
                            const base::IpAddress& server) noexcept;
/// Whether servers of the parent's side, or whoever hands out keys, are asked for it: they have nothing to tailor.
[[nodiscard]] bool is_tailored(wire::RrType qtype) noexcept;

/// Not more of it than the options allow; of length 0 it is 0.0.0.0/0 in both families.
[[nodiscard]] base::Prefix cut_subnet(const SubnetOptions& options, const base::Prefix& subnet) noexcept;

/// What the option of a query says; it must have been read. Of length 0: nothing may be told (§7.1.2).
[[nodiscard]] base::Prefix subnet_of(const wire::ClientSubnet& option) noexcept;

/// What a reply to a query with the option is good for.
struct SubnetReply {
    bool fits = true;       ///< false: it speaks of another network, and must be dropped (§7.3)
    std::uint8_t scope = 0; ///< bits of the subnet told that it counts for; 0: for everybody
};
[[nodiscard]] SubnetReply read_subnet_reply(const base::Prefix& told, const wire::EdnsView* edns) noexcept;

} // namespace sallyport::resolver::iterate
