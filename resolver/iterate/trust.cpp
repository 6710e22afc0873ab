#include "resolver/iterate/trust.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {

using cache::Rrset;
using dnssec::Step;
using dnssec::Verdict;
using wire::ExtendedError;
using wire::Name;
using wire::RrType;
using wire::ValidationState;

namespace {

constexpr wire::Ttl kShort{5}; // of what may be better in a moment

std::int64_t date_now(const Engine::Parts& parts)
{
    return std::chrono::duration_cast<std::chrono::seconds>(parts.clock.wall().time_since_epoch()).count();
}

} // namespace

Trust::Trust(Engine::Parts& parts, const Name& name, BudgetPtr budget, unsigned depth)
    : Job(parts, std::move(budget), depth), name_(name), anchors_(parts.anchors), begun_(parts.anchors_set)
{
}

void Trust::remember(const ZoneTrustPtr& trust)
{
    if (begun_ == parts_.anchors_set) parts_.remember_trust(trust);
}

bool Trust::waits_for(const Job& other, unsigned depth) const
{
    if (depth == 0) return true;
    return fetch_ && (fetch_.get() == &other || fetch_->waits_for(other, depth - 1));
}

void Trust::run()
{
    if (done_) return;
    Next next = Next::go_on;
    while (next == Next::go_on && !done_) {
        switch (phase_) {
        case Phase::begin: next = begin(); break;
        case Phase::down: next = down(); break;
        case Phase::ds: next = take_ds(); break;
        case Phase::ds_check: next = check_ds(); break;
        case Phase::ds_denial: next = check_ds_denial(); break;
        case Phase::keys: next = take_keys(); break;
        case Phase::keys_check: next = check_keys(); break;
        }
    }
}

Trust::Next Trust::begin()
{
    const auto trust = anchors_->find(name_, date_now(parts_));
    if (trust.status != dnssec::TrustAnchors::Status::anchored) {
        // Not remembered: a negative anchor may end at any time (RFC 7646 §2), and to look it up is cheap.
        settle(name_, ValidationState::insecure, std::nullopt, {}, wire::Ttl{0});
        return Next::go_on;
    }
    anchor_ = trust.anchor;
    for (Name zone = name_; zone.is_under(anchor_->zone); zone = zone.parent()) {
        const auto it = parts_.trusts.find(zone);
        if (it != parts_.trusts.end() && parts_.now() < it->second->expires && begun_ == parts_.anchors_set) {
            current_ = it->second;
            phase_ = Phase::down;
            return Next::go_on;
        }
        if (zone.is_root()) break;
    }
    enter_keys(anchor_->zone);
    return Next::go_on;
}

/// From a zone whose keys are known towards the name: the next label may be a cut.
Trust::Next Trust::down()
{
    const unsigned labels = name_.label_count();
    const unsigned done =
        next_.is_root() || !next_.is_under(current_->zone) ? current_->zone.label_count() : next_.label_count();
    if (current_->state != ValidationState::secure || labels <= done) {
        result_ = current_;
        finish();
        return Next::go_on;
    }
    next_ = name_.parent(labels - done - 1);
    restarts_ = 0;
    avoid_.clear();
    bogus_.reset();
    return fetch(next_, RrType::DS, Phase::ds);
}

Trust::Next Trust::fetch(const Name& name, RrType type, Phase then)
{
    phase_ = then;
    fetch_.reset();
    if (restarts_ == 0) {
        const RrsetPtr known =
            parts_.find_known({name, type, wire::RrClass::IN, false}, cache::Rank::additional, false);
        const bool usable =
            known && known->state != ValidationState::bogus && (known->is_data() ? known->type == type : true);
        if (usable) {
            (type == RrType::DS ? ds_ : keys_set_) = known;
            return Next::go_on;
        }
    }
    (type == RrType::DS ? ds_ : keys_set_) = nullptr;
    fetch_ = parts_.fetch({name, type, wire::RrClass::IN, true}, shared_from_this(), budget_, depth_ + 1, avoid_);
    return fetch_ && !fetch_->is_done() ? Next::wait : Next::go_on;
}

