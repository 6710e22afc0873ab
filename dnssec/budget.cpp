#include "dnssec/budget.hpp"

namespace sallyport::dnssec {

Budget::Timing::Timing(Budget& budget) noexcept : budget_(budget), outermost_(!budget.timing_)
{
    if (!outermost_) return;
    budget_.timing_ = true;
    if (budget_.clock_ != nullptr) budget_.since_ = budget_.clock_->now();
}

Budget::Timing::~Timing()
{
    if (!outermost_) return;
    budget_.timing_ = false;
    if (budget_.clock_ != nullptr) budget_.used_ += budget_.clock_->now() - budget_.since_;
}

bool Budget::out_of_time() const noexcept
{
    if (clock_ == nullptr) return false;
    return used_ + (timing_ ? clock_->now() - since_ : base::Duration::zero()) >= limits_.processor_time;
}

void Budget::spend() noexcept
{
    if (spent_) return;
    spent_ = true;
    if (stats_ != nullptr) ++stats_->spent;
}

Budget::Grant Budget::take(std::uint32_t& used, std::uint32_t limit, std::uint32_t& turn, std::uint32_t turn_limit,
                           base::Counter Stats::* counter) noexcept
{
    if (used >= limit || out_of_time()) spend();
    if (spent_) return Grant::spent;
    if (turn >= turn_limit) return Grant::turn_over;
    ++used;
    ++turn;
    if (stats_ != nullptr) ++(stats_->*counter);
    return Grant::granted;
}

Budget::Grant Budget::take_check() noexcept
{
    return take(checks_, limits_.signature_checks, turn_checks_, limits_.checks_per_turn, &Stats::signature_checks);
}

Budget::Grant Budget::take_hash() noexcept
{
    return take(hashes_, limits_.nsec3_hashes, turn_hashes_, limits_.hashes_per_turn, &Stats::nsec3_hashes);
}

} // namespace sallyport::dnssec
