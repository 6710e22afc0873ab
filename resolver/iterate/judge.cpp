#include "resolver/iterate/judge.hpp"

#include "resolver/iterate/response.hpp"
#include "resolver/iterate/trust.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {

using cache::Rrset;
using cache::RrsetKind;
using dnssec::Step;
using dnssec::Verdict;
using wire::ExtendedError;
using wire::Name;
using wire::RrType;
using wire::ValidationState;

namespace {

std::vector<base::Bytes> views(const cache::RdataList& list)
{
    std::vector<base::Bytes> all;
    all.reserve(list.size());
    for (const base::Bytes rdata : list) all.push_back(rdata);
    return all;
}

std::int64_t date_of(const Engine::Parts& parts)
{
    return std::chrono::duration_cast<std::chrono::seconds>(parts.clock.wall().time_since_epoch()).count();
}

bool is_denial(const Rrset& set) noexcept { return set.type == RrType::NSEC || set.type == RrType::NSEC3; }

} // namespace

std::optional<Name> signer_of(const Rrset& set)
{
    std::optional<Name> closest;
    for (const base::Bytes rdata : set.signatures) {
        const auto signature = dnssec::read_rrsig(rdata);
        if (!signature || !set.owner.is_under(signature->signer)) continue;
        if (!closest || signature->signer.label_count() > closest->label_count()) closest = signature->signer;
    }
    return closest;
}

Rrset with_state(const Rrset& set, ValidationState state)
{
    Rrset copy = set;
    copy.state = state;
    return copy;
}

void cut(Rrset& set, wire::Ttl ttl, base::Instant now)
{
    if (!(ttl < set.ttl)) return;
    set.ttl = ttl;
    set.expires = std::min(set.expires, now + std::chrono::seconds(ttl.seconds()));
}

// --- one set

SetCheck::SetCheck(Engine::Parts& parts, RrsetPtr set, std::shared_ptr<dnssec::ZoneKeys> keys)
    : set_(std::move(set)), keys_(std::move(keys)), rdatas_(views(set_->records)), signatures_(views(set_->signatures))
{
    verifier_.emplace(dnssec::RrsetView{&set_->owner, set_->type, set_->rr_class, set_->ttl, rdatas_, signatures_},
                      *keys_, parts.options.policy, date_of(parts));
}

Step SetCheck::step(dnssec::Budget& budget)
{
    if (set_->state == ValidationState::secure && !is_from_wildcard(*set_)) {
        verdict_.state = ValidationState::secure;
        verdict_.ttl = set_->ttl;
        return Step::done;
    }
    const Step step = verifier_->step(budget);
    if (step == Step::done) verdict_ = verifier_->verdict();
    return step;
}

// --- a proof

DenialCheck::DenialCheck(Engine::Parts& parts, std::vector<RrsetPtr> sets, std::shared_ptr<dnssec::ZoneKeys> keys,
                         const Name& qname, RrType qtype, dnssec::Claim claim, std::uint8_t wildcard_labels)
    : parts_(parts),
      begun_(parts.anchors_set),
      sets_(std::move(sets)),
      keys_(std::move(keys)),
      qname_(qname),
      qtype_(qtype),
      claim_(claim),
      wildcard_labels_(wildcard_labels)
{
}

void DenialCheck::note(const SetCheck& check)
{
    const Verdict& verdict = check.verdict();
    RrsetPtr& set = sets_[next_];
    if (!verdict.is_secure()) {
        // An NSEC that is not secure proves nothing; an SOA that is not must not be handed out as if it were.
        if (!trouble_ || set->type == RrType::SOA) trouble_ = verdict;
        return;
    }
    auto copy = std::make_shared<Rrset>(with_state(*set, ValidationState::secure));
    // Neither here nor as a proof for other questions is it good for longer than its signature (RFC 4035 §5.3.3).
    cut(*copy, verdict.ttl, parts_.now());
    if (verdict.ttl < set->ttl) good_until_ = std::min(good_until_, copy->expires);
    set = copy;
    if (set->type == RrType::SOA) keep_soa(*copy);
    if (!is_denial(*set) || verdict.wildcard) return;
    for (const base::Bytes rdata : set->records) records_.push_back({&copy->owner, copy->type, rdata});
    held_.push_back(set);
}

/// For proofs; not as an answer, for its TTL is that of a denial.
void DenialCheck::keep_soa(const Rrset& set)
{
    const auto by = parts_.judging(begun_);
    if (!by) return;
    const base::Instant now = parts_.now();
    const RrsetPtr kept = parts_.store.find(set.owner, RrType::SOA, set.rr_class, now);
    const bool better = kept && kept->state == ValidationState::secure && kept->expires >= set.expires;
    Rrset soa = set;
    soa.rank = cache::Rank::referral;
    soa.ttl = set.ttl_left(now); // it has been here for a while, maybe
    if (!better && soa.ttl.seconds() > 0) parts_.store.put(std::move(soa), now, by);
}