Trust::Next Trust::put_off(Step step)
{
    if (step == Step::again) {
        parts_.wake_next_turn(shared_from_this());
        return Next::wait;
    }
    spent_ = true;
    settle(next_, ValidationState::bogus, ExtendedError::dnssec_bogus, next_.to_text() + ": too much work to validate",
           wire::Ttl{0});
    return Next::go_on;
}

/// Bogus data may be one server's fault alone.
bool Trust::again_elsewhere(const Verdict& verdict)
{
    if (!verdict.is_bogus() || ++restarts_ > parts_.options.limits.validation_restarts) return false;
    if (fetch_) avoid_.push_back(fetch_->result().server);
    bogus_ = verdict;
    return true;
}

/// Some server said that it will not, or can not, tell. Where none says anything nobody knows whether the zone is
/// signed (RFC 4035 §4.3: indeterminate).
bool Trust::is_told() const { return fetch_ && fetch_->result().ede && !fetch_->result().silence; }

// --- DS, or that there is none

Trust::Next Trust::take_ds()
{
    if (fetch_) {
        if (!fetch_->is_done()) return Next::wait;
        ds_ = fetch_->result().set;
        spent_ = fetch_->result().spent || fetch_->result().crowded_out;
    }
    if (!ds_ && bogus_) {
        settle(next_, ValidationState::bogus, bogus_->ede, dnssec::describe(*bogus_, current_->zone, next_, RrType::DS),
               kShort);
        return Next::go_on;
    }
    if (!ds_) {
        const bool first = avoid_.empty();
        settle(next_, ValidationState::bogus,
               is_told() ? ExtendedError::network_error : ExtendedError::dnssec_indeterminate,
               next_.to_text() + " DS (zone " + current_->zone.to_text() + "): " +
                   (fetch_ && !fetch_->result().text.empty() && first ? fetch_->result().text : "not to be had"),
               kShort);
        return Next::go_on;
    }
    if (ds_->is_data() && ds_->type != RrType::DS) {
        // An alias owns no cut (RFC 2181 §10.3, RFC 6672 §2.3): what is below it belongs to this zone.
        phase_ = Phase::down;
        if (ds_->state == ValidationState::secure || !signer_of(*ds_)) return Next::go_on;
        check_ = std::make_unique<SetCheck>(parts_, ds_, current_->keys);
        phase_ = Phase::ds_check;
        return Next::go_on;
    }
    if (ds_->is_data()) {
        const auto signer = signer_of(*ds_);
        if (ds_->state != ValidationState::secure && !signer) {
            phase_ = Phase::ds_check;
        }
        check_ = std::make_unique<SetCheck>(parts_, ds_, current_->keys);
        phase_ = Phase::ds_check;
        return Next::go_on;
    }
    const bool name_error = ds_->kind == cache::RrsetKind::nxdomain;
    denial_ =
        std::make_unique<DenialCheck>(parts_, ds_->authority, current_->keys, next_, RrType::DS,
                                      name_error ? dnssec::Claim::name_error : dnssec::Claim::no_ds, std::uint8_t{0});
    phase_ = Phase::ds_denial;
    return Next::go_on;
}

Trust::Next Trust::check_ds()
{
    const Step step = check_->step(budget_->validation);
    if (step != Step::done) return put_off(step);
    const Verdict verdict = check_->verdict();
    if (!verdict.is_secure()) {
        if (again_elsewhere(verdict)) return fetch(next_, RrType::DS, Phase::ds);
        settle(next_, verdict.state, verdict.ede, dnssec::describe(verdict, current_->zone, next_, RrType::DS), kShort);
        return Next::go_on;
    }
    if (ds_->type != RrType::DS) {
        // From a wildcard it still needs its proof: whoever asks for the alias itself sees to that.
        phase_ = Phase::down;
        return Next::go_on;
    }
    Rrset judged = with_state(*ds_, ValidationState::secure);
    cut(judged, verdict.ttl, parts_.now());
    ds_ = parts_.keep_judged(ds_, std::move(judged), begun_);
    tell(Event::Kind::cut, *ds_, verdict);
    restarts_ = 0;
    avoid_.clear();
    bogus_.reset();
    enter_keys(next_);
    return Next::go_on;
}

