#pragma once

#include "certs/certs.hpp"
#include "listeners/http_limits.hpp"
#include "listeners/quic/application.hpp"
#include "listeners/quic/connection_id.hpp"
#include "listeners/quic/quic_handle.hpp"
#include "net/timer_queue.hpp"
#include "pipeline/pipeline.hpp"

#include <boost/intrusive/list.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sallyport::listeners::quic {

class EndpointCore;
struct Terms;

using ConnectionHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
struct TouchedTag;
using TouchedHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>,
                                                     boost::intrusive::tag<TouchedTag>>;

/// How a connection ends.
struct CloseReason {
    enum class Kind : std::uint8_t {
        silent,     ///< no word: idle, handshake timeout, the library says drop
        draining,   ///< the client closed: silence until its packets have died out
        transport,  ///< CONNECTION_CLOSE by the library's error
        application ///< CONNECTION_CLOSE with `code`
    };
    Kind kind = Kind::silent;
    int library_error = 0;
    std::uint64_t code = 0;
};

/// One client. Owned by the endpoint; the libraries' objects live and die with it.
///
/// Nothing here ends the connection while the library is on the call stack: an ending is noted and carried out by the
/// endpoint when the call has returned. `ready` is the call order guard: after an error nothing is read, written or
/// timed any more.
class Connection final : public Target, public ConnectionHook, public TouchedHook {
public:
    /// What the first packet told.
    struct Origin {
        const ngtcp2_pkt_hd& header;
        base::Endpoint peer;
        base::Endpoint local;
        ConnectionId original; ///< the client's very first destination ID
        bool after_retry = false;
        bool validated = false; ///< a token proved the address
        base::Bytes token;
    };

    Connection(EndpointCore& endpoint, const Origin& origin, base::Instant now);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// False where a library refused to make its part.
    [[nodiscard]] bool made() const noexcept { return conn_ != nullptr && session_ != nullptr; }
    /// A packet. The first reason to end is kept in `ending()`.
    void read(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local, std::uint8_t ecn,
              base::Instant now) noexcept;
    /// Writes packets until nothing is left, congestion control says stop, or the burst is as large as it may be.
    void write(base::Instant now) noexcept;
    /// Writes the CONNECTION_CLOSE that `ending()` asks for into `out`; its size, 0 where none may be sent.
    [[nodiscard]] std::size_t write_close(base::MutableBytes out, base::Instant now) noexcept;

    [[nodiscard]] const std::optional<CloseReason>& ending() const noexcept { return ending_; }
    [[nodiscard]] bool handshake_done() const noexcept { return handshake_done_; }
    [[nodiscard]] bool counts_as_handshaking() const noexcept { return !validated_ && !handshake_done_; }
    [[nodiscard]] base::Duration closing_time() const noexcept; ///< three PTO (RFC 9000 §10.2)
    [[nodiscard]] const std::vector<ConnectionId>& ids() const noexcept { return ids_; }
    [[nodiscard]] const pipeline::Client& client() const noexcept { return client_; }
    [[nodiscard]] const base::IpAddress& counted_address() const noexcept { return counted_address_; }
    [[nodiscard]] std::uint8_t tls_alert() const noexcept;
    [[nodiscard]] base::Instant last_heard() const noexcept { return last_heard_; }
    [[nodiscard]] bool at_rest() const noexcept { return handshake_done_ && held_ == 0 && streams_ == 0; }
    [[nodiscard]] bool validated() const noexcept { return validated_; }
    void drain() noexcept;
    void close_without_error() noexcept;
    /// Tells a client whose handshake failed, by a packet that needs nothing of the library's connection.
    void refuse_statelessly() noexcept;

    // For the application.
    [[nodiscard]] EndpointCore& endpoint() noexcept { return endpoint_; }
    [[nodiscard]] const Terms& terms() const noexcept { return *terms_; }
    [[nodiscard]] base::Instant now() const noexcept { return now_; }
    /// Ends the connection when the current call has returned; the first ending counts.
    void fail(std::uint64_t application_code) noexcept;
    /// Something is to be written.
    void touch() noexcept;
    /// The client may send so many octets more over all streams.
    void give_credit(std::size_t octets) noexcept;
    void give_stream_credit(std::int64_t stream_id, std::size_t octets) noexcept;
    /// The client may open one stream more.
    void give_stream(bool bidirectional) noexcept;
    /// Asks the client to stop sending and resets our side.
    void shut_stream(std::int64_t stream_id, std::uint64_t code) noexcept;
    void shut_stream_read(std::int64_t stream_id, std::uint64_t code) noexcept;
    [[nodiscard]] std::optional<std::int64_t> open_stream() noexcept;
    /// Octets of answers kept for this client. While `may_answer` says no, queries wait.
    void hold(std::size_t octets) noexcept;
    void let_go(std::size_t octets) noexcept;
    [[nodiscard]] bool may_answer() const noexcept;
    void stream_began() noexcept;
    void stream_ended() noexcept;
    /// A stream ended before its answer, whoever reset it: draws from the reset budget.
    void count_reset() noexcept;
    void progressed() noexcept { last_progress_ = now_; }
    /// The handshake is not complete: what comes now can be a replay.
    [[nodiscard]] bool in_early_data() const noexcept { return !handshake_done_; }

private:
    friend struct ConnectionCallbacks;
    class Guard;
    class Burst;

    bool make_session() noexcept;
    [[nodiscard]] bool ready() noexcept;
    void end(const CloseReason& reason) noexcept;
    void ended_by_library(int error) noexcept;
    [[nodiscard]] base::Instant advance(base::Instant now) noexcept;
    void arm_timer() noexcept;
    void timer_fired(base::Instant now) noexcept;
    void follow_path() noexcept;
    void release_session() noexcept;
    [[nodiscard]] base::Instant next_due() const noexcept;
    [[nodiscard]] bool make_application() noexcept;
    // callbacks of the library
    int handshake_completed() noexcept;
    void path_proven(const ngtcp2_path& path) noexcept
    {
        proven_ = base::Endpoint::from_sockaddr(path.remote.addr).address;
    }
    int keys_installed(ngtcp2_encryption_level level) noexcept;
    int new_connection_id(ngtcp2_cid& cid, std::uint8_t* token, std::size_t size) noexcept;
    void forget_id(const ngtcp2_cid& cid) noexcept;

    EndpointCore& endpoint_;
    std::shared_ptr<const Terms> terms_; ///< before what borrows from it
    ConnHandle conn_;
    SessionHandle session_;
    ngtcp2_crypto_conn_ref reference_{};
    std::shared_ptr<const certs::TlsIdentities> identities_;
    std::unique_ptr<Application> application_;
    net::Timer timer_;
    pipeline::Client client_;
    std::string server_name_;
    std::vector<ConnectionId> ids_;
    std::optional<CloseReason> ending_;
    TokenBucket resets_;
    base::IpAddress counted_address_;
    base::IpAddress proven_; ///< the address that answered a challenge last
    base::IpAddress before_; ///< the one before, which needs no new challenge
    base::Instant now_;
    base::Instant last_heard_;
    base::Instant last_progress_;
    std::size_t held_ = 0;
    std::size_t session_charge_ = 0;
    std::uint32_t streams_ = 0;
    bool validated_;
    bool handshake_done_ = false;
    bool in_library_ = false;
    bool release_session_ = false;
    bool draining_ = false;
};

} // namespace sallyport::listeners::quic