/// What may be proven of other names, too (RFC 8198), and for how long (RFC 9077 §3.4).
void DenialCheck::keep_proofs()
{
    base::Instant until = base::Instant::max();
    for (const RrsetPtr& set : sets_) {
        if (set->type == RrType::SOA) until = std::min(until, set->expires);
    }
    for (const RrsetPtr& set : held_) parts_.denials.add(set, keys_->zone(), until);
}

Step DenialCheck::step(dnssec::Budget& budget)
{
    for (; next_ < sets_.size(); ++next_) {
        const Rrset& set = *sets_[next_];
        if (!is_denial(set) && set.type != RrType::SOA) continue;
        if (!check_) check_.emplace(parts_, sets_[next_], keys_);
        if (const Step step = check_->step(budget); step != Step::done) return step;
        note(*check_);
        check_.reset();
    }
    if (!prover_) {
        prover_.emplace(dnssec::DenialQuestion{&qname_, qtype_, &keys_->zone(), claim_, wildcard_labels_}, records_);
    }
    if (const Step step = prover_->step(budget); step != Step::done) return step;
    verdict_ = prover_->result().verdict;
    finding_ = prover_->result().finding;
    if (!verdict_.is_bogus() && parts_.judging(begun_)) keep_proofs();
    const bool bad_soa = std::any_of(sets_.begin(), sets_.end(), [](const RrsetPtr& set) {
        return set->type == RrType::SOA && set->state != ValidationState::secure;
    });
    if (trouble_ && trouble_->is_bogus() && (verdict_.is_bogus() || bad_soa)) verdict_ = *trouble_;
    return Step::done;
}

// --- what is to be judged by which keys

Judge::Judge(Engine::Parts& parts, RrsetPtr set)
    : parts_(parts), begun_(parts.anchors_set), set_(std::move(set)), judged_(set_)
{
    const bool synthesised = set_->type == RrType::CNAME && set_->is_data() && set_->signatures.empty() &&
                             !set_->authority.empty() && set_->authority.front()->type == RrType::DNAME;
    if (synthesised) judged_ = set_->authority.front();
}

bool Judge::waits_for(const Job& other, unsigned depth) const
{
    return trust_ && (trust_.get() == &other || trust_->waits_for(other, depth - 1));
}

Progress Judge::step(const std::shared_ptr<Job>& waiter, const BudgetPtr& budget, unsigned depth)
{
    for (;;) {
        switch (phase_) {
        case Phase::begin:
            if (const Progress progress = begin(waiter, budget, depth); progress != Progress::done) return progress;
            break;
        case Phase::trust:
        case Phase::unsigned_trust:
            if (!trust_->is_done()) return Progress::waiting;
            if (phase_ == Phase::trust) {
                if (!ends_above_an_anchor()) {
                    use_trust();
                    break;
                }
                checked_zone_ = true;
                if (const Progress p = ask_trust(trusted_name(), Phase::unsigned_trust, waiter, budget, depth);
                    p != Progress::done) {
                    return p;
                }
            } else if (trust_->result()->state != ValidationState::secure) {
                conclude(trust_->result()->state, trust_->result()->ede, trust_->result()->text);
            } else if (!checked_zone_) {
                // The zone that was asked is signed; between it and the name may be a cut to one that is not.
                checked_zone_ = true;
                if (const Progress p = ask_trust(trusted_name(), Phase::unsigned_trust, waiter, budget, depth);
                    p != Progress::done) {
                    return p;
                }
            } else {
                missing_signature(trust_->result()->zone);
            }
            break;
        case Phase::set: {
            const Step step = check_->step(budget->validation);
            if (step == Step::again) return Progress::turn;
            spent_ = step == Step::spent;
            const Verdict verdict = check_->verdict();
            if (spent_) {
                conclude(dnssec::bogus_verdict(ExtendedError::dnssec_bogus, "too much work to validate"));
            } else if (verdict.is_secure() && verdict.wildcard) {
                verdict_ = verdict;
                begin_proof(keys_, dnssec::Claim::wildcard_answer, verdict.wildcard_labels);
            } else {
                conclude(verdict);
            }
            break;
        }
        case Phase::proof: {
            const Step step = proof_->step(budget->validation);
            if (step == Step::again) return Progress::turn;
            spent_ = step == Step::spent;
            Verdict verdict = proof_->verdict();
            if (spent_) verdict = dnssec::bogus_verdict(ExtendedError::dnssec_bogus, "too much work to validate");
            // There are NSEC records; they prove something else.
            const bool some = std::any_of(judged_->authority.begin(), judged_->authority.end(),
                                          [](const RrsetPtr& set) { return is_denial(*set); });
            if (verdict.is_bogus() && verdict.ede == ExtendedError::nsec_missing && some) {
                verdict.ede = ExtendedError::dnssec_bogus;
            }
            conclude(verdict);
            break;
        }
        case Phase::done: return Progress::done;
        }
    }
}

