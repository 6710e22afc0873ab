#include "listeners/doh3.hpp"

#include "listeners/addresses.hpp"
#include "listeners/quic/connection.hpp"
#include "listeners/quic/pools.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace sallyport::listeners {
namespace {

// An answer costs this much beside its body: header block and the library's buffers.
constexpr std::size_t kHeaderCost = 256;
// Control frames are counted by their octets: none is shorter than two, most have a few more.
constexpr std::size_t kOctetsAnOffence = 16;

using quic::is_unidirectional;
using WaitingRequests = quic::WaitingList<Doh3Stream>;

std::string_view text_of(nghttp3_rcbuf* buffer) noexcept
{
    const nghttp3_vec octets = nghttp3_rcbuf_get_buf(buffer);
    return {reinterpret_cast<const char*>(octets.base), octets.len};
}

nghttp3_nv field_of(std::string_view name, std::string_view value) noexcept
{
    return {reinterpret_cast<const std::uint8_t*>(name.data()), reinterpret_cast<const std::uint8_t*>(value.data()),
            name.size(), value.size(), NGHTTP3_NV_FLAG_NONE};
}

class Doh3Application final : public quic::Application, public pipeline::ReplySink {
public:
    explicit Doh3Application(quic::Connection& connection) noexcept;
    ~Doh3Application() override
    {
        while (!streams_.empty()) release(streams_.front());
    }

    /// Opens our control and QPACK streams (RFC 9114 §6.2.1); false where the client leaves no room for them.
    [[nodiscard]] bool open() noexcept;

    void* stream_opened(std::int64_t stream_id) noexcept override;
    void stream_data(std::int64_t stream_id, void* stream, base::Bytes data, bool fin, bool early) noexcept override;
    void stream_reset(std::int64_t stream_id, void* stream) noexcept override;
    void stop_sending(std::int64_t stream_id, void* stream) noexcept override;
    void stream_closed(std::int64_t stream_id, void* stream, std::uint64_t error_code) noexcept override;
    void acknowledged(std::int64_t stream_id, void* stream, std::uint64_t octets) noexcept override;
    void unblocked(std::int64_t stream_id, void* stream) noexcept override;
    void streams_allowed(std::uint64_t most) noexcept override;
    void handshake_completed() noexcept override { resume(); }

    bool next_write(quic::Outgoing& out) noexcept override;
    void written(const quic::Outgoing& out, std::size_t octets, bool complete) noexcept override;
    void write_blocked(const quic::Outgoing& out) noexcept override;
    void write_shut(const quic::Outgoing& out) noexcept override;

    base::Instant deadline() const noexcept override;
    void expired(base::Instant now) noexcept override;
    void drain() noexcept override;
    bool finished() const noexcept override { return streams_.empty(); }
    std::uint64_t no_error() const noexcept override { return NGHTTP3_H3_NO_ERROR; }
    std::uint64_t excessive_load() const noexcept override { return NGHTTP3_H3_EXCESSIVE_LOAD; }

    void reply(const pipeline::Reply& reply) noexcept override;
    void dropped(std::uint64_t tag) noexcept override;

private:
    friend struct Doh3Callbacks;

    int header_begins(std::int64_t stream_id) noexcept;
    int field(Doh3Stream* stream, std::string_view name, std::string_view value) noexcept;
    int header_ends(Doh3Stream* stream, bool fin) noexcept;
    int body(Doh3Stream* stream, base::Bytes octets) noexcept;
    int request_ends(Doh3Stream* stream) noexcept;
    [[nodiscard]] int outcome() const noexcept { return connection_.ending() ? NGHTTP3_ERR_CALLBACK_FAILURE : 0; }

    void act(Doh3Stream& stream, DohRequest::Verdict verdict) noexcept;
    void ask(Doh3Stream& stream) noexcept;
    void refuse(Doh3Stream& stream) noexcept;
    void respond(Doh3Stream& stream, const DohResponse& response, base::Bytes content) noexcept;
    void defer(Doh3Stream& stream) noexcept;
    void resume() noexcept;
    void cancel(Doh3Stream& stream) noexcept;
    void shut(Doh3Stream& stream, std::uint64_t code) noexcept;
    void release(Doh3Stream& stream) noexcept;
    void give_credit(Doh3Stream& stream) noexcept;
    void fail(int error) noexcept;
    void control_octets(std::size_t octets) noexcept;
    [[nodiscard]] bool from_listed_proxy() const noexcept;

