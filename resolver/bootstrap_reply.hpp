#pragma once

#include "resolver/bootstrap.hpp"
#include "wire/message_view.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <optional>

namespace sallyport::resolver {

/// What a reply says of the addresses of a name.
struct AddressReply {
    Finding finding;
    std::optional<wire::Name> next; ///< the reply ends at an alias: this is to be asked
    unsigned aliases = 0;           ///< followed in the reply, `next` among them
    bool too_many_aliases = false;
};

/// Reads a reply that fits its question. Only records that the name or its aliases lead to count; at most `aliases` of
/// those are followed, here and in replies to `next`.
[[nodiscard]] AddressReply read_addresses(const wire::MessageView& reply, const wire::Name& qname, wire::RrType qtype,
                                          unsigned aliases);

/// No host has such an address: unspecified, multicast, broadcast.
[[nodiscard]] bool is_nobody(const base::IpAddress& address) noexcept;

} // namespace sallyport::resolver
