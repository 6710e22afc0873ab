#pragma once

#include "dnssec/budget.hpp"
#include "dnssec/canonical.hpp"
#include "dnssec/keys.hpp"
#include "dnssec/options.hpp"
#include "dnssec/records.hpp"
#include "dnssec/verdict.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace sallyport::dnssec {

/// Judges one RRset by the keys of the zone it should be signed by (RFC 4035 §5.3). Secure where one signature of an
/// accepted algorithm holds (RFC 6840 §5.11).
///
/// Work is put off in small steps:
/// `while (verifier.step(budget) == Step::again) { /* let others run */ budget.begin_turn(); }`
/// All that was handed in is borrowed until the last step.
class RrsetVerifier {
public:
    /// `now` is the date that signatures are judged by, in seconds since 1970.
    RrsetVerifier(const RrsetView& rrset, ZoneKeys& keys, const Policy& policy, std::int64_t now) noexcept;
    RrsetVerifier(const RrsetVerifier&) = delete;
    RrsetVerifier& operator=(const RrsetVerifier&) = delete;

    [[nodiscard]] Step step(Budget& budget) noexcept;
    [[nodiscard]] const Verdict& verdict() const noexcept { return verdict_; }

private:
    enum class Tried : std::uint8_t { good, bad, again, spent };
    /// How far the best signature came, so that the reason given is the one that helps.
    enum class Reached : std::uint8_t { nothing, form, key, date, mathematics };

    [[nodiscard]] bool begin();
    [[nodiscard]] Step run(Budget& budget);
    [[nodiscard]] Tried try_signature(base::Bytes rdata, Budget& budget);
    [[nodiscard]] Tried try_keys(const RrsigView& signature, Budget& budget);
    [[nodiscard]] bool is_well_formed(const RrsigView& signature);
    [[nodiscard]] bool is_in_time(const RrsigView& signature);
    void accept(const RrsigView& signature) noexcept;
    void note(Reached reached, wire::ExtendedError ede, std::string_view reason, const RrsigView* signature) noexcept;

    RrsetView rrset_;
    ZoneKeys* keys_;
    const Policy* policy_;
    std::int64_t now_;
    bool begun_ = false;
    bool finished_ = false;
    Step last_ = Step::done;
    Verdict verdict_;
    Reached reached_ = Reached::nothing;
    std::size_t next_signature_ = 0;
    std::uint32_t next_key_ = 0; // of those with the tag of this signature
    std::uint32_t signatures_tried_ = 0;
    CanonicalRrset canonical_;
    std::vector<std::uint8_t> signed_data_;
};

/// What a DNSKEY RRset is judged by: the validated DS RRset of the parent, or the trust anchors of the zone.
struct KeyTrust {
    std::span<const base::Bytes> ds{};      ///< RDATA
    std::span<const base::Bytes> dnskeys{}; ///< RDATA of keys that are trusted themselves
};

/// Judges the DNSKEY RRset of a zone (RFC 4035 §5.2): a key that the DS names must have signed it. Insecure where no
/// DS is usable.
class KeysVerifier {
public:
    KeysVerifier(const RrsetView& dnskeys, const KeyTrust& trust, const Policy& policy, std::int64_t now) noexcept;
    KeysVerifier(const KeysVerifier&) = delete;
    KeysVerifier& operator=(const KeysVerifier&) = delete;

    [[nodiscard]] Step step(Budget& budget) noexcept;
    [[nodiscard]] const Verdict& verdict() const noexcept { return verdict_; }
    /// After `secure`: all keys of the zone.
    [[nodiscard]] ZoneKeys take_keys();

private:
    [[nodiscard]] bool begin();
    [[nodiscard]] std::vector<base::Bytes> entry_keys(const DsChoice& choice) const;
    [[nodiscard]] bool trusts_a_usable_key() const noexcept;

    RrsetView rrset_;
    KeyTrust trust_;
    const Policy* policy_;
    std::int64_t now_;
    bool begun_ = false;
    Verdict verdict_;
    ZoneKeys entry_keys_; // those that the DS or the anchors name
    std::optional<RrsetVerifier> verifier_;
};

/// Whether `cname_target` is what DNAME makes of `owner` (RFC 6672 §3.3): a CNAME that comes without a signature of
/// its own is believed with its DNAME.
[[nodiscard]] bool is_dname_synthesis(const wire::Name& owner, const wire::Name& cname_target,
                                      const wire::Name& dname_owner, const wire::Name& dname_target) noexcept;

} // namespace sallyport::dnssec
