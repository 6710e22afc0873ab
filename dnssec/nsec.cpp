#include "dnssec/denial_parts.hpp"

#include <algorithm>

namespace sallyport::dnssec {

namespace {

/// Labels that both names end with.
[[nodiscard]] unsigned common_labels(const wire::Name& left, const wire::Name& right) noexcept
{
    const unsigned most = std::min(left.label_count(), right.label_count());
    for (unsigned labels = most; labels > 0; --labels) {
        if (left.parent(left.label_count() - labels) == right.parent(right.label_count() - labels)) return labels;
    }
    return 0;
}

} // namespace

bool is_delegation(base::Bytes types) noexcept
{
    return has_type(types, wire::RrType::NS) && !has_type(types, wire::RrType::SOA);
}

bool hides_what_is_below(base::Bytes types) noexcept
{
    return is_delegation(types) || has_type(types, wire::RrType::DNAME);
}

namespace {

/// No type but those that every name of a signed zone has: nothing for QTYPE ANY.
[[nodiscard]] bool holds_no_data(base::Bytes types) noexcept
{
    constexpr std::uint8_t kRrsigAndNsec = 0x03; // types 46 and 47 in octet 5 of the first window
    while (types.size() >= 2) {
        const std::size_t size = types[1];
        if (types.size() - 2 < size) return false;
        for (std::size_t i = 0; i < size; ++i) {
            const unsigned usual = types[0] == 0 && i == 5 ? kRrsigAndNsec : 0U;
            if ((types[2 + i] & ~usual) != 0) return false;
        }
        types = types.subspan(2 + size);
    }
    return true;
}

} // namespace

bool types_deny(base::Bytes types, wire::RrType qtype, bool at_root) noexcept
{
    if (qtype == wire::RrType::ANY) return holds_no_data(types);
    if (has_type(types, qtype) || has_type(types, wire::RrType::CNAME)) return false;
    if (qtype == wire::RrType::DS) return at_root || !has_type(types, wire::RrType::SOA);
    return !is_delegation(types);
}

bool nsec_covers(const wire::Name& owner, const NsecView& nsec, const wire::Name& zone, const wire::Name& name) noexcept
{
    if (!owner.is_under(zone) || !nsec.next.is_under(zone) || !name.is_under(zone)) return false;
    const bool is_last = owner >= nsec.next; // the chain ends where it began, at the apex
    if (is_last && !(nsec.next == zone)) return false;
    if (!(owner < name) || (!is_last && !(name < nsec.next))) return false;
    return !name.is_under(owner) || !hides_what_is_below(nsec.types);
}

bool shows_empty_non_terminal(const NsecView& nsec, const wire::Name& name) noexcept
{
    return nsec.next.is_under(name);
}

wire::Name nsec_closest_encloser(const wire::Name& owner, const NsecView& nsec, const wire::Name& name) noexcept
{
    const unsigned labels = std::max(common_labels(owner, name), common_labels(nsec.next, name));
    return name.parent(name.label_count() - labels);
}

wire::Name next_closer_name(const wire::Name& name, const wire::Name& closest_encloser) noexcept
{
    return name.parent(name.label_count() - closest_encloser.label_count() - 1);
}

wire::Name wildcard_of(const wire::Name& closest_encloser) noexcept
{
    const auto wildcard = closest_encloser.prepend(base::as_bytes("*"));
    return wildcard ? *wildcard : closest_encloser; // an ancestor is at least two octets shorter than a name
}

Denial proven(const DenialQuestion& question, Finding finding) noexcept
{
    Denial denial;
    denial.finding = finding;
    denial.verdict.state = wire::ValidationState::secure;
    if (question.claim != Claim::no_ds) return denial;
    // Whatever shows that nothing of the type is there and the name is no delegation shows that the zone goes on.
    if (finding == Finding::no_data || finding == Finding::empty_non_terminal || finding == Finding::wildcard_no_data) {
        denial.finding = Finding::no_delegation;
    }
    return denial;
}

Denial not_proven(std::string_view reason) noexcept
{
    Denial denial;
    denial.verdict = bogus_verdict(wire::ExtendedError::nsec_missing, reason);
    return denial;
}

Denial judge_types(const DenialQuestion& question, base::Bytes types) noexcept
{
    if (question.claim == Claim::name_error) return not_proven("the name exists");
    if (question.claim == Claim::wildcard_answer) return not_proven("the name itself exists, not its wildcard");
    if (!types_deny(types, question.qtype, question.qname->is_root())) {
        return not_proven("the type exists, or its denial is from the other side of a zone cut");
    }
    if (question.claim == Claim::no_ds && is_delegation(types)) return proven(question, Finding::unsigned_delegation);
    return proven(question, types.empty() ? Finding::empty_non_terminal : Finding::no_data);
}

NsecProof::NsecProof(const DenialQuestion& question, std::span<const DenialRecord> records) : question_(question)
{
    for (const DenialRecord& record : records) {
        if (record.type != wire::RrType::NSEC || !record.owner->is_under(*question.zone)) continue;
        auto nsec = read_nsec(record.rdata);
        // An NSEC speaks of its own zone only (RFC 4034 §4.1.1).
        if (nsec && nsec->next.is_under(*question.zone)) records_.push_back(Record{record.owner, *nsec});
    }
}

const NsecProof::Record* NsecProof::at(const wire::Name& name) const noexcept
{
    const auto found =
        std::find_if(records_.begin(), records_.end(), [&](const Record& record) { return *record.owner == name; });
    return found == records_.end() ? nullptr : &*found;
}

const NsecProof::Record* NsecProof::covering(const wire::Name& name) const noexcept
{
    const auto found = std::find_if(records_.begin(), records_.end(), [&](const Record& record) {
        return nsec_covers(*record.owner, record.nsec, *question_.zone, name);
    });
    return found == records_.end() ? nullptr : &*found;
}

Denial NsecProof::prove() const
{
    const wire::Name& qname = *question_.qname;
    if (const Record* match = at(qname)) return judge_types(question_, match->nsec.types);
    const Record* cover = covering(qname);
    if (cover == nullptr) return not_proven("no NSEC for the name");
    if (shows_empty_non_terminal(cover->nsec, qname)) return judge_types(question_, {});
    return prove_absent(nsec_closest_encloser(*cover->owner, cover->nsec, qname));
}

/// The name is not there: what about the wildcard that would stand for it?
Denial NsecProof::prove_absent(const wire::Name& closest_encloser) const
{
    Denial denial = judge_wildcard(closest_encloser);
    denial.closest_encloser = closest_encloser;
    denial.next_closer = next_closer_name(*question_.qname, closest_encloser);
    denial.wildcard = wildcard_of(closest_encloser);
    return denial;
}

Denial NsecProof::judge_wildcard(const wire::Name& closest_encloser) const
{
    if (question_.claim == Claim::wildcard_answer) {
        if (closest_encloser.label_count() != question_.wildcard_labels) {
            return not_proven("the wildcard is not that of the closest encloser");
        }
        return proven(question_, Finding::wildcard_expansion);
    }
    const wire::Name wildcard = wildcard_of(closest_encloser);
    const Record* match = at(wildcard);
    const Record* cover = match == nullptr ? covering(wildcard) : nullptr;
    if (match == nullptr && cover == nullptr) return not_proven("no NSEC for the wildcard");
    if (match == nullptr && !shows_empty_non_terminal(cover->nsec, wildcard)) {
        if (question_.claim == Claim::no_data) return not_proven("the name does not exist");
        return proven(question_, Finding::name_error);
    }
    if (question_.claim == Claim::name_error) return not_proven("a wildcard stands for the name");
    if (match != nullptr && !types_deny(match->nsec.types, question_.qtype, false)) {
        return not_proven("the wildcard has the type");
    }
    return proven(question_, Finding::wildcard_no_data);
}

} // namespace sallyport::dnssec
