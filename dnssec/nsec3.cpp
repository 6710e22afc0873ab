#include "dnssec/denial_parts.hpp"

#include <algorithm>
#include <cstring>

namespace sallyport::dnssec {

namespace {

constexpr std::uint8_t kSha1Hash = 1;
constexpr std::uint8_t kKnownFlags = 1; // RFC 5155 §3.1.2

[[nodiscard]] int compare(const Nsec3Hash& left, const Nsec3Hash& right) noexcept
{
    return std::memcmp(left.data(), right.data(), left.size());
}

/// RFC 5155 §8.1, §8.2: unknown hashes and flags are as if they were not there.
[[nodiscard]] bool is_usable(const Nsec3View& nsec3) noexcept
{
    return nsec3.hash_algorithm == kSha1Hash && nsec3.flags <= kKnownFlags &&
           nsec3.next_hash.size() == std::tuple_size_v<Nsec3Hash>;
}

[[nodiscard]] Denial with_opt_out(Denial denial) noexcept
{
    // The span may hold unsigned delegations, so nothing below is certain (RFC 5155 §9.2).
    denial.opt_out = true;
    denial.verdict.state = wire::ValidationState::insecure;
    denial.verdict.reason = "within an opt-out span";
    return denial;
}

} // namespace

bool nsec3_covers(const Nsec3Hash& owner_hash, const Nsec3Hash& next_hash, const Nsec3Hash& hash) noexcept
{
    if (compare(owner_hash, next_hash) < 0) return compare(owner_hash, hash) < 0 && compare(hash, next_hash) < 0;
    // The last of the chain, or the only one.
    return compare(owner_hash, hash) < 0 || compare(hash, next_hash) < 0;
}

Nsec3Proof::Nsec3Proof(const DenialQuestion& question, std::span<const DenialRecord> records, Nsec3Memo& memo,
                       Budget& budget)
    : question_(question), memo_(memo), budget_(budget)
{
    for (const DenialRecord& record : records) {
        if (record.type != wire::RrType::NSEC3 || record.owner->is_root()) continue;
        if (!(record.owner->parent() == *question.zone)) continue;
        const auto nsec3 = read_nsec3(record.rdata);
        const auto owner_hash = nsec3_owner_hash(*record.owner);
        if (!nsec3 || !owner_hash || !is_usable(*nsec3)) continue;
        const Nsec3Parameters parameters{nsec3->hash_algorithm, nsec3->iterations, nsec3->salt};
        if (records_.empty()) parameters_ = parameters;
        mixed_ = mixed_ || !parameters_.same(parameters);
        Record& added = records_.emplace_back(Record{*owner_hash, {}, nsec3->is_opt_out(), nsec3->types});
        std::copy(nsec3->next_hash.begin(), nsec3->next_hash.end(), added.next_hash.begin());
    }
}

const Nsec3Hash* Nsec3Proof::hash(const wire::Name& name)
{
    return why_ == Budget::Grant::granted ? memo_.hash(parameters_, name, budget_, why_) : nullptr;
}

const Nsec3Proof::Record* Nsec3Proof::at(const wire::Name& name)
{
    const Nsec3Hash* hashed = hash(name);
    if (hashed == nullptr) return nullptr;
    const auto found = std::find_if(records_.begin(), records_.end(),
                                    [&](const Record& record) { return record.owner_hash == *hashed; });
    return found == records_.end() ? nullptr : &*found;
}

const Nsec3Proof::Record* Nsec3Proof::covering(const wire::Name& name)
{
    const Nsec3Hash* hashed = hash(name);
    if (hashed == nullptr) return nullptr;
    const auto found = std::find_if(records_.begin(), records_.end(), [&](const Record& record) {
        return nsec3_covers(record.owner_hash, record.next_hash, *hashed);
    });
    return found == records_.end() ? nullptr : &*found;
}

Denial Nsec3Proof::prove()
{
    const Limits& limits = budget_.limits();
    if (mixed_) return not_proven("NSEC3 records of different parameters");
    if (parameters_.iterations > limits.nsec3_iterations || parameters_.salt.size() > limits.nsec3_salt) {
        if (budget_.stats() != nullptr) ++budget_.stats()->unhashed;
        Denial denial;
        denial.finding = Finding::unhashed;
        denial.verdict = insecure_verdict(wire::ExtendedError::unsupported_nsec3_iterations,
                                          "NSEC3 with too many iterations or too long a salt");
        return denial;
    }
    if (question_.claim == Claim::wildcard_answer) return prove_expansion();
    if (const Record* match = at(*question_.qname)) return judge_types(question_, match->types);
    return prove_absent();
}

/// RFC 5155 §8.8: the wildcard itself names the closest encloser.
Denial Nsec3Proof::prove_expansion()
{
    const wire::Name& qname = *question_.qname;
    const unsigned labels = qname.label_count();
    if (question_.wildcard_labels >= labels) return not_proven("no name that a wildcard could stand for");
    const wire::Name closest_encloser = qname.parent(labels - question_.wildcard_labels);
    const wire::Name next_closer = next_closer_name(qname, closest_encloser);
    const Record* cover = covering(next_closer);
    if (cover == nullptr) return not_proven("no NSEC3 for the next closer name");
    Denial denial = proven(question_, Finding::wildcard_expansion);
    if (cover->opt_out) denial = with_opt_out(denial);
    denial.closest_encloser = closest_encloser;
    denial.next_closer = next_closer;
    return denial;
}

/// RFC 5155 §8.3: the closest encloser is there, the next closer name is not.
Denial Nsec3Proof::prove_absent()
{
    const wire::Name& qname = *question_.qname;
    const unsigned above = qname.label_count() - question_.zone->label_count();
    for (unsigned labels = 1; labels <= above && why_ == Budget::Grant::granted; ++labels) {
        const wire::Name candidate = qname.parent(labels);
        const Record* match = at(candidate);
        if (match == nullptr) continue;
        if (hides_what_is_below(match->types)) return not_proven("the closest encloser is a delegation or DNAME");
        const wire::Name next_closer = next_closer_name(qname, candidate);
        const Record* cover = covering(next_closer);
        if (cover == nullptr) return not_proven("no NSEC3 for the next closer name");
        Denial denial = judge_wildcard(candidate, cover->opt_out);
        denial.closest_encloser = candidate;
        denial.next_closer = next_closer;
        denial.wildcard = wildcard_of(candidate);
        return denial;
    }
    return not_proven("no NSEC3 for the closest encloser");
}

Denial Nsec3Proof::judge_wildcard(const wire::Name& closest_encloser, bool opt_out)
{
    const auto given = [&](Finding finding) {
        const Denial denial = proven(question_, finding);
        return opt_out ? with_opt_out(denial) : denial;
    };
    const wire::Name wildcard = wildcard_of(closest_encloser);
    const bool denies_type = question_.claim != Claim::name_error;
    if (opt_out && question_.claim == Claim::no_ds) return given(Finding::opt_out); // RFC 5155 §8.6, §8.9
    if (const Record* match = denies_type ? at(wildcard) : nullptr) {
        if (!types_deny(match->types, question_.qtype, false)) return not_proven("the wildcard has the type");
        return given(Finding::wildcard_no_data);
    }
    const bool denies_name = question_.claim != Claim::no_data;
    if (denies_name && covering(wildcard) != nullptr) return given(Finding::name_error);
    // Unsigned data from below such a delegation may have been put together with the proof of its parent.
    if (opt_out && denies_type) return given(Finding::opt_out);
    return not_proven("no NSEC3 for the wildcard");
}

} // namespace sallyport::dnssec
