#include "resolver/iterate/fetch.hpp"

/// Look-ups in zones whose names go to a group of upstreams: whom of it to ask, how often and how long is the group's
/// to know (`resolver/resolution.cpp`). Here it counts as one server that recurses and that the server cache does not
/// know.
namespace sallyport::resolver::iterate {

void Fetch::select_group()
{
    state_ = State::select;
    if (attempt({}).tries == 0) return ask_group();
    if (zone_->first && !skip_first_) {
        skip_first_ = true;
        state_ = State::priming;
        return begin();
    }
    fail(last_ede_, last_trouble_.empty() ? "group " + zone_->group + " can not be asked" : last_trouble_);
}

void Fetch::ask_group()
{
    if (budget_->spent || budget_->packets >= parts_.options.limits.packets) {
        if (!budget_->spent) ++parts_.stats.budget_packets;
        budget_->spent = true;
        return fail(wire::ExtendedError::no_reachable_authority, "too much work for one question", true);
    }
    ++budget_->packets;
    ++attempt({}).tries;
    Pending query;
    query.fetch = std::static_pointer_cast<Fetch>(shared_from_this());
    query.group = zone_;
    query.again = !avoid_.empty();
    query.qname = outgoing_;
    query.qtype = outgoing_type_;
    query.qclass = question_.qclass;
    query.tcp = true; // as far as truncation goes: the group has seen to that
    query.edns = true;
    state_ = State::waiting;
    tell(Event::Kind::ask, query, {});
    parts_.send(std::static_pointer_cast<Fetch>(shared_from_this()), std::move(query), zone_->zone, true);
}

} // namespace sallyport::resolver::iterate
