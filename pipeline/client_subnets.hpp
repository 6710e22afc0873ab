#pragma once

#include "base/ip_address.hpp"
#include "pipeline/options.hpp"
#include "wire/edns.hpp"
#include "wire/message_writer.hpp"
#include "wire/name.hpp"
#include "wire/types.hpp"

#include <cstdint>
#include <optional>

namespace sallyport::pipeline {

class Query;

/// What others may know of the network that a client is in, and what its answer says of that (RFC 7871).
///
/// Nothing but what the operator wrote down: no zone named, nobody told. Addresses that mean nothing outside of our own
/// network, and clients that ask not to be told of (§7.1.2), are never told of.
class ClientSubnets {
public:
    ClientSubnets() = default;
    explicit ClientSubnets(const ClientSubnetOptions& options);

    [[nodiscard]] bool is_on() const noexcept { return on_; }
    /// Whether what the client sent can be read (§6); true without an option.
    [[nodiscard]] bool can_read(const wire::EdnsView* edns) const noexcept;
    /// What the search for `name` has to know: nothing where it makes no difference, length 0 where nothing may be
    /// told.
    [[nodiscard]] std::optional<base::Prefix> subnet_for(const Query& query, const wire::Name& name) const noexcept;

    /// Octets that the option of the answer takes.
    [[nodiscard]] std::size_t reserve(const wire::EdnsView& asked) const noexcept;
    /// Answers the client's option with the scope that the answer has (§7.2.2); 0 where its network made no difference.
    /// False where it does not fit.
    [[nodiscard]] bool write(const Query& query, const wire::EdnsView& asked,
                             wire::MessageWriter& answer) const noexcept;

private:
    ClientSubnetOptions options_;
    bool on_ = false;
};

} // namespace sallyport::pipeline
