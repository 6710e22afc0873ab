#include "listeners/http2_session.hpp"

#include "listeners/addresses.hpp"
#include "listeners/in_call.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>

namespace sallyport::listeners {

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::size_t kWriteAhead = 65'536; // octets with the kernel's queue full: no more frames are made
constexpr base::Duration kGoodbye = std::chrono::seconds{2};

} // namespace

Http2Preface looks_like_http2(base::Bytes first_octets) noexcept
{
    const std::size_t size = std::min(first_octets.size(), kPreface.size());
    if (base::as_text(first_octets.first(size)) != kPreface.substr(0, size)) return Http2Preface::no;
    return size == kPreface.size() ? Http2Preface::yes : Http2Preface::undecided;
}

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

// ---- input

std::size_t Http2Session::received(base::Bytes octets, base::Instant now) noexcept
{
    const InCall turn{in_turn_};
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

// ---- output

void Http2Session::flush_due(base::Instant now) noexcept
{
    const InCall turn{in_turn_};
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
    const InCall turn{in_turn_};
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

// ---- the end

/// RFC 9113 §6.8: first a notice with the highest id, and after a round trip the last stream really served.
void Http2Session::drain() noexcept
{
    if (ended_ || drain_ != Drain::none) return;
    const InCall turn{in_turn_};
    drain_ = Drain::announced;
    ++context_.stats->drained;
    nghttp2_submit_shutdown_notice(session_.get());
    nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr);
    flush();
}

void Http2Session::ping_answered() noexcept
{
    if (drain_ == Drain::announced) last_goaway();
}

void Http2Session::last_goaway() noexcept
{
    drain_ = Drain::last;
    nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_.get()),
                          NGHTTP2_NO_ERROR, nullptr, 0);
}

void Http2Session::goaway_sent(std::uint32_t error) noexcept
{
    if (error != NGHTTP2_NO_ERROR) ++context_.stats->protocol_errors;
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
