#include "listeners/http2_session.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>

// The streams of a session: a request comes, is asked, is answered, and is let go.

namespace sallyport::listeners {

namespace {

constexpr std::size_t kMostSpares = 16;
constexpr std::size_t kLeastProgress = 1'024;  // a peer that takes less in the stall time is not reading
constexpr std::size_t kMalformedBlock = 2'048; // decoding on after an error is cheap up to here

} // namespace

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

} // namespace sallyport::listeners