    quic::Connection& connection_;
    quic::EndpointCore& endpoint_;
    quic::QuicStats& stats_;
    const DohContext& context_;
    boost::intrusive::list<Doh3Stream, boost::intrusive::constant_time_size<false>> streams_;
    WaitingRequests receiving_; ///< oldest first
    WaitingRequests deferred_;
    quic::Http3Handle http_;
    Doh3Stream* current_ = nullptr; ///< the one whose octets are being read
    std::uint64_t streams_allowed_;
    TokenBucket offences_;
    std::array<quic::Piece, 8> pieces_{};
};

struct Doh3Callbacks {
    static Doh3Application& self(void* user) noexcept { return *static_cast<Doh3Application*>(user); }
    static Doh3Stream* stream_of(void* stream) noexcept { return static_cast<Doh3Stream*>(stream); }

    static int begin_headers(nghttp3_conn*, std::int64_t stream_id, void* user, void*) noexcept
    {
        return self(user).header_begins(stream_id);
    }
    static int header(nghttp3_conn*, std::int64_t, std::int32_t, nghttp3_rcbuf* name, nghttp3_rcbuf* value,
                      std::uint8_t, void* user, void* stream) noexcept
    {
        return self(user).field(stream_of(stream), text_of(name), text_of(value));
    }
    static int end_headers(nghttp3_conn*, std::int64_t, int fin, void* user, void* stream) noexcept
    {
        return self(user).header_ends(stream_of(stream), fin != 0);
    }
    static int data(nghttp3_conn*, std::int64_t, const std::uint8_t* octets, std::size_t size, void* user,
                    void* stream) noexcept
    {
        return self(user).body(stream_of(stream), {octets, size});
    }
    static int consumed(nghttp3_conn*, std::int64_t, std::size_t octets, void* user, void*) noexcept
    {
        self(user).connection_.give_credit(octets);
        return 0;
    }
    static int end_stream(nghttp3_conn*, std::int64_t, void* user, void* stream) noexcept
    {
        return self(user).request_ends(stream_of(stream));
    }
    static int stop_sending(nghttp3_conn*, std::int64_t stream_id, std::uint64_t code, void* user, void*) noexcept
    {
        self(user).connection_.shut_stream_read(stream_id, code);
        return 0;
    }
    static int reset_stream(nghttp3_conn*, std::int64_t stream_id, std::uint64_t code, void* user, void*) noexcept
    {
        self(user).connection_.shut_stream(stream_id, code);
        return 0;
    }
    static nghttp3_ssize read_body(nghttp3_conn*, std::int64_t, nghttp3_vec* vectors, std::size_t, std::uint32_t* flags,
                                   void*, void* stream) noexcept
    {
        Doh3Stream& from = *stream_of(stream);
        *flags = NGHTTP3_DATA_FLAG_EOF;
        vectors[0] = {from.out.data(), from.out.size()};
        return from.out.empty() ? 0 : 1;
    }

