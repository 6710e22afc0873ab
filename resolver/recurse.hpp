#pragma once

#include "net/worker.hpp"
#include "resolver/iterate/iterate.hpp"
#include "resolver/recurse_options.hpp"
#include "resolver/recurse_socket.hpp"
#include "resolver/recurse_stats.hpp"
#include "resolver/recurse_stream.hpp"

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace sallyport::resolver {

/// Puts the state machine that recurses (`iterate::Engine`) on the sockets and timers of a worker. Its thread only.
class Recursor final : private iterate::Upstream, private RecurseSocketUser, private RecurseStreamUser {
public:
    /// The options are prepared (`prepare_recursion`) and, like `stats`, outlive this.
    Recursor(net::Worker& worker, const RecurseOptions& options, RecurseStats& stats);
    ~Recursor() override;
    Recursor(const Recursor&) = delete;
    Recursor& operator=(const Recursor&) = delete;

    /// `done` may be called at once.
    void resolve(const iterate::Question& question, iterate::Done done);
    /// Nobody waits for anything.
    [[nodiscard]] bool is_idle() const noexcept { return unfinished_ == 0; }
    [[nodiscard]] const iterate::Engine& engine() const noexcept { return *engine_; }

private:
    struct Waiting {
        base::Endpoint server;
        std::vector<std::uint8_t> message;
    };
    struct Carried {
        RecurseStream* stream = nullptr;
        bool again = false; ///< it has been sent on a second connection
    };

    void send(const iterate::Ask& ask) noexcept override;
    void cancel(iterate::Token token) noexcept override;
    bool datagram_arrived(iterate::Token token, base::Bytes message) noexcept override;
    void socket_failed(iterate::Token token) noexcept override;
    bool stream_answered(iterate::Token token, base::Bytes message) noexcept override;
    void stream_failed(iterate::Token token, std::vector<std::uint8_t> message, bool again) noexcept override;
    void stream_unexpected() noexcept override { stats_.unexpected.add(); }
    void stream_ended(RecurseStream& stream, bool with_queries) noexcept override;

    void open_socket(iterate::Token token, const base::Endpoint& server, base::Bytes message);
    void close_socket(iterate::Token token) noexcept;
    void keep_for_late(iterate::Token token) noexcept;
    bool ask_stream(iterate::Token token, const base::Endpoint& server, std::vector<std::uint8_t> message);
    [[nodiscard]] RecurseStream* find_stream(const base::Endpoint& server, std::uint16_t id, unsigned& count) noexcept;
    [[nodiscard]] RecurseStream* open_stream(const base::Endpoint& server);
    [[nodiscard]] bool has_free_socket() const noexcept;
    void fail_later(iterate::Token token);
    /// The engine was entered: its next deadline may be another.
    void touched() noexcept { worker_.flush_later(flush_); }
    void flush(base::Instant now) noexcept;
    void expired(base::Instant now) noexcept;

    net::Worker& worker_;
    RecurseLimits limits_;
    RecurseStats& stats_;
    std::shared_ptr<cache::RrsetStore> store_;
    std::unique_ptr<net::client::SessionFactory> streams_made_by_; // null where the system gave none
    std::unordered_map<iterate::Token, std::unique_ptr<RecurseSocket>> sockets_;
    std::map<iterate::Token, Waiting> waiting_;                     // for a socket, the oldest first
    std::map<iterate::Token, std::unique_ptr<RecurseSocket>> late_; // nobody waits there, the oldest first
    std::vector<std::unique_ptr<RecurseStream>> streams_;
    std::vector<std::unique_ptr<RecurseStream>> ended_streams_; // until nothing of them is in use
    std::unordered_map<iterate::Token, Carried> carried_;
    std::vector<iterate::Token> failed_;
    std::size_t unfinished_ = 0;
    net::Timer timer_{net::Timer::of<&Recursor::expired>(*this)};
    net::Flush flush_{net::Flush::of<&Recursor::flush>(*this)};
    std::unique_ptr<iterate::Engine> engine_;
};

} // namespace sallyport::resolver
