#pragma once

#include "net/client/doh_request.hpp"
#include "net/client/quic_session.hpp"

#include <nghttp3/nghttp3.h>

#include <unordered_map>

namespace sallyport::net::client {

using Http3Handle = base::Handle<nghttp3_conn, nghttp3_conn_del>;

/// DNS over HTTP/3 (RFC 8484, 9114): a stream per query; no dynamic table, no push.
class Http3Session final : public QuicSession {
public:
    Http3Session(SessionUser& user, const QuicTls& tls, PeerMemory* memory, DohTarget target, const Limits& limits)
        : QuicSession(user, tls, memory, "h3", limits), target_(std::move(target))
    {
    }

    [[nodiscard]] unsigned room() const noexcept override;
    [[nodiscard]] bool ask(std::uint16_t tag, base::Bytes query) override;
    [[nodiscard]] bool draining() const noexcept override { return going_away_; }

private:
    struct Request {
        std::uint16_t tag = 0;
        std::vector<std::uint8_t> query; // as asked; the body of a POST
        HttpAnswer answer;
        std::size_t header_octets = 0;
        bool done = false;
    };
    struct Callbacks;

    [[nodiscard]] bool opened() override;
    [[nodiscard]] bool early_data_refused() override;
    [[nodiscard]] bool stream_data(std::int64_t id, base::Bytes data, bool fin) override;
    void stream_reset(std::int64_t id, std::uint64_t error) override;
    void stream_closed(std::int64_t id, std::uint64_t error) override;
    void stream_acked(std::int64_t id, std::uint64_t octets) override;
    void stream_unblocked(std::int64_t id) override;
    [[nodiscard]] Piece next_piece() override;
    void piece_taken(std::int64_t id, std::size_t octets) override;
    void piece_blocked(std::int64_t id) override;
    void piece_shut(std::int64_t id) override;
    [[nodiscard]] std::uint64_t no_error() const noexcept override { return NGHTTP3_H3_NO_ERROR; }

    [[nodiscard]] bool bind_control_streams();
    [[nodiscard]] bool submit(Request request);
    [[nodiscard]] Request* find(std::int64_t id) noexcept;
    void deliver(Request& request);
    void give_up(Request& request, std::string_view reason);
    [[nodiscard]] bool good(int result);

    DohTarget target_;
    Http3Handle http_;
    std::unordered_map<std::int64_t, Request> requests_;
    unsigned waiting_ = 0;
    bool going_away_ = false; // the peer takes no new requests
};

} // namespace sallyport::net::client
