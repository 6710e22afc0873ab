#include "listeners/http2_session.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <stdexcept>

namespace sallyport::listeners {

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kWriteAhead = 65'536;    // octets with the kernel's queue full: no more frames are made
constexpr std::size_t kBodyWindow = 262'144;   // unfinished bodies of one connection
constexpr std::size_t kBodyOvershoot = 16'384; // so that a body over the limit is seen, and answered 413
constexpr std::size_t kMostSpares = 16;
constexpr std::size_t kLeastProgress = 1'024;  // a peer that takes less in the stall time is not reading
constexpr std::size_t kMalformedBlock = 2'048; // decoding on after an error is cheap up to here
constexpr std::uint32_t kExcusedByAnswer = 2;  // WINDOW_UPDATE of stream and connection
constexpr base::Duration kGoodbye = std::chrono::seconds{2};
constexpr std::uint32_t kLibraryResets = 4; // nghttp2's own limit, behind ours

using CallbacksHandle = base::Handle<nghttp2_session_callbacks, nghttp2_session_callbacks_del>;
using OptionHandle = base::Handle<nghttp2_option, nghttp2_option_del>;

std::string_view status_text(unsigned status) noexcept
{
    switch (status) {
    case 200: return "200";
    case 204: return "204";
    case 400: return "400";
    case 404: return "404";
    case 405: return "405";
    case 408: return "408";
    case 413: return "413";
    case 414: return "414";
    case 415: return "415";
    case 431: return "431";
    case 501: return "501";
    default: return "503";
    }
}

/// nghttp2 promises not to write to what it does not copy.
nghttp2_nv to_nv(std::string_view name, std::string_view value, bool varies) noexcept
{
    const auto octets = [](std::string_view text) {
        return const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(text.data()));
    };
    const int flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE |
                      (varies ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE);
    return {octets(name), octets(value), name.size(), value.size(), static_cast<std::uint8_t>(flags)};
}

bool is_listed(const std::vector<base::Prefix>& prefixes, const base::IpAddress& address) noexcept
{
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const base::Prefix& p) { return p.contains(address); });
}

/// True for the scope's length.
class Turn {
public:
    explicit Turn(bool& flag) noexcept : flag_(flag) { flag_ = true; }
    ~Turn() { flag_ = false; }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

private:
    bool& flag_;
};

} // namespace

Http2Preface looks_like_http2(base::Bytes first_octets) noexcept
{
    const std::size_t size = std::min(first_octets.size(), kPreface.size());
    if (base::as_text(first_octets.first(size)) != kPreface.substr(0, size)) return Http2Preface::no;
    return size == kPreface.size() ? Http2Preface::yes : Http2Preface::undecided;
}

struct Http2Calls {
    using Stream = Http2Session::Stream;

    static Http2Session& self(void* user) noexcept { return *static_cast<Http2Session*>(user); }
    static Stream* stream(nghttp2_session* session, std::int32_t id) noexcept
    {
        return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
    }

