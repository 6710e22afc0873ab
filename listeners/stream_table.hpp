#pragma once

#include "certs/certs.hpp"
#include "listeners/connection_limits.hpp"
#include "listeners/options.hpp"
#include "listeners/stream_connection.hpp"
#include "listeners/stream_stats.hpp"
#include "net/socket.hpp"
#include "net/worker.hpp"

#include <boost/intrusive/list.hpp>

#include <memory>
#include <vector>

namespace sallyport::listeners {

/// Every stream connection of one worker, whatever port it came to: owns them, counts them, closes the longest idle
/// for a newcomer, gives turns, and lends the buffers that only busy connections need.
class StreamTable {
public:
    StreamTable(net::Worker& worker, pipeline::Pipeline& pipeline, const StreamLimits& limits, unsigned workers);
    ~StreamTable();
    StreamTable(const StreamTable&) = delete;
    StreamTable& operator=(const StreamTable&) = delete;

    /// New connections use these from now on.
    void set_identities(std::shared_ptr<const certs::TlsIdentities> identities) { identities_ = std::move(identities); }
    /// Other limits from now on, for the connections that live too.
    void reconfigure(const StreamLimits& limits, unsigned workers);
    /// Takes an accepted socket, or closes it when a limit says so.
    void adopt(net::Descriptor socket, const base::Endpoint& peer, const std::shared_ptr<const StreamPort>& port);
    /// Asks every connection to finish what is in work and end.
    void drain();
    /// The same of one port, and what it is asked of.
    enum class Which : std::uint8_t { all, dns, http };
    void drain(std::size_t port_id, Which which);
    /// Ends the connections of one port at once.
    void close(std::size_t port_id) noexcept;
    [[nodiscard]] bool has(std::size_t port_id) const noexcept;
    /// Ends every connection at once.
    void close_all() noexcept;

    [[nodiscard]] bool empty() const noexcept { return connections_.empty(); }
    [[nodiscard]] const StreamStats& stats() const noexcept { return stats_; }
    [[nodiscard]] const certs::Stats& tls_stats() const noexcept { return tls_stats_; }
    [[nodiscard]] StreamStats& stats() noexcept { return stats_; }
    [[nodiscard]] const ConnectionLimits& counts() const noexcept { return counts_; }

private:
    friend class StreamConnection;
    using Order = boost::intrusive::list<
        StreamConnection,
        boost::intrusive::member_hook<StreamConnection, StreamConnection::OrderHook, &StreamConnection::order_hook_>,
        boost::intrusive::constant_time_size<false>>;
    using Turns = boost::intrusive::list<
        StreamConnection,
        boost::intrusive::member_hook<StreamConnection, StreamConnection::TurnHook, &StreamConnection::turn_hook_>,
        boost::intrusive::constant_time_size<false>>;

    // What connections ask of their table.
    void touch(StreamConnection& connection) noexcept;
    void bury(StreamConnection& connection) noexcept;
    void give_turn(StreamConnection& connection) noexcept;
    [[nodiscard]] bool count_address(const base::IpAddress& address);
    [[nodiscard]] std::vector<std::uint8_t> take_buffer() noexcept;
    void return_buffer(std::vector<std::uint8_t>&& buffer) noexcept;
    [[nodiscard]] base::MutableBytes plain_buffer() noexcept { return plain_buffer_; }

    [[nodiscard]] bool make_room() noexcept;
    void turns_due(base::Instant now) noexcept;
    void clear_graves(base::Instant now) noexcept;

    net::Worker& worker_;
    pipeline::Pipeline& pipeline_;
    StreamLimits limits_;
    std::shared_ptr<const certs::TlsIdentities> identities_;
    StreamStats stats_;
    certs::Stats tls_stats_;
    ConnectionLimits counts_;
    Order connections_; ///< the longest without a whole message first
    Order graves_;      ///< ended in this wake-up, destroyed at its end
    Turns turns_;       ///< have more to say and let others go first
    net::Timer turn_timer_{net::Timer::of<&StreamTable::turns_due>(*this)};
    net::Flush grave_flush_{net::Flush::of<&StreamTable::clear_graves>(*this)};
    std::vector<std::vector<std::uint8_t>> spare_buffers_;
    std::vector<std::uint8_t> plain_buffer_;
};

} // namespace sallyport::listeners
