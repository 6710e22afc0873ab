#include "net/client/quic_http3.hpp"

#include "wire/types.hpp"

#include <algorithm>

namespace sallyport::net::client {

namespace {

nghttp3_nv http3_field(std::string_view name, std::string_view value) noexcept
{
    // nghttp3 copies: without the NO_COPY flags it only reads.
    return {reinterpret_cast<const std::uint8_t*>(name.data()), reinterpret_cast<const std::uint8_t*>(value.data()),
            name.size(), value.size(), NGHTTP3_NV_FLAG_NONE};
}

base::Bytes octets_of(nghttp3_rcbuf* buffer) noexcept
{
    const nghttp3_vec part = nghttp3_rcbuf_get_buf(buffer);
    return {part.base, part.len};
}

} // namespace

struct Http3Session::Callbacks {
    static Http3Session& self(void* user) noexcept { return *static_cast<Http3Session*>(user); }

    static int data(nghttp3_conn*, std::int64_t id, const std::uint8_t* octets, std::size_t size, void* user,
                    void*) noexcept
    {
        Http3Session& session = self(user);
        session.consumed(id, size);
        Request* request = session.find(id);
        if (request == nullptr || request->done) return 0;
        if (request->answer.body.size() + size > session.limits().body) {
            session.give_up(*request, "the answer is larger than a DNS message");
            ngtcp2_conn_shutdown_stream(session.connection(), 0, id, NGHTTP3_H3_REQUEST_CANCELLED);
            return 0;
        }
        request->answer.body.append(reinterpret_cast<const char*>(octets), size);
        return 0;
    }
    static int header(nghttp3_conn*, std::int64_t id, std::int32_t, nghttp3_rcbuf* name, nghttp3_rcbuf* value,
                      std::uint8_t, void* user, void*) noexcept
    {
        Http3Session& session = self(user);
        Request* request = session.find(id);
        if (request == nullptr) return 0;
        request->header_octets += octets_of(name).size() + octets_of(value).size() + 32;
        if (request->header_octets > session.limits().header_list) return NGHTTP3_ERR_CALLBACK_FAILURE;
        request->answer.header(base::as_text(octets_of(name)), base::as_text(octets_of(value)));
        return 0;
    }
    static int end(nghttp3_conn*, std::int64_t id, void* user, void*) noexcept
    {
        Http3Session& session = self(user);
        if (Request* request = session.find(id); request != nullptr) session.deliver(*request);
        return 0;
    }
    static int consumed_later(nghttp3_conn*, std::int64_t id, std::size_t size, void* user, void*) noexcept
    {
        self(user).consumed(id, size);
        return 0;
    }
    static int stop(nghttp3_conn*, std::int64_t id, std::uint64_t error, void* user, void*) noexcept
    {
        ngtcp2_conn_shutdown_stream_read(self(user).connection(), 0, id, error);
        return 0;
    }
    static int reset(nghttp3_conn*, std::int64_t id, std::uint64_t error, void* user, void*) noexcept
    {
        ngtcp2_conn_shutdown_stream_write(self(user).connection(), 0, id, error);
        return 0;
    }
    /// GOAWAY (RFC 9114 §5.2).
    static int shutdown(nghttp3_conn*, std::int64_t, void* user) noexcept
    {
        self(user).going_away_ = true;
        return 0;
    }
    static nghttp3_ssize body(nghttp3_conn*, std::int64_t id, nghttp3_vec* parts, std::size_t, std::uint32_t* flags,
                              void* user, void*) noexcept
    {
        Request* request = self(user).find(id);
        if (request == nullptr) return NGHTTP3_ERR_CALLBACK_FAILURE;
        *flags |= NGHTTP3_DATA_FLAG_EOF;
        parts[0] = {request->query.data(), request->query.size()};
        return 1;
    }

