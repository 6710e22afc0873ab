#include "listeners/http1_session.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace sallyport::listeners {

namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;

constexpr std::size_t kMostBacklog = 65'536; // octets not taken by the kernel: nothing more is served
constexpr std::size_t kMostKept = 2 * StreamSession::kKept;
constexpr std::size_t kChunkFraming = 65'536; // octets that chunk sizes and extensions of one body may take up
constexpr unsigned kRequestsPerTurn = 32;

std::string_view to_view(boost::beast::string_view text) noexcept { return {text.data(), text.size()}; }

std::string_view status_line(unsigned status) noexcept
{
    switch (status) {
    case 200: return "HTTP/1.1 200 OK\r\n";
    case 204: return "HTTP/1.1 204 No Content\r\n";
    case 400: return "HTTP/1.1 400 Bad Request\r\n";
    case 404: return "HTTP/1.1 404 Not Found\r\n";
    case 405: return "HTTP/1.1 405 Method Not Allowed\r\n";
    case 408: return "HTTP/1.1 408 Request Timeout\r\n";
    case 413: return "HTTP/1.1 413 Content Too Large\r\n";
    case 414: return "HTTP/1.1 414 URI Too Long\r\n";
    case 415: return "HTTP/1.1 415 Unsupported Media Type\r\n";
    case 431: return "HTTP/1.1 431 Request Header Fields Too Large\r\n";
    case 501: return "HTTP/1.1 501 Not Implemented\r\n";
    case 505: return "HTTP/1.1 505 HTTP Version Not Supported\r\n";
    default: return "HTTP/1.1 503 Service Unavailable\r\n";
    }
}

/// Gathers a response's header on the stack.
class HeadWriter {
public:
    explicit HeadWriter(StreamChannel& channel) noexcept : channel_(channel) {}
    ~HeadWriter() { flush(); }
    HeadWriter(const HeadWriter&) = delete;
    HeadWriter& operator=(const HeadWriter&) = delete;

    HeadWriter& operator<<(std::string_view text) noexcept
    {
        if (text.size() > room_.size() - size_) flush();
        if (text.size() > room_.size()) {
            channel_.write(base::as_bytes(text));
            return *this;
        }
        std::copy(text.begin(), text.end(), room_.begin() + static_cast<std::ptrdiff_t>(size_));
        size_ += text.size();
        return *this;
    }

private:
    void flush() noexcept
    {
        if (size_ > 0) channel_.write(base::as_bytes({room_.data(), size_}));
        size_ = 0;
    }

    StreamChannel& channel_;
    std::array<char, 1024> room_;
    std::size_t size_ = 0;
};

/// The path and query of a request target (RFC 9112 §3.2): a proxy's form names the origin before it.
std::string_view path_of(std::string_view target) noexcept
{
    if (target.starts_with('/')) return target;
    const std::size_t scheme = target.find("://");
    if (scheme > 5) return target; // none, or not that of a request
    const std::size_t path = target.find('/', scheme + 3);
    return path == std::string_view::npos ? std::string_view{"/"} : target.substr(path);
}

bool spelled_as(std::string_view text, std::string_view lower_case) noexcept
{
    return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a | 0x20) : a) == b; });
}

} // namespace

/// Hands what Beast finds to the request; notes what DoH does not need to know.
class Http1Session::Parser final : public http::basic_parser<true> {
public:
    Parser(DohRequest& request, const HttpLimits& limits) : request_(request)
    {
        header_limit(limits.header_block);
        body_limit(boost::none); // judged by the request, which answers 413
        eager(false);
    }

