#include "resolver/upstream_probe.hpp"

namespace sallyport::resolver {

void Upstream::arm_probe()
{
    if (health_.is_open() && !health_.is_probing())
        around_.worker.arm(probe_timer_, health_.next_probe());
    else
        probe_timer_.cancel();
}

void Upstream::probe_due(base::Instant now) noexcept
{
    if (!health_.is_open()) return;
    health_.probe_started();
    probe(probe_inquiry_, now);
}

void Upstream::probe(const Inquiry& inquiry, base::Instant now)
{
    if (!has_address() || (probe_ && !probe_->ended_)) return;
    stats_->probes.add();
    const bool is_real = probe_is_real_ || &inquiry != &probe_inquiry_;
    probe_ = std::make_unique<Probe>(*this, inquiry, is_real);
    probe_->try_began_ = now;
    if (!probe_->start(now)) probe_->over(false, now);
}

} // namespace sallyport::resolver
