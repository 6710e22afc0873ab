#include "dnssec/rfc5011.hpp"

#include <algorithm>
#include <limits>

namespace sallyport::dnssec {

namespace {

constexpr std::int64_t kHour = 3'600;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::uint32_t kLeastLooks = 2; // one look more than the first, whenever the hold-down ended

[[nodiscard]] bool is_trusted(const ManagedKey& key) noexcept
{
    return key.state == KeyState::valid || key.state == KeyState::missing; // RFC 5011 §4.1
}

/// The same key, whether or not its revoked bit is set.
[[nodiscard]] bool same_key(base::Bytes left, base::Bytes right) noexcept
{
    constexpr std::uint8_t kRevoked = 0x80;
    return left.size() > 4 && left.size() == right.size() && left[0] == right[0] &&
           ((left[1] ^ right[1]) & ~kRevoked & 0xFF) == 0 && base::equal(left.subspan(2), right.subspan(2));
}

[[nodiscard]] bool is_followed(const ManagedKey& key) noexcept
{
    const auto view = read_dnskey(key.rdata);
    return view && view->is_secure_entry_point();
}

/// §2.1: a revoked key must have signed the set itself.
[[nodiscard]] bool is_signed_by(const RrsetView& dnskeys, base::Bytes key, const Policy& policy, std::int64_t now)
{
    ZoneKeys keys{*dnskeys.owner, {&key, 1}, policy.algorithms, true};
    Policy one_turn = policy;
    one_turn.limits.checks_per_turn = one_turn.limits.signatures_per_set;
    Budget budget{one_turn.limits};
    RrsetVerifier verifier{dnskeys, keys, one_turn, now};
    return verifier.step(budget) == Step::done && verifier.verdict().is_secure();
}

/// Seconds to the first expiration among the signatures.
[[nodiscard]] std::int64_t expires_in(const RrsetView& dnskeys, std::int64_t now) noexcept
{
    std::int64_t least = std::numeric_limits<std::int64_t>::max();
    for (const base::Bytes rdata : dnskeys.signatures) {
        const auto signature = read_rrsig(rdata);
        if (!signature) continue;
        const auto left = static_cast<std::int32_t>(signature->expiration - static_cast<std::uint32_t>(now));
        least = std::min<std::int64_t>(least, std::max(left, 0));
    }
    return least;
}

} // namespace

void ManagedAnchor::begin(const AnchorPoint& configured, std::int64_t now)
{
    ds_ = configured.ds;
    for (const auto& rdata : configured.dnskeys) {
        if (find(rdata) == nullptr) keys_.push_back(ManagedKey{rdata, KeyState::valid, 0, now, 3'600, false});
    }
}

ManagedKey* ManagedAnchor::find(base::Bytes rdata) noexcept
{
    const auto found =
        std::find_if(keys_.begin(), keys_.end(), [rdata](const ManagedKey& key) { return same_key(key.rdata, rdata); });
    return found == keys_.end() ? nullptr : &*found;
}

void ManagedAnchor::set_state(ManagedKey& key, KeyState state, std::int64_t now)
{
    if (key.state == state) return;
    key.state = state;
    key.changed = now;
    key.count = state == KeyState::addpend ? 1 : 0;
    changed_ = true;
}

/// Revocation counts whatever else is wrong with the set: whoever holds the key has said so (§2.1).
void ManagedAnchor::revoke_what_says_so(const RrsetView& dnskeys, const Policy& policy, std::int64_t now)
{
    for (const base::Bytes rdata : dnskeys.rdatas) {
        const auto view = read_dnskey(rdata);
        if (!view || !view->is_revoked()) continue;
        ManagedKey* key = find(rdata);
        if (key == nullptr || key->state == KeyState::revoked || key->state == KeyState::removed) continue;
        if (!is_signed_by(dnskeys, rdata, policy, now)) continue;
        key->rdata.assign(rdata.begin(), rdata.end());
        set_state(*key, KeyState::revoked, now);
    }
}

bool ManagedAnchor::is_named_by_ds(base::Bytes rdata) const noexcept
{
    return std::any_of(ds_.begin(), ds_.end(), [&](const auto& octets) {
        const auto ds = read_ds(octets);
        return ds && ds->key_tag == key_tag(rdata) && ds_matches(*ds, zone_, rdata);
    });
}

void ManagedAnchor::see(const RrsetView& dnskeys, base::Bytes rdata, const Policy& policy, std::int64_t now,
                        const Rfc5011Timing& timing)
{
    const auto view = read_dnskey(rdata);
    if (!view || !view->is_zone_key() || !policy.algorithms.signatures.test(view->algorithm)) return;
    ManagedKey* key = find(rdata);
    if (key == nullptr) {
        // §2.4: only keys with the SEP bit are followed. One that is revoked already never was ours.
        if (!view->is_secure_entry_point() || view->is_revoked() || keys_.size() >= timing.most_keys) return;
        key =
            &*keys_.insert(keys_.begin(), ManagedKey{{rdata.begin(), rdata.end()}, KeyState::start, 0, now, 0, false});
        key->ttl = dnskeys.ttl.seconds();
        if (is_named_by_ds(rdata)) set_state(*key, KeyState::valid, now);
    }
    // §4.1: a key that waits must be there without the revoked bit, whether or not its owner proved that he set it.
    if (view->is_revoked() && key->state == KeyState::addpend) return;
    key->seen = true;
}

bool ManagedAnchor::has_valid_key() const noexcept
{
    return std::any_of(keys_.begin(), keys_.end(),
                       [](const ManagedKey& key) { return key.state == KeyState::valid && is_followed(key); });
}

/// The first set that was found secure, where the anchor itself is a key that is not followed: those in it that are
/// take its place (§5).
void ManagedAnchor::take_first_keys(std::int64_t now)
{
    for (ManagedKey& key : keys_) {
        if (key.state == KeyState::valid && key.changed == 0) key.changed = now; // configured without a date
    }
    if (has_valid_key()) return;
    for (ManagedKey& key : keys_) {
        if (key.state == KeyState::start) set_state(key, KeyState::valid, now);
    }
}

/// The state table of §4.
void ManagedAnchor::advance(ManagedKey& key, std::int64_t now, const Rfc5011Timing& timing)
{
    const std::int64_t since = now - key.changed;
    switch (key.state) {
    case KeyState::start: // it was seen, or it would not be here
        set_state(key, KeyState::addpend, now);
        break;
    case KeyState::addpend:
        if (!key.seen) {
            set_state(key, KeyState::start, now);
        } else {
            ++key.count;
            const bool held = since > std::max<std::int64_t>(timing.add_hold_down, key.ttl);
            if (held && key.count >= kLeastLooks) set_state(key, KeyState::valid, now);
        }
        break;
    case KeyState::valid:
        if (!key.seen) set_state(key, KeyState::missing, now);
        break;
    case KeyState::missing:
        if (key.seen) set_state(key, KeyState::valid, now);
        break;
    case KeyState::revoked:
        if (key.seen) {
            key.changed = now; // the hold-down begins when the key has gone
        } else if (since > timing.remove_hold_down) {
            set_state(key, KeyState::removed, now);
        }
        break;
    case KeyState::removed: break;
    }
}

void ManagedAnchor::forget(std::int64_t now, const Rfc5011Timing& timing)
{
    const bool has_valid = has_valid_key();
    if (has_valid && !ds_.empty()) {
        ds_.clear();
        changed_ = true;
    }
    const auto is_over = [&](const ManagedKey& key) {
        if (key.state == KeyState::start || key.state == KeyState::removed) return true;
        if (has_valid && !is_followed(key)) return true; // it was only there to begin with
        return key.state == KeyState::missing && has_valid && timing.keep_missing != 0 &&
               now - key.changed > timing.keep_missing;
    };
    changed_ = std::erase_if(keys_, is_over) != 0 || changed_;
}

/// §2.3
void ManagedAnchor::schedule(const RrsetView& dnskeys, std::int64_t now) noexcept
{
    original_ttl_ = dnskeys.ttl.seconds();
    const std::int64_t least = std::min<std::int64_t>(original_ttl_, expires_in(dnskeys, now));
    query_interval_ = std::clamp<std::int64_t>(least / 2, kHour, 15 * kDay);
    retry_time_ = std::clamp<std::int64_t>(least / 10, kHour, kDay);
    last_success_ = now;
    query_failed_ = 0;
    next_probe_ = now + query_interval_;
}

bool ManagedAnchor::update(const RrsetView& dnskeys, bool secure, const Policy& policy, std::int64_t now,
                           const Rfc5011Timing& timing)
{
    changed_ = false;
    revoke_what_says_so(dnskeys, policy, now);
    if (!secure && !is_revoked()) {
        failed(now);
        return changed_;
    }
    const bool is_first = last_success_ == 0;
    last_queried_ = now;
    schedule(dnskeys, now);
    if (is_revoked()) {
        next_probe_ = 0; // §5: nothing is left to look for
        return changed_;
    }
    for (ManagedKey& key : keys_) key.seen = false;
    for (const base::Bytes rdata : dnskeys.rdatas) see(dnskeys, rdata, policy, now, timing);
    if (is_first) take_first_keys(now);
    for (ManagedKey& key : keys_) advance(key, now, timing);
    forget(now, timing);
    return changed_;
}

void ManagedAnchor::failed(std::int64_t now) noexcept
{
    last_queried_ = now;
    if (query_failed_ < std::numeric_limits<std::uint32_t>::max()) ++query_failed_;
    next_probe_ = now + retry_time_;
}

AnchorPoint ManagedAnchor::anchor() const
{
    AnchorPoint point{zone_, ds_, {}};
    for (const ManagedKey& key : keys_) {
        if (is_trusted(key)) point.dnskeys.push_back(key.rdata);
    }
    return point;
}

bool ManagedAnchor::is_revoked() const noexcept
{
    const auto has = [this](auto&& wanted) { return std::any_of(keys_.begin(), keys_.end(), wanted); };
    return ds_.empty() && !has(is_trusted) && has([](const ManagedKey& key) { return key.state == KeyState::revoked; });
}

} // namespace sallyport::dnssec
