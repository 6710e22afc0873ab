#include "pipeline/stages.hpp"

namespace sallyport::pipeline {

using wire::ExtendedError;
using wire::Rcode;

AdmissionStage::AdmissionStage(const Options& options, policy::TokenBuckets& buckets, Stats& stats)
    : access_(options.access),
      buckets_(buckets),
      exempt_(options.rate_limit.exempt),
      silent_(options.access.silent),
      stats_(stats)
{
}

Step AdmissionStage::handle(Query& query) noexcept
{
    const auto& address = query.client.peer.address;
    if (!access_.allows(address)) {
        ++stats_.denied;
        if (silent_ && base::is_datagram(query.client.transport)) return Step::drop;
        query.answer->set_rcode(Rcode::REFUSED);
        query.answer->clear_flags(wire::flag::RA); // not for them (RFC 1035 §4.1.1)
        query.ede = Query::Ede{ExtendedError::prohibited, "this network is not served"};
        query.why = "this network is not served";
        return Step::answered;
    }
    if (buckets_.take(address, query.arrival) || policy::any_contains(exempt_, address)) return Step::next;
    return over_limit(query);
}

Step AdmissionStage::over_limit(Query& query) noexcept
{
    ++stats_.rate_limited;
    query.why = "over the rate limit of this network";
    // Over UDP the address may be forged: TC sends a real client to TCP and gives a forged one nothing to reflect.
    if (base::is_datagram(query.client.transport) && !query.cookie_valid) {
        query.answer->set_flags(wire::flag::TC);
        query.is_error = true;
        return Step::answered;
    }
    query.answer->set_rcode(Rcode::REFUSED);
    query.ede = Query::Ede{ExtendedError::prohibited, "over the rate limit of this network"};
    return Step::answered;
}

Step DesignationStage::handle(Query& query) noexcept
{
    if (!answers_.answer(query)) return Step::next;
    ++stats_.ddr_answers;
    return Step::answered;
}

IdentityStage::IdentityStage(const Options& options) : enabled_(options.identity_names)
{
    const std::string text = (options.nsid.empty() ? std::string{"sallyport"} : options.nsid).substr(0, 255);
    identity_.push_back(static_cast<std::uint8_t>(text.size()));
    identity_.insert(identity_.end(), text.begin(), text.end());
}

Step IdentityStage::handle(Query& query) noexcept
{
    if (query.qclass == wire::RrClass::IN) return Step::next;
    static const wire::Name kIdServer = *wire::Name::from_text("id.server.");
    static const wire::Name kVersionBind = *wire::Name::from_text("version.bind.");
    const bool ours =
        enabled_ && query.qclass == wire::RrClass::CH && (query.qname == kIdServer || query.qname == kVersionBind);
    if (!ours) {
        query.answer->set_rcode(Rcode::REFUSED);
        query.ede = Query::Ede{ExtendedError::not_supported, "only class IN is served"};
        return Step::answered;
    }
    query.answer->set_flags(wire::flag::AA);
    if (query.qtype == wire::RrType::TXT || query.qtype == wire::RrType::ANY) {
        if (!query.answer->record(wire::Section::answer, query.qname, wire::RrType::TXT, wire::RrClass::CH,
                                  wire::Ttl{0}, identity_))
            query.answer->set_flags(wire::flag::TC);
    }
    return Step::answered;
}

namespace {

/// Who asks for such a name may wonder why nobody knows it.
void tell_special(Query& query, std::string_view reason) noexcept
{
    query.why = reason;
    if (query.answer->count(wire::Section::answer) == 0) query.ede = Query::Ede{ExtendedError::other, reason};
}

} // namespace

Step ZonesStage::handle(Query& query) noexcept
{
    if (!snapshot_) return Step::next;
    const zones::Question question{&query.qname, query.qtype, query.dnssec_ok,
                                   base::is_datagram(query.client.transport)};
    const auto result = zones::answer(*snapshot_, question, limits_, *query.answer, stats_);
    switch (result.outcome) {
    case zones::Outcome::not_ours: query.why = "in no local zone"; return Step::next;
    case zones::Outcome::answered:
        query.why = "local data";
        if (result.special_rfc != 0) tell_special(query, zones::special_reason(result.special_rfc));
        break;
    case zones::Outcome::truncated: query.why = "local data, more than fits"; break;
    case zones::Outcome::unfinished:
        query.source = Source::zone;
        query.why = "an alias that leads out of local data";
        // What is known is the answer of an authoritative server (RFC 1034 §4.3.2 step 3a), and without a resolver
        // behind us it is all there is.
        if (!followed_) return Step::answered;
        query.chained = true;
        query.rest = result.rest;
        return Step::next;
    }
    query.source = Source::zone;
    return Step::answered;
}

void ZonesStage::set(std::shared_ptr<const zones::Snapshot> snapshot, const zones::Limits& limits) noexcept
{
    snapshot_ = std::move(snapshot);
    limits_ = limits;
}

} // namespace sallyport::pipeline
