#include "listeners/quic/connection.hpp"

#include "listeners/quic/endpoint_core.hpp"

#include <algorithm>

namespace sallyport::listeners::quic {
namespace {

constexpr std::size_t kSegmentsAtOnce = 44; // of 1,452 octets: under the 64 KiB that one system call may carry

bool same_path(const ngtcp2_path& left, const ngtcp2_path& right) noexcept
{
    return ngtcp2_path_eq(&left, &right) != 0;
}

} // namespace

/// Marks the library as being on the call stack.
class Connection::Guard {
public:
    explicit Guard(Connection& connection) noexcept : connection_(connection) { connection_.in_library_ = true; }
    ~Guard() { connection_.in_library_ = false; }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

private:
    Connection& connection_;
};

// ---- the call order guard

bool Connection::ready() noexcept
{
    if (!in_library_ && !ending_ && conn_ != nullptr) return true;
    ++endpoint_.stats.call_order_breaches;
    return false;
}

base::Instant Connection::advance(base::Instant now) noexcept
{
    now_ = std::max(now_, now); // time given to the library never goes back
    return now_;
}

// ---- reading

void Connection::read(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn,
                      base::Instant now) noexcept
{
    if (!ready()) return;
    const Path path{local, peer};
    const ngtcp2_pkt_info info{.ecn = ecn};
    int error = 0;
    {
        const Guard guard{*this};
        error = ngtcp2_conn_read_pkt(conn_.get(), path.get(), &info, packet.data(), packet.size(),
                                     to_timestamp(advance(now)));
    }
    if (error != 0) return ended_by_library(error);
    last_heard_ = now_;
    if (peer != client_.peer || local != client_.local) follow_path();
}

void Connection::follow_path() noexcept
{
    const ngtcp2_path* const path = ngtcp2_conn_get_path(conn_.get());
    client_.local = base::Endpoint::from_sockaddr(path->local.addr);
    const auto peer = base::Endpoint::from_sockaddr(path->remote.addr);
    if (peer == client_.peer) return;
    // Access lists and rate limits believe another address when it has answered a challenge (RFC 9000 §8.2): a forged
    // one gets no answer, but the connection comes back from it, and would take the answer along. A port may change.
    if (peer.address != client_.peer.address) {
        if (peer.address != proven_ && peer.address != before_) return;
        before_ = client_.peer.address;
    }
    ++endpoint_.stats.migrations;
    client_.peer = peer;
}

// ---- writing

/// The packets of one burst, joined while they may leave with one call: same path, same ECN mark, same size but the
/// last.
class Connection::Burst {
public:
    explicit Burst(EndpointCore& endpoint) noexcept : endpoint_(endpoint), buffer_(endpoint.scratch())
    {
        ngtcp2_path_storage_zero(&path_);
    }
    ~Burst() { send(); }
    Burst(const Burst&) = delete;
    Burst& operator=(const Burst&) = delete;

    /// Room for one more packet.
    [[nodiscard]] base::MutableBytes room() noexcept
    {
        if (buffer_.size() - end_ < EndpointCore::kPacket) send();
        return buffer_.subspan(end_, EndpointCore::kPacket);
    }
    void add(std::size_t size, const ngtcp2_path& path, std::uint8_t ecn) noexcept
    {
        const bool joins = count_ > 0 && size <= segment_ && last_ == segment_ && ecn == ecn_ &&
                           count_ < kSegmentsAtOnce && same_path(path, path_.path);
        if (!joins) {
            send_before(end_);
            start_ = end_;
            segment_ = size;
            ecn_ = ecn;
            count_ = 0;
            ngtcp2_path_copy(&path_.path, &path);
        }
        end_ += size;
        last_ = size;
        ++count_;
        ++total_;
    }
    [[nodiscard]] std::size_t total() const noexcept { return total_; }

private:
    void send() noexcept
    {
        send_before(end_);
        start_ = end_ = count_ = 0;
    }
    void send_before(std::size_t end) noexcept
    {
        if (count_ == 0) return;
        endpoint_.send(buffer_.subspan(start_, end - start_), base::Endpoint::from_sockaddr(path_.path.remote.addr),
                       base::Endpoint::from_sockaddr(path_.path.local.addr), ecn_,
                       count_ > 1 ? static_cast<std::uint16_t>(segment_) : std::uint16_t{0}, count_);
        count_ = 0;
    }

