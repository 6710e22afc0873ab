#include "listeners/doq.hpp"

#include "listeners/quic/connection.hpp"
#include "listeners/quic/pools.hpp"

#include <algorithm>

namespace sallyport::listeners {
namespace {

using quic::is_unidirectional;
using quic::keep_small;
using WaitingQueries = quic::WaitingList<DoqStream>;

class DoqApplication final : public quic::Application, public pipeline::ReplySink {
public:
    explicit DoqApplication(quic::Connection& connection) noexcept
        : connection_(connection), endpoint_(connection.endpoint()), stats_(connection.endpoint().stats)
    {
    }
    ~DoqApplication() override
    {
        while (!streams_.empty()) release(streams_.front());
    }

    void* stream_opened(std::int64_t stream_id) noexcept override;
    void stream_data(std::int64_t stream_id, void* stream, base::Bytes data, bool fin, bool early) noexcept override;
    void stream_reset(std::int64_t stream_id, void* stream) noexcept override;
    void stop_sending(std::int64_t stream_id, void* stream) noexcept override;
    void stream_closed(std::int64_t stream_id, void* stream, std::uint64_t error_code) noexcept override;
    void acknowledged(std::int64_t, void*, std::uint64_t) noexcept override {}
    void unblocked(std::int64_t stream_id, void* stream) noexcept override;
    void handshake_completed() noexcept override { resume(); }

    bool next_write(quic::Outgoing& out) noexcept override;
    void written(const quic::Outgoing& out, std::size_t octets, bool complete) noexcept override;
    void write_blocked(const quic::Outgoing& out) noexcept override;
    void write_shut(const quic::Outgoing& out) noexcept override;

    base::Instant deadline() const noexcept override;
    void expired(base::Instant now) noexcept override;
    void drain() noexcept override {} // DoQ has no word for it: what is open is answered, then the connection closes
    bool finished() const noexcept override { return streams_.empty(); }
    std::uint64_t no_error() const noexcept override { return doq_error::NO_ERROR; }
    std::uint64_t excessive_load() const noexcept override { return doq_error::EXCESSIVE_LOAD; }

    void reply(const pipeline::Reply& reply) noexcept override;
    void dropped(std::uint64_t tag) noexcept override;

private:
    void breach(base::Counter& what) noexcept
    {
        ++what;
        ++stats_.doq_protocol_errors;
        connection_.fail(doq_error::PROTOCOL_ERROR);
    }
    void keep(DoqStream& stream, base::Bytes data) noexcept;
    void collect(DoqStream& stream, base::Bytes data, bool fin, bool early) noexcept;
    void whole(DoqStream& stream, base::Bytes message, bool early) noexcept;
    void ask(DoqStream& stream, base::Bytes message) noexcept;
    void resume() noexcept;
    void cancel(DoqStream& stream) noexcept;
    void shut(DoqStream& stream) noexcept;
    void release(DoqStream& stream) noexcept;
    [[nodiscard]] static bool has_keepalive(base::Bytes message) noexcept;

