#pragma once

#include "base/counter.hpp"

namespace sallyport::listeners {

/// What happened on the streams of one worker.
struct StreamStats {
    base::Counter connections, active, refused_full, evicted, refused_address, descriptor_pauses, accept_errors;
    base::Counter handshakes, resumed, handshake_failures, handshake_timeouts;
    base::Counter proxy_headers, proxy_refused;
    base::Counter messages, bad_messages, message_timeouts, idle_timeouts, write_stalls;
    base::Counter backlog_pauses, work_pauses, turns_given;

    template <class V>
    void each(V&& visit) const
    {
        visit("stream_connections_total", "Stream connections accepted", connections);
        visit("stream_connections", "Stream connections open", active);
        visit("stream_refused_full_total", "Connections closed at once: the limit is reached and none is idle",
              refused_full);
        visit("stream_evicted_total", "Idle connections closed for a newcomer", evicted);
        visit("stream_refused_address_total", "Connections closed at once: too many of one network", refused_address);
        visit("stream_descriptor_pauses_total", "Times accepting paused because descriptors ran low",
              descriptor_pauses);
        visit("stream_accept_errors_total", "Connections that failed before they were accepted", accept_errors);
        visit("tls_handshakes_total", "TLS handshakes completed on streams", handshakes);
        visit("tls_resumed_total", "TLS handshakes on streams that resumed a session", resumed);
        visit("tls_handshake_failures_total", "TLS handshakes on streams that failed", handshake_failures);
        visit("tls_handshake_timeouts_total", "TLS handshakes on streams not complete in time", handshake_timeouts);
        visit("proxy_headers_total", "PROXY headers taken", proxy_headers);
        visit("proxy_refused_total", "Connections of listed proxies without a good PROXY header in time",
              proxy_refused);
        visit("stream_messages_total", "DNS messages read from length-prefixed streams", messages);
        visit("stream_bad_messages_total", "Streams ended by a response or a message under 12 octets", bad_messages);
        visit("stream_message_timeouts_total", "Connections closed: a message begun was not whole in time",
              message_timeouts);
        visit("stream_idle_timeouts_total", "Connections closed for idleness", idle_timeouts);
        visit("stream_write_stalls_total", "Connections closed: the peer did not read its answers", write_stalls);
        visit("stream_backlog_pauses_total", "Times reading paused because answers waited", backlog_pauses);
        visit("stream_work_pauses_total", "Times reading paused because too many queries were in work", work_pauses);
        visit("stream_turns_given_total", "Times a connection with more to say let others go first", turns_given);
    }
};

} // namespace sallyport::listeners
