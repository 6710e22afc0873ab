#include "apps/limit_log.hpp"

#include <array>

namespace sallyport::apps {
namespace {

// What an operator may have to act on. Everything else that is counted is ordinary life.
constexpr std::array<std::string_view, 70> kTold{
    "denied_total",
    "rate_limited_total",
    "errors_unanswered_total",
    "reflection_ports_total",
    "malformed_total",
    "in_flight_full_total",
    "in_flight_octets_full_total",
    "unresolved_total",
    "resolver_overloaded_total",
    "resolver_in_flight_full_total",
    "resolver_gave_way_total",
    "resolver_waiters_full_total",
    "resolver_octets_full_total",
    "script_errors_total",
    "script_over_instructions_total",
    "script_over_time_total",
    "script_over_memory_total",
    "query_log_dropped_total",
    "query_log_lost_total",
    "query_log_errors_total",
    "admin_unauthorised_total",
    "admin_locked_out_total",
    "admin_connections_full_total",
    "zones_alias_chains_cut_total",
    "udp_oversized_total",
    "udp_send_dropped_total",
    "proxy_refused_total",
    "tls_handshake_timeouts_total",
    "stream_accept_errors_total",
    "stream_bad_messages_total",
    "stream_descriptor_pauses_total",
    "stream_evicted_total",
    "stream_message_timeouts_total",
    "stream_refused_address_total",
    "stream_refused_full_total",
    "stream_write_stalls_total",
    "http1_pipelined_too_much_total",
    "http2_continuations_too_many_total",
    "http2_control_queue_full_total",
    "http2_offence_budget_spent_total",
    "http2_reset_budget_spent_total",
    "http2_settings_too_many_total",
    "http_answers_over_connection_limit_total",
    "http_answers_over_total_limit_total",
    "http_bodies_over_total_limit_total",
    "http_bodies_too_long_total",
    "http_bodies_too_slow_total",
    "http_header_blocks_too_long_total",
    "http_header_blocks_too_slow_total",
    "http_header_lists_too_long_total",
    "http_protocol_errors_total",
    "http_stalled_total",
    "h3_bodies_too_large_total",
    "h3_control_floods_total",
    "h3_header_lists_too_large_total",
    "doq_protocol_errors_total",
    "quic_answer_stalls_total",
    "quic_call_order_breaches_total",
    "quic_evicted_total",
    "quic_first_packet_failures_total",
    "quic_handshake_timeouts_total",
    "quic_memory_refused_total",
    "quic_message_timeouts_total",
    "quic_refused_connections_total",
    "quic_refused_memory_total",
    "quic_refused_per_address_total",
    "quic_remnants_dropped_total",
    "quic_reset_budget_spent_total",
    "quic_stateless_resets_held_back_total",
    "quic_tokens_invalid_total",
};

} // namespace

std::span<const std::string_view> LimitLog::names() noexcept { return kTold; }

std::vector<std::string> LimitLog::look(const Statistics& statistics, base::Instant now)
{
    std::vector<std::string> lines;
    if (!due(now)) return lines;
    next_ = now + std::chrono::minutes{1};
    for (const auto name : kTold) {
        const auto total = statistics.total(name);
        auto& seen = seen_[name];
        if (total > seen)
            lines.push_back(statistics.help(name) + ": " + std::to_string(total - seen) + " in the last minute (" +
                            std::string(name) + ")");
        seen = total;
    }
    return lines;
}

} // namespace sallyport::apps