    quic::Connection& connection_;
    quic::EndpointCore& endpoint_;
    quic::QuicStats& stats_;
    boost::intrusive::list<DoqStream, boost::intrusive::constant_time_size<false>> streams_;
    WaitingQueries receiving_; ///< oldest first
    WaitingQueries deferred_;
    WaitingQueries sending_;
    quic::Piece piece_{};
};

void* DoqApplication::stream_opened(std::int64_t stream_id) noexcept
{
    if (is_unidirectional(stream_id)) {
        breach(stats_.doq_unidirectional); // RFC 9250 §4.3.3
        return nullptr;
    }
    DoqStream& stream = *endpoint_.pools().doq.take();
    stream.id = stream_id;
    stream.state = DoqStream::State::receiving;
    stream.since = connection_.now();
    streams_.push_back(stream);
    receiving_.push_back(stream);
    connection_.stream_began();
    return &stream;
}

void DoqApplication::stream_data(std::int64_t, void* user, base::Bytes data, bool fin, bool early) noexcept
{
    if (user == nullptr) return;
    auto& stream = *static_cast<DoqStream*>(user);
    if (stream.state != DoqStream::State::receiving) return connection_.give_credit(data.size());
    stream.received += data.size();
    if (early) ++stats_.early_data;
    // Nearly always the query comes whole, and needs no copy.
    if (stream.in.empty() && fin && data.size() > 2 && data.size() - 2 == base::load_be16(data, 0))
        return whole(stream, data.subspan(2), early);
    collect(stream, data, fin, early);
}

void DoqApplication::collect(DoqStream& stream, base::Bytes data, bool fin, bool early) noexcept
{
    keep(stream, data);
    if (connection_.ending()) return;
    const std::size_t expected = stream.in.size() < 2 ? 0 : base::load_be16(stream.in, 0);
    if (stream.in.size() >= 2 && expected == 0) return breach(stats_.doq_malformed);
    if (stream.in.size() > expected + 2) return breach(stats_.doq_trailing_data);
    if (!fin) return;
    if (stream.in.size() < 2 || stream.in.size() < expected + 2) return breach(stats_.doq_truncated);
    whole(stream, base::Bytes{stream.in}.subspan(2), early);
}

// The buffer follows the octets that came; what the length promises reserves nothing.
void DoqApplication::keep(DoqStream& stream, base::Bytes data) noexcept
{
    if (!endpoint_.memory.has_room(data.size())) {
        ++stats_.memory_refused;
        return connection_.fail(doq_error::EXCESSIVE_LOAD);
    }
    endpoint_.memory.charge(data.size());
    stream.in.insert(stream.in.end(), data.begin(), data.end());
}

void DoqApplication::whole(DoqStream& stream, base::Bytes message, bool early) noexcept
{
    using wire::Opcode;
    ++stats_.doq_queries;
    stream.waiting.unlink();
    bool waits = !connection_.may_answer();
    if (waits) ++stats_.answers_deferred;
    // From early data, which can be replayed, only QUERY and NOTIFY are answered (RFC 9250 §4.5).
    if (early && connection_.in_early_data()) {
        const auto header = wire::read_header(message);
        waits |= header && header->opcode() != Opcode::QUERY && header->opcode() != Opcode::NOTIFY;
    }
    if (!waits) return ask(stream, message);
    if (stream.in.empty()) {
        const std::uint8_t length[2] = {static_cast<std::uint8_t>(message.size() >> 8U),
                                        static_cast<std::uint8_t>(message.size() & 0xFFU)};
        keep(stream, length);
        keep(stream, message);
        if (connection_.ending()) return;
    }
    stream.state = DoqStream::State::deferred;
    deferred_.push_back(stream);
}

bool DoqApplication::has_keepalive(base::Bytes message) noexcept
{
    const auto view = wire::MessageView::parse(message);
    return view && view->edns() != nullptr && view->edns()->tcp_keepalive;
}

void DoqApplication::ask(DoqStream& stream, base::Bytes message) noexcept
{
    connection_.give_credit(stream.received);
    stream.received = 0;
    stream.state = DoqStream::State::asked;
    const auto header = wire::read_header(message);
    if (!header) return breach(stats_.doq_malformed);
    if (header->id != 0) return breach(stats_.doq_nonzero_ids); // RFC 9250 §4.2.1
    if (header->additional_count > 0 && has_keepalive(message)) return breach(stats_.doq_keepalive_options); // §5.5.2
    const auto intake = endpoint_.pipeline.receive({.message = message,
                                                    .client = connection_.client(),
                                                    .sink = *this,
                                                    .tag = reinterpret_cast<std::uintptr_t>(&stream),
                                                    .owner = stream.queries,
                                                    .now = connection_.now()});
    if (intake != pipeline::Intake::taken) breach(stats_.doq_malformed);
}

void DoqApplication::reply(const pipeline::Reply& reply) noexcept
{
    auto& stream = *reinterpret_cast<DoqStream*>(static_cast<std::uintptr_t>(reply.tag));
    if (stream.state != DoqStream::State::asked) return;
    // Many answers that waited long may come at once.
    if (!endpoint_.memory.has_room(reply.framed().size())) {
        ++stats_.memory_refused;
        return connection_.fail(doq_error::EXCESSIVE_LOAD);
    }
    ++stats_.doq_replies;
    stream.out.assign(reply.framed().begin(), reply.framed().end());
    stream.sent = 0;
    stream.state = DoqStream::State::answered;
    connection_.hold(stream.out.size());
    sending_.push_back(stream);
    connection_.touch();
}

void DoqApplication::dropped(std::uint64_t tag) noexcept
{
    auto& stream = *reinterpret_cast<DoqStream*>(static_cast<std::uintptr_t>(tag));
    if (stream.state != DoqStream::State::asked) return;
    ++stats_.doq_dropped;
    stream.state = DoqStream::State::ended;
    connection_.shut_stream(stream.id, doq_error::UNSPECIFIED_ERROR);
}

void DoqApplication::resume() noexcept
{
    WaitingQueries ready;
    ready.swap(deferred_);
    while (!ready.empty() && connection_.may_answer() && !connection_.ending()) {
        DoqStream& stream = ready.front();
        ready.pop_front();
        ask(stream, base::Bytes{stream.in}.subspan(2));
    }
    deferred_.splice(deferred_.begin(), ready);
}

// ---- endings of streams

void DoqApplication::cancel(DoqStream& stream) noexcept
{
    if (stream.state == DoqStream::State::ended) return;
    const bool early_end = stream.state != DoqStream::State::answered || stream.sent < stream.out.size();
    stream.state = DoqStream::State::ended;
    stream.waiting.unlink();
    endpoint_.pipeline.abandon(stream.queries);
    if (early_end) connection_.count_reset();
}

void DoqApplication::stream_reset(std::int64_t stream_id, void* user) noexcept
{
    if (user == nullptr) return;
    auto& stream = *static_cast<DoqStream*>(user);
    if (stream.state == DoqStream::State::answered) return; // the query was whole: the answer goes on
    cancel(stream);
    connection_.shut_stream(stream_id, doq_error::REQUEST_CANCELLED);
}

void DoqApplication::stop_sending(std::int64_t stream_id, void* user) noexcept
{
    if (user == nullptr) return;
    auto& stream = *static_cast<DoqStream*>(user);
    cancel(stream);
    connection_.shut_stream_read(stream_id, doq_error::REQUEST_CANCELLED);
}

void DoqApplication::stream_closed(std::int64_t stream_id, void* user, std::uint64_t) noexcept
{
    if (user == nullptr) return;
    auto& stream = *static_cast<DoqStream*>(user);
    if (stream.state != DoqStream::State::answered) cancel(stream);
    connection_.give_credit(stream.received);
    stream.received = 0;
    release(stream);
    // Only now, that its work is done, the client may open another one in its place.
    connection_.give_stream(!is_unidirectional(stream_id));
    if (!deferred_.empty() && !connection_.in_early_data()) resume();
}

void DoqApplication::release(DoqStream& stream) noexcept
{
    stream.waiting.unlink();
    streams_.erase(streams_.iterator_to(stream));
    endpoint_.pipeline.abandon(stream.queries);
    endpoint_.memory.discharge(stream.in.size());
    connection_.let_go(stream.out.size());
    connection_.stream_ended();
    keep_small(stream.in);
    keep_small(stream.out);
    stream.received = stream.sent = 0;
    endpoint_.pools().doq.give_back(&stream);
}

// ---- writing

bool DoqApplication::next_write(quic::Outgoing& out) noexcept
{
    if (sending_.empty()) return false;
    DoqStream& stream = sending_.front();
    piece_ = {stream.out.data() + stream.sent, stream.out.size() - stream.sent};
    out = {.stream_id = stream.id, .stream = &stream, .pieces = {&piece_, 1}, .fin = true};
    return true;
}

void DoqApplication::written(const quic::Outgoing& out, std::size_t octets, bool complete) noexcept
{
    auto& stream = *static_cast<DoqStream*>(out.stream);
    stream.sent += octets;
    if (complete) stream.waiting.unlink();
}

void DoqApplication::write_blocked(const quic::Outgoing& out) noexcept
{
    static_cast<DoqStream*>(out.stream)->waiting.unlink(); // until the client gives it room
}

void DoqApplication::write_shut(const quic::Outgoing& out) noexcept
{
    static_cast<DoqStream*>(out.stream)->waiting.unlink();
}

void DoqApplication::unblocked(std::int64_t, void* user) noexcept
{
    if (user == nullptr) return;
    auto& stream = *static_cast<DoqStream*>(user);
    if (stream.state != DoqStream::State::answered || stream.waiting.is_linked() || stream.sent == stream.out.size())
        return;
    sending_.push_back(stream);
    connection_.touch();
}

// ---- deadlines

base::Instant DoqApplication::deadline() const noexcept
{
    base::Instant due = base::Instant::max();
    if (!receiving_.empty()) due = receiving_.front().since + connection_.terms().options.quic.message;
    // Room for answers may be lacking because of others, and then no event of this connection says that it is back.
    if (!deferred_.empty())
        due = std::min<base::Instant>(due, deferred_.front().since + connection_.terms().options.http.stall);
    return due;
}

void DoqApplication::shut(DoqStream& stream) noexcept
{
    cancel(stream);
    connection_.shut_stream(stream.id, doq_error::EXCESSIVE_LOAD);
}

void DoqApplication::expired(base::Instant now) noexcept
{
    while (!receiving_.empty() && receiving_.front().since + connection_.terms().options.quic.message <= now) {
        ++stats_.message_timeouts;
        shut(receiving_.front());
    }
    if (!deferred_.empty() && !connection_.in_early_data()) resume();
    while (!deferred_.empty() && deferred_.front().since + connection_.terms().options.http.stall <= now) {
        ++stats_.deferred_timeouts;
        shut(deferred_.front());
    }
}

} // namespace

std::unique_ptr<quic::Application> make_doq(quic::Connection& connection)
{
    return std::make_unique<DoqApplication>(connection);
}

} // namespace sallyport::listeners