    static nghttp3_callbacks table() noexcept
    {
        nghttp3_callbacks t{};
        t.recv_data = data;
        t.deferred_consume = consumed_later;
        t.recv_header = header;
        t.end_stream = end;
        t.stop_sending = stop;
        t.reset_stream = reset;
        t.shutdown = shutdown;
        return t;
    }
};

bool Http3Session::good(int result)
{
    if (result == 0) return true;
    fail(FailureKind::protocol, std::string{"HTTP/3: "} + nghttp3_strerror(result));
    return false;
}

bool Http3Session::opened()
{
    nghttp3_settings settings;
    nghttp3_settings_default(&settings);
    settings.max_field_section_size = limits().header_list;
    const nghttp3_callbacks callbacks = Callbacks::table();
    nghttp3_conn* made = nullptr;
    if (!good(nghttp3_conn_client_new(&made, &callbacks, &settings, nullptr, this))) return false;
    http_.reset(made);
    return bind_control_streams();
}

bool Http3Session::bind_control_streams()
{
    std::array<std::int64_t, 3> ids{};
    for (std::int64_t& id : ids) {
        if (ngtcp2_conn_open_uni_stream(connection(), &id, nullptr) == 0) continue;
        fail(FailureKind::protocol, "HTTP/3: the server allows no control stream");
        return false;
    }
    return good(nghttp3_conn_bind_control_stream(http_.get(), ids[0])) &&
           good(nghttp3_conn_bind_qpack_streams(http_.get(), ids[1], ids[2]));
}

unsigned Http3Session::room() const noexcept
{
    if (!usable() || going_away_ || waiting_ >= limits().streams) return 0;
    return static_cast<unsigned>(std::min<std::uint64_t>(stream_credit(), limits().streams - waiting_));
}

bool Http3Session::ask(std::uint16_t tag, base::Bytes query)
{
    if (room() == 0 || query.size() > wire::kMaxMessageSize) return false;
    Request request;
    request.tag = tag;
    request.query.assign(query.begin(), query.end());
    if (!submit(std::move(request))) return false;
    ++waiting_;
    return true;
}

bool Http3Session::submit(Request request)
{
    std::int64_t id = -1;
    if (ngtcp2_conn_open_bidi_stream(connection(), &id, nullptr) != 0) return false;
    const std::string path = request_path(target_, request.query);
    const std::string length = std::to_string(request.query.size());
    const std::array<nghttp3_nv, 8> fields{http3_field(":method", target_.get ? "GET" : "POST"),
                                           http3_field(":scheme", "https"),
                                           http3_field(":authority", target_.authority),
                                           http3_field(":path", path),
                                           http3_field("accept", kDnsMessage),
                                           http3_field("user-agent", kUserAgent),
                                           http3_field("content-type", kDnsMessage),
                                           http3_field("content-length", length)};
    const nghttp3_data_reader reader{Callbacks::body};
    requests_[id] = std::move(request);
    return good(nghttp3_conn_submit_request(http_.get(), id, fields.data(), target_.get ? 6 : fields.size(),
                                            target_.get ? nullptr : &reader, nullptr));
}

bool Http3Session::early_data_refused()
{
    std::unordered_map<std::int64_t, Request> old;
    old.swap(requests_);
    http_.reset();
    if (!opened()) return false;
    for (auto& [gone, request] : old) {
        const std::uint16_t tag = request.tag;
        if (submit(std::move(request))) continue;
        --waiting_;
        user().unanswered(tag, 0, "early data was refused and no stream is left");
    }
    return !failure();
}

Http3Session::Request* Http3Session::find(std::int64_t id) noexcept
{
    const auto it = requests_.find(id);
    return it == requests_.end() ? nullptr : &it->second;
}

QuicSession::Piece Http3Session::next_piece()
{
    Piece piece;
    if (!http_) return piece;
    int fin = 0;
    // Both libraries describe a piece of memory by the same two members.
    static_assert(sizeof(nghttp3_vec) == sizeof(ngtcp2_vec));
    std::array<nghttp3_vec, 16> parts{};
    const auto count = nghttp3_conn_writev_stream(http_.get(), &piece.stream, &fin, parts.data(), parts.size());
    if (count < 0) {
        (void)good(static_cast<int>(count));
        return {};
    }
    piece.count = static_cast<std::size_t>(count);
    piece.fin = fin != 0;
    for (std::size_t i = 0; i < piece.count; ++i) piece.parts[i] = {parts[i].base, parts[i].len};
    return piece;
}

void Http3Session::piece_taken(std::int64_t id, std::size_t octets)
{
    if (id >= 0) (void)good(nghttp3_conn_add_write_offset(http_.get(), id, octets));
}

void Http3Session::piece_blocked(std::int64_t id) { nghttp3_conn_block_stream(http_.get(), id); }

void Http3Session::piece_shut(std::int64_t id) { nghttp3_conn_shutdown_stream_write(http_.get(), id); }

void Http3Session::stream_unblocked(std::int64_t id)
{
    if (http_) (void)nghttp3_conn_unblock_stream(http_.get(), id);
}

void Http3Session::stream_acked(std::int64_t id, std::uint64_t octets)
{
    if (http_) (void)nghttp3_conn_add_ack_offset(http_.get(), id, octets);
}

bool Http3Session::stream_data(std::int64_t id, base::Bytes data, bool fin)
{
    if (!http_) return true;
    const auto used = nghttp3_conn_read_stream(http_.get(), id, data.data(), data.size(), fin ? 1 : 0);
    if (used < 0) return good(static_cast<int>(used));
    consumed(id, static_cast<std::size_t>(used));
    return true;
}

void Http3Session::deliver(Request& request)
{
    if (request.done) return;
    if (!request.answer.is_dns()) {
        give_up(request, request.answer.complaint());
        return;
    }
    request.done = true;
    --waiting_;
    const HttpAnswer received = std::move(request.answer);
    Answer answer;
    answer.tag = request.tag;
    answer.message = base::as_bytes(received.body);
    answer.http_status = received.status;
    answer.content_type = received.content_type;
    answer.cache_control = received.cache_control;
    answer.alt_svc = received.alt_svc;
    user().answered(answer); // may ask again: `request` is not looked at any more
}

void Http3Session::give_up(Request& request, std::string_view reason)
{
    if (request.done) return;
    request.done = true;
    --waiting_;
    user().unanswered(request.tag, request.answer.status, reason);
}

void Http3Session::stream_reset(std::int64_t id, std::uint64_t error)
{
    if (http_) (void)nghttp3_conn_shutdown_stream_read(http_.get(), id);
    if (Request* request = find(id); request != nullptr) {
        give_up(*request, "the server reset the stream with error " + std::to_string(error));
    }
}

void Http3Session::stream_closed(std::int64_t id, std::uint64_t error)
{
    if (http_) (void)nghttp3_conn_close_stream(http_.get(), id, error);
    const auto it = requests_.find(id);
    if (it == requests_.end()) return;
    auto node = requests_.extract(it);
    give_up(node.mapped(), "the stream was closed without an answer (error " + std::to_string(error) + ")");
}

} // namespace sallyport::net::client