    static const nghttp3_callbacks& table() noexcept
    {
        static const nghttp3_callbacks callbacks = [] {
            nghttp3_callbacks table{};
            table.begin_headers = begin_headers;
            table.recv_header = header;
            table.end_headers = end_headers;
            table.recv_trailer = header; // counted like any other field
            table.recv_data = data;
            table.deferred_consume = consumed;
            table.end_stream = end_stream;
            table.stop_sending = stop_sending;
            table.reset_stream = reset_stream;
            return table;
        }();
        return callbacks;
    }
};

Doh3Application::Doh3Application(quic::Connection& connection) noexcept
    : connection_(connection),
      endpoint_(connection.endpoint()),
      stats_(connection.endpoint().stats),
      context_(*connection.terms().doh),
      streams_allowed_(connection.terms().options.quic.streams),
      offences_(context_.limits->offence_burst, context_.limits->offence_per_second, connection.now())
{
}

bool Doh3Application::open() noexcept
{
    nghttp3_settings settings;
    nghttp3_settings_default(&settings);
    settings.max_field_section_size = context_.limits->header_list;
    settings.qpack_max_dtable_capacity = 0;
    settings.qpack_encoder_max_dtable_capacity = 0;
    settings.qpack_blocked_streams = 0;
    nghttp3_conn* http = nullptr;
    if (nghttp3_conn_server_new(&http, &Doh3Callbacks::table(), &settings, endpoint_.memory.for_http(), this) != 0)
        return false;
    http_.reset(http);
    nghttp3_conn_set_max_client_streams_bidi(http, streams_allowed_);
    const auto control = connection_.open_stream();
    const auto encoder = connection_.open_stream();
    const auto decoder = connection_.open_stream();
    return control && encoder && decoder && nghttp3_conn_bind_control_stream(http, *control) == 0 &&
           nghttp3_conn_bind_qpack_streams(http, *encoder, *decoder) == 0;
}

void Doh3Application::fail(int error) noexcept
{
    if (connection_.ending()) return;
    ++stats_.h3_errors;
    connection_.fail(nghttp3_err_infer_quic_app_error_code(error));
}

// ---- requests in

void* Doh3Application::stream_opened(std::int64_t stream_id) noexcept
{
    if (is_unidirectional(stream_id)) return nullptr;
    Doh3Stream& stream = *endpoint_.pools().doh3.take();
    stream.id = stream_id;
    stream.state = Doh3Stream::State::receiving;
    stream.since = connection_.now();
    streams_.push_back(stream);
    receiving_.push_back(stream);
    connection_.stream_began();
    return &stream;
}

void Doh3Application::stream_data(std::int64_t stream_id, void* user, base::Bytes data, bool fin, bool early) noexcept
{
    current_ = static_cast<Doh3Stream*>(user);
    if (early) ++stats_.early_data;
    if (current_ == nullptr) control_octets(data.size() + 1);
    if (connection_.ending()) return;
    const nghttp3_ssize read = nghttp3_conn_read_stream(http_.get(), stream_id, data.data(), data.size(), fin ? 1 : 0);
    current_ = nullptr;
    if (read < 0) return fail(static_cast<int>(read));
    const auto octets = static_cast<std::size_t>(read);
    connection_.give_credit(octets);
    // A request stream gets no more than its first window: that bounds header, body and everything between them.
    if (user == nullptr) connection_.give_stream_credit(stream_id, octets);
}

void Doh3Application::control_octets(std::size_t octets) noexcept
{
    for (std::size_t i = 0; i < octets; i += kOctetsAnOffence) {
        if (offences_.take(connection_.now())) continue;
        ++stats_.h3_control_floods;
        return connection_.fail(NGHTTP3_H3_EXCESSIVE_LOAD);
    }
}

bool Doh3Application::from_listed_proxy() const noexcept
{
    return is_listed(context_.options->forwarded_from, connection_.client().peer.address);
}

int Doh3Application::header_begins(std::int64_t stream_id) noexcept
{
    if (current_ == nullptr || current_->id != stream_id) return NGHTTP3_ERR_CALLBACK_FAILURE;
    ++stats_.h3_requests;
    current_->request.begin(context_, from_listed_proxy());
    nghttp3_conn_set_stream_user_data(http_.get(), stream_id, current_);
    return 0;
}

int Doh3Application::field(Doh3Stream* stream, std::string_view name, std::string_view value) noexcept
{
    if (stream == nullptr) return NGHTTP3_ERR_CALLBACK_FAILURE;
    if (!stream->request.field(name, value)) {
        ++stats_.h3_header_lists_too_large;
        connection_.fail(NGHTTP3_H3_EXCESSIVE_LOAD);
    }
    return outcome();
}

int Doh3Application::header_ends(Doh3Stream* stream, bool fin) noexcept
{
    if (stream == nullptr) return NGHTTP3_ERR_CALLBACK_FAILURE;
    stream->complete = fin;
    act(*stream, stream->request.header_done(fin));
    return outcome();
}

int Doh3Application::body(Doh3Stream* stream, base::Bytes octets) noexcept
{
    if (stream == nullptr) return NGHTTP3_ERR_CALLBACK_FAILURE;
    stream->unread += octets.size();
    if (stream->state == Doh3Stream::State::receiving)
        act(*stream, stream->request.body(octets));
    else
        give_credit(*stream);
    return outcome();
}

int Doh3Application::request_ends(Doh3Stream* stream) noexcept
{
    if (stream == nullptr) return NGHTTP3_ERR_CALLBACK_FAILURE;
    stream->complete = true;
    if (stream->state == Doh3Stream::State::receiving) act(*stream, stream->request.finished());
    return outcome();
}

void Doh3Application::act(Doh3Stream& stream, DohRequest::Verdict verdict) noexcept
{
    if (verdict == DohRequest::Verdict::more || stream.state != Doh3Stream::State::receiving) return;
    if (verdict == DohRequest::Verdict::respond) return refuse(stream);
    // No early data on DoH: a request waits for the handshake that makes it no replay (RFC 8470 §3).
    if (connection_.in_early_data()) return defer(stream);
    if (!connection_.may_answer()) {
        ++stats_.answers_deferred;
        return defer(stream);
    }
    ask(stream);
}

void Doh3Application::defer(Doh3Stream& stream) noexcept
{
    stream.waiting.unlink();
    stream.state = Doh3Stream::State::deferred;
    deferred_.push_back(stream);
}

void Doh3Application::resume() noexcept
{
    WaitingRequests ready;
    ready.swap(deferred_);
    while (!ready.empty() && connection_.may_answer() && !connection_.ending()) {
        Doh3Stream& stream = ready.front();
        ready.pop_front();
        ask(stream);
    }
    deferred_.splice(deferred_.begin(), ready);
}

void Doh3Application::ask(Doh3Stream& stream) noexcept
{
    stream.waiting.unlink();
    stream.state = Doh3Stream::State::asked;
    give_credit(stream);
    const pipeline::Client client = stream.request.client(connection_.client());
    const auto intake = endpoint_.pipeline.receive({.message = stream.request.message(),
                                                    .client = client,
                                                    .sink = *this,
                                                    .tag = reinterpret_cast<std::uintptr_t>(&stream),
                                                    .owner = stream.queries,
                                                    .now = connection_.now()});
    if (intake == pipeline::Intake::taken) return;
    stream.request.refuse(400);
    refuse(stream);
}

void Doh3Application::give_credit(Doh3Stream& stream) noexcept
{
    connection_.give_credit(stream.unread);
    stream.unread = 0;
}

// ---- responses out

void Doh3Application::reply(const pipeline::Reply& reply) noexcept
{
    auto& stream = *reinterpret_cast<Doh3Stream*>(static_cast<std::uintptr_t>(reply.tag));
    if (stream.state != Doh3Stream::State::asked) return;
    respond(stream, stream.request.answer(reply), reply.message);
}

void Doh3Application::refuse(Doh3Stream& stream) noexcept
{
    stream.waiting.unlink();
    const DohResponse response = stream.request.refusal();
    if (response.status == 413) ++stats_.h3_bodies_too_large;
    respond(stream, response, base::as_bytes(response.text));
    give_credit(stream);
    if (stream.complete) return;
    // The rest of the request is of no interest (RFC 9114 §4.1).
    nghttp3_conn_shutdown_stream_read(http_.get(), stream.id);
    connection_.shut_stream_read(stream.id, NGHTTP3_H3_NO_ERROR);
}

void Doh3Application::respond(Doh3Stream& stream, const DohResponse& response, base::Bytes content) noexcept
{
    stream.state = Doh3Stream::State::answered;
    content = content.first(std::min(content.size(), response.body_size));
    const std::size_t cost = content.size() + kHeaderCost;
    if (!endpoint_.memory.has_room(cost)) {
        ++stats_.memory_refused;
        return connection_.fail(NGHTTP3_H3_EXCESSIVE_LOAD);
    }
    if (!context_.budget->answers.take(cost)) {
        ++context_.stats->answers_over_total_limit;
        return connection_.fail(NGHTTP3_H3_EXCESSIVE_LOAD);
    }
    stream.held = cost;
    connection_.hold(cost);
    stream.out.assign(content.begin(), content.end());

    char status[4];
    const auto end = std::to_chars(status, status + sizeof status, response.status);
    std::array<nghttp3_nv, 11> fields;
    std::size_t count = 0;
    fields[count++] = field_of(":status", {status, static_cast<std::size_t>(end.ptr - status)});
    for (const DohField& each : response.header())
        if (each.name != "connection") fields[count++] = field_of(each.name, each.value);
    const nghttp3_data_reader reader{.read_data = Doh3Callbacks::read_body};
    const int error = nghttp3_conn_submit_response(http_.get(), stream.id, fields.data(), count,
                                                   stream.out.empty() ? nullptr : &reader);
    if (error != 0) return fail(error);
    ++stats_.h3_responses;
    connection_.touch();
}

void Doh3Application::dropped(std::uint64_t tag) noexcept
{
    auto& stream = *reinterpret_cast<Doh3Stream*>(static_cast<std::uintptr_t>(tag));
    if (stream.state != Doh3Stream::State::asked) return;
    stream.state = Doh3Stream::State::ended;
    nghttp3_conn_shutdown_stream_write(http_.get(), stream.id);
    connection_.shut_stream(stream.id, NGHTTP3_H3_REQUEST_CANCELLED);
}

bool Doh3Application::next_write(quic::Outgoing& out) noexcept
{
    std::array<nghttp3_vec, 8> vectors;
    std::int64_t stream_id = -1;
    int fin = 0;
    const nghttp3_ssize count =
        nghttp3_conn_writev_stream(http_.get(), &stream_id, &fin, vectors.data(), vectors.size());
    if (count < 0) {
        fail(static_cast<int>(count));
        return false;
    }
    if (stream_id < 0) return false;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) pieces_[i] = {vectors[i].base, vectors[i].len};
    out = {.stream_id = stream_id,
           .stream = nullptr,
           .pieces = {pieces_.data(), static_cast<std::size_t>(count)},
           .fin = fin != 0};
    return true;
}