Trust::Next Trust::check_ds_denial()
{
    const Step step = denial_->step(budget_->validation);
    if (step != Step::done) return put_off(step);
    const Verdict verdict = denial_->verdict();
    if (verdict.is_bogus() && again_elsewhere(verdict)) return fetch(next_, RrType::DS, Phase::ds);
    if (!verdict.is_bogus()) {
        Rrset judged = with_state(*ds_, verdict.state);
        judged.authority = denial_->sets();
        judged.expires = std::min(judged.expires, denial_->good_until());
        ds_ = parts_.keep_judged(ds_, std::move(judged), begun_);
    }
    switch (denial_->finding()) {
    case dnssec::Finding::unsigned_delegation:
    case dnssec::Finding::opt_out:
    case dnssec::Finding::unhashed:
        settle(next_, ValidationState::insecure, verdict.ede, std::string(verdict.reason), ds_->ttl_left(parts_.now()));
        return Next::go_on;
    case dnssec::Finding::nothing:
        settle(next_, ValidationState::bogus, verdict.ede, dnssec::describe(verdict, current_->zone, next_, RrType::DS),
               kShort);
        return Next::go_on;
    case dnssec::Finding::name_error:
        // Nothing is there, so there is no cut either: the zone above answers for the name.
        result_ = current_;
        finish();
        return Next::go_on;
    case dnssec::Finding::no_data:
    case dnssec::Finding::empty_non_terminal:
    case dnssec::Finding::wildcard_no_data:
    case dnssec::Finding::wildcard_expansion:
    case dnssec::Finding::no_delegation: break;
    }
    phase_ = Phase::down;
    return Next::go_on;
}

// --- DNSKEY

void Trust::enter_keys(const Name& zone)
{
    next_ = zone;
    phase_ = Phase::keys;
    restarts_ = 0;
    avoid_.clear();
    bogus_.reset();
    keys_set_ = nullptr;
    verifier_.reset();
    if (fetch(zone, RrType::DNSKEY, Phase::keys) == Next::wait) return;
}

Trust::Next Trust::take_keys()
{
    if (!keys_set_) {
        if (fetch_ && !fetch_->is_done()) return Next::wait;
        if (fetch_) keys_set_ = fetch_->result().set;
        if (fetch_) spent_ = fetch_->result().spent || fetch_->result().crowded_out;
    }
    const bool anchored = anchor_->zone == next_;
    trusted_ds_.clear();
    trusted_keys_.clear();
    if (anchored) {
        trusted_ds_ = anchor_->ds_views();
        trusted_keys_ = anchor_->dnskey_views();
    } else {
        for (const base::Bytes rdata : ds_->records) trusted_ds_.push_back(rdata);
    }
    if (!anchored || trusted_keys_.empty()) {
        // A zone that offers nothing this build understands is as unsigned: its keys need not even be there.
        const auto choice = dnssec::choose_ds(trusted_ds_, parts_.options.policy);
        if (choice.usable.empty() && trusted_keys_.empty()) {
            settle(next_, choice.verdict.state, choice.verdict.ede,
                   dnssec::describe(choice.verdict, next_, next_, RrType::DS),
                   choice.verdict.is_insecure() && ds_ ? ds_->ttl_left(parts_.now()) : kShort);
            return Next::go_on;
        }
    }
    if (!keys_set_ || !keys_set_->is_data() || keys_set_->type != RrType::DNSKEY) {
        Verdict missing = dnssec::bogus_verdict(ExtendedError::dnskey_missing, "no DNSKEY record");
        if (bogus_) missing = *bogus_; // nobody else knows better: the first reason counts
        if (keys_set_ && again_elsewhere(missing)) return fetch(next_, RrType::DNSKEY, Phase::keys);
        const bool failed = !bogus_ && !keys_set_ && fetch_ && fetch_->result().ede;
        settle(next_, ValidationState::bogus, failed && !is_told() ? ExtendedError::dnssec_indeterminate : missing.ede,
               failed ? next_.to_text() + " DNSKEY: " + fetch_->result().text
                      : dnssec::describe(missing, next_, next_, RrType::DNSKEY),
               kShort);
        return Next::go_on;
    }
    rdatas_.clear();
    signatures_.clear();
    for (const base::Bytes rdata : keys_set_->records) rdatas_.push_back(rdata);
    for (const base::Bytes rdata : keys_set_->signatures) signatures_.push_back(rdata);
    verifier_.emplace(
        dnssec::RrsetView{&keys_set_->owner, RrType::DNSKEY, keys_set_->rr_class, keys_set_->ttl, rdatas_, signatures_},
        dnssec::KeyTrust{trusted_ds_, trusted_keys_}, parts_.options.policy, date_now(parts_));
    phase_ = Phase::keys_check;
    return Next::go_on;
}

