#include "listeners/quic/connection.hpp"
#include "listeners/quic/endpoint_core.hpp"

// What a connection does for the application on it: credit, streams, and the octets held for its client.

namespace sallyport::listeners::quic {

void Connection::give_credit(std::size_t octets) noexcept { ngtcp2_conn_extend_max_offset(conn_.get(), octets); }

void Connection::give_stream_credit(std::int64_t stream_id, std::size_t octets) noexcept
{
    ngtcp2_conn_extend_max_stream_offset(conn_.get(), stream_id, octets);
}

void Connection::give_stream(bool bidirectional) noexcept
{
    if (bidirectional)
        ngtcp2_conn_extend_max_streams_bidi(conn_.get(), 1);
    else
        ngtcp2_conn_extend_max_streams_uni(conn_.get(), 1);
}

void Connection::shut_stream(std::int64_t stream_id, std::uint64_t code) noexcept
{
    ngtcp2_conn_shutdown_stream(conn_.get(), 0, stream_id, code);
    touch();
}

void Connection::shut_stream_read(std::int64_t stream_id, std::uint64_t code) noexcept
{
    ngtcp2_conn_shutdown_stream_read(conn_.get(), 0, stream_id, code);
    touch();
}

std::optional<std::int64_t> Connection::open_stream() noexcept
{
    std::int64_t stream_id = -1;
    if (ngtcp2_conn_open_uni_stream(conn_.get(), &stream_id, nullptr) != 0) return std::nullopt;
    return stream_id;
}

void Connection::hold(std::size_t octets) noexcept
{
    if (held_ == 0) last_progress_ = now_;
    held_ += octets;
    endpoint_.memory.charge(octets);
}

void Connection::let_go(std::size_t octets) noexcept
{
    held_ -= octets;
    endpoint_.memory.discharge(octets);
}

bool Connection::may_answer() const noexcept
{
    return held_ < terms_->options.http.answers_per_connection && endpoint_.memory.has_room(0);
}

void Connection::stream_began() noexcept
{
    ++streams_;
    endpoint_.stats.streams.add();
}

void Connection::stream_ended() noexcept
{
    --streams_;
    endpoint_.stats.streams.sub();
}

void Connection::count_reset() noexcept
{
    ++endpoint_.stats.stream_resets;
    if (resets_.take(now_)) return;
    ++endpoint_.stats.reset_budget_spent;
    fail(application_ ? application_->excessive_load() : 0);
}

} // namespace sallyport::listeners::quic
