#pragma once

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "pipeline/pipeline.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sallyport::net {
class Worker;
}

namespace sallyport::listeners {

/// The connection as the protocol on it sees it: a way to write and to end. Implemented by `StreamConnection`.
class StreamChannel {
public:
    /// Appends octets to what leaves at the end of this wake-up: many answers, one system call.
    virtual void write(base::Bytes octets) noexcept = 0;
    /// Octets written that the kernel has not taken yet.
    [[nodiscard]] virtual std::size_t backlog() const noexcept = 0;
    /// Everything written leaves, then close_notify and an orderly end. The session hears nothing more.
    virtual void end() noexcept = 0;
    /// At once, without a word. The session is destroyed when the current call returns.
    virtual void abort() noexcept = 0;
    /// Whoever asks; lives as long as the connection.
    [[nodiscard]] virtual const pipeline::Client& client() const noexcept = 0;
    [[nodiscard]] virtual net::Worker& worker() noexcept = 0;
    [[nodiscard]] virtual pipeline::Pipeline& pipeline() noexcept = 0;
    /// Reading stops until `resume_reading`: a peer that does not read its answers is not served more.
    virtual void pause_reading() noexcept = 0;
    virtual void resume_reading() noexcept = 0;

protected:
    ~StreamChannel() = default;
};

/// What the connection must know to choose its deadline.
enum class Activity : std::uint8_t {
    idle,      ///< nothing begun: the idle timeout runs
    receiving, ///< a message or request has begun and is not whole: the message deadline runs from its first octet
    answering, ///< queries in work or answers waiting to be read: only the write-stall deadline runs
};

/// A protocol on a stream (DNS framing, HTTP/1.1, HTTP/2), fed with octets that are out of TLS already.
class StreamSession {
public:
    virtual ~StreamSession() = default;
    /// Octets have arrived. Returns how many are done with; the connection keeps the rest and hands it in again, with
    /// what follows, in the next call. May write, end or abort. At most `kKept` octets may be left over.
    [[nodiscard]] virtual std::size_t received(base::Bytes octets, base::Instant now) noexcept = 0;
    /// Some of the backlog has left; also called after each flush.
    virtual void progressed(base::Instant now) noexcept = 0;
    [[nodiscard]] virtual Activity activity() const noexcept = 0;
    /// Counts the beginnings of messages, where the session keeps what is not whole itself: each has a deadline of its
    /// own, though one may begin in the same call that completes another.
    [[nodiscard]] virtual std::uint64_t begun() const noexcept { return 0; }
    /// The gateway is ending: take nothing new, finish what is in work, then `end` the channel.
    virtual void drain() noexcept = 0;
    /// Asked about every second while the connection lives: deadlines of the protocol's own (a body that does not come,
    /// answers that are not read). May end or abort.
    virtual void tick(base::Instant now) noexcept = 0;
    /// How long this protocol may be idle.
    [[nodiscard]] virtual base::Duration idle_timeout() const noexcept = 0;

    /// Octets that may stay unconsumed: one DNS message with its length.
    static constexpr std::size_t kKept = 65'537;
};

} // namespace sallyport::listeners
