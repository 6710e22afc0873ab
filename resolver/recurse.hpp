#pragma once

#include "net/worker.hpp"
#include "resolver/encrypted_servers.hpp"
#include "resolver/group_asker.hpp"
#include "resolver/iterate/iterate.hpp"
#include "resolver/recurse_options.hpp"
#include "resolver/recurse_socket.hpp"
#include "resolver/recurse_stats.hpp"
#include "resolver/recurse_stream.hpp"

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace sallyport::resolver {

/// Puts the state machine that recurses (`iterate::Engine`) on the sockets and timers of a worker. Its thread only.
class Recursor final : private iterate::Upstream,
                       private RecurseSocketUser,
                       private RecurseStreamUser,
                       private GroupUser {
public:
    /// The options are prepared (`prepare_recursion`) and, like `stats`, outlive this.
    /// `groups` may be null where no zone goes to one.
    Recursor(net::Worker& worker, const RecurseOptions& options, RecurseStats& stats, GroupAsker* groups = nullptr);
    ~Recursor() override;
    Recursor(const Recursor&) = delete;
    Recursor& operator=(const Recursor&) = delete;

    /// `done` may be called at once.
    void resolve(const iterate::Question& question, iterate::Done done, iterate::Watcher watcher = {});
    /// The same; servers are asked even where the answer is known.
    void resolve_anew(const iterate::Question& question, iterate::Done done);
    void set_anchors(std::shared_ptr<const dnssec::TrustAnchors> anchors) { engine_->set_anchors(std::move(anchors)); }
    /// From the next query to the root on. Null: its servers are asked.
    void set_root_copy(std::shared_ptr<const RootCopy> copy) noexcept { local_root_ = std::move(copy); }
    /// Nobody waits for anything.
    [[nodiscard]] bool is_idle() const noexcept { return unfinished_ == 0; }
    [[nodiscard]] const iterate::Engine& engine() const noexcept { return *engine_; }

private:
    struct Waiting {
        base::Endpoint server;
        std::vector<std::uint8_t> message;
    };
    /// A query over TLS or QUIC, and how it would go otherwise.
    struct Hidden {
        base::Endpoint server; ///< in plain DNS
        bool tcp = false;
        std::size_t size = 0; ///< without padding
        Encryption way{};     ///< over which it is asked now
        bool moved = false;   ///< it has been asked over the other one
    };
    struct Carried {
        RecurseStream* stream = nullptr;
        bool again = false; ///< it has been sent on a second connection
        std::optional<Hidden> hidden{};
    };

    void send(const iterate::Ask& ask) noexcept override;
    void cancel(iterate::Token token) noexcept override;
    void group_answered(iterate::Token token, base::Bytes message) noexcept override;
    void group_failed(iterate::Token token) noexcept override { fail_later(token); }
    bool datagram_arrived(iterate::Token token, base::Bytes message) noexcept override;
    void socket_failed(iterate::Token token) noexcept override;
    bool stream_answered(iterate::Token token, base::Bytes message) noexcept override;
    void stream_failed(iterate::Token token, std::vector<std::uint8_t> message, bool again) noexcept override;
    void stream_unexpected() noexcept override { stats_.unexpected.add(); }
    void stream_ready(RecurseStream& stream) noexcept override;
    void stream_ended(RecurseStream& stream, bool with_queries) noexcept override;

    void open_socket(iterate::Token token, const base::Endpoint& server, base::Bytes message);
    void close_socket(iterate::Token token) noexcept;
    [[nodiscard]] std::unique_ptr<RecurseSocket> take_socket(bool v4);
    void let_rest(std::unique_ptr<RecurseSocket> socket) noexcept;
    void keep_for_late(iterate::Token token) noexcept;
    bool ask_stream(iterate::Token token, const base::Endpoint& server, base::Transport transport,
                    std::vector<std::uint8_t> message);
    [[nodiscard]] RecurseStream* find_stream(const base::Endpoint& server, base::Transport transport, std::uint16_t id,
                                             unsigned& count) noexcept;
    [[nodiscard]] RecurseStream* open_stream(const base::Endpoint& server, base::Transport transport);
    void send_plain(iterate::Token token, const base::Endpoint& server, bool tcp, base::Bytes message);
    [[nodiscard]] bool ask_copy(const iterate::Ask& ask);
    // RFC 9539 (recurse_encrypted.cpp)
    void prepare_encrypted(const RecurseOptions& options);
    [[nodiscard]] bool ask_encrypted(const iterate::Ask& ask);
    [[nodiscard]] bool ask_over(iterate::Token token, const Hidden& hidden, std::vector<std::uint8_t> message);
    void probe(const base::IpAddress& server, Encryption which);
    [[nodiscard]] base::Endpoint encrypted_endpoint(const base::IpAddress& server, Encryption which) const noexcept;
    [[nodiscard]] std::shared_ptr<net::client::Memory> session_of(const base::IpAddress& server, Encryption which);
    void forget_session(const base::IpAddress& server, Encryption which) noexcept;
    void tell_speaking() noexcept;
    void note_end_of_encrypted(const RecurseStream& stream, bool with_queries) noexcept;
    void note_answered(const Hidden& hidden) noexcept;
    void note_unanswered(const Carried& carried) noexcept;
    void fall_back(iterate::Token token, Hidden hidden, std::vector<std::uint8_t> message) noexcept;
    [[nodiscard]] bool has_free_socket() const noexcept;
    void fail_later(iterate::Token token);
    /// The engine was entered: its next deadline may be another.
    void touched() noexcept { worker_.flush_later(flush_); }
    void flush(base::Instant now) noexcept;
    void expired(base::Instant now) noexcept;

    net::Worker& worker_;
    RecurseLimits limits_;
    RecurseLimits encrypted_limits_;            // the same, with the time that an encrypted connection may take to open
    std::optional<EncryptedServers> encrypted_; // where servers are asked over TLS or QUIC
    std::array<std::uint16_t, kEncryptions> encrypted_ports_{};
    std::array<std::unique_ptr<net::client::SessionFactory>, kEncryptions> encrypted_made_by_; // null: not asked so
    using Sessions = std::array<std::shared_ptr<net::client::Memory>, kEncryptions>;
    std::unordered_map<base::IpAddress, Sessions, EncryptedServers::Hash> sessions_; // to be resumed
    std::size_t most_sessions_ = 0;
    std::size_t speaking_told_ = 0;
    std::array<std::size_t, kEncryptions> speaking_told_each_{};
    RecurseStats& stats_;
    GroupAsker* groups_;
    std::shared_ptr<cache::RrsetStore> store_;
    std::unique_ptr<net::client::SessionFactory> streams_made_by_; // null where the system gave none
    std::unordered_map<iterate::Token, std::unique_ptr<RecurseSocket>> sockets_;
    std::array<std::vector<std::unique_ptr<RecurseSocket>>, 2> resting_; // without port: of IPv4, of IPv6
    std::map<iterate::Token, Waiting> waiting_;                          // for a socket, the oldest first
    std::map<iterate::Token, std::unique_ptr<RecurseSocket>> late_;      // nobody waits there, the oldest first
    std::vector<std::unique_ptr<RecurseStream>> streams_;
    std::vector<std::unique_ptr<RecurseStream>> ended_streams_; // until nothing of them is in use
    std::unordered_map<iterate::Token, Carried> carried_;
    std::vector<iterate::Token> failed_;
    std::shared_ptr<const RootCopy> local_root_;                               // null without one
    std::vector<std::pair<iterate::Token, std::vector<std::uint8_t>>> copied_; // its answers, to be told later
    std::vector<std::uint8_t> copy_room_;
    std::size_t unfinished_ = 0;
    net::Timer timer_{net::Timer::of<&Recursor::expired>(*this)};
    net::Flush flush_{net::Flush::of<&Recursor::flush>(*this)};
    std::unique_ptr<iterate::Engine> engine_;
};

} // namespace sallyport::resolver
