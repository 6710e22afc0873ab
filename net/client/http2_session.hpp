#pragma once

#include "net/client/doh_request.hpp"
#include "net/client/stream_session.hpp"

#include <nghttp2/nghttp2.h>

#include <unordered_map>

namespace sallyport::net::client {

using Http2Handle = base::Handle<nghttp2_session, nghttp2_session_del>;

/// DNS over HTTP/2 (RFC 8484, 9113): a stream per query, many at once.
class Http2Session final : public StreamSession {
public:
    Http2Session(SessionUser& user, std::unique_ptr<TlsChannel> tls, DohTarget target, const Limits& limits);
    ~Http2Session() override;

    [[nodiscard]] unsigned room() const noexcept override;
    [[nodiscard]] bool ask(std::uint16_t tag, base::Bytes query) override;
    void close(base::Instant now) noexcept override;
    [[nodiscard]] bool draining() const noexcept override { return going_away_; }

private:
    struct Request {
        std::uint16_t tag = 0;
        std::vector<std::uint8_t> body;
        std::size_t sent = 0;
        HttpAnswer answer;
    };

    void opened() override;
    [[nodiscard]] std::size_t consume(base::Bytes plain) override;
    void produce(std::vector<std::uint8_t>& plain) override;

    [[nodiscard]] Request* find(std::int32_t stream) noexcept;
    void finished(std::int32_t stream, std::uint32_t error);
    std::ptrdiff_t give_body(std::int32_t stream, base::MutableBytes space, std::uint32_t& flags) noexcept;
    void make_session();
    void submit_settings();

    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                         const std::uint8_t* value, std::size_t value_size, std::uint8_t flags, void* self) noexcept;
    static int on_data(nghttp2_session*, std::uint8_t flags, std::int32_t stream, const std::uint8_t* data,
                       std::size_t size, void* self) noexcept;
    static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t error, void* self) noexcept;
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self) noexcept;
    static ssize_t on_body(nghttp2_session*, std::int32_t stream, std::uint8_t* space, std::size_t size,
                           std::uint32_t* flags, nghttp2_data_source*, void* self) noexcept;

    DohTarget target_;
    Limits limits_;
    Http2Handle session_;
    std::unordered_map<std::int32_t, Request> requests_;
    std::size_t header_octets_ = 0; // of the answer headers being read
    bool going_away_ = false;       // the peer takes no new requests
    bool end_wanted_ = false;       // we asked for the end
};

} // namespace sallyport::net::client
