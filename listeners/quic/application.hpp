#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"

#include <cstdint>
#include <span>

namespace sallyport::listeners::quic {

/// A piece of a stream, as both libraries write it.
struct Piece {
    const std::uint8_t* data;
    std::size_t size;
};

/// What an application wants to write next.
struct Outgoing {
    std::int64_t stream_id = -1;
    void* stream = nullptr;
    std::span<const Piece> pieces; ///< borrowed until the next call
    bool fin = false;
};

/// What speaks on a connection once ALPN is known: DoQ or HTTP/3. Called by its connection; asks it back for writing,
/// credit and endings. `stream` is what `stream_opened` returned.
class Application {
public:
    virtual ~Application() = default;

    /// A client opened a stream; what is returned comes back with every event of it.
    [[nodiscard]] virtual void* stream_opened(std::int64_t stream_id) noexcept = 0;
    virtual void stream_data(std::int64_t stream_id, void* stream, base::Bytes data, bool fin, bool early) noexcept = 0;
    /// The client reset its side of a stream.
    virtual void stream_reset(std::int64_t stream_id, void* stream) noexcept = 0;
    /// The client does not want the answer.
    virtual void stop_sending(std::int64_t stream_id, void* stream) noexcept = 0;
    /// Both sides are done and everything is acknowledged, or reset. The stream is gone after this.
    virtual void stream_closed(std::int64_t stream_id, void* stream, std::uint64_t error_code) noexcept = 0;
    virtual void acknowledged(std::int64_t stream_id, void* stream, std::uint64_t octets) noexcept = 0;
    /// The client gave the stream more room.
    virtual void unblocked(std::int64_t stream_id, void* stream) noexcept = 0;
    /// The client may open streams up to this number from now on.
    virtual void streams_allowed(std::uint64_t) noexcept {}
    /// The handshake is complete: what came as early data is no replay.
    virtual void handshake_completed() noexcept = 0;

    /// The next piece to write; false: nothing.
    [[nodiscard]] virtual bool next_write(Outgoing& out) noexcept = 0;
    /// Of what `next_write` gave last, so many octets are in a packet; with `complete`, the FIN too.
    virtual void written(const Outgoing& out, std::size_t octets, bool complete) noexcept = 0;
    /// What `next_write` gave last may not be sent: no room by flow control, or the stream's sending side is shut.
    virtual void write_blocked(const Outgoing& out) noexcept = 0;
    virtual void write_shut(const Outgoing& out) noexcept = 0;

    /// The moment the application wants to be woken; `Instant::max()`: never.
    [[nodiscard]] virtual base::Instant deadline() const noexcept = 0;
    virtual void expired(base::Instant now) noexcept = 0;

    /// Takes nothing new; `finished` becomes true when what is in work is answered and read.
    virtual void drain() noexcept = 0;
    [[nodiscard]] virtual bool finished() const noexcept = 0;
    /// The code of a close without error.
    [[nodiscard]] virtual std::uint64_t no_error() const noexcept = 0;
    /// The code for a client that costs too much.
    [[nodiscard]] virtual std::uint64_t excessive_load() const noexcept = 0;
};

} // namespace sallyport::listeners::quic