Progress Judge::begin(const std::shared_ptr<Job>& waiter, const BudgetPtr& budget, unsigned depth)
{
    if (!parts_.is_anchored(trusted_name())) {
        // Whoever signed it, and however well: an anchor further up says nothing here (RFC 7646 §2).
        conclude(ValidationState::insecure, std::nullopt, {});
        return Progress::done;
    }
    std::optional<Name> signer;
    if (judged_->is_data()) {
        signer = signer_of(*judged_);
    } else {
        for (const RrsetPtr& set : judged_->authority) {
            const auto found = signer_of(*set);
            if (!found || !judged_->owner.is_under(*found)) continue;
            if (!signer || found->label_count() > signer->label_count()) signer = found;
        }
    }
    const bool above = judged_->type == RrType::DS && !judged_->owner.is_root();
    signed_ = signer && judged_->owner.is_under(*signer) && !(above && judged_->is_data() && *signer == judged_->owner);
    if (signed_) {
        signer_ = *signer;
        return ask_trust(signer_, Phase::trust, waiter, budget, depth);
    }
    const Name zone = trusted_name();
    // An island of trust may begin below the zone that was asked: what is said of the zone says nothing of the island.
    const auto trust = parts_.anchors->find(zone, date_of(parts_));
    const bool island = trust.anchor != nullptr && !judged_->zone.is_under(trust.anchor->zone);
    checked_zone_ = island || !zone.is_under(judged_->zone);
    return ask_trust(checked_zone_ ? zone : judged_->zone, Phase::unsigned_trust, waiter, budget, depth);
}

Progress Judge::ask_trust(const Name& name, Phase phase, const std::shared_ptr<Job>& waiter, const BudgetPtr& budget,
                          unsigned depth)
{
    phase_ = phase;
    trust_ = parts_.trust(name, waiter, budget, depth + 1);
    if (!trust_) {
        conclude(ValidationState::bogus, ExtendedError::dnssec_bogus, name.to_text() + ": chain of trust is too deep");
        return Progress::done;
    }
    return trust_->is_done() ? Progress::done : Progress::waiting;
}

/// The name whose zone has to vouch for the set: a DS belongs to the parent.
Name Judge::trusted_name() const
{
    const bool above = judged_->type == RrType::DS && !judged_->owner.is_root();
    return above ? judged_->owner.parent() : judged_->owner;
}

/// Anybody can write the name of a signer: that nothing is trusted there says nothing of an anchor below it.
bool Judge::ends_above_an_anchor() const
{
    if (trust_->result()->state != ValidationState::insecure) return false;
    const auto trust = parts_.anchors->find(trusted_name(), date_of(parts_));
    return trust.anchor != nullptr && !signer_.is_under(trust.anchor->zone);
}

void Judge::use_trust()
{
    const ZoneTrust& trust = *trust_->result();
    if (trust.state != ValidationState::secure) {
        spent_ = trust_->is_spent();
        return conclude(trust.state, trust.ede, trust.text);
    }
    keys_ = trust.keys;
    if (!judged_->is_data()) {
        const bool name_error = judged_->kind == RrsetKind::nxdomain;
        return begin_proof(keys_, name_error ? dnssec::Claim::name_error : dnssec::Claim::no_data, 0);
    }
    check_ = std::make_unique<SetCheck>(parts_, judged_, keys_);
    phase_ = Phase::set;
}

void Judge::begin_proof(const std::shared_ptr<dnssec::ZoneKeys>& keys, dnssec::Claim claim, std::uint8_t labels)
{
    proof_ =
        std::make_unique<DenialCheck>(parts_, judged_->authority, keys, judged_->owner, judged_->type, claim, labels);
    phase_ = Phase::proof;
}