void Doh3Application::written(const quic::Outgoing& out, std::size_t octets, bool) noexcept
{
    if (const int error = nghttp3_conn_add_write_offset(http_.get(), out.stream_id, octets); error != 0) fail(error);
}

void Doh3Application::write_blocked(const quic::Outgoing& out) noexcept
{
    nghttp3_conn_block_stream(http_.get(), out.stream_id);
}

void Doh3Application::write_shut(const quic::Outgoing& out) noexcept
{
    nghttp3_conn_shutdown_stream_write(http_.get(), out.stream_id);
}

void Doh3Application::unblocked(std::int64_t stream_id, void*) noexcept
{
    nghttp3_conn_unblock_stream(http_.get(), stream_id);
    connection_.touch();
}

void Doh3Application::acknowledged(std::int64_t stream_id, void*, std::uint64_t octets) noexcept
{
    if (const int error = nghttp3_conn_add_ack_offset(http_.get(), stream_id, octets); error != 0) fail(error);
}

void Doh3Application::streams_allowed(std::uint64_t most) noexcept
{
    streams_allowed_ = most;
    nghttp3_conn_set_max_client_streams_bidi(http_.get(), most);
}

// ---- endings of streams

void Doh3Application::cancel(Doh3Stream& stream) noexcept
{
    if (stream.state == Doh3Stream::State::ended) return;
    const bool early_end = stream.state != Doh3Stream::State::answered;
    stream.state = Doh3Stream::State::ended;
    stream.waiting.unlink();
    endpoint_.pipeline.abandon(stream.queries);
    if (early_end) connection_.count_reset();
}

