#pragma once

#include "base/ip_address.hpp"
#include "net/client/connection.hpp"
#include "net/client/factory.hpp"
#include "net/worker.hpp"
#include "resolver/try.hpp"

#include <boost/intrusive/list.hpp>

#include <memory>
#include <unordered_map>

namespace sallyport::resolver {

/// One connection of an upstream's pool: TCP, DoT, DoH or DoQ, with many queries in flight. Owned by its upstream.
class UpstreamConnection final : private net::client::SessionUser {
public:
    UpstreamConnection(net::Worker& worker, Upstream& upstream, base::Transport transport, unsigned most);
    ~UpstreamConnection() override;

    /// Begins to connect. False: nothing came of it at once.
    [[nodiscard]] bool open(std::shared_ptr<const net::client::SessionFactory> factory,
                            std::shared_ptr<net::client::Memory> memory, const base::Endpoint& server,
                            base::Instant now);

    /// Whether it takes another query now or, where it is still connecting, later.
    [[nodiscard]] bool has_room() const noexcept;
    [[nodiscard]] std::size_t load() const noexcept { return in_flight_.size() + waiting_count_; }
    [[nodiscard]] bool is_ready() const noexcept { return ready_; }
    /// It has answered before: when it ends without an answer, the server may just have been tired of waiting.
    [[nodiscard]] bool has_answered() const noexcept { return has_answered_; }
    /// Asks, or puts it off until the session is ready. `has_room()` has said yes.
    void ask(Try& query, base::Instant now);
    /// The try is going: a late answer is met by silence.
    void forget(Try& query) noexcept;
    /// A query was not answered in time. Where nothing at all has come since it was sent, no other query follows it.
    void doubt(const Try& query) noexcept;
    /// No other query follows; it ends when those in flight have their answers.
    void retire() noexcept;
    [[nodiscard]] bool is_retiring() const noexcept { return retiring_; }
    /// Ends it cleanly; queries in flight are told nothing.
    void close(base::Instant now) noexcept;
    [[nodiscard]] const net::client::Failure& failure() const noexcept { return connection_->failure(); }
    [[nodiscard]] const base::Endpoint& server() const noexcept { return server_; }

private:
    using Tries = boost::intrusive::list<Try, boost::intrusive::constant_time_size<false>>;

    void session_ready() noexcept override;
    void answered(const net::client::Answer& answer) noexcept override;
    void unanswered(std::uint16_t tag, unsigned http_status, std::string_view reason) noexcept override;

    void readable(std::uint32_t events, base::Instant now) noexcept;
    void timer_expired(base::Instant now) noexcept;
    void flush(base::Instant now) noexcept;
    void send_waiting(base::Instant now);
    [[nodiscard]] bool send(Try& query, base::Instant now);
    [[nodiscard]] std::uint16_t free_tag() noexcept;
    [[nodiscard]] Try* take(std::uint16_t tag) noexcept;
    void settle(base::Instant now);
    void end(Trouble trouble, base::Instant now);
    [[nodiscard]] base::Instant next_deadline() const noexcept;
    [[nodiscard]] std::size_t live() const noexcept { return live_; }

    net::Worker& worker_;
    Upstream& upstream_;
    base::Transport transport_;
    unsigned most_;
    base::Endpoint server_;
    std::shared_ptr<const net::client::SessionFactory> factory_; // the session borrows from both
    std::shared_ptr<net::client::Memory> memory_;
    std::unique_ptr<net::client::Connection> connection_;
    net::Watch watch_{net::Watch::of<&UpstreamConnection::readable>(*this)}; // goes before the connection does
    net::Timer timer_{net::Timer::of<&UpstreamConnection::timer_expired>(*this)};
    net::Flush flush_{net::Flush::of<&UpstreamConnection::flush>(*this)};
    std::unordered_map<std::uint16_t, Try*> in_flight_; // null: nobody waits for it any more
    Tries waiting_;                                     // for the session to have room
    std::size_t waiting_count_ = 0;
    std::size_t live_ = 0; // queries somebody waits for
    base::Instant opened_{};
    base::Instant used_{};     // last query or answer
    base::Instant received_{}; // last answer
    bool ready_ = false;
    bool announced_ = false; // its upstream knows that it is ready
    bool doubtful_ = false;
    bool retiring_ = false;
    bool has_answered_ = false;
    bool ended_ = false;
};

} // namespace sallyport::resolver
