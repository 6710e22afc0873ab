#pragma once

#include "base/counter.hpp"
#include "pipeline/options.hpp"
#include "pipeline/query.hpp"
#include "wire/name.hpp"

#include <cstdint>
#include <vector>

namespace sallyport::pipeline {

/// Discovery of Designated Resolvers (RFC 9462): tells clients which encrypted doors this gateway has.
///
/// `_dns.resolver.arpa` and `_dns.<our name>` are answered with SVCB records made from the configured doors; everything
/// else under `resolver.arpa` is answered here too, negatively, and so never leaves the gateway (§8). Records are put
/// together once, when the configuration is read.
class DesignationAnswers {
public:
    /// Errors: a name that is none.
    explicit DesignationAnswers(const DdrOptions& options);

    /// True when the name is ours and the answer is written.
    [[nodiscard]] bool answer(Query& query) const noexcept;

private:
    using Rdata = std::vector<std::uint8_t>;
    struct AddressSet {
        std::vector<Rdata> v4, v6;
    };

    void write_svcb(Query& query) const noexcept;
    void write_addresses(Query& query) const noexcept;
    void write_negative(Query& query, const wire::Name& apex) const noexcept;

    wire::Name resolver_arpa_;
    wire::Name dns_resolver_arpa_;
    wire::Name target_;
    std::vector<wire::Name> own_names_; ///< `_dns.<name>`
    std::vector<Rdata> svcb_;
    AddressSet addresses_;
    bool on_any_address_ = false;
    Rdata soa_;
    wire::Ttl ttl_;
};

} // namespace sallyport::pipeline
