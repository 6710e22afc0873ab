#include "dnssec/verify.hpp"

#include "dnssec/known_signatures.hpp"

#include <algorithm>

namespace sallyport::dnssec {

namespace {

using enum wire::ExtendedError;

/// The owner that was signed: with fewer labels in the signature, the wildcard it was expanded from (RFC 4035 §5.3.2).
[[nodiscard]] wire::Name signed_owner(const wire::Name& owner, unsigned labels) noexcept
{
    const unsigned own = signed_labels(owner);
    if (labels >= own) return owner;
    const wire::Name ancestor = owner.parent(owner.label_count() - labels);
    const auto wildcard = ancestor.prepend(base::as_bytes("*"));
    return wildcard ? *wildcard : owner; // an ancestor is at least two octets shorter
}

/// Types that speak of the place they stand at: no wildcard makes them.
[[nodiscard]] bool never_expanded(wire::RrType type) noexcept
{
    using enum wire::RrType;
    return type == NSEC || type == NSEC3 || type == DNSKEY || type == DS || type == SOA || type == DNAME;
}

/// An NSEC may not speak of names beyond its zone (RFC 4034 §4.1.1).
[[nodiscard]] bool reaches_beyond(const RrsetView& rrset, const wire::Name& zone) noexcept
{
    if (rrset.type != wire::RrType::NSEC) return false;
    return std::any_of(rrset.rdatas.begin(), rrset.rdatas.end(), [&zone](base::Bytes rdata) {
        const auto nsec = read_nsec(rdata);
        return nsec && !nsec->next.is_under(zone);
    });
}

/// Serial number arithmetic (RFC 1982): how far `later` lies behind `earlier`, below zero where before it.
[[nodiscard]] std::int64_t serial_distance(std::uint32_t earlier, std::uint32_t later) noexcept
{
    return static_cast<std::int32_t>(later - earlier);
}

} // namespace

RrsetVerifier::RrsetVerifier(const RrsetView& rrset, ZoneKeys& keys, const Policy& policy, std::int64_t now) noexcept
    : rrset_(rrset), keys_(&keys), policy_(&policy), now_(now)
{
}

void RrsetVerifier::note(Reached reached, wire::ExtendedError ede, std::string_view reason,
                         const RrsigView* signature) noexcept
{
    if (reached < reached_) return;
    reached_ = reached;
    verdict_ = bogus_verdict(ede, reason);
    if (signature == nullptr) return;
    verdict_.key_tag = signature->key_tag;
    verdict_.algorithm = signature->algorithm;
}

bool RrsetVerifier::begin()
{
    begun_ = true;
    note(Reached::nothing, rrsigs_missing, "no signature", nullptr);
    if (!rrset_.owner->is_under(keys_->zone())) {
        note(Reached::form, dnssec_bogus, "not a name of the zone", nullptr);
        return false;
    }
    if (!canonical_.set(rrset_.type, rrset_.rdatas)) {
        note(Reached::form, dnssec_bogus, "malformed record", nullptr);
        return false;
    }
    if (reaches_beyond(rrset_, keys_->zone())) {
        note(Reached::form, dnssec_bogus, "NSEC that reaches beyond its zone", nullptr);
        return false;
    }
    return true;
}

bool RrsetVerifier::is_well_formed(const RrsigView& signature)
{
    const auto refuse = [&](wire::ExtendedError ede, std::string_view reason) {
        note(Reached::form, ede, reason, &signature);
        return false;
    };
    const wire::Name& owner = *rrset_.owner;
    if (!(signature.signer == keys_->zone())) return refuse(dnssec_bogus, "signed by another zone");
    if (rrset_.type == wire::RrType::DNSKEY && !(owner == signature.signer)) {
        return refuse(dnssec_bogus, "keys not at the top of their zone");
    }
    // A DS belongs to the parent (RFC 4035 §2.4), and the root has none.
    if (rrset_.type == wire::RrType::DS && owner == signature.signer)
        return refuse(dnssec_bogus, "DS signed by its own zone");
    if (!policy_->algorithms.signatures.test(signature.algorithm)) {
        return refuse(unsupported_dnskey_algorithm, "only signatures of unsupported algorithms");
    }
    const unsigned labels = signed_labels(owner);
    if (signature.labels > labels || signature.labels < signature.signer.label_count()) {
        return refuse(dnssec_bogus, "label count of the signature does not fit");
    }
    if (signature.labels < labels && never_expanded(rrset_.type)) {
        return refuse(dnssec_bogus, "record of this type expanded from a wildcard");
    }
    return true;
}

bool RrsetVerifier::is_in_time(const RrsigView& signature)
{
    if (!policy_->check_dates) return true;
    const auto refuse = [&](wire::ExtendedError ede, std::string_view reason) {
        note(Reached::date, ede, reason, &signature);
        return false;
    };
    const auto now = static_cast<std::uint32_t>(now_); // RFC 4034 §3.1.5
    if (serial_distance(signature.inception, signature.expiration) < 0) {
        return refuse(signature_expired_before_valid, "signature expires before it is valid");
    }
    if (serial_distance(signature.expiration, now) > policy_->expired_by.count()) {
        return refuse(signature_expired, "signature expired");
    }
    if (serial_distance(now, signature.inception) > policy_->early_by.count()) {
        return refuse(signature_not_yet_valid, "signature not yet valid");
    }
    return true;
}

void RrsetVerifier::accept(const RrsigView& signature) noexcept
{
    verdict_ = {};
    verdict_.state = wire::ValidationState::secure;
    verdict_.key_tag = signature.key_tag;
    verdict_.algorithm = signature.algorithm;
    verdict_.wildcard = signature.labels < signed_labels(*rrset_.owner);
    verdict_.wildcard_labels = signature.labels;
    const std::int64_t left = serial_distance(static_cast<std::uint32_t>(now_), signature.expiration);
    verdict_.valid_until = now_ + left;
    // RFC 4035 §5.3.3; within the allowance for clocks the rest of that is what is left.
    std::int64_t most = std::min(rrset_.ttl.seconds(), wire::Ttl::from_wire(signature.original_ttl).seconds());
    if (policy_->check_dates) {
        most = std::min(most, std::max<std::int64_t>(left > 0 ? left : left + policy_->expired_by.count(), 0));
    }
    verdict_.ttl = wire::Ttl{static_cast<std::uint32_t>(most)};
}

RrsetVerifier::Tried RrsetVerifier::try_keys(const RrsigView& signature, Budget& budget)
{
    if (keys_->find(signature.key_tag, signature.algorithm, 0) < 0) {
        if (keys_->lacks_zone_bit(signature.key_tag, signature.algorithm)) {
            note(Reached::key, no_zone_key_bit_set, "key without the zone bit", &signature);
        } else {
            note(Reached::key, dnskey_missing, "no key for the signature", &signature);
        }
        return Tried::bad;
    }
    const bool first = next_key_ == 0;
    if (first && signatures_tried_ >= budget.limits().signatures_per_set) return Tried::spent;
    for (; next_key_ < budget.limits().keys_per_tag; ++next_key_) {
        const int key = keys_->find(signature.key_tag, signature.algorithm, next_key_);
        if (key < 0) break;
        if (next_key_ == 0) {
            canonical_.write_signed_data(signature, signed_owner(*rrset_.owner, signature.labels), rrset_.type,
                                         rrset_.rr_class, signed_data_);
        }
        KnownSignatures* const known = budget.known_signatures();
        const auto mark =
            known ? known->mark(keys_->rdata(key), signed_data_, signature.signature) : KnownSignatures::Mark{};
        if (known != nullptr && known->contains(mark)) {
            if (budget.stats() != nullptr) ++budget.stats()->signatures_known;
            return Tried::good;
        }
        const auto grant = budget.take_check();
        if (grant == Budget::Grant::spent) return Tried::spent;
        if (grant == Budget::Grant::turn_over) return Tried::again;
        if (next_key_ == 0) ++signatures_tried_;
        if (keys_->verify(key, signed_data_, signature.signature)) {
            if (known != nullptr) known->add(mark);
            return Tried::good;
        }
        if (budget.stats() != nullptr) ++budget.stats()->signatures_failed;
    }
    note(Reached::mathematics, dnssec_bogus, "signature does not verify", &signature);
    return Tried::bad;
}

RrsetVerifier::Tried RrsetVerifier::try_signature(base::Bytes rdata, Budget& budget)
{
    const auto type = type_covered(rdata);
    if (!type || *type != rrset_.type) return Tried::bad;
    const auto signature = read_rrsig(rdata);
    if (!signature) {
        note(Reached::form, dnssec_bogus, "malformed signature", nullptr);
        return Tried::bad;
    }
    if (!is_well_formed(*signature) || !is_in_time(*signature)) return Tried::bad;
    const Tried tried = try_keys(*signature, budget);
    if (tried == Tried::good) accept(*signature);
    return tried;
}

Step RrsetVerifier::run(Budget& budget)
{
    if (!begun_ && !begin()) return Step::done;
    for (; next_signature_ < rrset_.signatures.size(); ++next_signature_) {
        switch (try_signature(rrset_.signatures[next_signature_], budget)) {
        case Tried::good: return Step::done;
        case Tried::again: return Step::again;
        case Tried::spent:
            budget.spend();
            verdict_ = bogus_verdict(dnssec_bogus, "validation takes too much work");
            return Step::spent;
        case Tried::bad: break;
        }
        next_key_ = 0;
    }
    return Step::done;
}

Step RrsetVerifier::step(Budget& budget) noexcept
{
    if (finished_) return last_;
    const Budget::Timing timing{budget};
    last_ = run(budget);
    finished_ = last_ != Step::again;
    return last_;
}

bool is_dname_synthesis(const wire::Name& owner, const wire::Name& cname_target, const wire::Name& dname_owner,
                        const wire::Name& dname_target) noexcept
{
    if (owner == dname_owner || !owner.is_under(dname_owner)) return false;
    const auto target = owner.substitute(dname_owner, dname_target);
    return target && *target == cname_target;
}

} // namespace sallyport::dnssec