    static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) noexcept
    {
        return self(user).stream_begins(frame->hd.stream_id, frame->headers.cat == NGHTTP2_HCAT_REQUEST);
    }

    static int header(nghttp2_session* session, const nghttp2_frame* frame, const std::uint8_t* name,
                      std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                      void* user) noexcept
    {
        return self(user).field_arrived(stream(session, frame->hd.stream_id), base::as_text({name, name_size}),
                                        base::as_text({value, value_size}));
    }

    /// A field that HTTP does not allow makes the request malformed: RFC 9113 §8.1.1, a stream error.
    static int invalid_header(nghttp2_session*, const nghttp2_frame*, const std::uint8_t*, std::size_t,
                              const std::uint8_t*, std::size_t, std::uint8_t, void*) noexcept
    {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }

    static int frame_received(nghttp2_session* session, const nghttp2_frame* frame, void* user) noexcept
    {
        const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        switch (frame->hd.type) {
        case NGHTTP2_HEADERS: {
            Stream* const its = stream(session, frame->hd.stream_id);
            if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) return self(user).header_arrived(its, end);
            return end ? self(user).body_ended(its) : 0;
        }
        case NGHTTP2_DATA: return end ? self(user).body_ended(stream(session, frame->hd.stream_id)) : 0;
        case NGHTTP2_RST_STREAM: return self(user).reset_arrived(stream(session, frame->hd.stream_id));
        case NGHTTP2_SETTINGS: self(user).settings_seen_ = true; return 0;
        case NGHTTP2_PING:
            if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) self(user).ping_answered();
            return 0;
        default: return 0;
        }
    }

    static int data_chunk(nghttp2_session* session, std::uint8_t, std::int32_t id, const std::uint8_t* data,
                          std::size_t size, void* user) noexcept
    {
        return self(user).body_arrived(stream(session, id), {data, size});
    }

    static int invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error, void* user) noexcept
    {
        return self(user).invalid_frame(frame->hd.type == NGHTTP2_HEADERS, error == NGHTTP2_ERR_REFUSED_STREAM);
    }

    static int stream_close(nghttp2_session* session, std::int32_t id, std::uint32_t, void* user) noexcept
    {
        return self(user).stream_closed(stream(session, id));
    }

    static int frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) noexcept
    {
        const bool message = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
        if (message && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) {
            self(user).response_ended(stream(session, frame->hd.stream_id));
        }
        if (frame->hd.type == NGHTTP2_GOAWAY) self(user).goaway_sent(frame->goaway.error_code);
        return 0;
    }

    static ssize_t read_answer(nghttp2_session*, std::int32_t, std::uint8_t* out, std::size_t size,
                               std::uint32_t* flags, nghttp2_data_source* source, void* user) noexcept
    {
        Stream& its = *static_cast<Stream*>(source->ptr);
        const std::size_t read = self(user).read_answer(its, {out, size});
        if (its.unsent.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
        return static_cast<ssize_t>(read);
    }

    static CallbacksHandle make_callbacks()
    {
        nghttp2_session_callbacks* raw = nullptr;
        if (nghttp2_session_callbacks_new(&raw) != 0) throw std::bad_alloc{};
        nghttp2_session_callbacks_set_on_begin_headers_callback(raw, begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(raw, header);
        nghttp2_session_callbacks_set_on_invalid_header_callback(raw, invalid_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(raw, frame_received);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(raw, data_chunk);
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(raw, invalid_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(raw, stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(raw, frame_sent);
        return CallbacksHandle{raw};
    }

    static OptionHandle make_option(const HttpLimits& limits)
    {
        nghttp2_option* raw = nullptr;
        if (nghttp2_option_new(&raw) != 0) throw std::bad_alloc{};
        nghttp2_option_set_no_auto_window_update(raw, 1);
        nghttp2_option_set_no_closed_streams(raw, 1);
        nghttp2_option_set_max_outbound_ack(raw, limits.control_queue);
        nghttp2_option_set_max_settings(raw, limits.settings_per_frame);
        nghttp2_option_set_stream_reset_rate_limit(raw, std::uint64_t{limits.reset_burst} * kLibraryResets,
                                                   std::uint64_t{limits.reset_per_second} * kLibraryResets);
        return OptionHandle{raw};
    }
};

Http2Session::Http2Session(StreamChannel& channel, DohContext& context, base::Instant now)
    : channel_(channel),
      pipeline_(channel.pipeline()),
      context_(context),
      limits_(*context.limits),
      client_(channel.client()),
      flush_(net::Flush::of<&Http2Session::flush_due>(*this)),
      meter_(limits_, now),
      resets_(limits_.reset_burst, limits_.reset_per_second, now),
      now_(now),
      last_request_(now),
      last_progress_(now),
      block_began_(now),
      from_listed_proxy_(is_listed(context.options->forwarded_from, client_.peer.address))
{
    client_.transport = base::Transport::doh2;
    open_session();
    submit_settings();
    ++context_.stats->sessions_http2;
}

Http2Session::~Http2Session()
{
    while (!streams_.empty()) let_go(streams_.front());
    spare_.clear_and_dispose([](Stream* stream) { delete stream; });
    if (charged_ > 0) context_.budget->answers.give_back(charged_);
}

void Http2Session::open_session()
{
    const auto callbacks = Http2Calls::make_callbacks();
    const auto option = Http2Calls::make_option(limits_);
    nghttp2_session* raw = nullptr;
    if (nghttp2_session_server_new2(&raw, callbacks.get(), this, option.get()) != 0) throw std::bad_alloc{};
    session_.reset(raw);
}

void Http2Session::submit_settings()
{
    const std::array<nghttp2_settings_entry, 4> settings{{
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.concurrent_streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.body + static_cast<std::uint32_t>(kBodyOvershoot)},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.header_list},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    }};
    nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, static_cast<std::int32_t>(kBodyWindow));
}

// ---- input

std::size_t Http2Session::received(base::Bytes octets, base::Instant now) noexcept
{
    const Turn turn{in_turn_};
    now_ = now;
    // Our SETTINGS are the first frame we send, whatever the peer began with (RFC 9113 §3.4).
    if (!preface_sent_ && !send_frames()) return octets.size();
    preface_sent_ = true;
    base::Bytes rest = octets;
    while (!rest.empty() && !ended_) {
        const base::Bytes step = rest.first(std::min<std::size_t>(rest.size(), limits_.read_at_once));
        rest = rest.subspan(step.size());
        if (take_step(step)) flush();
    }
    return octets.size();
}

bool Http2Session::take_step(base::Bytes octets) noexcept
{
    const std::uint64_t blocks = meter_.header_blocks();
    const auto found = meter_.look(octets, now_);
    if (meter_.header_blocks() != blocks) block_began_ = now_;
    if (!feed(octets.first(found.fine))) return false;
    if (found.breach == Http2FrameMeter::Breach::none) return true;
    breach(found.breach);
    return false;
}

bool Http2Session::feed(base::Bytes octets) noexcept
{
    if (octets.empty()) return true;
    const ssize_t taken = nghttp2_session_mem_recv(session_.get(), octets.data(), octets.size());
    if (taken >= 0) return true;
    if (failing_) {
        fail(failure_, failure_counter_);
    } else if (taken == NGHTTP2_ERR_FLOODED) {
        fail(NGHTTP2_ENHANCE_YOUR_CALM, &context_.stats->control_queue_full);
    } else {
        fail(NGHTTP2_PROTOCOL_ERROR, &context_.stats->protocol_errors);
    }
    return false;
}

void Http2Session::breach(Http2FrameMeter::Breach kind) noexcept
{
    HttpStats& stats = *context_.stats;
    switch (kind) {
    case Http2FrameMeter::Breach::none: return;
    case Http2FrameMeter::Breach::continuations: return fail(NGHTTP2_ENHANCE_YOUR_CALM, &stats.continuations_too_many);
    case Http2FrameMeter::Breach::header_block: return fail(NGHTTP2_ENHANCE_YOUR_CALM, &stats.header_blocks_too_long);
    case Http2FrameMeter::Breach::settings: return fail(NGHTTP2_ENHANCE_YOUR_CALM, &stats.settings_too_many);
    case Http2FrameMeter::Breach::offences: return fail(NGHTTP2_ENHANCE_YOUR_CALM, &stats.offence_budget_spent);
    case Http2FrameMeter::Breach::priority_of_none: return fail(NGHTTP2_PROTOCOL_ERROR, &stats.protocol_errors);
    }
}

// ---- what nghttp2 reports

int Http2Session::stream_begins(std::int32_t id, bool request) noexcept
{
    meter_.excuse(1); // see Http2FrameMeter: header blocks for streams that are gone are not excused
    if (!request) return 0;
    Stream& stream = take_stream(id);
    stream.request.begin(context_, from_listed_proxy_);
    stream.began = last_request_ = now_;
    last_stream_ = id;
    nghttp2_session_set_stream_user_data(session_.get(), id, &stream);
    return 0;
}

int Http2Session::field_arrived(Stream* stream, std::string_view name, std::string_view value) noexcept
{
    if (stream == nullptr || stream->request.field(name, value)) return 0;
    // RFC 9113 §10.5.1: the rest would have to be decoded all the same. The request has counted it.
    return fail_soon(NGHTTP2_ENHANCE_YOUR_CALM, nullptr);
}

int Http2Session::header_arrived(Stream* stream, bool end) noexcept
{
    if (stream == nullptr) return 0;
    stream->complete = end;
    act_on(*stream, stream->request.header_done(end));
    return 0;
}

int Http2Session::body_arrived(Stream* stream, base::Bytes octets) noexcept
{
    if (stream == nullptr) {
        nghttp2_session_consume_connection(session_.get(), octets.size());
        return 0;
    }
    stream->unconsumed += octets.size();
    if (stream->answered) {
        forget_body(*stream, octets.size());
    } else {
        act_on(*stream, stream->request.body(octets));
        if (stream->answered) release_body_window(*stream);
    }
    return 0;
}

int Http2Session::body_ended(Stream* stream) noexcept
{
    if (stream == nullptr) return 0;
    stream->complete = true;
    release_body_window(*stream);
    if (!stream->answered) act_on(*stream, stream->request.finished());
    return 0;
}

int Http2Session::reset_arrived(Stream* stream) noexcept
{
    // Of a stream that lives: stream_closed counts it.
    if (stream != nullptr || meter_.offend(now_)) return 0;
    return fail_soon(NGHTTP2_ENHANCE_YOUR_CALM, &context_.stats->offence_budget_spent);
}

int Http2Session::invalid_frame(bool header, bool refused) noexcept
{
    // What remains of a refused header block is decoded unseen; a short one is let pass.
    if (header && meter_.header_block() > kMalformedBlock) {
        return fail_soon(NGHTTP2_PROTOCOL_ERROR, &context_.stats->protocol_errors);
    }
    if (!refused) return 0;
    ++context_.stats->streams_refused;
    if (resets_.take(now_)) return 0;
    return fail_soon(NGHTTP2_ENHANCE_YOUR_CALM, &context_.stats->reset_budget_spent);
}

int Http2Session::stream_closed(Stream* stream) noexcept
{
    if (stream == nullptr) return 0;
    const bool early = !stream->sent;
    let_go(*stream);
    if (!early || resets_.take(now_)) return 0;
    return fail_soon(NGHTTP2_ENHANCE_YOUR_CALM, &context_.stats->reset_budget_spent);
}

void Http2Session::ping_answered() noexcept
{
    if (drain_ == Drain::announced) last_goaway();
}

void Http2Session::goaway_sent(std::uint32_t error) noexcept
{
    if (error != NGHTTP2_NO_ERROR) ++context_.stats->protocol_errors;
}

// ---- requests and answers

void Http2Session::act_on(Stream& stream, DohRequest::Verdict verdict) noexcept
{
    if (stream.answered) return;
    if (verdict == DohRequest::Verdict::query) ask(stream);
    if (verdict == DohRequest::Verdict::respond) submit(stream, stream.request.refusal());
}

std::size_t Http2Session::parking_level() const noexcept
{
    // Room is left for one answer of any size.
    constexpr std::size_t kLargest = 65'535;
    const std::size_t limit = limits_.answers_per_connection;
    return limit > 2 * kLargest ? limit - kLargest : limit / 2;
}

/// Whoever does not read does not get served more: while too much is held, the query waits here.
void Http2Session::ask(Stream& stream) noexcept
{
    if (held_ > parking_level()) {
        stream.parked = true;
        ++parked_;
        ++context_.stats->answers_parked;
        return;
    }
    const pipeline::Client client = stream.request.client(client_);
    const auto intake = pipeline_.receive(
        {stream.request.message(), client, *this, static_cast<std::uint64_t>(stream.id), stream.queries, now_});
    if (intake != pipeline::Intake::taken) act_on(stream, stream.request.refuse(400));
}

bool Http2Session::ask_parked() noexcept
{
    bool any = false;
    if (parked_ == 0) return any;
    for (Stream& stream : streams_) {
        if (held_ > parking_level()) break;
        if (!stream.parked) continue;
        stream.parked = false;
        --parked_;
        any = true;
        ask(stream);
    }
    return any;
}

void Http2Session::reply(const pipeline::Reply& reply) noexcept
{
    Stream* const stream = find(reply.tag);
    if (stream == nullptr || stream->answered) return;
    if (held_ + reply.message.size() > limits_.answers_per_connection) {
        ++context_.stats->answers_over_connection_limit;
        reset(*stream, NGHTTP2_ENHANCE_YOUR_CALM);
    } else if (!stream->request.is_head() && !stream->keep(reply.message)) {
        reset(*stream, NGHTTP2_INTERNAL_ERROR);
    } else {
        submit(*stream, stream->request.answer(reply));
    }
    if (!in_turn_) channel_.worker().flush_later(flush_);
}

void Http2Session::dropped(std::uint64_t tag) noexcept
{
    Stream* const stream = find(tag);
    if (stream == nullptr || stream->answered) return;
    reset(*stream, NGHTTP2_CANCEL);
    if (!in_turn_) channel_.worker().flush_later(flush_);
}

Http2Session::Stream* Http2Session::find(std::uint64_t tag) noexcept
{
    if (ended_) return nullptr;
    return Http2Calls::stream(session_.get(), static_cast<std::int32_t>(tag));
}

void Http2Session::submit(Stream& stream, const DohResponse& response) noexcept
{
    std::array<nghttp2_nv, 1 + std::tuple_size_v<decltype(response.fields)>> fields;
    std::size_t count = 0;
    fields[count++] = to_nv(":status", status_text(response.status), false);
    for (const DohField& field : response.header()) fields[count++] = to_nv(field.name, field.value, field.varies);

    const base::Bytes content = stream.answer.size() > 0 ? stream.answer.octets() : base::as_bytes(response.text);
    stream.unsent = content.first(std::min(content.size(), response.body_size));
    stream.answered = true;
    if (held_ == 0) last_progress_ = now_;
    held_ += stream.unsent.size();
    meter_.excuse(kExcusedByAnswer);

    nghttp2_data_provider provider{};
    provider.source.ptr = &stream;
    provider.read_callback = Http2Calls::read_answer;
    const int error = nghttp2_submit_response(session_.get(), stream.id, fields.data(), count,
                                              stream.unsent.empty() ? nullptr : &provider);
    if (error != 0) reset(stream, NGHTTP2_INTERNAL_ERROR);
}

std::size_t Http2Session::read_answer(Stream& stream, base::MutableBytes out) noexcept
{
    const std::size_t size = std::min(out.size(), stream.unsent.size());
    std::copy_n(stream.unsent.begin(), size, out.begin());
    stream.unsent = stream.unsent.subspan(size);
    held_ -= size;
    progress_ += size;
    if (progress_ >= kLeastProgress || held_ == 0) {
        progress_ = 0;
        last_progress_ = now_;
    }
    return size;
}

void Http2Session::response_ended(Stream* stream) noexcept
{
    if (stream == nullptr) return;
    stream->sent = true;
    if (!stream->complete && !waits_for_body_end(*stream)) cut_body(*stream);
}

/// RFC 9113 §8.1 allows a reset once the answer has left that does not depend on the rest of the request, but clients
/// lose the answer over it (curl 7.88, while it still sends). So the rest is read and forgotten, within the bounds of
/// any body.
bool Http2Session::waits_for_body_end(const Stream& stream) const noexcept
{
    return stream.forgotten <= limits_.body && now_ - stream.began < limits_.body_time;
}

void Http2Session::forget_body(Stream& stream, std::size_t octets) noexcept
{
    stream.forgotten += octets;
    release_body_window(stream);
    if (stream.sent && !waits_for_body_end(stream)) cut_body(stream);
}

void Http2Session::cut_body(Stream& stream) noexcept
{
    ++context_.stats->bodies_cut;
    reset(stream, NGHTTP2_NO_ERROR);
}

void Http2Session::reset(Stream& stream, std::uint32_t error) noexcept
{
    stream.answered = true;
    nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, stream.id, error);
}

