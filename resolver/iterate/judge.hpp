#pragma once

#include "resolver/iterate/parts.hpp"

/// Whether what was found may be believed: joins what `dnssec` computes with what is fetched for it.
namespace sallyport::resolver::iterate {

/// How far a check has come.
enum class Progress : std::uint8_t {
    done,
    waiting, ///< for a look-up, which wakes the job
    turn,    ///< this turn's share of work is used: others first
};

/// One set against the keys of a zone.
class SetCheck {
public:
    SetCheck(Engine::Parts& parts, RrsetPtr set, std::shared_ptr<dnssec::ZoneKeys> keys);
    SetCheck(const SetCheck&) = delete;
    SetCheck& operator=(const SetCheck&) = delete;

    [[nodiscard]] dnssec::Step step(dnssec::Budget& budget);
    [[nodiscard]] const dnssec::Verdict& verdict() const noexcept { return verdict_; }
    [[nodiscard]] const RrsetPtr& set() const noexcept { return set_; }

private:
    RrsetPtr set_;
    std::shared_ptr<dnssec::ZoneKeys> keys_;
    std::vector<base::Bytes> rdatas_;
    std::vector<base::Bytes> signatures_;
    std::optional<dnssec::RrsetVerifier> verifier_;
    dnssec::Verdict verdict_;
};

/// The proof that stands beside a set: its records against the keys, then what they prove.
class DenialCheck {
public:
    DenialCheck(Engine::Parts& parts, std::vector<RrsetPtr> sets, std::shared_ptr<dnssec::ZoneKeys> keys,
                const wire::Name& qname, wire::RrType qtype, dnssec::Claim claim, std::uint8_t wildcard_labels);
    DenialCheck(const DenialCheck&) = delete;
    DenialCheck& operator=(const DenialCheck&) = delete;

    [[nodiscard]] dnssec::Step step(dnssec::Budget& budget);
    [[nodiscard]] const dnssec::Verdict& verdict() const noexcept { return verdict_; }
    [[nodiscard]] dnssec::Finding finding() const noexcept { return finding_; }
    /// The sets with what was found of them; in the order they came in.
    [[nodiscard]] const std::vector<RrsetPtr>& sets() const noexcept { return sets_; }
    /// When the first of its signatures expires, where that is before the TTLs do; otherwise far away.
    [[nodiscard]] base::Instant good_until() const noexcept { return good_until_; }

private:
    void note(const SetCheck& check);
    void keep_soa(const cache::Rrset& set);
    void keep_proofs();

    Engine::Parts& parts_;
    std::uint32_t begun_; ///< see `Parts::anchors_set`
    std::vector<RrsetPtr> sets_;
    std::shared_ptr<dnssec::ZoneKeys> keys_;
    wire::Name qname_;
    wire::RrType qtype_;
    dnssec::Claim claim_;
    std::uint8_t wildcard_labels_;
    std::size_t next_ = 0;
    std::optional<SetCheck> check_;
    std::vector<dnssec::DenialRecord> records_;
    std::vector<RrsetPtr> held_;
    std::optional<dnssec::DenialProver> prover_;
    std::optional<dnssec::Verdict> trouble_;
    base::Instant good_until_ = base::Instant::max();
    dnssec::Verdict verdict_;
    dnssec::Finding finding_ = dnssec::Finding::nothing;
};

/// One set, positive or negative, from the question whose keys count to the verdict.
class Judge {
public:
    Judge(Engine::Parts& parts, RrsetPtr set);

    [[nodiscard]] Progress step(const std::shared_ptr<Job>& waiter, const BudgetPtr& budget, unsigned depth);
    /// The set with its state, put in the place of the one that was judged.
    [[nodiscard]] const RrsetPtr& result() const noexcept { return result_; }
    /// Of the signature over the set; nothing where it was not checked, or does not count.
    [[nodiscard]] const std::optional<dnssec::Verdict>& verdict() const noexcept { return verdict_; }
    /// The budget was used up: nothing was learned of the data.
    [[nodiscard]] bool is_spent() const noexcept { return spent_; }
    [[nodiscard]] bool waits_for(const Job& other, unsigned depth) const;

private:
    enum class Phase : std::uint8_t { begin, trust, unsigned_trust, set, proof, done };
    [[nodiscard]] Progress begin(const std::shared_ptr<Job>& waiter, const BudgetPtr& budget, unsigned depth);
    [[nodiscard]] Progress ask_trust(const wire::Name& name, Phase phase, const std::shared_ptr<Job>& waiter,
                                     const BudgetPtr& budget, unsigned depth);
    void use_trust();
    [[nodiscard]] wire::Name trusted_name() const;
    [[nodiscard]] bool ends_above_an_anchor() const;
    void begin_proof(const std::shared_ptr<dnssec::ZoneKeys>& keys, dnssec::Claim claim, std::uint8_t labels);
    void conclude(wire::ValidationState state, std::optional<wire::ExtendedError> ede, std::string text);
    void conclude(const dnssec::Verdict& verdict);
    void missing_signature(const wire::Name& zone);
    void keep_wildcard(cache::Rrset& expanded);
    void end_with_negative_anchor(cache::Rrset& judged) const;

    Engine::Parts& parts_;
    std::uint32_t begun_; ///< see `Parts::anchors_set`
    RrsetPtr set_;        ///< as it came
    RrsetPtr judged_;     ///< what carries the signature: `set_`, or the DNAME it is made of
    RrsetPtr result_;
    Phase phase_ = Phase::begin;
    wire::Name signer_;
    bool signed_ = false;
    bool checked_zone_ = false;
    std::shared_ptr<Trust> trust_;
    std::shared_ptr<dnssec::ZoneKeys> keys_;
    std::unique_ptr<SetCheck> check_;
    std::unique_ptr<DenialCheck> proof_;
    std::optional<dnssec::Verdict> verdict_;
    bool spent_ = false;
};

/// The signer closest to the owner of those that signatures name: nobody else can vouch for it.
[[nodiscard]] std::optional<wire::Name> signer_of(const cache::Rrset& set);
/// A copy with another state.
[[nodiscard]] cache::Rrset with_state(const cache::Rrset& set, wire::ValidationState state);
/// It lives no longer than the verdict allows (RFC 4035 §5.3.3).
void cut(cache::Rrset& set, wire::Ttl ttl, base::Instant now);

} // namespace sallyport::resolver::iterate
