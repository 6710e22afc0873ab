#pragma once

#include "net/client/session.hpp"

#include <vector>

namespace sallyport::net::client {

/// DNS over UDP: a query and an answer a datagram. What is no DNS message is ignored, as anybody may send one.
class DatagramSession final : public Session {
public:
    explicit DatagramSession(SessionUser& user) : user_(user) {}

    [[nodiscard]] bool is_datagram() const noexcept override { return true; }
    void start(const base::Endpoint& local, const base::Endpoint& peer, base::Instant now) override;
    void receive(base::Bytes bytes, base::Instant now) override;
    void peer_closed() noexcept override {}
    void flush(Output& output, base::Instant now) override;
    [[nodiscard]] unsigned room() const noexcept override { return started_ ? 65'535U : 0U; }
    [[nodiscard]] bool ask(std::uint16_t tag, base::Bytes query) override;
    void close(base::Instant) noexcept override {}

private:
    SessionUser& user_;
    bool started_ = false;
    std::vector<std::uint8_t> queries_; // one behind the other
    std::vector<std::size_t> sizes_;
};

} // namespace sallyport::net::client
