#pragma once

#include "net/client/session.hpp"
#include "net/client/tls_client.hpp"

#include <memory>
#include <vector>

namespace sallyport::net::client {

/// A session over a stream, with TLS or without: what DNS over TCP, DoT, HTTP/1.1 and HTTP/2 have in common.
class StreamSession : public Session {
public:
    /// `tls` may be null: clear text.
    StreamSession(SessionUser& user, std::unique_ptr<TlsChannel> tls) : user_(user), tls_(std::move(tls)) {}

    [[nodiscard]] bool is_datagram() const noexcept override { return false; }
    void start(const base::Endpoint& local, const base::Endpoint& peer, base::Instant now) override;
    void receive(base::Bytes bytes, base::Instant now) override;
    void peer_closed() noexcept override;
    void flush(Output& output, base::Instant now) override;
    void close(base::Instant now) noexcept override;
    [[nodiscard]] SecurityReport security() const override { return tls_ ? tls_->report() : SecurityReport{}; }

protected:
    /// The stream can carry the application's octets.
    virtual void opened() = 0;
    /// Takes whole messages from the start of `plain`; returns how many octets it has taken.
    [[nodiscard]] virtual std::size_t consume(base::Bytes plain) = 0;
    /// Appends what the application has to send.
    virtual void produce(std::vector<std::uint8_t>& plain) = 0;

    [[nodiscard]] bool is_open() const noexcept { return open_ && !failure(); }
    [[nodiscard]] SessionUser& user() noexcept { return user_; }
    [[nodiscard]] std::string_view alpn() const noexcept { return tls_ ? tls_->alpn() : std::string_view{}; }

private:
    void take_plain(base::Bytes plain);
    void read_tls();

    SessionUser& user_;
    std::unique_ptr<TlsChannel> tls_;
    std::vector<std::uint8_t> incoming_; // the start of a message that is not whole
    std::vector<std::uint8_t> outgoing_;
    bool open_ = false;
    bool closing_ = false;
};

/// DNS over TCP (RFC 7766) and over TLS (RFC 7858): messages with their length before them, pipelined.
class DnsStreamSession final : public StreamSession {
public:
    using StreamSession::StreamSession;

    [[nodiscard]] unsigned room() const noexcept override;
    [[nodiscard]] bool ask(std::uint16_t tag, base::Bytes query) override;

private:
    void opened() override { user().session_ready(); }
    [[nodiscard]] std::size_t consume(base::Bytes plain) override;
    void produce(std::vector<std::uint8_t>& plain) override;

    std::vector<std::uint8_t> queries_;
};

} // namespace sallyport::net::client
