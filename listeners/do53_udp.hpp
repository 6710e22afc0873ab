#pragma once

#include "base/counter.hpp"
#include "net/socket.hpp"
#include "net/udp_batch.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"

namespace sallyport::listeners {

struct UdpStats {
    base::Counter datagrams, batches, oversized, send_dropped;
    // Of receivers and senders that others took the place of.
    std::uint64_t oversized_earlier = 0, dropped_earlier = 0;

    template <class V>
    void each(V&& visit) const
    {
        visit("udp_datagrams_total", "Datagrams received by Do53", datagrams);
        visit("udp_batches_total", "Wake-ups that received datagrams", batches);
        visit("udp_oversized_total", "Datagrams longer than is taken, left out", oversized);
        visit("udp_send_dropped_total", "Datagrams the kernel did not take", send_dropped);
    }
};

/// Do53 over UDP (RFC 1035 §4.2.1) on one socket: a batch in, a batch out.
class Do53Udp final : private pipeline::ReplySink {
public:
    /// Batches and statistics are the worker's, shared by its sockets.
    Do53Udp(net::Worker& worker, pipeline::Pipeline& pipeline, net::UdpReceiver& receiver, net::UdpSender& sender,
            UdpStats& stats, net::Descriptor socket);
    ~Do53Udp();
    Do53Udp(const Do53Udp&) = delete;
    Do53Udp& operator=(const Do53Udp&) = delete;

    [[nodiscard]] base::Result<void> start();
    /// Reads no more; queries that wait are answered still.
    void stop_reading() noexcept { watch_.stop(); }
    /// Answers what has arrived up to now, however much it is; a batch's worth of rounds at most.
    void serve_rest(base::Instant now) noexcept;
    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    [[nodiscard]] bool waiting() const noexcept { return !waiting_.empty(); }

private:
    void reply(const pipeline::Reply& reply) noexcept override;
    void dropped(std::uint64_t) noexcept override {}
    void ready(std::uint32_t events, base::Instant now) noexcept;
    void flush_due(base::Instant now) noexcept;
    void flush() noexcept;

    net::Worker& worker_;
    pipeline::Pipeline& pipeline_;
    net::UdpReceiver& receiver_;
    net::UdpSender& sender_;
    UdpStats& stats_;
    net::Descriptor socket_;
    bool wildcard_; ///< bound to all addresses: the answer must name the one that was asked
    bool in_batch_ = false;
    pipeline::QueryList waiting_;
    net::Watch watch_{net::Watch::of<&Do53Udp::ready>(*this)};
    net::Flush flush_{net::Flush::of<&Do53Udp::flush_due>(*this)};
};

} // namespace sallyport::listeners