void Doh3Application::stream_reset(std::int64_t stream_id, void* user) noexcept
{
    if (const int error = nghttp3_conn_shutdown_stream_read(http_.get(), stream_id); error != 0) return fail(error);
    if (user == nullptr) return;
    auto& stream = *static_cast<Doh3Stream*>(user);
    if (stream.state == Doh3Stream::State::answered) return;
    cancel(stream);
    nghttp3_conn_shutdown_stream_write(http_.get(), stream_id);
    connection_.shut_stream(stream_id, NGHTTP3_H3_REQUEST_CANCELLED);
}

void Doh3Application::stop_sending(std::int64_t stream_id, void* user) noexcept
{
    nghttp3_conn_shutdown_stream_write(http_.get(), stream_id);
    if (user == nullptr) return;
    auto& stream = *static_cast<Doh3Stream*>(user);
    if (stream.state == Doh3Stream::State::answered) {
        // Answers that are made and not taken cost as much as those never made.
        stream.state = Doh3Stream::State::ended;
        return connection_.count_reset();
    }
    cancel(stream);
    nghttp3_conn_shutdown_stream_read(http_.get(), stream_id);
    connection_.shut_stream_read(stream_id, NGHTTP3_H3_REQUEST_CANCELLED);
}

void Doh3Application::stream_closed(std::int64_t stream_id, void* user, std::uint64_t code) noexcept
{
    const int error = nghttp3_conn_close_stream(http_.get(), stream_id, code);
    if (error != 0 && error != NGHTTP3_ERR_STREAM_NOT_FOUND) fail(error);
    if ((stream_id & 1) != 0) return; // one of ours
    if (user != nullptr) {
        auto& stream = *static_cast<Doh3Stream*>(user);
        if (stream.state != Doh3Stream::State::answered) cancel(stream);
        give_credit(stream);
        release(stream);
    } else {
        control_octets(kOctetsAnOffence);
    }
    // Only now, that its work is done, the client may open another one in its place.
    connection_.give_stream(!is_unidirectional(stream_id));
    if (!deferred_.empty() && !connection_.in_early_data()) resume();
}