    EndpointCore& endpoint_;
    base::MutableBytes buffer_;
    ngtcp2_path_storage path_;
    std::size_t start_ = 0;
    std::size_t end_ = 0;
    std::size_t segment_ = 0;
    std::size_t last_ = 0;
    std::size_t count_ = 0;
    std::size_t total_ = 0;
    std::uint8_t ecn_ = 0;
};

void Connection::write(base::Instant now) noexcept
{
    if (!ready()) return;
    const ngtcp2_tstamp stamp = to_timestamp(advance(now));
    int error = 0;
    {
        const Guard guard{*this};
        Burst burst{endpoint_};
        ngtcp2_path_storage path;
        ngtcp2_path_storage_zero(&path);
        ngtcp2_pkt_info info{};
        const std::size_t most = std::max<std::size_t>(
            1, ngtcp2_conn_get_send_quantum(conn_.get()) / ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_.get()));
        while (burst.total() < most) {
            Outgoing out;
            const bool data =
                application_ && ngtcp2_conn_get_max_data_left(conn_.get()) > 0 && application_->next_write(out);
            if (ending_) break;
            ngtcp2_vec pieces[8];
            const std::size_t count = std::min(out.pieces.size(), std::size(pieces));
            for (std::size_t i = 0; i < count; ++i)
                pieces[i] = {const_cast<std::uint8_t*>(out.pieces[i].data), out.pieces[i].size};
            const bool fin = out.fin && count == out.pieces.size();
            const std::uint32_t flags =
                (data ? NGTCP2_WRITE_STREAM_FLAG_MORE : 0U) | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0U);
            const base::MutableBytes room = burst.room();
            ngtcp2_ssize taken = -1;
            const ngtcp2_ssize size =
                ngtcp2_conn_writev_stream(conn_.get(), &path.path, &info, room.data(), room.size(), &taken, flags,
                                          data ? out.stream_id : -1, pieces, data ? count : 0, stamp);
            if (data && taken >= 0) {
                std::size_t whole = 0;
                for (std::size_t i = 0; i < count; ++i) whole += pieces[i].len;
                const auto octets = static_cast<std::size_t>(taken);
                application_->written(out, octets, fin && octets == whole);
            }
            if (size > 0) {
                burst.add(static_cast<std::size_t>(size), path.path, info.ecn);
            } else if (size == 0) {
                break; // nothing left, or congestion control says wait
            } else if (size == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
                application_->write_blocked(out);
            } else if (size == NGTCP2_ERR_STREAM_SHUT_WR || size == NGTCP2_ERR_STREAM_NOT_FOUND) {
                application_->write_shut(out);
            } else if (size != NGTCP2_ERR_WRITE_MORE) {
                error = static_cast<int>(size);
                break;
            }
        }
        if (error == 0 && !ending_) ngtcp2_conn_update_pkt_tx_time(conn_.get(), stamp);
    }
    if (error != 0) return ended_by_library(error);
    if (ending_) return;
    if (release_session_) {
        release_session_ = false;
        release_session();
    }
    if (draining_ && application_ && application_->finished()) return fail(application_->no_error());
    arm_timer();
}

