#pragma once

#include "net/client/doh_request.hpp"
#include "net/client/stream_session.hpp"

#include <deque>

namespace sallyport::net::client {

/// DNS over HTTP/1.1 (RFC 9112): requests one behind the other on a connection that stays open, answers in order.
/// Reads bodies with a content-length and chunked ones.
class Http1Session final : public StreamSession {
public:
    Http1Session(SessionUser& user, std::unique_ptr<TlsChannel> tls, DohTarget target, const Limits& limits)
        : StreamSession(user, std::move(tls)), target_(std::move(target)), limits_(limits)
    {
    }

    [[nodiscard]] unsigned room() const noexcept override;
    [[nodiscard]] bool ask(std::uint16_t tag, base::Bytes query) override;

private:
    struct Head {
        HttpAnswer answer;
        std::size_t size = 0;   // with the empty line
        std::size_t length = 0; // of the body
        bool chunked = false;
        bool bad = false;
    };

    void opened() override { user().session_ready(); }
    [[nodiscard]] std::size_t consume(base::Bytes plain) override;
    void produce(std::vector<std::uint8_t>& plain) override;
    [[nodiscard]] std::size_t consume_one(std::string_view text);
    [[nodiscard]] Head read_head(std::string_view text) const;
    void deliver(HttpAnswer& answer);

    DohTarget target_;
    Limits limits_;
    std::deque<std::uint16_t> waiting_; // tags, in the order they were asked
    std::vector<std::uint8_t> requests_;
};

} // namespace sallyport::net::client
