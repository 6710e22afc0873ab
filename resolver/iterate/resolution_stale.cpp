#include "resolver/iterate/resolution.hpp"

#include <algorithm>

/// What is given out past its time (RFC 8767).
namespace sallyport::resolver::iterate {

using cache::Rrset;
using cache::RrsetKind;
using wire::ExtendedError;
using wire::Name;
using wire::Rcode;
using wire::RrType;
using wire::ValidationState;

namespace {

/// Whether it could be proven at this moment, too: what is past its time may have outlived its signatures.
bool is_still_signed(const Rrset& set, const dnssec::Policy& policy, std::int64_t date)
{
    if (!policy.check_dates) return true;
    const auto now = static_cast<std::uint32_t>(date - policy.expired_by.count());
    for (const base::Bytes rdata : set.signatures) {
        const auto signature = dnssec::read_rrsig(rdata);
        // RFC 4034 §3.1.5: serial number arithmetic.
        if (signature && static_cast<std::int32_t>(signature->expiration - now) >= 0) return true;
    }
    return false;
}

bool is_still_proven(const Rrset& set, const dnssec::Policy& policy, std::int64_t date)
{
    if (set.state != ValidationState::secure) return false;
    const bool proofs = std::all_of(set.authority.begin(), set.authority.end(),
                                    [&](const RrsetPtr& beside) { return is_still_signed(*beside, policy, date); });
    const bool made = set.signatures.empty() && !set.authority.empty(); // of a DNAME, or of proofs alone
    return proofs && (made || is_still_signed(set, policy, date));
}

} // namespace

/// RFC 8767: what is past its time, where nothing better is to be had.
bool Resolution::give_stale()
{
    if (!parts_.options.serve_stale) return false;
    Answer stale;
    stale.rcode = Rcode::NOERROR;
    stale.stale = true;
    stale.stale_ttl = wire::Ttl{parts_.options.stale_ttl};
    bool proven = true;
    const auto date = std::chrono::duration_cast<std::chrono::seconds>(parts_.clock.wall().time_since_epoch()).count();
    Name name = question_.qname;
    for (unsigned hop = 0; hop <= parts_.options.limits.aliases; ++hop) {
        const RrsetPtr set = parts_.find_known(question_of(name, false), cache::Rank::answer, true);
        if (!set || (set->state == ValidationState::bogus)) return false;
        if (needs_judge(*set)) return false;
        if (set->ttl.seconds() == 0) return false; // was never meant to be kept
        note_scope(*set, stale);
        proven = proven && is_still_proven(*set, parts_.options.policy, date);
        if (!set->is_data()) {
            if (set->kind == RrsetKind::nxdomain) stale.rcode = Rcode::NXDOMAIN;
            stale.authority = set->authority;
            break;
        }
        for (const RrsetPtr& each : set->authority) {
            if (each->type == RrType::DNAME) stale.answers.push_back(each);
        }
        stale.answers.push_back(set);
        if (set->type != RrType::CNAME || question_.qtype == RrType::CNAME) break;
        const auto target = alias_target(*set);
        if (!target) return false;
        name = *target;
    }
    stale.state = proven ? ValidationState::secure : ValidationState::insecure;
    if (parts_.options.stale_ede) {
        stale.ede = stale.rcode == Rcode::NXDOMAIN ? ExtendedError::stale_nxdomain_answer : ExtendedError::stale_answer;
    }
    ++parts_.stats.stale_answers;
    const Done tell = std::move(tell_);
    tell_ = nullptr;
    if (tell) tell(stale);
    return true;
}

/// Bogus data is no better than none: what was good before it stands in its place, and is given out while it may.
void Resolution::put_back_stale()
{
    if (!parts_.options.serve_stale || !before_ || before_->state == ValidationState::bogus ||
        before_->is_fresh(parts_.now()) || needs_judge(*before_) || known_only_) {
        return;
    }
    const auto by = parts_.judging(before_by_);
    if (!by) return; // proven by a key that may be trusted no more
    if (before_->network) return parts_.subnets.put_back(before_);
    const RrsetPtr now_there = parts_.store.find(before_->owner, before_->type, before_->rr_class, parts_.now());
    if (!now_there || now_there->state != ValidationState::bogus) return;
    parts_.store.put_back(now_there, before_, by);
    parts_.remember_failure(key_of(current_), now_there->ede, now_there->ede_text, parts_.options.failure_ttl);
}

} // namespace sallyport::resolver::iterate
