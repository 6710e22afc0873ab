#pragma once

#include "base/counter.hpp"

namespace sallyport::listeners::quic {

/// What happened at one QUIC port of one worker.
struct QuicStats {
    // packets
    base::Counter datagrams, bytes_received, packets_sent, bytes_sent, unreadable, short_initials, unknown_packets;
    base::Counter routed_out, routed_in, routed_wrong;
    base::Counter version_negotiations, retries, tokens_issued, tokens_valid, tokens_invalid;
    base::Counter resets_sent, resets_held_back;
    // connections
    base::Counter connections, accepted, handshakes, handshaking, resumed, early_data, migrations;
    base::Counter first_packet_failures, handshake_failures, handshake_timeouts, idle_timeouts;
    base::Counter closed_by_peer, closed_by_us, refused_connections, refused_per_address, refused_memory,
        refused_draining, evicted;
    base::Counter remnants, remnants_dropped, close_packets_repeated, connection_ids, call_order_breaches;
    base::Counter memory, memory_refused;
    // streams
    base::Counter streams, stream_resets, reset_budget_spent, message_timeouts, answer_stalls, answers_deferred,
        deferred_timeouts;
    // DoQ
    base::Counter doq_queries, doq_replies, doq_protocol_errors, doq_nonzero_ids, doq_keepalive_options, doq_malformed,
        doq_trailing_data, doq_truncated, doq_unidirectional, doq_dropped;
    // HTTP/3
    base::Counter h3_requests, h3_responses, h3_errors, h3_header_lists_too_large, h3_bodies_too_large,
        h3_control_floods, h3_goaways;

    template <class V>
    void each(V&& visit) const
    {
        visit("quic_datagrams_total", "Datagrams received", datagrams);
        visit("quic_bytes_received_total", "Octets received", bytes_received);
        visit("quic_packets_sent_total", "Datagrams sent", packets_sent);
        visit("quic_bytes_sent_total", "Octets sent", bytes_sent);
        visit("quic_unreadable_total", "Datagrams that are no QUIC packet", unreadable);
        visit("quic_short_initials_total", "First packets in datagrams under 1,200 octets, dropped", short_initials);
        visit("quic_unknown_packets_total", "Packets of connections we do not know", unknown_packets);
        visit("quic_routed_out_total", "Packets handed to the worker that owns their connection", routed_out);
        visit("quic_routed_in_total", "Packets handed over by other workers", routed_in);
        visit("quic_routed_wrong_total", "Packets handed over that are not ours", routed_wrong);
        visit("quic_version_negotiations_total", "Version Negotiation packets sent", version_negotiations);
        visit("quic_retries_total", "Retry packets sent", retries);
        visit("quic_tokens_issued_total", "Address tokens issued (NEW_TOKEN)", tokens_issued);
        visit("quic_tokens_valid_total", "First packets with a valid token", tokens_valid);
        visit("quic_tokens_invalid_total", "First packets with a token that is not valid (any more)", tokens_invalid);
        visit("quic_stateless_resets_total", "Stateless resets sent", resets_sent);
        visit("quic_stateless_resets_held_back_total", "Stateless resets held back by their rate limit",
              resets_held_back);
        visit("quic_connections", "Connections open", connections);
        visit("quic_connections_accepted_total", "Connections begun", accepted);
        visit("quic_handshakes_total", "Handshakes completed", handshakes);
        visit("quic_handshaking", "Handshakes of addresses not validated yet", handshaking);
        visit("quic_resumed_total", "Handshakes that resumed a session", resumed);
        visit("quic_early_data_total", "Streams whose data came before the handshake was complete (0-RTT)", early_data);
        visit("quic_migrations_total", "Connections that moved to another client address", migrations);
        visit("quic_first_packet_failures_total", "Connections removed because their first packet could not be read",
              first_packet_failures);
        visit("quic_handshake_failures_total", "Connections removed because their handshake failed",
              handshake_failures);
        visit("quic_handshake_timeouts_total", "Handshakes not complete in time", handshake_timeouts);
        visit("quic_idle_timeouts_total", "Connections closed because they were idle", idle_timeouts);
        visit("quic_closed_by_peer_total", "Connections closed by the client", closed_by_peer);
        visit("quic_closed_by_gateway_total", "Connections closed by us", closed_by_us);
        visit("quic_refused_connections_total", "Connections refused at the limit on connections", refused_connections);
        visit("quic_refused_per_address_total", "Connections refused at the limit per address", refused_per_address);
        visit("quic_refused_memory_total", "Connections refused at the memory budget", refused_memory);
        visit("quic_refused_draining_total", "Connections refused because the gateway is ending", refused_draining);
        visit("quic_evicted_total", "Idle connections closed to make room for a newcomer", evicted);
        visit("quic_remnants", "Connections in their closing or draining period", remnants);
        visit("quic_remnants_dropped_total", "Closing periods cut short at their limit", remnants_dropped);
        visit("quic_close_packets_repeated_total", "Stored CONNECTION_CLOSE packets sent again",
              close_packets_repeated);
        visit("quic_connection_ids", "Connection IDs known", connection_ids);
        visit("quic_call_order_breaches_total", "Calls into the QUIC library held back by the call order guard",
              call_order_breaches);
        visit("quic_memory_bytes", "Octets held for QUIC", memory);
        visit("quic_memory_refused_total", "Requests for memory refused at the budget", memory_refused);
        visit("quic_streams", "Request streams open", streams);
        visit("quic_stream_resets_total", "Request streams that ended before their answer", stream_resets);
        visit("quic_reset_budget_spent_total", "Connections closed because too many streams ended early",
              reset_budget_spent);
        visit("quic_message_timeouts_total", "Queries not complete in time", message_timeouts);
        visit("quic_answer_stalls_total", "Connections closed because answers were not read", answer_stalls);
        visit("quic_answers_deferred_total", "Queries that waited until earlier answers were read", answers_deferred);
        visit("quic_deferred_timeouts_total", "Queries that waited in vain until earlier answers were read",
              deferred_timeouts);
        visit("doq_queries_total", "Queries over DoQ", doq_queries);
        visit("doq_replies_total", "Replies over DoQ", doq_replies);
        visit("doq_protocol_errors_total", "Connections closed with DOQ_PROTOCOL_ERROR", doq_protocol_errors);
        visit("doq_nonzero_ids_total", "Queries with an ID other than 0", doq_nonzero_ids);
        visit("doq_keepalive_options_total", "Queries with edns-tcp-keepalive", doq_keepalive_options);
        visit("doq_malformed_total", "Queries that do not parse", doq_malformed);
        visit("doq_trailing_data_total", "Streams with data after the query", doq_trailing_data);
        visit("doq_truncated_total", "Streams that ended before the query was whole", doq_truncated);
        visit("doq_unidirectional_total", "Unidirectional streams on DoQ connections", doq_unidirectional);
        visit("doq_dropped_total", "Queries that got no answer by policy", doq_dropped);
        visit("h3_requests_total", "Requests over HTTP/3", h3_requests);
        visit("h3_responses_total", "Responses over HTTP/3", h3_responses);
        visit("h3_errors_total", "Connections closed with an HTTP/3 error", h3_errors);
        visit("h3_header_lists_too_large_total", "Connections closed for a header list over its limit",
              h3_header_lists_too_large);
        visit("h3_bodies_too_large_total", "Requests whose body is over its limit", h3_bodies_too_large);
        visit("h3_control_floods_total", "Connections closed for floods of control frames", h3_control_floods);
        visit("h3_goaways_total", "GOAWAY frames sent", h3_goaways);
    }
};

} // namespace sallyport::listeners::quic
