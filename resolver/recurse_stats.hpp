#pragma once

#include "base/counter.hpp"

namespace sallyport::resolver {

/// Of the sockets of one worker's recursion.
struct RecurseStats {
    base::Counter sockets, sockets_waited, sockets_full, send_failures, connections, connections_opened,
        connections_full, connections_lost, asked_again, unexpected, late_answers;

    template <class V>
    void each(V&& visit) const
    {
        visit("recursion_sockets", "Sockets open for queries to name servers", sockets);
        visit("recursion_sockets_waited_total", "Queries to name servers that waited for a socket", sockets_waited);
        visit("recursion_sockets_full_total", "Queries to name servers that got no socket: too many wait",
              sockets_full);
        visit("recursion_send_failures_total", "Queries to name servers that the system did not send", send_failures);
        visit("recursion_connections", "TCP connections to name servers", connections);
        visit("recursion_connections_opened_total", "TCP connections begun to name servers", connections_opened);
        visit("recursion_connections_full_total", "Queries over TCP turned away: too many connections",
              connections_full);
        visit("recursion_connections_lost_total", "TCP connections that ended with queries in flight",
              connections_lost);
        visit("recursion_asked_again_total", "Queries repeated because a kept connection had ended", asked_again);
        visit("recursion_late_answers_total", "Answers of name servers that came after their time", late_answers);
        visit("recursion_unexpected_total", "Messages over TCP that nobody waited for", unexpected);
    }
};

} // namespace sallyport::resolver
