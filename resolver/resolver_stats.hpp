#pragma once

#include "base/counter.hpp"

namespace sallyport::resolver {

/// Of one worker.
struct ResolverStats {
    base::Counter questions, joined, joined_elsewhere, asked, answered, failed, servfail, fetches, expired, taken_over;
    base::Counter no_route, in_flight_full, waiters_full, octets_full, in_flight, in_flight_octets;
    base::Counter gave_way, zone_gave_way, zone_full;

    template <class V>
    void each(V&& visit) const
    {
        visit("resolver_questions_total", "Questions put to the resolver", questions);
        visit("resolver_joined_total", "Questions that joined an equal one in flight", joined);
        visit("resolver_joined_elsewhere_total", "Questions in flight that wait for another worker's",
              joined_elsewhere);
        visit("resolver_asked_total", "Questions put to upstreams", asked);
        visit("resolver_answered_total", "Questions in flight that came to an answer", answered);
        visit("resolver_failed_total", "Questions in flight that nobody answered", failed);
        visit("resolver_servfail_total", "Questions in flight that upstreams answered SERVFAIL", servfail);
        visit("resolver_fetches_total", "Questions asked ahead of time, to fill the cache", fetches);
        visit("resolver_expired_total", "Questions given up because another worker said nothing in time", expired);
        visit("resolver_taken_over_total", "Questions taken over from a worker that stopped", taken_over);
        visit("resolver_no_route_total", "Questions for which no upstream is configured", no_route);
        visit("resolver_in_flight_full_total", "Questions turned away: too many in flight", in_flight_full);
        visit("resolver_gave_way_total", "Questions given up after 200 ms, because too many were in flight", gave_way);
        visit("resolver_zone_gave_way_total",
              "Questions given up after 200 ms, because too many of their zone were in flight", zone_gave_way);
        visit("resolver_zone_full_total", "Questions turned away: too many of their zone in flight", zone_full);
        visit("resolver_waiters_full_total", "Questions turned away: too many wait for the same", waiters_full);
        visit("resolver_octets_full_total", "Questions turned away: no memory left for them", octets_full);
        visit("resolver_in_flight", "Questions in flight", in_flight);
        visit("resolver_in_flight_octets", "Memory of questions in flight", in_flight_octets);
    }
};

} // namespace sallyport::resolver
