#pragma once

#include "base/handle.hpp"
#include "listeners/doh_request.hpp"
#include "listeners/doh_sessions.hpp"
#include "listeners/http2_frame_meter.hpp"
#include "listeners/octet_buffer.hpp"
#include "net/worker.hpp"

#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <memory>

struct nghttp2_session;
extern "C" void nghttp2_session_del(nghttp2_session* session);

namespace sallyport::listeners {

struct Http2Calls; // nghttp2's callbacks, each one line

/// DoH over HTTP/2 (RFC 8484, RFC 9113): nghttp2 does framing, HPACK and flow control; requests are `DohRequest`s.
///
/// All input of a wake-up is taken in steps of `HttpLimits::read_at_once`; the answers of a step leave together. Every
/// limit of HttpLimits ends in one of three ways: a refusal with a status, a reset of the stream, or `fail`.
class Http2Session final : public StreamSession, private pipeline::ReplySink {
public:
    Http2Session(StreamChannel& channel, DohContext& context, base::Instant now);
    ~Http2Session() override;
    Http2Session(const Http2Session&) = delete;
    Http2Session& operator=(const Http2Session&) = delete;

    [[nodiscard]] std::size_t received(base::Bytes octets, base::Instant now) noexcept override;
    void progressed(base::Instant now) noexcept override;
    [[nodiscard]] Activity activity() const noexcept override;
    [[nodiscard]] std::uint64_t begun() const noexcept override { return meter_.frames(); }
    void drain() noexcept override;
    void tick(base::Instant now) noexcept override;
    [[nodiscard]] base::Duration idle_timeout() const noexcept override;

private:
    friend struct Http2Calls;

    struct Stream : boost::intrusive::list_base_hook<> {
        /// Copies an answer, in a buffer of its size.
        [[nodiscard]] bool keep(base::Bytes message) noexcept
        {
            return answer.reserve(message.size()) && answer.append(message);
        }

        std::int32_t id = 0;
        DohRequest request;
        pipeline::QueryList queries;
        OctetBuffer<512> answer;
        base::Bytes unsent{}; // of `answer`, or the text of a refusal
        base::Instant began{};
        std::size_t unconsumed = 0; // octets of the body that still take up the connection's window
        std::size_t forgotten = 0;  // octets of the body that came after the answer
        bool complete = false;      // the request is
        bool parked = false;        // waits until earlier answers have left
        bool answered = false;      // a response is with nghttp2
        bool sent = false;          // all of it has left
    };
    using StreamList = boost::intrusive::list<Stream>;
    using SessionHandle = base::Handle<nghttp2_session, nghttp2_session_del>;

    void open_session();
    void submit_settings();

    // What nghttp2 reports. Negative: its error codes.
    int stream_begins(std::int32_t id, bool request) noexcept;
    int field_arrived(Stream* stream, std::string_view name, std::string_view value) noexcept;
    int header_arrived(Stream* stream, bool end) noexcept;
    int body_arrived(Stream* stream, base::Bytes octets) noexcept;
    int body_ended(Stream* stream) noexcept;
    int reset_arrived(Stream* stream) noexcept;
    int invalid_frame(bool header, bool refused) noexcept;
    int stream_closed(Stream* stream) noexcept;
    std::size_t read_answer(Stream& stream, base::MutableBytes out) noexcept;
    void response_ended(Stream* stream) noexcept;
    void ping_answered() noexcept;
    void goaway_sent(std::uint32_t error) noexcept;

    void act_on(Stream& stream, DohRequest::Verdict verdict) noexcept;
    void ask(Stream& stream) noexcept;
    void release_body_window(Stream& stream) noexcept;
    void forget_body(Stream& stream, std::size_t octets) noexcept;
    void cut_body(Stream& stream) noexcept;
    [[nodiscard]] bool waits_for_body_end(const Stream& stream) const noexcept;
    void submit(Stream& stream, const DohResponse& response) noexcept;
    void reset(Stream& stream, std::uint32_t error) noexcept;
    [[nodiscard]] Stream* find(std::uint64_t tag) noexcept;
    Stream& take_stream(std::int32_t id) noexcept;
    void let_go(Stream& stream) noexcept;
    void orphan(Stream& stream) noexcept;

    [[nodiscard]] bool take_step(base::Bytes octets) noexcept;
    [[nodiscard]] bool feed(base::Bytes octets) noexcept;
    [[nodiscard]] std::size_t parking_level() const noexcept;
    void flush_due(base::Instant now) noexcept;
    void breach(Http2FrameMeter::Breach kind) noexcept;
    void flush() noexcept;
    bool send_frames() noexcept;
    bool ask_parked() noexcept;
    void settle() noexcept;
    void balance_budget() noexcept;
    void expire_bodies() noexcept;
    void expire_idle() noexcept;
    void last_goaway() noexcept;
    /// Ends the connection with GOAWAY and counts it, where nobody has yet; written by hand, because nghttp2 must not
    /// be used after an error.
    void fail(std::uint32_t error, base::Counter* counter) noexcept;
    /// For callbacks: nghttp2 returns at once, then `fail` is done.
    int fail_soon(std::uint32_t error, base::Counter* counter) noexcept;
    void end() noexcept;
    void abort() noexcept;

    // pipeline::ReplySink
    void reply(const pipeline::Reply& reply) noexcept override;
    void dropped(std::uint64_t tag) noexcept override;

    StreamChannel& channel_;
    pipeline::Pipeline& pipeline_;
    DohContext& context_;
    const HttpLimits& limits_;
    pipeline::Client client_;
    net::Flush flush_;
    Http2FrameMeter meter_;
    TokenBucket resets_;
    StreamList streams_;
    StreamList spare_;
    SessionHandle session_;
    base::Instant now_;
    base::Instant last_request_;
    base::Instant last_progress_; // since answers are held
    base::Instant block_began_;
    std::size_t progress_ = 0; // octets that left since then
    std::size_t held_ = 0;     // octets of answers with us
    std::size_t charged_ = 0;  // of these, in the budget of all
    std::size_t parked_ = 0;
    std::size_t spares_ = 0;
    std::int32_t last_stream_ = 0;
    std::uint32_t failure_ = 0;
    base::Counter* failure_counter_ = nullptr;
    bool failing_ = false;
    bool from_listed_proxy_;
    bool preface_sent_ = false;
    bool settings_seen_ = false;
    bool in_turn_ = false; // within received() or flush(): answers leave at its end
    bool paused_ = false;
    bool ended_ = false;
    enum class Drain : std::uint8_t { none, announced, last } drain_ = Drain::none;
};

} // namespace sallyport::listeners
