#include "net/client/http2_session.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace sallyport::net::client {

namespace {

constexpr std::int32_t kConnectionWindow = 1 << 20;
constexpr std::uint32_t kStreamWindow = 1U << 17U; // holds the largest answer with its frames

nghttp2_nv field(std::string_view name, std::string_view value) noexcept
{
    // nghttp2 takes non-const pointers and copies from them.
    return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
            reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
            NGHTTP2_NV_FLAG_NONE};
}

} // namespace

Http2Session::Http2Session(SessionUser& user, std::unique_ptr<TlsChannel> tls, DohTarget target, const Limits& limits)
    : StreamSession(user, std::move(tls)), target_(std::move(target)), limits_(limits)
{
    make_session();
}

Http2Session::~Http2Session() = default;

void Http2Session::make_session()
{
    nghttp2_session_callbacks* made = nullptr;
    nghttp2_session_callbacks_new(&made);
    const base::Handle<nghttp2_session_callbacks, nghttp2_session_callbacks_del> callbacks{made};
    nghttp2_session_callbacks_set_on_header_callback(made, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(made, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(made, on_frame);
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    const base::Handle<nghttp2_option, nghttp2_option_del> owned{options};
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_max_outbound_ack(options, 100);
    nghttp2_session* session = nullptr;
    nghttp2_session_client_new2(&session, made, this, options);
    session_.reset(session);
}

void Http2Session::opened()
{
    // RFC 9113 §3.3: over TLS the peer must have chosen `h2`; in clear text we know beforehand (§3.3 there too).
    if (!target_.cleartext && alpn() != "h2") {
        fail(FailureKind::tls, "the server does not offer HTTP/2 (ALPN h2) on this port");
        return;
    }
    submit_settings();
    user().session_ready();
}

void Http2Session::submit_settings()
{
    const std::array<nghttp2_settings_entry, 3> settings{
        {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
         {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.header_list}}};
    nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), settings.size());
    nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, kConnectionWindow);
}

