#include "listeners/http2_session.hpp"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <new>

// What of a session speaks the types of nghttp2: its callbacks, its options, our SETTINGS, the fields of an answer.

namespace sallyport::listeners {

namespace {

constexpr std::size_t kBodyWindow = 262'144;   // unfinished bodies of one connection
constexpr std::size_t kBodyOvershoot = 16'384; // so that a body over the limit is seen, and answered 413
constexpr std::uint32_t kExcusedByAnswer = 2;  // WINDOW_UPDATE of stream and connection
constexpr std::uint32_t kLibraryResets = 4;    // nghttp2's own limit, behind ours

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

} // namespace

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

} // namespace sallyport::listeners