    /// The status that the header's framing deserves; 0: it is in order (RFC 9112 §3.2, §6.1, §6.3).
    [[nodiscard]] unsigned framing_fault() const noexcept
    {
        if (hosts_ > 1 || (hosts_ == 0 && !version_1_0_)) return 400;
        if (lengths_ > 1 || (lengths_ > 0 && codings_ > 0)) return 400;
        if (codings_ > 0 && version_1_0_) return 400;
        return codings_ > 1 || unknown_coding_ ? 501 : 0;
    }
    [[nodiscard]] bool version_1_0() const noexcept { return version_1_0_; }
    [[nodiscard]] bool list_too_long() const noexcept { return list_too_long_; }
    [[nodiscard]] bool unsupported_version() const noexcept { return unsupported_version_; }
    [[nodiscard]] bool unknown_coding() const noexcept { return unknown_coding_; }

private:
    void on_request_impl(http::verb, boost::beast::string_view method, boost::beast::string_view target, int version,
                         error_code& error) override
    {
        version_1_0_ = version == 10;
        unsupported_version_ = version != 10 && version != 11;
        feed(":method", to_view(method), error);
        feed(":path", path_of(to_view(target)), error);
    }

    void on_field_impl(http::field name, boost::beast::string_view name_text, boost::beast::string_view value,
                       error_code& error) override
    {
        if (name == http::field::host) ++hosts_;
        if (name == http::field::content_length) {
            // A list of equal lengths may be taken (RFC 9110 §8.6), but who sends one means to deceive somebody.
            lengths_ += to_view(value).find(',') == std::string_view::npos ? 1U : 2U;
        }
        if (name == http::field::transfer_encoding) {
            ++codings_;
            unknown_coding_ = unknown_coding_ || !spelled_as(to_view(value), "chunked");
        }
        std::array<char, 16> lower{};
        if (name_text.size() > lower.size()) return feed(to_view(name_text), to_view(value), error);
        std::transform(name_text.begin(), name_text.end(), lower.begin(), [](char letter) {
            return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter;
        });
        feed({lower.data(), name_text.size()}, to_view(value), error);
    }

    void feed(std::string_view name, std::string_view value, error_code& error)
    {
        if (request_.field(name, value)) return;
        list_too_long_ = true;
        error = http::error::header_limit;
    }

    void on_body_impl2(boost::beast::string_view body)
    {
        // A refusal stands; the rest of a body of bearable size is read and forgotten.
        static_cast<void>(request_.body(base::as_bytes(to_view(body))));
    }

    std::size_t on_body_impl(boost::beast::string_view body, error_code&) override
    {
        on_body_impl2(body);
        return body.size();
    }
    std::size_t on_chunk_body_impl(std::uint64_t, boost::beast::string_view body, error_code&) override
    {
        on_body_impl2(body);
        return body.size();
    }

    void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    void on_chunk_header_impl(std::uint64_t, boost::beast::string_view, error_code&) override {}
    void on_finish_impl(error_code&) override {}

    DohRequest& request_;
    unsigned hosts_ = 0;
    unsigned lengths_ = 0;
    unsigned codings_ = 0;
    bool unknown_coding_ = false;
    bool version_1_0_ = false;
    bool unsupported_version_ = false;
    bool list_too_long_ = false;
};

Http1Session::Http1Session(StreamChannel& channel, DohContext& context, base::Instant now)
    : channel_(channel),
      pipeline_(channel.pipeline()),
      context_(context),
      limits_(*context.limits),
      client_(channel.client()),
      flush_(net::Flush::of<&Http1Session::go_on>(*this)),
      turn_timer_(net::Timer::of<&Http1Session::go_on>(*this)),
      now_(now),
      began_(now),
      last_request_(now),
      from_listed_proxy_(
          std::any_of(context.options->forwarded_from.begin(), context.options->forwarded_from.end(),
                      [&](const base::Prefix& proxy) { return proxy.contains(channel.client().peer.address); }))
{
    client_.transport = base::Transport::doh1;
    ++context_.stats->sessions_http1;
}

Http1Session::~Http1Session()
{
    if (queries_.empty()) return;
    ++context_.stats->orphaned;
    pipeline_.abandon(queries_);
}

// ---- input

std::size_t Http1Session::received(base::Bytes octets, base::Instant now) noexcept
{
    if (ended_) return octets.size();
    now_ = now;
    turn_left_ = kRequestsPerTurn;
    if (kept_.empty()) {
        keep(octets.subspan(take(octets)));
        return octets.size();
    }
    if (kept_.size() + octets.size() > kMostKept) {
        ++context_.stats->pipelined_too_much;
        end();
        return octets.size();
    }
    kept_.insert(kept_.end(), octets.begin(), octets.end());
    go_on(now);
    return octets.size();
}