unsigned Http2Session::room() const noexcept
{
    if (!is_open() || going_away_ ||
        nghttp2_session_want_write(session_.get()) + nghttp2_session_want_read(session_.get()) == 0)
        return 0;
    const auto peer = nghttp2_session_get_remote_settings(session_.get(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    const auto most = std::min<std::size_t>(peer, limits_.streams);
    return static_cast<unsigned>(most - std::min(most, requests_.size()));
}

bool Http2Session::ask(std::uint16_t tag, base::Bytes query)
{
    if (room() == 0) return false;
    const std::string path = request_path(target_, query);
    const std::string length = std::to_string(query.size());
    std::array<nghttp2_nv, 8> fields{field(":method", target_.get ? "GET" : "POST"),
                                     field(":scheme", target_.cleartext ? "http" : "https"),
                                     field(":authority", target_.authority),
                                     field(":path", path),
                                     field("accept", kDnsMessage),
                                     field("user-agent", kUserAgent),
                                     field("content-type", kDnsMessage),
                                     field("content-length", length)};
    nghttp2_data_provider body{};
    body.read_callback = on_body;
    const std::int32_t stream =
        nghttp2_submit_request(session_.get(), nullptr, fields.data(), target_.get ? 6 : fields.size(),
                               target_.get ? nullptr : &body, nullptr);
    if (stream < 0) return false;
    Request& request = requests_[stream];
    request.tag = tag;
    if (!target_.get) request.body.assign(query.begin(), query.end());
    return true;
}

void Http2Session::close(base::Instant now) noexcept
{
    end_wanted_ = true;
    nghttp2_session_terminate_session(session_.get(), NGHTTP2_NO_ERROR);
    StreamSession::close(now);
}

std::size_t Http2Session::consume(base::Bytes plain)
{
    if (plain.empty()) return 0;
    const auto taken = nghttp2_session_mem_recv(session_.get(), plain.data(), plain.size());
    if (taken < 0) fail(FailureKind::protocol, std::string{"HTTP/2: "} + nghttp2_strerror(static_cast<int>(taken)));
    return plain.size();
}

void Http2Session::produce(std::vector<std::uint8_t>& plain)
{
    const std::uint8_t* data = nullptr;
    for (auto size = nghttp2_session_mem_send(session_.get(), &data); size > 0;
         size = nghttp2_session_mem_send(session_.get(), &data)) {
        plain.insert(plain.end(), data, data + size);
    }
    // After a GOAWAY of ours for what the peer did wrong the library wants nothing more.
    const bool over = nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0;
    if (over && !end_wanted_) fail(FailureKind::protocol, "HTTP/2: the server broke the protocol");
}

Http2Session::Request* Http2Session::find(std::int32_t stream) noexcept
{
    const auto it = requests_.find(stream);
    return it == requests_.end() ? nullptr : &it->second;
}

std::ptrdiff_t Http2Session::give_body(std::int32_t stream, base::MutableBytes space, std::uint32_t& flags) noexcept
{
    Request* request = find(stream);
    if (request == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const std::size_t size = std::min(space.size(), request->body.size() - request->sent);
    if (size > 0) std::memcpy(space.data(), request->body.data() + request->sent, size);
    request->sent += size;
    if (request->sent == request->body.size()) flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<std::ptrdiff_t>(size);
}

void Http2Session::finished(std::int32_t stream, std::uint32_t error)
{
    const auto it = requests_.find(stream);
    if (it == requests_.end()) return;
    const auto node = requests_.extract(it); // the user may ask again from within
    const Request& request = node.mapped();
    if (error != NGHTTP2_NO_ERROR) {
        user().unanswered(request.tag, request.answer.status,
                          std::string{"the server reset the stream: "} + nghttp2_http2_strerror(error));
        return;
    }
    if (!request.answer.is_dns()) {
        user().unanswered(request.tag, request.answer.status, request.answer.complaint());
        return;
    }
    Answer answer;
    answer.tag = request.tag;
    answer.message = base::as_bytes(request.answer.body);
    answer.http_status = request.answer.status;
    answer.content_type = request.answer.content_type;
    answer.cache_control = request.answer.cache_control;
    answer.alt_svc = request.answer.alt_svc;
    user().answered(answer);
}

int Http2Session::on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                            std::size_t name_size, const std::uint8_t* value, std::size_t value_size, std::uint8_t,
                            void* self) noexcept
{
    auto& session = *static_cast<Http2Session*>(self);
    session.header_octets_ += name_size + value_size + 32;
    if (session.header_octets_ > session.limits_.header_list) return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (Request* request = session.find(frame->hd.stream_id); request != nullptr) {
        request->answer.header(base::as_text({name, name_size}), base::as_text({value, value_size}));
    }
    return 0;
}

int Http2Session::on_data(nghttp2_session* native, std::uint8_t, std::int32_t stream, const std::uint8_t* data,
                          std::size_t size, void* self) noexcept
{
    auto& session = *static_cast<Http2Session*>(self);
    Request* request = session.find(stream);
    if (request == nullptr) return 0;
    if (request->answer.body.size() + size > session.limits_.body) {
        nghttp2_submit_rst_stream(native, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
        return 0;
    }
    request->answer.body.append(reinterpret_cast<const char*>(data), size);
    return 0;
}

int Http2Session::on_close(nghttp2_session*, std::int32_t stream, std::uint32_t error, void* self) noexcept
{
    static_cast<Http2Session*>(self)->finished(stream, error);
    return 0;
}

int Http2Session::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) noexcept
{
    auto& session = *static_cast<Http2Session*>(self);
    session.header_octets_ = 0;
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    session.going_away_ = true;
    if (session.requests_.empty()) {
        session.fail(FailureKind::closed,
                     std::string{"the server sent GOAWAY: "} + nghttp2_http2_strerror(frame->goaway.error_code));
    }
    return 0;
}

ssize_t Http2Session::on_body(nghttp2_session*, std::int32_t stream, std::uint8_t* space, std::size_t size,
                              std::uint32_t* flags, nghttp2_data_source*, void* self) noexcept
{
    return static_cast<Http2Session*>(self)->give_body(stream, {space, size}, *flags);
}

} // namespace sallyport::net::client
