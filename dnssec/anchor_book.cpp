#include "dnssec/anchor_book.hpp"

#include <algorithm>
#include <utility>

namespace sallyport::dnssec {

namespace {

constexpr std::string_view kStateHead = "; autotrust trust anchor file";
constexpr std::int64_t kLongestWait = 15 * 86'400; // RFC 5011 §2.3
constexpr std::size_t kMostZones = 1'000;
constexpr std::uint8_t kRevokedBit = 0x80;

/// The same key, revoked or not.
[[nodiscard]] bool same_key(const ManagedKey& left, const ManagedKey& right) noexcept
{
    return left.rdata.size() == right.rdata.size() && left.rdata.size() > 4 && left.rdata[0] == right.rdata[0] &&
           ((left.rdata[1] ^ right.rdata[1]) & ~kRevokedBit & 0xFF) == 0 &&
           std::equal(left.rdata.begin() + 2, left.rdata.end(), right.rdata.begin() + 2);
}

/// The tag it was published with before it was revoked: by this name operators know it.
[[nodiscard]] std::uint16_t tag_of(const ManagedKey& key)
{
    auto rdata = key.rdata;
    rdata[1] &= static_cast<std::uint8_t>(~kRevokedBit);
    return key_tag(rdata);
}

[[nodiscard]] std::string_view meaning_of(KeyState state) noexcept
{
    switch (state) {
    case KeyState::start: return "was gone before its time, and is forgotten";
    case KeyState::addpend: return "is new; it is trusted once it has been there for its hold-down time";
    case KeyState::valid: return "is trusted";
    case KeyState::missing: return "is not published any more; it is trusted still";
    case KeyState::revoked: return "is revoked by its owner, and not trusted any more";
    case KeyState::removed: return "is removed for good";
    }
    return "";
}

[[nodiscard]] std::string line_of(const wire::Name& zone, const ManagedKey& key)
{
    return "trust anchor of " + zone.to_text() + ": key " + std::to_string(tag_of(key)) + ' ' +
           std::string{meaning_of(key.state)};
}

void tell_changes(const ManagedAnchor& before, const ManagedAnchor& now, std::vector<std::string>& lines)
{
    const auto find_in = [](const ManagedAnchor& anchor, const ManagedKey& key) {
        return std::find_if(anchor.keys().begin(), anchor.keys().end(),
                            [&](const ManagedKey& other) { return same_key(key, other); });
    };
    for (const ManagedKey& key : now.keys()) {
        const auto old = find_in(before, key);
        if (old == before.keys().end() || old->state != key.state) lines.push_back(line_of(now.zone(), key));
    }
    for (ManagedKey key : before.keys()) {
        if (find_in(now, key) != now.keys().end()) continue;
        key.state = key.state == KeyState::addpend ? KeyState::start : KeyState::removed;
        lines.push_back(line_of(now.zone(), key));
    }
}

[[nodiscard]] bool same_point(const AnchorPoint& left, const AnchorPoint& right)
{
    return left.ds == right.ds && left.dnskeys == right.dnskeys;
}

/// Whether all that was trusted still is, be it by the key that a DS had named.
[[nodiscard]] bool covers(const AnchorPoint& now, const AnchorPoint& before)
{
    const bool keys = std::all_of(before.dnskeys.begin(), before.dnskeys.end(), [&](const auto& rdata) {
        return std::find(now.dnskeys.begin(), now.dnskeys.end(), rdata) != now.dnskeys.end();
    });
    return keys && std::all_of(before.ds.begin(), before.ds.end(), [&](const auto& octets) {
               if (std::find(now.ds.begin(), now.ds.end(), octets) != now.ds.end()) return true;
               const auto ds = read_ds(octets);
               return ds && std::any_of(now.dnskeys.begin(), now.dnskeys.end(),
                                        [&](const auto& rdata) { return ds_matches(*ds, now.zone, rdata); });
           });
}

/// Judges a set by what is trusted of its zone; all at once: it is one set, and nobody waits.
[[nodiscard]] Verdict judge(const RrsetView& dnskeys, const AnchorPoint& point, const Policy& policy, std::int64_t now)
{
    const auto ds = point.ds_views();
    const auto keys = point.dnskey_views();
    KeysVerifier verifier{dnskeys, {ds, keys}, policy, now};
    Budget budget{policy.limits};
    Step step = verifier.step(budget);
    while (step == Step::again) {
        budget.begin_turn();
        step = verifier.step(budget);
    }
    if (step == Step::spent) return bogus_verdict(wire::ExtendedError::dnssec_bogus, "too much work to validate");
    return verifier.verdict();
}

} // namespace

std::string_view to_string(KeyState state) noexcept
{
    switch (state) {
    case KeyState::start: return "start";
    case KeyState::addpend: return "addpend";
    case KeyState::valid: return "valid";
    case KeyState::missing: return "missing";
    case KeyState::revoked: return "revoked";
    case KeyState::removed: return "removed";
    }
    return "";
}

AnchorBook::AnchorBook(TrustAnchors configured, const Policy& policy, std::int64_t now, const Rfc5011Timing& timing)
    : configured_(std::move(configured)), policy_(policy), timing_(timing)
{
    for (const AnchorPoint& point : configured_.points()) {
        zones_.emplace_back(point.zone);
        zones_.back().begin(point, now);
    }
}

ManagedAnchor* AnchorBook::find(const wire::Name& zone) noexcept
{
    const auto found =
        std::find_if(zones_.begin(), zones_.end(), [&](const ManagedAnchor& one) { return one.zone() == zone; });
    return found == zones_.end() ? nullptr : &*found;
}

base::Result<void> AnchorBook::read(std::string_view text, const std::string& file)
{
    std::vector<ManagedAnchor> states;
    std::size_t at = 0;
    std::uint32_t lines_before = 0;
    while (at < text.size()) {
        std::size_t end = text.find(kStateHead, at + 1);
        while (end != std::string_view::npos && text[end - 1] != '\n') end = text.find(kStateHead, end + 1);
        end = std::min(end, text.size());
        if (states.size() >= kMostZones)
            return base::Error{base::ErrorCode::limit, "states of more zones than anyone follows", {file, 0, 0}};
        const std::string_view part = text.substr(at, end - at);
        auto state = ManagedAnchor::from_text(part, file, lines_before);
        if (!state) return state.error();
        const AnchorPoint trusted = state->anchor();
        if (trusted.ds.empty() && trusted.dnskeys.empty() && !state->is_revoked())
            return base::Error{
                base::ErrorCode::invalid, "no key of " + state->zone().to_text() + " is trusted in it", {file, 0, 0}};
        states.push_back(std::move(*state));
        lines_before += static_cast<std::uint32_t>(std::count(part.begin(), part.end(), '\n'));
        at = end;
    }
    if (states.empty()) return base::Error{base::ErrorCode::invalid, "no state of a trust anchor in it", {file, 0, 0}};
    for (ManagedAnchor& state : states) {
        if (ManagedAnchor* const own = find(state.zone())) *own = std::move(state);
    }
    return {};
}

std::string AnchorBook::to_text() const
{
    std::string text;
    for (const ManagedAnchor& zone : zones_) text += zone.to_text();
    return text;
}

std::vector<std::string> AnchorBook::overruled() const
{
    std::vector<std::string> lines;
    const auto add = [&](const wire::Name& zone, std::uint16_t tag) {
        lines.push_back("trust anchor of " + zone.to_text() + ": key " + std::to_string(tag) +
                        " is configured, but the state that was kept does not know it, and counts");
    };
    for (const AnchorPoint& point : configured_.points()) {
        const auto state = std::find_if(zones_.begin(), zones_.end(),
                                        [&](const ManagedAnchor& one) { return one.zone() == point.zone; });
        if (state == zones_.end()) continue;
        const AnchorPoint kept = state->anchor();
        for (const auto& rdata : point.dnskeys) {
            const ManagedKey key{rdata};
            const bool known = std::any_of(state->keys().begin(), state->keys().end(),
                                           [&](const ManagedKey& other) { return same_key(key, other); });
            const bool named = std::any_of(kept.ds.begin(), kept.ds.end(), [&](const auto& octets) {
                const auto ds = read_ds(octets);
                return ds && ds_matches(*ds, point.zone, rdata);
            });
            if (!known && !named) add(point.zone, key_tag(rdata));
        }
        for (const auto& octets : point.ds) {
            const auto ds = read_ds(octets);
            const bool known = std::find(kept.ds.begin(), kept.ds.end(), octets) != kept.ds.end() ||
                               std::any_of(state->keys().begin(), state->keys().end(), [&](const ManagedKey& key) {
                                   auto rdata = key.rdata; // a DS names the key as it was before it was revoked
                                   rdata[1] &= static_cast<std::uint8_t>(~kRevokedBit);
                                   return ds && ds_matches(*ds, point.zone, rdata);
                               });
            if (ds && !known) add(point.zone, ds->key_tag);
        }
    }
    return lines;
}

bool AnchorBook::is_due(const ManagedAnchor& anchor, std::int64_t now) const noexcept
{
    if (anchor.is_revoked()) return false;
    // Further away than any state could say: the clock was wrong when it was written.
    return anchor.next_probe() <= now || anchor.next_probe() > now + kLongestWait;
}

const wire::Name* AnchorBook::due(std::int64_t now) const noexcept
{
    const auto found =
        std::find_if(zones_.begin(), zones_.end(), [&](const ManagedAnchor& one) { return is_due(one, now); });
    return found == zones_.end() ? nullptr : &found->zone();
}

AnchorNews AnchorBook::saw(const wire::Name& zone, const RrsetView& dnskeys, std::int64_t now)
{
    AnchorNews news;
    ManagedAnchor* const anchor = find(zone);
    if (anchor == nullptr) return news;
    const ManagedAnchor before = *anchor;
    const AnchorPoint trusted = before.anchor();
    const Verdict verdict = judge(dnskeys, trusted, policy_, now);
    news.secure = verdict.is_secure();
    if (!news.secure) news.trouble = describe(verdict, zone, zone, wire::RrType::DNSKEY);
    (void)anchor->update(dnskeys, news.secure, policy_, now, timing_);
    const AnchorPoint trusted_now = anchor->anchor();
    news.changed = !same_point(trusted, trusted_now);
    news.lost = !covers(trusted_now, trusted);
    tell_changes(before, *anchor, news.told);
    if (anchor->is_revoked() && !before.is_revoked())
        news.told.push_back("trust anchor of " + zone.to_text() +
                            ": all its keys are revoked; the zone is not validated any more (RFC 5011 section 5)");
    return news;
}

void AnchorBook::failed(const wire::Name& zone, std::int64_t now) noexcept
{
    if (ManagedAnchor* const anchor = find(zone)) anchor->failed(now);
}

TrustAnchors AnchorBook::anchors() const
{
    TrustAnchors trusted = configured_;
    for (const ManagedAnchor& zone : zones_) {
        if (zone.is_revoked())
            trusted.remove(zone.zone());
        else
            trusted.replace(zone.anchor());
    }
    return trusted;
}

std::array<std::uint32_t, 6> AnchorBook::count_keys() const noexcept
{
    std::array<std::uint32_t, 6> counts{};
    for (const ManagedAnchor& zone : zones_) {
        for (const ManagedKey& key : zone.keys()) ++counts[static_cast<std::size_t>(key.state)];
    }
    return counts;
}

} // namespace sallyport::dnssec
