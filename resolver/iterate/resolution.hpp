#pragma once

#include "resolver/iterate/fetch.hpp"
#include "resolver/iterate/judge.hpp"

namespace sallyport::resolver::iterate {

/// A client's question, from alias to alias: each is looked up for itself, and validated before it is followed.
class Resolution final : public Job {
public:
    Resolution(Engine::Parts& parts, Question question, BudgetPtr budget, Done done, std::uint64_t number,
               bool refresh);

    void run() override;
    [[nodiscard]] bool waits_for(const Job& other, unsigned depth) const override;
    /// The clock has reached the patience of the client, or the end of the budget.
    void timer(base::Instant now);
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    /// What is known without asking; nothing where something would have to be asked.
    [[nodiscard]] std::optional<Answer> known_only();

private:
    enum class Phase : std::uint8_t { look, fetched, judge };
    enum class Next : std::uint8_t { go_on, wait };

    [[nodiscard]] Next look();
    [[nodiscard]] Next take_fetched();
    [[nodiscard]] Next judge();
    [[nodiscard]] Next accept(const RrsetPtr& set);
    [[nodiscard]] Next follow(const RrsetPtr& alias);
    [[nodiscard]] RrsetPtr find();
    [[nodiscard]] Question current_question() const;
    [[nodiscard]] Question question_of(const wire::Name& name, bool checking_disabled) const;
    [[nodiscard]] Key key_of(const wire::Name& name) const;
    static void note_scope(const cache::Rrset& set, Answer& answer);
    [[nodiscard]] bool needs_judge(const cache::Rrset& set) const;
    [[nodiscard]] bool again_elsewhere(const RrsetPtr& judged);
    [[nodiscard]] bool give_stale();
    [[nodiscard]] RrsetPtr newest(const RrsetPtr& set) const;
    [[nodiscard]] bool has_grown_old(const cache::Rrset& set) const;
    void put_back_stale();
    void tell_judged(const cache::Rrset& set) const;
    void withhold_from_sentinel();
    void add_proof_of_insecurity(const cache::Rrset& target);
    void fail(std::optional<wire::ExtendedError> ede, std::string text);
    void end();

    Question question_;
    Done tell_;
    std::uint64_t number_;
    wire::Name current_;
    Phase phase_ = Phase::look;
    Answer answer_;
    bool any_insecure_ = false;
    bool any_unchecked_ = false;
    bool refresh_;                ///< the next look-up asks, whatever is known
    bool renews_;                 ///< nobody waits: what is in the last tenth of its life is asked for anew
    bool grown_old_ = false;      ///< something in the answer is in the last tenth of its life
    RrsetPtr before_;             ///< what was known, past its time, before others were asked
    std::uint32_t before_by_ = 0; ///< `Parts::anchors_set` when that was looked up
    bool known_only_ = false;
    bool asked_ = false;
    bool asked_here_ = false; ///< for the current name
    bool whole_name_ = false; ///< the name is not minimised any more
    unsigned aliases_ = 0;
    unsigned restarts_ = 0;
    std::vector<RrsetPtr> carried_; ///< of replies to this question: usable though they may not be kept
    std::vector<RrsetPtr> any_;     ///< of a reply to ANY, what is still to be looked at
    std::vector<wire::Name> seen_;
    std::shared_ptr<Fetch> fetch_;
    std::unique_ptr<Judge> judge_;
    std::vector<base::IpAddress> avoid_;
    RrsetPtr bogus_; ///< what other servers are asked for, because of it
};

} // namespace sallyport::resolver::iterate