void Judge::missing_signature(const Name& zone)
{
    auto ede =
        judged_->is_data() || !judged_->authority.empty() ? ExtendedError::rrsigs_missing : ExtendedError::nsec_missing;
    const RrsetPtr alias = parts_.store.find(judged_->owner, RrType::CNAME, judged_->rr_class, parts_.now());
    // An alias stands there: what is said cannot be true, with a proof or without.
    if (!judged_->is_data() && alias && alias->is_data()) ede = ExtendedError::dnssec_bogus;
    conclude(ValidationState::bogus, ede,
             judged_->owner.to_text() + ' ' + wire::to_string(judged_->type) + " (zone " + zone.to_text() +
                 (judged_->is_data() ? "): no signatures" : "): no proof that it is not there"));
}

/// What was expanded is kept as the wildcard that it is made of, too (RFC 8198 §5.3); and as an answer not for longer
/// than the proof beside it, without which nobody could believe it.
void Judge::keep_wildcard(Rrset& expanded)
{
    const base::Instant now = parts_.now();
    const unsigned labels = expanded.owner.label_count();
    const bool usable = verdict_->wildcard_labels < labels && judged_ == set_ && !expanded.network;
    const auto by = parts_.judging(begun_);
    if (usable && parts_.options.aggressive_denial && by) {
        Rrset wildcard = expanded;
        const auto owner = expanded.owner.parent(labels - verdict_->wildcard_labels).prepend(base::as_bytes("*"));
        wildcard.authority.clear();
        wildcard.ttl = expanded.ttl_left(now);
        if (owner && wildcard.ttl.seconds() > 0) {
            wildcard.owner = *owner;
            parts_.store.put(std::move(wildcard), now, by);
        }
    }
    for (const RrsetPtr& set : expanded.authority) {
        if (is_denial(*set)) expanded.expires = std::min(expanded.expires, set->expires);
    }
}

/// RFC 7646 §2: when a negative anchor has ended, what is below is validated again.
void Judge::end_with_negative_anchor(Rrset& judged) const
{
    const auto date = date_of(parts_);
    const auto trust = parts_.anchors->find(trusted_name(), date);
    if (trust.status != dnssec::TrustAnchors::Status::insecure || trust.until == 0) return;
    judged.expires =
        std::min(judged.expires, parts_.now() + std::chrono::seconds(std::max<std::int64_t>(trust.until - date, 0)));
}

void Judge::conclude(const Verdict& verdict)
{
    const Name& zone = keys_ ? keys_->zone() : judged_->zone;
    std::string text =
        verdict.is_secure() ? std::string{} : dnssec::describe(verdict, zone, judged_->owner, judged_->type);
    if (verdict.is_secure() && !verdict_) verdict_ = verdict;
    conclude(verdict.state, verdict.ede, std::move(text));
}

void Judge::conclude(ValidationState state, std::optional<ExtendedError> ede, std::string text)
{
    phase_ = Phase::done;
    if (state == ValidationState::unchecked || state == ValidationState::indeterminate) {
        state = ValidationState::insecure;
    }
    Rrset judged = with_state(*set_, state);
    // What was left out of it says more than that the signature does not fit what is left.
    const bool explained = state == ValidationState::bogus && set_->ede.has_value();
    if (!explained && (ede || !text.empty())) {
        judged.ede = ede;
        judged.ede_text = std::move(text);
    }
    const base::Instant now = parts_.now();
    if (state == ValidationState::secure) {
        ++parts_.stats.validations_secure;
        if (proof_) {
            judged.authority = proof_->sets();
            // AD speaks for the authority section, too (RFC 4035 §3.2.3).
            std::erase_if(judged.authority,
                          [](const RrsetPtr& set) { return is_denial(*set) && set->state != ValidationState::secure; });
            judged.expires = std::min(judged.expires, proof_->good_until());
        }
        if (verdict_ && judged.is_data()) cut(judged, verdict_->ttl, now);
        if (verdict_ && verdict_->wildcard && judged.is_data()) keep_wildcard(judged);
        if (judged_ != set_) {
            Rrset dname = with_state(*judged_, state);
            if (verdict_) cut(dname, verdict_->ttl, now);
            judged.authority.front() = parts_.keep_judged(judged_, std::move(dname), begun_);
        }
    } else if (state == ValidationState::bogus) {
        ++parts_.stats.validations_bogus;
        judged.ttl = wire::Ttl{static_cast<std::uint32_t>(parts_.options.bogus_ttl.count())};
        judged.expires = now + parts_.options.bogus_ttl;
    } else {
        ++parts_.stats.validations_insecure;
        end_with_negative_anchor(judged);
    }
    if (spent_) {
        result_ = std::make_shared<const Rrset>(std::move(judged));
    } else {
        result_ = parts_.keep_judged(set_, std::move(judged), begun_);
    }
}

} // namespace sallyport::resolver::iterate
