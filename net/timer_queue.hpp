#pragma once

#include "base/clock.hpp"

#include <boost/intrusive/set.hpp>

#include <optional>

namespace sallyport::net {

/// A deadline that unlinks itself when it goes. Its owner gives a member function:
/// `net::Timer idle_{net::Timer::of<&Connection::idle_expired>(*this)};`
class Timer : public boost::intrusive::set_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    using Callback = void (*)(void* owner, base::Instant now) noexcept;

    Timer(Callback callback, void* owner) noexcept : callback_(callback), owner_(owner) {}
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    /// `Member` is `void (Owner::*)(base::Instant) noexcept`.
    template <auto Member, class Owner>
    [[nodiscard]] static Timer of(Owner& owner) noexcept
    {
        return Timer{[](void* self, base::Instant now) noexcept { (static_cast<Owner*>(self)->*Member)(now); }, &owner};
    }

    [[nodiscard]] bool armed() const noexcept { return is_linked(); }
    [[nodiscard]] base::Instant due() const noexcept { return due_; }
    void cancel() noexcept
    {
        if (is_linked()) unlink();
    }

    friend bool operator<(const Timer& left, const Timer& right) noexcept { return left.due_ < right.due_; }

private:
    friend class TimerQueue;
    base::Instant due_{};
    Callback callback_;
    void* owner_;
};

/// The deadlines of one worker, earliest first. Arming is O(log n) and allocates nothing.
class TimerQueue {
public:
    /// Arms `timer` for `due`, moving it where it was armed before.
    void arm(Timer& timer, base::Instant due) noexcept;
    [[nodiscard]] std::optional<base::Instant> earliest() const noexcept;
    /// Calls what is due at `now`, earliest first; a callback may arm and cancel any timer. At most `most` calls, so
    /// that sockets get their turn; the rest is due at once again.
    void expire(base::Instant now, unsigned most = 1024) noexcept;

private:
    boost::intrusive::multiset<Timer, boost::intrusive::constant_time_size<false>> timers_;
};

} // namespace sallyport::net
