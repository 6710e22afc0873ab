#pragma once

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "dnssec/options.hpp"

#include <cstdint>

namespace sallyport::dnssec {

class KnownSignatures;

/// Of one worker.
struct Stats {
    base::Counter signature_checks, signatures_known, signatures_failed, nsec3_hashes, turns, spent, unhashed;

    template <class V>
    void each(V&& visit) const
    {
        visit("dnssec_signature_checks_total", "signatures checked", signature_checks);
        visit("dnssec_signatures_known_total", "signatures taken for good because they had been before",
              signatures_known);
        visit("dnssec_signatures_failed_total", "signatures that did not verify", signatures_failed);
        visit("dnssec_nsec3_hashes_total", "NSEC3 hashes computed", nsec3_hashes);
        visit("dnssec_turns_total", "times a validation let others run", turns);
        visit("dnssec_budget_spent_total", "validations given up because they took too much work", spent);
        visit("dnssec_nsec3_unhashed_total", "NSEC3 proofs left alone for their iterations or salt", unhashed);
    }
};

/// What one client query may still spend on validation. Made once, carried by reference through everything done for
/// that query, never refilled on the way.
class Budget {
public:
    enum class Grant : std::uint8_t { granted, turn_over, spent };

    /// `clock` measures the processor time of checks; null measures none. Both are borrowed.
    /// `known`, where given, spares the checks of what has verified before.
    explicit Budget(const Limits& limits, const base::Clock* clock = nullptr, Stats* stats = nullptr,
                    KnownSignatures* known = nullptr) noexcept
        : limits_(limits), clock_(clock), stats_(stats), known_(known)
    {
    }

    /// A new turn: others have run meanwhile.
    void begin_turn() noexcept
    {
        turn_checks_ = 0;
        turn_hashes_ = 0;
        if (stats_ != nullptr) ++stats_->turns;
    }
    [[nodiscard]] Grant take_check() noexcept;
    [[nodiscard]] Grant take_hash() noexcept;
    /// For limits that other code keeps: from now on nothing is granted.
    void spend() noexcept;

    [[nodiscard]] const Limits& limits() const noexcept { return limits_; }
    [[nodiscard]] Stats* stats() const noexcept { return stats_; }
    [[nodiscard]] KnownSignatures* known_signatures() const noexcept { return known_; }
    [[nodiscard]] std::uint32_t checks() const noexcept { return checks_; }
    [[nodiscard]] std::uint32_t hashes() const noexcept { return hashes_; }
    [[nodiscard]] base::Duration time_used() const noexcept { return used_; }
    [[nodiscard]] bool is_spent() const noexcept { return spent_; }

    /// Counts the time from its making to its end.
    class Timing {
    public:
        explicit Timing(Budget& budget) noexcept;
        ~Timing();
        Timing(const Timing&) = delete;
        Timing& operator=(const Timing&) = delete;

    private:
        Budget& budget_;
        bool outermost_;
    };

private:
    [[nodiscard]] bool out_of_time() const noexcept;
    [[nodiscard]] Grant take(std::uint32_t& used, std::uint32_t limit, std::uint32_t& turn, std::uint32_t turn_limit,
                             base::Counter Stats::* counter) noexcept;

    Limits limits_;
    const base::Clock* clock_;
    Stats* stats_;
    KnownSignatures* known_;
    std::uint32_t checks_ = 0;
    std::uint32_t hashes_ = 0;
    std::uint32_t turn_checks_ = 0;
    std::uint32_t turn_hashes_ = 0;
    bool spent_ = false;
    bool timing_ = false;
    base::Instant since_{};
    base::Duration used_{};
};

} // namespace sallyport::dnssec
