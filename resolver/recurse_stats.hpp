#pragma once

#include "base/counter.hpp"
#include "resolver/encrypted_servers.hpp"

#include <array>

namespace sallyport::resolver {

/// Of name servers that are asked over TLS, or over QUIC. Without queries in flight `queries` is the sum of the three
/// below it.
struct EncryptedStats {
    base::Counter servers, probes, failures, queries, answers, unanswered, moved;
};

/// Of the sockets of one worker's recursion.
struct RecurseStats {
    base::Counter sockets, sockets_waited, sockets_full, send_failures, connections, connections_opened,
        connections_full, connections_lost, asked_again, unexpected, late_answers, encrypted_servers,
        encrypted_sessions, encrypted_probes_refused, encrypted_fallbacks, root_copy;
    std::array<EncryptedStats, kEncryptions> over;

    template <class V>
    void each(V&& visit) const
    {
        visit("recursion_sockets", "Sockets open for queries to name servers", sockets);
        visit("recursion_sockets_waited_total", "Queries to name servers that waited for a socket", sockets_waited);
        visit("recursion_sockets_full_total", "Queries to name servers that got no socket: too many wait",
              sockets_full);
        visit("recursion_send_failures_total", "Queries to name servers that the system did not send", send_failures);
        visit("recursion_connections", "Connections to name servers over TCP, TLS and QUIC", connections);
        visit("recursion_connections_opened_total", "Connections begun to name servers", connections_opened);
        visit("recursion_connections_full_total", "Queries that got no connection to a name server: too many are open",
              connections_full);
        visit("recursion_connections_lost_total", "Connections to name servers that ended with queries in flight",
              connections_lost);
        visit("recursion_asked_again_total", "Queries repeated because a kept connection had ended", asked_again);
        visit("recursion_late_answers_total", "Answers of name servers that came after their time", late_answers);
        visit("recursion_unexpected_total", "Messages on connections to name servers that nobody waited for",
              unexpected);
        visit("recursion_local_root_total", "Queries to the root that its local copy answered", root_copy);
        visit("recursion_encrypted_servers", "Name servers that are known to speak DNS over TLS or QUIC",
              encrypted_servers);
        visit("recursion_encrypted_sessions", "Name servers whose TLS sessions are kept, to be resumed",
              encrypted_sessions);
        visit("recursion_encrypted_probes_refused_total",
              "Tries of name servers over TLS or QUIC put off: too many at once, or remembered",
              encrypted_probes_refused);
        visit("recursion_encrypted_fallbacks_total", "Queries in plain DNS to name servers that spoke TLS or QUIC",
              encrypted_fallbacks);
        each_over_tls(visit, over[index_of(Encryption::tls)]);
        each_over_quic(visit, over[index_of(Encryption::quic)]);
    }

private:
    template <class V>
    static void each_over_tls(V& visit, const EncryptedStats& tls)
    {
        visit("recursion_tls_servers", "Name servers that are known to speak DNS over TLS", tls.servers);
        visit("recursion_tls_probes_total", "Name servers that were tried over TLS", tls.probes);
        visit("recursion_tls_failures_total", "Connections over TLS to name servers that did not come to be, or broke",
              tls.failures);
        visit("recursion_tls_queries_total", "Queries to name servers over TLS", tls.queries);
        visit("recursion_tls_answers_total", "Of these, answered", tls.answers);
        visit("recursion_tls_unanswered_total", "Of these, given up", tls.unanswered);
        visit("recursion_tls_moved_total", "Of these, asked again over QUIC or in plain DNS", tls.moved);
    }
    template <class V>
    static void each_over_quic(V& visit, const EncryptedStats& quic)
    {
        visit("recursion_quic_servers", "Name servers that are known to speak DNS over QUIC", quic.servers);
        visit("recursion_quic_probes_total", "Name servers that were tried over QUIC", quic.probes);
        visit("recursion_quic_failures_total",
              "Connections over QUIC to name servers that did not come to be, or broke", quic.failures);
        visit("recursion_quic_queries_total", "Queries to name servers over QUIC", quic.queries);
        visit("recursion_quic_answers_total", "Of these, answered", quic.answers);
        visit("recursion_quic_unanswered_total", "Of these, given up", quic.unanswered);
        visit("recursion_quic_moved_total", "Of these, asked again over TLS or in plain DNS", quic.moved);
    }
};

} // namespace sallyport::resolver