void Http2Session::release_body_window(Stream& stream) noexcept
{
    if (stream.unconsumed == 0) return;
    nghttp2_session_consume_connection(session_.get(), stream.unconsumed);
    // A stream's window holds a whole body; only one whose rest is thrown away needs more.
    if (!stream.complete && stream.forgotten <= limits_.body)
        nghttp2_session_consume_stream(session_.get(), stream.id, stream.unconsumed);
    stream.unconsumed = 0;
}

Http2Session::Stream& Http2Session::take_stream(std::int32_t id) noexcept
{
    Stream* stream = nullptr;
    if (spare_.empty()) {
        stream = new Stream;
    } else {
        stream = &spare_.front();
        spare_.pop_front();
        --spares_;
    }
    stream->id = id;
    streams_.push_back(*stream);
    return *stream;
}

/// The stream is over: its query is let go, its memory is free.
void Http2Session::let_go(Stream& stream) noexcept
{
    orphan(stream);
    if (stream.unconsumed > 0 && !ended_) nghttp2_session_consume_connection(session_.get(), stream.unconsumed);
    if (stream.parked) --parked_;
    held_ -= stream.unsent.size();
    stream.request.clear();
    stream.answer.clear();
    stream.unsent = {};
    stream.unconsumed = stream.forgotten = 0;
    stream.complete = stream.parked = stream.answered = stream.sent = false;
    streams_.erase(streams_.iterator_to(stream));
    if (spares_ >= kMostSpares) {
        delete &stream;
        return;
    }
    spare_.push_front(stream);
    ++spares_;
}

