#pragma once

#include "listeners/options.hpp"
#include "listeners/stream_table.hpp"
#include "net/socket.hpp"
#include "net/worker.hpp"

namespace sallyport::listeners {

/// Accepts the connections of one stream port and gives them to the worker's table. When descriptors run low it pauses
/// on a timer, so that outgoing work and files have theirs, and goes on by itself.
class StreamListener {
public:
    StreamListener(net::Worker& worker, StreamTable& table, const StreamLimits& limits, net::Descriptor socket,
                   std::shared_ptr<const StreamPort> port);
    StreamListener(const StreamListener&) = delete;
    StreamListener& operator=(const StreamListener&) = delete;

    [[nodiscard]] base::Result<void> start();
    /// What is accepted from now on is served by this.
    void renew(const StreamLimits& limits, std::shared_ptr<const StreamPort> port) noexcept;
    /// Accepts those who have connected already, and no more after them.
    void stop_after_rest(base::Instant now) noexcept;
    /// Accepts no more; what was accepted lives on.
    void stop() noexcept;
    [[nodiscard]] bool unix_socket() const noexcept { return port_->unix_socket; }
    [[nodiscard]] const StreamPort& port() const noexcept { return *port_; }

private:
    void ready(std::uint32_t events, base::Instant now) noexcept;
    void try_again(base::Instant now) noexcept;
    /// False when no more is to be had now.
    [[nodiscard]] bool accept_one(base::Instant now) noexcept;
    void pause(base::Instant now) noexcept;

    net::Worker& worker_;
    StreamTable& table_;
    net::Descriptor socket_;
    std::shared_ptr<const StreamPort> port_;
    int first_reserved_; ///< descriptors from this number on are kept back
    net::Watch watch_{net::Watch::of<&StreamListener::ready>(*this)};
    net::Timer pause_timer_{net::Timer::of<&StreamListener::try_again>(*this)};
};

} // namespace sallyport::listeners
