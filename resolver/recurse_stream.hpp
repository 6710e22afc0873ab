#pragma once

#include "base/ip_address.hpp"
#include "base/transport.hpp"
#include "net/client/connection.hpp"
#include "net/client/factory.hpp"
#include "net/worker.hpp"
#include "resolver/iterate/iterate.hpp"
#include "resolver/recurse_options.hpp"

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sallyport::resolver {

class RecurseStream;

/// Told what happens on a `RecurseStream`.
class RecurseStreamUser {
public:
    /// A message came; true: it is the answer, and nobody waits for another.
    virtual bool stream_answered(iterate::Token token, base::Bytes message) noexcept = 0;
    /// The query will not be answered there. `again`: the connection had been kept open and the server was tired of it
    /// (RFC 7766 §6.2.4), which says nothing about the query.
    virtual void stream_failed(iterate::Token token, std::vector<std::uint8_t> message, bool again) noexcept = 0;
    virtual void stream_unexpected() noexcept = 0;
    /// It is open: what it was asked is on its way.
    virtual void stream_ready(RecurseStream& stream) noexcept = 0;
    /// It has ended, and takes nothing any more. It must not be destroyed at once.
    virtual void stream_ended(RecurseStream& stream, bool with_queries) noexcept = 0;

protected:
    ~RecurseStreamUser() = default;
};

/// One connection to a name server over TCP, TLS or QUIC, with many queries in flight (RFC 7766 §6.2.1.1, RFC 9250).
class RecurseStream final : private net::client::SessionUser {
public:
    RecurseStream(RecurseStreamUser& user, net::Worker& worker, const RecurseLimits& limits,
                  const base::Endpoint& server, base::Transport transport = base::Transport::tcp,
                  std::shared_ptr<net::client::Memory> memory = nullptr) noexcept
        : user_(user),
          worker_(worker),
          limits_(limits),
          server_(server),
          transport_(transport),
          memory_(std::move(memory))
    {
    }

    /// Begins to connect, taking up what `memory` has of an earlier session. False: nothing came of it at once.
    [[nodiscard]] bool open(const net::client::SessionFactory& factory, base::Instant now);
    [[nodiscard]] const base::Endpoint& server() const noexcept { return server_; }
    /// Whether it takes a query with that id.
    [[nodiscard]] bool has_room(std::uint16_t id) const noexcept;
    [[nodiscard]] std::size_t load() const noexcept { return in_flight_.size(); }
    [[nodiscard]] base::Transport transport() const noexcept { return transport_; }
    [[nodiscard]] bool is_ready() const noexcept { return ready_; }
    /// It ends at our own wish.
    [[nodiscard]] bool is_released() const noexcept { return released_; }
    /// What came over it was against the protocol.
    [[nodiscard]] bool is_broken() const noexcept { return broken_; }
    /// When something came over it last; before all times where nothing did.
    [[nodiscard]] base::Instant received() const noexcept { return received_; }
    void ask(iterate::Token token, std::vector<std::uint8_t> message);
    /// Nobody waits for that answer any more.
    void forget(iterate::Token token) noexcept;
    /// Ends it as soon as it can go.
    void release() noexcept;

private:
    struct Waiting {
        iterate::Token token = 0;
        std::vector<std::uint8_t> message;
        base::Instant sent{};
        bool is_sent = false;
        bool on_used = false; ///< the connection had answered others before
    };

    void session_ready() noexcept override
    {
        ready_ = true;
        used_ = worker_.now();
        user_.stream_ready(*this);
    }
    void answered(const net::client::Answer& answer) noexcept override;
    void answered(std::uint16_t id, base::Bytes message) noexcept;
    void unanswered(std::uint16_t tag, unsigned http_status, std::string_view reason) noexcept override;

    void readable(std::uint32_t events, base::Instant now) noexcept;
    void timer_expired(base::Instant now) noexcept;
    void flush(base::Instant now) noexcept;
    void send_waiting(base::Instant now);
    void settle(base::Instant now);
    [[nodiscard]] bool is_spent(base::Instant now) const noexcept;
    void end();

    RecurseStreamUser& user_;
    net::Worker& worker_;
    const RecurseLimits& limits_;
    base::Endpoint server_;
    base::Transport transport_;
    std::shared_ptr<net::client::Memory> memory_; // outlives the connection; null: nothing is taken up
    std::unique_ptr<net::client::Connection> connection_;
    net::Watch watch_{net::Watch::of<&RecurseStream::readable>(*this)}; // goes before the connection does
    net::Timer timer_{net::Timer::of<&RecurseStream::timer_expired>(*this)};
    net::Flush flush_{net::Flush::of<&RecurseStream::flush>(*this)};
    std::unordered_map<std::uint16_t, Waiting> in_flight_; // by id
    base::Instant opened_{};
    base::Instant used_{};     // last query or answer
    base::Instant received_{}; // last answer
    bool ready_ = false;
    bool has_answered_ = false;
    bool doubtful_ = false; // a query was not answered and nothing else came since: nothing new goes there
    bool broken_ = false;   // what came is against the protocol
    bool released_ = false;
    bool ended_ = false;
};

} // namespace sallyport::resolver
