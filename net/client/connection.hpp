#pragma once

#include "base/result.hpp"
#include "net/client/session.hpp"
#include "net/socket.hpp"

#include <memory>
#include <vector>

namespace sallyport::net::client {

/// A session on a connected, non-blocking socket. Whoever runs it waits for `wanted_events()` on `fd()` and for
/// `due()`, and calls `serve` and `expire`; `run_until` does that for one connection with poll(2).
class Connection final : private Output {
public:
    /// Begins to connect. Errors: what the system says at once; what it says later is a `failure()`.
    [[nodiscard]] static base::Result<std::unique_ptr<Connection>>
    open(const base::Endpoint& server, std::unique_ptr<Session> session, base::Instant now);
    ~Connection() override;

    [[nodiscard]] Session& session() noexcept { return *session_; }
    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    /// As epoll and poll name them (`net::kReadable`, `net::kWritable`).
    [[nodiscard]] std::uint32_t wanted_events() const noexcept;
    /// Reads what is there, lets the session work, sends what it has.
    void serve(std::uint32_t events, base::Instant now);
    /// Sends what the session has.
    void flush(base::Instant now);
    [[nodiscard]] base::Instant due() const noexcept { return session_->due(); }
    void expire(base::Instant now);
    /// Ends the session cleanly, as far as the socket takes it without waiting.
    void close(base::Instant now) noexcept;

    [[nodiscard]] const Failure& failure() const noexcept;
    [[nodiscard]] base::Instant opened_at() const noexcept { return opened_at_; }
    /// When the transport was there; TCP's handshake lies before it.
    [[nodiscard]] base::Instant connected_at() const noexcept { return connected_at_; }
    [[nodiscard]] std::uint64_t octets_in() const noexcept { return octets_in_; }
    [[nodiscard]] std::uint64_t octets_out() const noexcept { return octets_out_; }
    /// Octets that the socket has not taken yet.
    [[nodiscard]] std::size_t unsent() const noexcept { return unsent_.size(); }

private:
    Connection(const base::Endpoint& server, std::unique_ptr<Session> session, base::Instant now);
    void send(base::Bytes bytes) override;
    void connected(base::Instant now);
    void read_stream(base::Instant now);
    void read_datagrams(base::Instant now);
    void write_stream() noexcept;
    void write_datagrams() noexcept;
    void system_failure(int error);

    base::Endpoint server_;
    std::unique_ptr<Session> session_;
    Descriptor socket_;
    std::vector<std::uint8_t> unsent_;
    std::vector<std::size_t> datagrams_; // sizes of what stands in unsent_
    base::Instant opened_at_;
    base::Instant connected_at_{};
    bool is_connected_ = false;
    std::uint64_t octets_in_ = 0;
    std::uint64_t octets_out_ = 0;
    Failure failure_;
};

/// Runs one connection until `done` says so (true), it fails or the deadline passes (false).
template <class Done>
bool run_until(Connection& connection, const base::Clock& clock, base::Instant deadline, Done&& done);

/// Waits once for what the connection wants, at most until `deadline`, and serves it.
void poll_once(Connection& connection, const base::Clock& clock, base::Instant deadline);

template <class Done>
bool run_until(Connection& connection, const base::Clock& clock, base::Instant deadline, Done&& done)
{
    while (!done()) {
        if (connection.failure() || clock.now() >= deadline) return false;
        poll_once(connection, clock, deadline);
    }
    return true;
}

} // namespace sallyport::net::client
