#pragma once

#include "base/counter.hpp"

#include <cstdint>

namespace sallyport::listeners {

/// What the HTTP doors of one worker have seen. Written by the worker, read by any thread.
struct HttpStats {
    base::Counter sessions_http1, sessions_http2, requests_get, requests_head, requests_post, requests_options;
    base::Counter answers;
    base::Counter status_400, status_404, status_405, status_408, status_413, status_414, status_415;
    base::Counter status_431, status_501, status_503, status_other;
    base::Counter protocol_errors, drained, reset_budget_spent, offence_budget_spent, header_lists_too_long;
    base::Counter header_blocks_too_long, continuations_too_many, settings_too_many, control_queue_full;
    base::Counter streams_refused, bodies_too_slow, bodies_too_long, bodies_cut, header_blocks_too_slow, answers_parked;
    base::Counter answers_over_connection_limit, answers_over_total_limit, bodies_over_total_limit, stalled,
        idle_closed;
    base::Counter orphaned, forwarded_believed, forwarded_ignored, pipelined_too_much;

    /// Counts an error answer under its status.
    void count_status(unsigned status) noexcept
    {
        switch (status) {
        case 400: ++status_400; return;
        case 404: ++status_404; return;
        case 405: ++status_405; return;
        case 408: ++status_408; return;
        case 413: ++status_413; return;
        case 414: ++status_414; return;
        case 415: ++status_415; return;
        case 431: ++status_431; return;
        case 501: ++status_501; return;
        case 503: ++status_503; return;
        default: ++status_other; return;
        }
    }

    template <class V>
    void each(V&& visit) const
    {
        visit("http1_sessions_total", "HTTP/1.1 connections", sessions_http1);
        visit("http2_sessions_total", "HTTP/2 connections", sessions_http2);
        visit("http_get_total", "DoH requests by GET", requests_get);
        visit("http_head_total", "DoH requests by HEAD", requests_head);
        visit("http_post_total", "DoH requests by POST", requests_post);
        visit("http_options_total", "CORS preflight requests", requests_options);
        visit("http_answers_total", "Requests answered with a DNS message", answers);
        visit("http_400_total", "Requests answered 400", status_400);
        visit("http_404_total", "Requests answered 404", status_404);
        visit("http_405_total", "Requests answered 405", status_405);
        visit("http_408_total", "Requests answered 408", status_408);
        visit("http_413_total", "Requests answered 413", status_413);
        visit("http_414_total", "Requests answered 414", status_414);
        visit("http_415_total", "Requests answered 415", status_415);
        visit("http_431_total", "Requests answered 431", status_431);
        visit("http_501_total", "Requests answered 501", status_501);
        visit("http_503_total", "Requests answered 503", status_503);
        visit("http_other_errors_total", "Requests answered with another error", status_other);
        visit("http_protocol_errors_total", "Connections ended by a breach of HTTP itself", protocol_errors);
        visit("http_drained_total", "Connections ended in order because the gateway was ending", drained);
        visit("http2_reset_budget_spent_total", "Connections ended: too many streams ended before their answer",
              reset_budget_spent);
        visit("http2_offence_budget_spent_total", "Connections ended: too many control frames", offence_budget_spent);
        visit("http_header_lists_too_long_total", "Connections ended: decoded header list over its limit",
              header_lists_too_long);
        visit("http_header_blocks_too_long_total", "Connections ended: header block over its limit",
              header_blocks_too_long);
        visit("http2_continuations_too_many_total", "Connections ended: too many CONTINUATION frames",
              continuations_too_many);
        visit("http2_settings_too_many_total", "Connections ended: too many entries in a SETTINGS frame",
              settings_too_many);
        visit("http2_control_queue_full_total", "Connections ended: too many control frames waiting for the peer",
              control_queue_full);
        visit("http2_streams_refused_total", "Streams refused: over the limit of concurrent streams", streams_refused);
        visit("http_bodies_too_slow_total", "Requests whose body was not complete in time", bodies_too_slow);
        visit("http_bodies_too_long_total", "Requests whose body was over its limit", bodies_too_long);
        visit("http2_bodies_cut_total", "Streams reset: the body went on too long behind its answer", bodies_cut);
        visit("http_header_blocks_too_slow_total", "Connections ended: header block not complete in time",
              header_blocks_too_slow);
        visit("http_answers_parked_total", "Requests held back until the peer has read earlier answers",
              answers_parked);
        visit("http_answers_over_connection_limit_total", "Answers given up: too many octets held for one peer",
              answers_over_connection_limit);
        visit("http_answers_over_total_limit_total", "Connections ended: too many octets held for all peers",
              answers_over_total_limit);
        visit("http_bodies_over_total_limit_total", "Requests refused: too many octets of unfinished bodies",
              bodies_over_total_limit);
        visit("http_stalled_total", "Connections ended: answers waited and the peer did not read", stalled);
        visit("http_idle_closed_total", "Connections ended: no request for too long", idle_closed);
        visit("http_orphaned_total", "Queries let go because their stream or connection ended", orphaned);
        visit("http_forwarded_believed_total", "Requests with a client address from a listed proxy",
              forwarded_believed);
        visit("http_forwarded_ignored_total", "Requests with a forwarding header from others", forwarded_ignored);
        visit("http1_pipelined_too_much_total", "Connections ended: pipelined past the limit", pipelined_too_much);
    }
};

} // namespace sallyport::listeners
