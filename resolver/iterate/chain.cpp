#include "resolver/iterate/parts.hpp"

#include <cstdio>

/// The chain of trust as a person wants to see it. Looks at what is kept; asks nobody.
namespace sallyport::resolver::iterate {
namespace {

using wire::Name;
using wire::RrType;
using wire::ValidationState;

void join(std::string& text, std::string_view more)
{
    if (!text.empty() && !more.empty()) text += ", ";
    text += more;
}

/// `DS 20326 algorithm 8 digest 2 E06D44B8…`: enough of the digest to tell it from others.
std::string ds_text(base::Bytes rdata)
{
    const auto ds = dnssec::read_ds(rdata);
    if (!ds) return "DS that does not parse";
    constexpr std::size_t kOctetsShown = 4;
    std::string text = "DS " + std::to_string(ds->key_tag) + " algorithm " + std::to_string(ds->algorithm) +
                       " digest " + std::to_string(ds->digest_type) + ' ';
    for (const std::uint8_t octet : ds->digest.first(std::min(kOctetsShown, ds->digest.size()))) {
        char digits[3];
        static_cast<void>(std::snprintf(digits, sizeof digits, "%02X", static_cast<unsigned>(octet)));
        text += digits;
    }
    return text + (ds->digest.size() > kOctetsShown ? "..." : "");
}

std::string key_text(base::Bytes rdata)
{
    const auto key = dnssec::read_dnskey(rdata);
    if (!key) return "DNSKEY that does not parse";
    std::string text =
        "DNSKEY " + std::to_string(dnssec::key_tag(rdata)) + " algorithm " + std::to_string(key->algorithm);
    if (key->is_secure_entry_point()) text += " entry point";
    if (key->is_revoked()) text += " revoked";
    return text;
}

std::string anchor_text(const dnssec::AnchorPoint& anchor)
{
    std::string text;
    for (const base::Bytes rdata : anchor.ds_views()) join(text, ds_text(rdata));
    for (const base::Bytes rdata : anchor.dnskey_views()) join(text, key_text(rdata));
    return "trust anchor " + text;
}

std::string set_text(const RrsetPtr& set, std::string (*text_of)(base::Bytes))
{
    std::string text;
    if (!set || !set->is_data()) return text;
    for (const base::Bytes rdata : set->records) join(text, text_of(rdata));
    return text;
}

/// Follows one name through what an engine has kept.
class ChainReader {
public:
    explicit ChainReader(const Engine::Parts& parts) : parts_(parts) {}

    std::vector<TrustLink> read(const Name& name)
    {
        const auto date = std::chrono::duration_cast<std::chrono::seconds>(parts_.clock.wall().time_since_epoch());
        if (!parts_.validates()) return {{Name{}, ValidationState::indeterminate, "nothing is validated", {}}};
        const auto trust = parts_.anchors->find(name, date.count());
        if (trust.status == dnssec::TrustAnchors::Status::insecure) {
            return {{*trust.negative, ValidationState::insecure, "negative trust anchor", {}}};
        }
        if (trust.anchor == nullptr) return {{Name{}, ValidationState::indeterminate, "no trust anchor", {}}};
        links_.push_back(link_of(trust.anchor->zone, anchor_text(*trust.anchor)));
        const unsigned top = trust.anchor->zone.label_count();
        for (unsigned labels = top + 1; labels <= name.label_count() && is_secure(); ++labels) {
            go_down(name.parent(name.label_count() - labels));
        }
        return std::move(links_);
    }

private:
    [[nodiscard]] bool is_secure() const { return links_.back().state == ValidationState::secure; }

    void go_down(const Name& zone)
    {
        const RrsetPtr ds = find(zone, RrType::DS);
        const bool believed = ds && ds->state == ValidationState::secure;
        if (const auto it = parts_.trusts.find(zone); it != parts_.trusts.end() && it->second->zone == zone) {
            links_.push_back(link_of(zone, set_text(ds, ds_text)));
        } else if (believed && ds->is_data()) {
            links_.push_back(link_of(zone, set_text(ds, ds_text)));
        } else if (parts_.delegations.find(zone, parts_.now()) && !(believed && ds->kind != cache::RrsetKind::data)) {
            links_.push_back({zone, ValidationState::unchecked, "a zone cut; its DS has not been asked for", {}});
        }
    }

    [[nodiscard]] TrustLink link_of(const Name& zone, std::string by) const
    {
        const auto it = parts_.trusts.find(zone);
        if (it == parts_.trusts.end() || it->second->expires <= parts_.now()) {
            join(by, "its keys are not known at the moment");
            return {zone, ValidationState::unchecked, std::move(by), {}};
        }
        const ZoneTrust& trust = *it->second;
        if (trust.state == ValidationState::secure) {
            join(by, set_text(find(zone, RrType::DNSKEY), key_text));
        } else {
            join(by, trust.text);
        }
        if (by.empty()) by = "unsigned delegation";
        return {zone, trust.state, std::move(by), trust.ede};
    }

    [[nodiscard]] RrsetPtr find(const Name& zone, RrType type) const
    {
        return parts_.store.find(zone, type, wire::RrClass::IN, parts_.now());
    }

    const Engine::Parts& parts_;
    std::vector<TrustLink> links_;
};

} // namespace

std::vector<TrustLink> Engine::chain_of_trust(const Name& name) const { return ChainReader{*parts_}.read(name); }

} // namespace sallyport::resolver::iterate
