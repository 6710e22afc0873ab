#pragma once

#include "listeners/options.hpp"
#include "listeners/stream_session.hpp"
#include "listeners/stream_stats.hpp"

namespace sallyport::listeners {

/// DNS messages with a two-octet length before each (RFC 1035 §4.2.2, RFC 7766, RFC 7858): TCP, DoT and Unix sockets.
/// Queries are taken as they come and answered in whatever order their answers come.
class DnsStreamSession final : public StreamSession, private pipeline::ReplySink {
public:
    DnsStreamSession(StreamChannel& channel, const StreamLimits& limits, StreamStats& stats) noexcept
        : channel_(channel), limits_(limits), stats_(stats)
    {
    }
    ~DnsStreamSession() override;

    [[nodiscard]] std::size_t received(base::Bytes octets, base::Instant now) noexcept override;
    void progressed(base::Instant now) noexcept override;
    [[nodiscard]] Activity activity() const noexcept override;
    void drain() noexcept override;
    void tick(base::Instant) noexcept override {}
    [[nodiscard]] base::Duration idle_timeout() const noexcept override { return limits_.idle; }

private:
    void reply(const pipeline::Reply& reply) noexcept override;
    void dropped(std::uint64_t tag) noexcept override;

    /// False when the message ends the stream.
    [[nodiscard]] bool take(base::Bytes message, base::Instant now) noexcept;
    [[nodiscard]] bool must_wait() const noexcept;
    void pause() noexcept;
    void resume() noexcept;
    void work_done() noexcept;
    void end() noexcept;

    StreamChannel& channel_;
    const StreamLimits& limits_;
    StreamStats& stats_;
    pipeline::QueryList waiting_;
    std::uint32_t in_work_ = 0;         ///< queries without an answer
    std::uint32_t answers_waiting_ = 0; ///< answers since the peer had read everything
    bool partial_ = false;              ///< a message has begun and is not whole
    bool paused_ = false;
    bool draining_ = false;
    bool ended_ = false;
};

} // namespace sallyport::listeners
