#include "resolver/iterate/resolution.hpp"

/// What a question ends with.
namespace sallyport::resolver::iterate {

using cache::Rrset;
using wire::ExtendedError;
using wire::Name;
using wire::Rcode;
using wire::RrType;
using wire::ValidationState;

void Resolution::fail(std::optional<ExtendedError> ede, std::string text)
{
    if (done_) return;
    ++parts_.stats.failures;
    put_back_stale();
    if (budget_->spent || budget_->validation.is_spent() || parts_.now() >= budget_->deadline) {
        parts_.remember_failure(key_of(question_.qname), ede, text, parts_.options.failure_ttl);
    }
    if (tell_ && !known_only_ && give_stale()) {
        done_ = true;
    } else {
        answer_ = Answer{};
        answer_.rcode = Rcode::SERVFAIL;
        answer_.ede = ede;
        answer_.ede_text = std::move(text);
        answer_.state = ValidationState::bogus;
    }
    any_insecure_ = true;
    end();
}

/// RFC 8509 §2.2: who asks so wants to know which keys of the root are trusted here.
void Resolution::withhold_from_sentinel()
{
    const bool asks = question_.qtype == RrType::A || question_.qtype == RrType::AAAA;
    if (!asks || question_.checking_disabled || answer_.state != ValidationState::secure || !parts_.options.sentinel) {
        return;
    }
    const auto sentinel = dnssec::find_sentinel(question_.qname);
    const dnssec::AnchorPoint* root = sentinel ? parts_.anchors->at(Name{}) : nullptr;
    if (root == nullptr || !dnssec::sentinel_refuses(*sentinel, root->key_tags())) return;
    ++parts_.stats.sentinels;
    answer_ = Answer{};
    answer_.rcode = Rcode::SERVFAIL;
    answer_.state = ValidationState::bogus;
    answer_.ede = ExtendedError::dnssec_bogus;
    answer_.ede_text = "key " + std::to_string(sentinel->key_tag) +
                       (sentinel->is_ta ? " is no trust anchor of the root" : " is a trust anchor of the root");
}

/// Where an alias leads out of what is signed, the proof that it may: of the zone of the alias, beside it.
void Resolution::add_proof_of_insecurity(const Rrset& target)
{
    if (answer_.answers.empty() || any_insecure_ || target.state != ValidationState::insecure) return;
    const auto signer = signer_of(*answer_.answers.back());
    if (!signer) return;
    for (Name name = target.owner; name.is_under(*signer) && !(name == *signer); name = name.parent()) {
        const RrsetPtr ds = parts_.store.find(name, RrType::DS, target.rr_class, parts_.now());
        if (!ds) continue;
        if (ds->is_data()) return;
        for (const RrsetPtr& proof : ds->authority) {
            const bool counts = (proof->type == RrType::NSEC || proof->type == RrType::NSEC3) &&
                                proof->state == ValidationState::secure && signer_of(*proof) == signer;
            if (counts) answer_.authority.push_back(proof);
        }
        return;
    }
}

void Resolution::end()
{
    if (answer_.rcode != Rcode::SERVFAIL) {
        answer_.state = any_unchecked_  ? ValidationState::unchecked
                        : any_insecure_ ? ValidationState::insecure
                                        : ValidationState::secure;
        withhold_from_sentinel();
    }
    answer_.from_store = !asked_;
    if (!asked_) ++parts_.stats.answers_from_store;
    fetch_.reset();
    judge_.reset();
    const Done tell = std::move(tell_);
    tell_ = nullptr;
    done_ = true;
    parts_.ended.push_back(number_);
    if (tell) tell(answer_);
    const bool renew = parts_.options.prefetch && grown_old_ && !asked_ && !known_only_ && !renews_;
    if (renew && answer_.rcode != Rcode::SERVFAIL) parts_.refresh(question_);
}

} // namespace sallyport::resolver::iterate