void Doh3Application::release(Doh3Stream& stream) noexcept
{
    stream.waiting.unlink();
    streams_.erase(streams_.iterator_to(stream));
    endpoint_.pipeline.abandon(stream.queries);
    if (stream.held > 0) context_.budget->answers.give_back(stream.held);
    connection_.let_go(stream.held);
    connection_.stream_ended();
    stream.request.clear();
    quic::keep_small(stream.out);
    stream.held = stream.unread = 0;
    stream.complete = false;
    endpoint_.pools().doh3.give_back(&stream);
}

// ---- deadlines, ending

base::Instant Doh3Application::deadline() const noexcept
{
    base::Instant due = base::Instant::max();
    if (!receiving_.empty()) due = receiving_.front().since + context_.limits->body_time;
    // Room for answers may be lacking because of others, and then no event of this connection says that it is back.
    if (!deferred_.empty()) due = std::min<base::Instant>(due, deferred_.front().since + context_.limits->stall);
    return due;
}

void Doh3Application::shut(Doh3Stream& stream, std::uint64_t code) noexcept
{
    cancel(stream);
    nghttp3_conn_shutdown_stream_read(http_.get(), stream.id);
    nghttp3_conn_shutdown_stream_write(http_.get(), stream.id);
    connection_.shut_stream(stream.id, code);
}

void Doh3Application::expired(base::Instant now) noexcept
{
    while (!receiving_.empty() && receiving_.front().since + context_.limits->body_time <= now) {
        ++stats_.message_timeouts;
        shut(receiving_.front(), NGHTTP3_H3_REQUEST_INCOMPLETE); // RFC 9114 §4.1
    }
    if (!deferred_.empty() && !connection_.in_early_data()) resume();
    while (!deferred_.empty() && deferred_.front().since + context_.limits->stall <= now) {
        ++stats_.deferred_timeouts;
        shut(deferred_.front(), NGHTTP3_H3_REQUEST_REJECTED); // not processed: may be tried again (§4.1.1)
    }
}

void Doh3Application::drain() noexcept
{
    ++stats_.h3_goaways;
    if (const int error = nghttp3_conn_shutdown(http_.get()); error != 0) fail(error);
    connection_.touch();
}

} // namespace

std::unique_ptr<quic::Application> make_doh3(quic::Connection& connection)
{
    auto application = std::make_unique<Doh3Application>(connection);
    if (!application->open()) return nullptr;
    return application;
}

} // namespace sallyport::listeners