void Http2Session::orphan(Stream& stream) noexcept
{
    if (stream.queries.empty()) return;
    ++context_.stats->orphaned;
    pipeline_.abandon(stream.queries);
}

// ---- output

void Http2Session::flush_due(base::Instant now) noexcept
{
    const Turn turn{in_turn_};
    now_ = now;
    flush();
}

void Http2Session::flush() noexcept
{
    if (ended_) return;
    do {
        if (!send_frames()) return;
    } while (ask_parked());
    settle();
}

/// Gives the channel what nghttp2 has, as long as the peer takes it. False: the connection has ended.
bool Http2Session::send_frames() noexcept
{
    while (!ended_ && channel_.backlog() < kWriteAhead) {
        const std::uint8_t* octets = nullptr;
        const ssize_t size = nghttp2_session_mem_send(session_.get(), &octets);
        if (size == 0) return true;
        if (size < 0) {
            if (failing_) {
                fail(failure_, failure_counter_);
            } else {
                fail(NGHTTP2_INTERNAL_ERROR, &context_.stats->protocol_errors);
            }
            return false;
        }
        channel_.write({octets, static_cast<std::size_t>(size)});
    }
    return !ended_;
}

void Http2Session::settle() noexcept
{
    const std::size_t backlog = channel_.backlog();
    if (!paused_ && backlog >= kWriteAhead) {
        paused_ = true;
        channel_.pause_reading();
    } else if (paused_ && backlog < kWriteAhead / 2) {
        paused_ = false;
        channel_.resume_reading();
    }
    const std::size_t queued = nghttp2_session_get_outbound_queue_size(session_.get());
    if (queued > std::size_t{limits_.control_queue} + limits_.concurrent_streams) {
        return fail(NGHTTP2_ENHANCE_YOUR_CALM, &context_.stats->control_queue_full);
    }
    balance_budget();
    if (ended_) return;
    const bool writing = nghttp2_session_want_write(session_.get()) != 0;
    const bool reading = nghttp2_session_want_read(session_.get()) != 0;
    if (!writing && (!reading || (drain_ == Drain::last && streams_.empty()))) end();
}

