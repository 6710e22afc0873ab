#pragma once

#include "base/clock.hpp"

#include <boost/intrusive/list.hpp>

#include <cstddef>

namespace sallyport::resolver::iterate {

class Fetch;
struct Crowd;

/// The place of a look-up in a crowd; left when it goes.
class Place : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>> {
public:
    explicit Place(Fetch& fetch) noexcept : fetch_(fetch) {}
    ~Place() { leave(); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    /// Behind all who are there. Out of the crowd it is in.
    void join(Crowd& crowd, base::Instant now) noexcept;
    void leave() noexcept;
    [[nodiscard]] Fetch& fetch() const noexcept { return fetch_; }
    [[nodiscard]] base::Instant since() const noexcept { return since_; }

private:
    Fetch& fetch_;
    Crowd* crowd_ = nullptr;
    base::Instant since_{};
};

/// Look-ups in flight that share what there are limits for: a worker, a zone, a server. The oldest first.
struct Crowd {
    boost::intrusive::list<Place, boost::intrusive::constant_time_size<true>> places;

    [[nodiscard]] std::size_t size() const noexcept { return places.size(); }
};

inline void Place::join(Crowd& crowd, base::Instant now) noexcept
{
    leave();
    crowd.places.push_back(*this);
    crowd_ = &crowd;
    since_ = now;
}

inline void Place::leave() noexcept
{
    if (crowd_ == nullptr) return;
    crowd_->places.erase(crowd_->places.iterator_to(*this));
    crowd_ = nullptr;
}

} // namespace sallyport::resolver::iterate