/// Takes what has been kept: an answer or the peer's reading was waited for, or the turn was over.
void Http1Session::go_on(base::Instant now) noexcept
{
    if (ended_) return;
    now_ = now;
    if (turn_left_ == 0) turn_left_ = kRequestsPerTurn;
    const std::vector<std::uint8_t> octets = std::move(kept_);
    kept_.clear();
    keep(base::Bytes{octets}.subspan(take(octets)));
}

void Http1Session::keep(base::Bytes rest) noexcept
{
    if (!ended_) kept_.assign(rest.begin(), rest.end());
    regulate_reading();
    // Behind everything that is due now: others come first.
    if (!ended_ && turn_left_ == 0 && !kept_.empty())
        channel_.worker().arm(turn_timer_, now_ + std::chrono::nanoseconds{1});
}

bool Http1Session::blocked() const noexcept
{
    return waiting_ || turn_left_ == 0 || channel_.backlog() >= kMostBacklog;
}

void Http1Session::regulate_reading() noexcept
{
    if (ended_) return;
    const bool stop = blocked() && !kept_.empty();
    if (stop && !paused_) channel_.pause_reading();
    if (!stop && paused_) channel_.resume_reading();
    paused_ = stop;
}

/// Serves the requests that are whole. Returns how many octets are done with.
std::size_t Http1Session::take(base::Bytes octets) noexcept
{
    in_turn_ = true;
    std::size_t used = 0;
    while (used < octets.size() && !ended_ && !blocked()) {
        const std::size_t step = parse(octets.subspan(used));
        used += step;
        if (step == 0) break;
    }
    in_turn_ = false;
    return used;
}

std::size_t Http1Session::parse(base::Bytes octets) noexcept
{
    if (!parser_) begin_request();
    const bool in_header = !parser_->is_header_done();
    error_code error;
    const std::size_t used = parser_->put(boost::asio::const_buffer{octets.data(), octets.size()}, error);
    if (error && error != http::error::need_more) {
        const bool too_long = error == http::error::header_limit || parser_->list_too_long();
        if (error == http::error::header_limit && !parser_->list_too_long()) ++context_.stats->header_blocks_too_long;
        refuse_and_end(too_long ? 431 : parser_->unknown_coding() ? 501 : 400);
        return used;
    }
    if (in_header && parser_->is_header_done()) header_arrived();
    if (!in_header) body_wire_ += used;
    if (ended_ || !parser_) return used;
    if (body_wire_ > limits_.body + kChunkFraming) {
        refuse_and_end(413);
    } else if (parser_->is_done()) {
        finish_request();
    } else if (used == 0 && octets.size() > limits_.header_block) {
        refuse_and_end(400); // a chunk's header without end
    }
    return used;
}

void Http1Session::begin_request() noexcept
{
    request_.begin(context_, from_listed_proxy_);
    parser_ = std::make_unique<Parser>(request_, limits_);
    began_ = last_request_ = now_;
    ++begun_;
    keep_alive_ = true;
    version_1_0_ = false;
    body_wire_ = 0;
}

void Http1Session::header_arrived() noexcept
{
    version_1_0_ = parser_->version_1_0();
    keep_alive_ = parser_->keep_alive();
    if (parser_->unsupported_version()) return refuse_and_end(505);
    if (const unsigned status = parser_->framing_fault()) return refuse_and_end(status);
    const bool body = !parser_->is_done();
    const auto verdict = request_.header_done(!body);
    // A body that is too long, or that the client holds back for our word, is not waited for.
    const bool long_body = request_.content_length().value_or(0) > limits_.body;
    if (verdict == DohRequest::Verdict::respond && body && (long_body || request_.expects_continue())) {
        keep_alive_ = false;
        respond(request_.refusal(), {});
        return end();
    }
    if (body && request_.expects_continue() && !version_1_0_) {
        channel_.write(base::as_bytes("HTTP/1.1 100 Continue\r\n\r\n"));
    }
}