/// What did not leave at once counts against all peers together.
void Http2Session::balance_budget() noexcept
{
    if (held_ < charged_) {
        context_.budget->answers.give_back(charged_ - held_);
    } else if (held_ > charged_ && !context_.budget->answers.take(held_ - charged_)) {
        return fail(NGHTTP2_ENHANCE_YOUR_CALM, &context_.stats->answers_over_total_limit);
    }
    charged_ = held_;
}

void Http2Session::progressed(base::Instant now) noexcept
{
    if (ended_ || (!paused_ && nghttp2_session_want_write(session_.get()) == 0)) return;
    flush_due(now);
}

// ---- time

Activity Http2Session::activity() const noexcept
{
    if (!streams_.empty()) return Activity::answering; // bodies have a deadline of their own
    return settings_seen_ && meter_.between_frames() ? Activity::idle : Activity::receiving;
}

// `tick` says goodbye first.
base::Duration Http2Session::idle_timeout() const noexcept { return limits_.idle + kGoodbye; }

void Http2Session::tick(base::Instant now) noexcept
{
    if (ended_) return;
    const Turn turn{in_turn_};
    now_ = now;
    if (meter_.in_header_block() && now - block_began_ >= limits_.body_time) {
        return fail(NGHTTP2_ENHANCE_YOUR_CALM, &context_.stats->header_blocks_too_slow);
    }
    if (held_ > 0 && now - last_progress_ >= limits_.stall) {
        ++context_.stats->stalled;
        return abort();
    }
    expire_bodies();
    expire_idle();
    if (drain_ == Drain::announced) last_goaway();
    flush();
}