Trust::Next Trust::check_keys()
{
    const Step step = verifier_->step(budget_->validation);
    if (step != Step::done) return put_off(step);
    const Verdict verdict = verifier_->verdict();
    if (!verdict.is_secure()) {
        if (again_elsewhere(verdict)) {
            keys_set_ = nullptr;
            return fetch(next_, RrType::DNSKEY, Phase::keys);
        }
        settle(next_, verdict.state, verdict.ede, dnssec::describe(verdict, next_, next_, RrType::DNSKEY),
               verdict.is_bogus() ? kShort : keys_set_->ttl_left(parts_.now()));
        return Next::go_on;
    }
    auto zone = std::make_shared<ZoneTrust>();
    zone->zone = next_;
    zone->state = ValidationState::secure;
    zone->keys = std::make_shared<dnssec::ZoneKeys>(verifier_->take_keys());
    verifier_.reset();
    std::uint32_t seconds = std::min(verdict.ttl.seconds(), keys_set_->ttl_left(parts_.now()).seconds());
    // A delegation that its parent takes back is not to live on by what the child says.
    if (ds_ && !(anchor_->zone == next_)) seconds = std::min(seconds, ds_->ttl_left(parts_.now()).seconds());
    zone->expires = parts_.now() + std::chrono::seconds(seconds);
    Rrset judged = with_state(*keys_set_, ValidationState::secure);
    cut(judged, verdict.ttl, parts_.now());
    keys_set_ = parts_.keep_judged(keys_set_, std::move(judged), begun_);
    remember(zone);
    tell(Event::Kind::keys, *keys_set_, verdict);
    current_ = zone;
    phase_ = Phase::down;
    return Next::go_on;
}

void Trust::tell(Event::Kind kind, const Rrset& set, const Verdict& verdict) const
{
    if (!parts_.is_watched(*budget_)) return;
    Event event;
    event.kind = kind;
    event.name = &next_;
    event.type = set.type;
    event.set = &set;
    event.state = ValidationState::secure;
    event.key_tag = verdict.key_tag;
    event.algorithm = verdict.algorithm;
    parts_.say(*budget_, event);
}

void Trust::settle(const Name& zone, ValidationState state, std::optional<ExtendedError> ede, std::string text,
                   wire::Ttl ttl)
{
    auto trust = std::make_shared<ZoneTrust>();
    trust->zone = zone;
    trust->state = state == ValidationState::indeterminate ? ValidationState::bogus : state;
    trust->ede = ede;
    trust->text = std::move(text);
    if (parts_.is_watched(*budget_)) {
        Event event;
        event.kind = Event::Kind::zone;
        event.name = &trust->zone;
        event.state = trust->state;
        event.ede = ede;
        event.text = trust->text;
        const RrsetPtr keys = parts_.store.find(zone, RrType::DNSKEY, wire::RrClass::IN, parts_.now());
        event.set = keys.get();
        if (trust->text.empty() && phase_ == Phase::ds_denial) event.text = "no DS, proven";
        parts_.say(*budget_, event);
    }
    trust->expires = parts_.now() + std::chrono::seconds(ttl.seconds());
    if (!spent_ && ttl.seconds() > 0) remember(trust);
    result_ = std::move(trust);
    finish();
}

} // namespace sallyport::resolver::iterate
