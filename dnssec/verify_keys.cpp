#include "dnssec/verify.hpp"

#include <algorithm>

namespace sallyport::dnssec {

namespace {

using enum wire::ExtendedError;

void add_once(std::vector<base::Bytes>& keys, base::Bytes key)
{
    const bool there =
        std::any_of(keys.begin(), keys.end(), [&](base::Bytes other) { return base::equal(key, other); });
    if (!there) keys.push_back(key);
}

} // namespace

KeysVerifier::KeysVerifier(const RrsetView& dnskeys, const KeyTrust& trust, const Policy& policy,
                           std::int64_t now) noexcept
    : rrset_(dnskeys), trust_(trust), policy_(&policy), now_(now)
{
}

/// Keys of the set that are trusted themselves or whose digest a DS has; per DS only so many as the limit allows.
std::vector<base::Bytes> KeysVerifier::entry_keys(const DsChoice& choice) const
{
    std::vector<base::Bytes> entry;
    for (const base::Bytes key : rrset_.rdatas) {
        const bool trusted = std::any_of(trust_.dnskeys.begin(), trust_.dnskeys.end(),
                                         [key](base::Bytes other) { return base::equal(key, other); });
        if (trusted) add_once(entry, key);
    }
    std::vector<std::uint16_t> tags;
    tags.reserve(rrset_.rdatas.size());
    for (const base::Bytes key : rrset_.rdatas) tags.push_back(key_tag(key));
    for (const DsView& ds : choice.usable) {
        std::uint32_t digests = 0;
        for (std::size_t i = 0; i < tags.size() && digests < policy_->limits.keys_per_tag; ++i) {
            const base::Bytes key = rrset_.rdatas[i];
            if (tags[i] != ds.key_tag || key.size() <= 4 || key[3] != ds.algorithm) continue;
            ++digests;
            if (ds_matches(ds, *rrset_.owner, key)) add_once(entry, key);
        }
    }
    return entry;
}

bool KeysVerifier::trusts_a_usable_key() const noexcept
{
    return std::any_of(trust_.dnskeys.begin(), trust_.dnskeys.end(), [this](base::Bytes rdata) {
        const auto key = read_dnskey(rdata);
        return key && policy_->algorithms.signatures.test(key->algorithm);
    });
}

bool KeysVerifier::begin()
{
    begun_ = true;
    const DsChoice choice = choose_ds(trust_.ds, *policy_);
    if (choice.usable.empty() && !trusts_a_usable_key()) {
        verdict_ = choice.verdict;
        if (trust_.ds.empty()) {
            verdict_ = insecure_verdict(unsupported_dnskey_algorithm, "no trust anchor with a supported algorithm");
        }
        return false;
    }
    if (rrset_.rdatas.empty()) {
        verdict_ = bogus_verdict(dnskey_missing, "no keys although there is a DS");
        return false;
    }
    const auto entry = entry_keys(choice);
    if (entry.empty()) {
        verdict_ = bogus_verdict(dnskey_missing,
                                 trust_.ds.empty() ? "no key matches the trust anchor" : "no key matches the DS");
        return false;
    }
    entry_keys_ = ZoneKeys{*rrset_.owner, entry, policy_->algorithms};
    if (entry_keys_.empty()) {
        verdict_ = entry_keys_.lacks_zone_bit()
                       ? bogus_verdict(no_zone_key_bit_set, "the key of the DS lacks the zone bit")
                       : bogus_verdict(dnssec_bogus, "the key of the DS cannot be used");
        return false;
    }
    verifier_.emplace(rrset_, entry_keys_, *policy_, now_);
    return true;
}

Step KeysVerifier::step(Budget& budget) noexcept
{
    const Budget::Timing timing{budget};
    if (!begun_ && !begin()) return Step::done;
    if (!verifier_) return Step::done;
    const Step step = verifier_->step(budget);
    verdict_ = verifier_->verdict();
    return step;
}

ZoneKeys KeysVerifier::take_keys() { return ZoneKeys{*rrset_.owner, rrset_.rdatas, policy_->algorithms}; }

} // namespace sallyport::dnssec