void Http2Session::expire_bodies() noexcept
{
    for (Stream& stream : streams_) {
        if (stream.complete || now_ - stream.began < limits_.body_time) continue;
        if (stream.answered) {
            if (stream.sent) cut_body(stream); // the answer has left long ago
            continue;
        }
        ++context_.stats->bodies_too_slow;
        act_on(stream, stream.request.refuse(408));
    }
}

void Http2Session::expire_idle() noexcept
{
    if (!streams_.empty()) return;
    spare_.clear_and_dispose([](Stream* stream) { delete stream; });
    spares_ = 0;
    if (now_ - last_request_ < limits_.idle) return;
    ++context_.stats->idle_closed;
    nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
}

/// RFC 9113 §6.8: first a notice with the highest id, and after a round trip the last stream really served.
void Http2Session::drain() noexcept
{
    if (ended_ || drain_ != Drain::none) return;
    const Turn turn{in_turn_};
    drain_ = Drain::announced;
    ++context_.stats->drained;
    nghttp2_submit_shutdown_notice(session_.get());
    nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
    flush();
}

void Http2Session::last_goaway() noexcept
{
    drain_ = Drain::last;
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_.get()),
                          NGHTTP2_NO_ERROR, nullptr, 0);
}

int Http2Session::fail_soon(std::uint32_t error, base::Counter* counter) noexcept
{
    failing_ = true;
    failure_ = error;
    failure_counter_ = counter;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

void Http2Session::fail(std::uint32_t error, base::Counter* counter) noexcept
{
    if (counter != nullptr) ++*counter;
    std::array<std::uint8_t, 17> goaway{0, 0, 8, NGHTTP2_GOAWAY};
    base::store_be32(goaway, 9, static_cast<std::uint32_t>(last_stream_));
    base::store_be32(goaway, 13, error);
    channel_.write(goaway);
    end();
}

void Http2Session::end() noexcept
{
    if (ended_) return;
    ended_ = true;
    for (Stream& stream : streams_) orphan(stream);
    channel_.end();
}

void Http2Session::abort() noexcept
{
    ended_ = true;
    for (Stream& stream : streams_) orphan(stream);
    channel_.abort();
}

std::unique_ptr<StreamSession> make_http2_session(StreamChannel& channel, DohContext& context, base::Instant now)
{
    return std::make_unique<Http2Session>(channel, context, now);
}

} // namespace sallyport::listeners
