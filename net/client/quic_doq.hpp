#pragma once

#include "net/client/quic_session.hpp"

#include <deque>
#include <unordered_map>

namespace sallyport::net::client {

/// DNS over QUIC (RFC 9250): a stream per query, ended by FIN; the id on the wire is 0.
class DoqSession final : public QuicSession {
public:
    DoqSession(SessionUser& user, const QuicTls& tls, PeerMemory* memory, const Limits& limits)
        : QuicSession(user, tls, memory, "doq", limits)
    {
    }

    [[nodiscard]] unsigned room() const noexcept override;
    [[nodiscard]] bool ask(std::uint16_t tag, base::Bytes query) override;

private:
    struct Stream {
        std::uint16_t tag = 0;
        std::vector<std::uint8_t> query;
        std::size_t sent = 0;
        std::vector<std::uint8_t> answer;
        bool done = false;
    };

    [[nodiscard]] bool opened() override { return true; }
    [[nodiscard]] bool early_data_refused() override;
    [[nodiscard]] bool stream_data(std::int64_t id, base::Bytes data, bool fin) override;
    void stream_reset(std::int64_t id, std::uint64_t error) override;
    void stream_closed(std::int64_t id, std::uint64_t error) override;
    void stream_unblocked(std::int64_t id) override;
    [[nodiscard]] Piece next_piece() override;
    void piece_taken(std::int64_t id, std::size_t octets) override;
    void piece_blocked(std::int64_t id) override;
    void piece_shut(std::int64_t id) override { piece_blocked(id); }
    [[nodiscard]] std::uint64_t no_error() const noexcept override { return 0; } // DOQ_NO_ERROR, RFC 9250 §4.3

    void deliver(Stream& stream);
    void give_up(Stream& stream, std::string_view reason);

    std::unordered_map<std::int64_t, Stream> streams_;
    std::deque<std::int64_t> to_send_;
    unsigned waiting_ = 0; // streams without an answer
};

/// The mnemonic of a DoQ error code (RFC 9250 §4.3), or its number.
[[nodiscard]] std::string doq_error_name(std::uint64_t code);

} // namespace sallyport::net::client
