#pragma once

#include "resolver/iterate/fetch.hpp"
#include "resolver/iterate/judge.hpp"

namespace sallyport::resolver::iterate {

/// The chain of trust from the closest anchor down to the zone that a name belongs to (RFC 4035 §5): its keys, or why
/// nothing below can be, or need be, validated.
class Trust final : public Job {
public:
    Trust(Engine::Parts& parts, const wire::Name& name, BudgetPtr budget, unsigned depth);

    void run() override;
    [[nodiscard]] bool waits_for(const Job& other, unsigned depth) const override;
    /// Never null once done.
    [[nodiscard]] const ZoneTrustPtr& result() const noexcept { return result_; }
    [[nodiscard]] bool is_spent() const noexcept { return spent_; }

private:
    enum class Phase : std::uint8_t { begin, down, ds, ds_check, ds_denial, keys, keys_check };
    enum class Next : std::uint8_t { go_on, wait };

    [[nodiscard]] Next begin();
    [[nodiscard]] Next down();
    [[nodiscard]] Next take_ds();
    [[nodiscard]] Next check_ds();
    [[nodiscard]] Next check_ds_denial();
    [[nodiscard]] Next take_keys();
    [[nodiscard]] Next check_keys();
    [[nodiscard]] Next fetch(const wire::Name& name, wire::RrType type, Phase then);
    [[nodiscard]] bool again_elsewhere(const dnssec::Verdict& verdict);
    [[nodiscard]] bool is_told() const;
    [[nodiscard]] Next put_off(dnssec::Step step);
    void enter_keys(const wire::Name& zone);
    void tell(Event::Kind kind, const cache::Rrset& set, const dnssec::Verdict& verdict) const;
    void remember(const ZoneTrustPtr& trust);
    void settle(const wire::Name& zone, wire::ValidationState state, std::optional<wire::ExtendedError> ede,
                std::string text, wire::Ttl ttl);

    wire::Name name_;
    Phase phase_ = Phase::begin;
    const dnssec::AnchorPoint* anchor_ = nullptr;
    std::shared_ptr<const dnssec::TrustAnchors> anchors_; ///< keeps `anchor_`
    std::uint32_t begun_;                                 ///< see `Parts::anchors_set`
    ZoneTrustPtr current_;                                ///< the deepest zone whose keys are known
    wire::Name next_;                                     ///< the name below it that may be a cut
    RrsetPtr ds_;                                         ///< of `next_`, secure
    RrsetPtr keys_set_;
    std::shared_ptr<Fetch> fetch_;
    std::unique_ptr<SetCheck> check_;
    std::unique_ptr<DenialCheck> denial_;
    std::vector<base::Bytes> rdatas_, signatures_, trusted_ds_, trusted_keys_;
    std::optional<dnssec::KeysVerifier> verifier_;
    std::vector<base::IpAddress> avoid_;
    unsigned restarts_ = 0;
    std::optional<dnssec::Verdict> bogus_; ///< what other servers are asked for, because of it
    bool spent_ = false;
    ZoneTrustPtr result_;
};

} // namespace sallyport::resolver::iterate