void Http1Session::finish_request() noexcept
{
    parser_.reset();
    if (turn_left_ > 0) --turn_left_;
    if (request_.finished() == DohRequest::Verdict::query) {
        ask();
    } else {
        respond(request_.refusal(), {});
        request_over();
    }
    if (!waiting_) request_.clear();
}

void Http1Session::ask() noexcept
{
    waiting_ = true;
    ++serial_;
    const pipeline::Client client = request_.client(client_);
    const auto intake = pipeline_.receive({request_.message(), client, *this, serial_, queries_, now_});
    if (intake == pipeline::Intake::taken) return;
    static_cast<void>(request_.refuse(400));
    respond(request_.refusal(), {});
    request_over();
}

// ---- output

void Http1Session::reply(const pipeline::Reply& reply) noexcept
{
    if (ended_ || !waiting_ || reply.tag != serial_) return;
    respond(request_.answer(reply), reply.message);
    request_over();
    if (!in_turn_ && !ended_) channel_.worker().flush_later(flush_);
}

void Http1Session::dropped(std::uint64_t tag) noexcept
{
    if (ended_ || !waiting_ || tag != serial_) return;
    // Without an answer the order of answers is lost.
    end();
}

/// `content` is the DNS message; without it the text of a refusal goes out.
void Http1Session::respond(const DohResponse& response, base::Bytes content) noexcept
{
    HeadWriter head{channel_};
    head << status_line(response.status);
    for (const DohField& field : response.header()) head << field.name << ": " << field.value << "\r\n";
    if (draining_) keep_alive_ = false;
    if (!keep_alive_) {
        head << "connection: close\r\n";
    } else if (version_1_0_) {
        head << "connection: keep-alive\r\n";
    }
    head << "\r\n";
    if (response.body_size == 0) return;
    head << (content.empty() ? response.text : base::as_text(content));
}

/// The request has its answer; the next one may come.
void Http1Session::request_over() noexcept
{
    waiting_ = false;
    last_request_ = now_;
    // Within `receive` the pipeline still reads the message; a new request clears the old one too.
    if (!in_turn_) request_.clear();
    if (!keep_alive_) end();
}

void Http1Session::refuse_and_end(unsigned status) noexcept
{
    if (status == 400) ++context_.stats->protocol_errors;
    keep_alive_ = false;
    static_cast<void>(request_.refuse(status));
    respond(request_.refusal(), {});
    end();
}

void Http1Session::end() noexcept
{
    if (ended_) return;
    ended_ = true;
    turn_timer_.cancel();
    if (!queries_.empty()) {
        ++context_.stats->orphaned;
        pipeline_.abandon(queries_);
    }
    channel_.end();
}

void Http1Session::progressed(base::Instant now) noexcept
{
    if (ended_ || !paused_ || blocked()) return;
    go_on(now);
}

// ---- time

Activity Http1Session::activity() const noexcept
{
    if (!parser_) return waiting_ || !kept_.empty() ? Activity::answering : Activity::idle;
    // A body has a deadline of its own, so that its client is told 408.
    return parser_->is_header_done() ? Activity::answering : Activity::receiving;
}

base::Duration Http1Session::idle_timeout() const noexcept { return limits_.idle; }

void Http1Session::drain() noexcept
{
    if (ended_ || draining_) return;
    draining_ = true;
    ++context_.stats->drained;
    if (!waiting_ && !parser_ && kept_.empty()) end();
}

void Http1Session::tick(base::Instant now) noexcept
{
    if (ended_) return;
    now_ = now;
    if (parser_ && !waiting_ && now - began_ >= limits_.body_time) {
        ++(parser_->is_header_done() ? context_.stats->bodies_too_slow : context_.stats->header_blocks_too_slow);
        return refuse_and_end(408);
    }
    if (!parser_ && !waiting_ && kept_.empty() && now - last_request_ >= limits_.idle) {
        ++context_.stats->idle_closed;
        end();
    }
}

std::unique_ptr<StreamSession> make_http1_session(StreamChannel& channel, DohContext& context, base::Instant now)
{
    return std::make_unique<Http1Session>(channel, context, now);
}

} // namespace sallyport::listeners
