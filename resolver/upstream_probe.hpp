#pragma once

#include "resolver/upstream.hpp"

#include <algorithm>

namespace sallyport::resolver {

/// A question of our own, to see whether and how quickly it answers.
class Upstream::Probe final : private TryUser {
public:
    Probe(Upstream& upstream, const Inquiry& inquiry, bool is_real)
        : upstream_(upstream), inquiry_(inquiry), is_real_(is_real), try_(*this, upstream, inquiry_)
    {
    }

    [[nodiscard]] bool start(base::Instant now)
    {
        upstream_.around_.worker.arm(timer_,
                                     now + std::max<base::Duration>(upstream_.limits().first_timeout * 2,
                                                                    upstream_.health_.timeout(upstream_.limits())));
        return upstream_.begin(try_, now) == Trouble::none;
    }

private:
    void try_answered(Try&, const wire::MessageView& response, base::Instant now) noexcept override
    {
        const wire::Rcode rcode = response.rcode();
        // A server that is not for the root says REFUSED to a question about it, and is there.
        const bool good = is_real_ ? !is_unhelpful(rcode) : rcode != wire::Rcode::SERVFAIL;
        if (good) upstream_.note_answer(now - try_began_, now);
        over(good, now);
    }
    void try_failed(Try&, Trouble, base::Instant now) noexcept override { over(false, now); }
    void expired(base::Instant now) noexcept
    {
        upstream_.timed_out(try_, now);
        over(false, now);
    }
    void over(bool good, base::Instant now) noexcept
    {
        timer_.cancel();
        if (!good) upstream_.health_.probe_failed(now, upstream_.limits());
        ended_ = true;
        // It may move long after it has failed.
        const auto& doubt = upstream_.around_.doubt;
        if (upstream_.health_.is_open() && needs_look_up(upstream_.options_) && doubt)
            doubt(target_of(upstream_.options_));
        upstream_.arm_probe();
        upstream_.around_.worker.flush_later(upstream_.bury_flush_);
    }

    friend class Upstream;
    Upstream& upstream_;
    Inquiry inquiry_;
    bool is_real_;
    bool ended_ = false;
    base::Instant try_began_{};
    Try try_;
    net::Timer timer_{net::Timer::of<&Probe::expired>(*this)};
};

} // namespace sallyport::resolver
