#pragma once

#include "base/counter.hpp"

namespace sallyport::resolver {

/// Of the sockets of one worker's recursion.
struct RecurseStats {
    base::Counter sockets, sockets_waited, sockets_full, send_failures, connections, connections_opened,
        connections_full, connections_lost, asked_again, unexpected, late_answers, encrypted_servers, encrypted_probes,
        encrypted_failures, encrypted_queries, encrypted_fallbacks, root_copy;

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
        visit("recursion_local_root_total", "Queries to the root that its local copy answered", root_copy);
        visit("recursion_encrypted_servers", "Name servers that are known to speak DNS over TLS", encrypted_servers);
        visit("recursion_encrypted_probes_total", "Name servers that were tried over TLS", encrypted_probes);
        visit("recursion_encrypted_failures_total", "Connections over TLS to name servers that did not come to be",
              encrypted_failures);
        visit("recursion_encrypted_queries_total", "Queries to name servers over TLS", encrypted_queries);
        visit("recursion_encrypted_fallbacks_total", "Of these, repeated in plain DNS", encrypted_fallbacks);
    }
};

} // namespace sallyport::resolver