std::size_t Connection::write_close(base::MutableBytes out, base::Instant now) noexcept
{
    if (in_library_ || !ending_ || !handshake_done_) return 0;
    ngtcp2_ccerr reason;
    ngtcp2_ccerr_default(&reason);
    if (ending_->kind == CloseReason::Kind::application)
        ngtcp2_ccerr_set_application_error(&reason, ending_->code & NGTCP2_MAX_VARINT, nullptr, 0);
    else if (ending_->library_error == NGTCP2_ERR_CRYPTO)
        ngtcp2_ccerr_set_tls_alert(&reason, tls_alert(), nullptr, 0);
    else
        ngtcp2_ccerr_set_liberr(&reason, ending_->library_error, nullptr, 0);
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_pkt_info info{};
    const Guard guard{*this};
    const ngtcp2_ssize size = ngtcp2_conn_write_connection_close(conn_.get(), &path.path, &info, out.data(), out.size(),
                                                                 &reason, to_timestamp(advance(now)));
    return size > 0 ? static_cast<std::size_t>(size) : 0;
}

// ---- time

base::Instant Connection::next_due() const noexcept
{
    base::Instant due = to_instant(ngtcp2_conn_get_expiry(conn_.get()));
    if (application_) due = std::min(due, application_->deadline());
    if (held_ > 0) due = std::min<base::Instant>(due, last_progress_ + terms_->options.http.stall);
    return due;
}

void Connection::arm_timer() noexcept
{
    const base::Instant due = next_due();
    // A deadline that moved away stays armed where it was: most never come, and the early call finds nothing due.
    if (timer_.armed() && timer_.due() <= due) return;
    if (due != base::Instant::max()) endpoint_.worker.arm(timer_, due);
}

void Connection::timer_fired(base::Instant now) noexcept
{
    if (!ready()) return;
    now = advance(now);
    if (next_due() > now_) return arm_timer();
    if (held_ > 0 && last_progress_ + terms_->options.http.stall <= now_) {
        ++endpoint_.stats.answer_stalls;
        return end({.kind = CloseReason::Kind::application, .code = application_ ? application_->excessive_load() : 0});
    }
    int error = 0;
    if (const auto stamp = to_timestamp(now_); ngtcp2_conn_get_expiry(conn_.get()) <= stamp) {
        const Guard guard{*this};
        error = ngtcp2_conn_handle_expiry(conn_.get(), stamp);
    }
    if (error != 0) {
        ended_by_library(error);
    } else if (application_ && application_->deadline() <= now_) {
        application_->expired(now_);
    }
    endpoint_.touch(*this);
}

// ---- the end

void Connection::end(const CloseReason& reason) noexcept
{
    if (ending_) return;
    ending_ = reason;
    if (!in_library_) endpoint_.touch(*this);
}

void Connection::fail(std::uint64_t application_code) noexcept
{
    end({.kind = CloseReason::Kind::application, .code = application_code});
}

void Connection::ended_by_library(int error) noexcept
{
    using How = CloseReason::Kind;
    QuicStats& stats = endpoint_.stats;
    switch (error) {
    case NGTCP2_ERR_DRAINING: ++stats.closed_by_peer; return end({.kind = How::draining});
    case NGTCP2_ERR_IDLE_CLOSE: ++stats.idle_timeouts; return end({.kind = How::silent});
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT: ++stats.handshake_timeouts; return end({.kind = How::silent});
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
    case NGTCP2_ERR_CLOSING: return end({.kind = How::silent});
    default: return end({.kind = How::transport, .library_error = error});
    }
}

base::Duration Connection::closing_time() const noexcept
{
    const auto pto = std::chrono::nanoseconds{static_cast<std::int64_t>(ngtcp2_conn_get_pto(conn_.get()))};
    return std::min<base::Duration>(3 * pto, std::chrono::seconds{10});
}

void Connection::drain() noexcept
{
    draining_ = true;
    if (application_) application_->drain();
    if (!application_ || !handshake_done_) return end({.kind = CloseReason::Kind::silent});
    touch();
}

void Connection::close_without_error() noexcept
{
    if (!ending_ && application_ && handshake_done_) return fail(application_->no_error());
    end({.kind = CloseReason::Kind::silent});
}

void Connection::touch() noexcept { endpoint_.touch(*this); }

} // namespace sallyport::listeners::quic
