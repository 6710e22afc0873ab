#pragma once

#include "certs/certs.hpp"
#include "listeners/kept_octets.hpp"
#include "listeners/options.hpp"
#include "listeners/stream_session.hpp"
#include "net/socket.hpp"
#include "net/tls_stream.hpp"
#include "net/worker.hpp"

#include <boost/intrusive/list.hpp>

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sallyport::listeners {

class StreamTable;
struct DohContext;

/// What one listening stream port serves; its connections keep the one they began with.
struct StreamPort {
    using HttpMaker = std::unique_ptr<StreamSession> (*)(StreamChannel&, DohContext&, base::Instant);

    bool tls = false;
    bool dns = false;                  ///< Do53 framing, or DoT
    bool http = false;                 ///< DoH; both only with TLS, where ALPN tells them apart
    certs::AlpnPolicy alpn;            ///< with `tls`
    std::vector<base::Prefix> proxies; ///< peers that put a PROXY header first
    DohContext* doh = nullptr;         ///< with `http`
    HttpMaker make_http1 = nullptr;
    HttpMaker make_http2 = nullptr;
    bool unix_socket = false; ///< its peers are this machine's own
    std::size_t id = 0;       ///< of the port
};

/// One TCP, TLS or Unix connection: moves octets between the socket and a session, in as few calls as can be, and
/// keeps every deadline. An idle one holds no buffer.
///
/// Phases: [PROXY header] → [TLS handshake | first octets of cleartext HTTP] → serving → ending.
class StreamConnection final : public StreamChannel {
public:
    using OrderHook = boost::intrusive::list_member_hook<>;
    using TurnHook = boost::intrusive::list_member_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

    StreamConnection(StreamTable& table, net::Descriptor socket, const base::Endpoint& peer,
                     std::shared_ptr<const StreamPort> port);
    ~StreamConnection();
    StreamConnection(const StreamConnection&) = delete;
    StreamConnection& operator=(const StreamConnection&) = delete;

    /// False when the socket can not be watched.
    [[nodiscard]] bool start() noexcept;
    /// The gateway is ending.
    void drain() noexcept;
    /// At once, with close_notify where it fits: a newcomer needs the room.
    void make_way() noexcept;
    /// Nothing in work: may make way.
    [[nodiscard]] bool is_idle() const noexcept;
    [[nodiscard]] const StreamPort& port() const noexcept { return *port_; }
    /// DNS framing is spoken on it, not HTTP; one that has not come so far speaks neither.
    [[nodiscard]] bool speaks_dns() const noexcept { return dns_; }
    /// The address it is counted under, where it is.
    [[nodiscard]] bool counted() const noexcept { return counted_; }

    void write(base::Bytes octets) noexcept override;
    [[nodiscard]] std::size_t backlog() const noexcept override;
    void end() noexcept override;
    void abort() noexcept override;
    [[nodiscard]] const pipeline::Client& client() const noexcept override { return client_; }
    [[nodiscard]] net::Worker& worker() noexcept override;
    [[nodiscard]] pipeline::Pipeline& pipeline() noexcept override;
    void pause_reading() noexcept override { paused_ = true; }
    void resume_reading() noexcept override;

private:
    friend class StreamTable;
    enum class Phase : std::uint8_t { proxy_header, handshake, first_octets, serving, ending, gone };
    enum class Deadline : std::uint8_t { none, proxy_header, handshake, message, idle, stall, linger };
    struct Due {
        base::Instant when;
        Deadline what;
    };

    // Events.
    void ready(std::uint32_t events, base::Instant now) noexcept;
    void next_turn(base::Instant now) noexcept;
    void flush_due(base::Instant now) noexcept;
    void timer_due(base::Instant now) noexcept;
    void finish(base::Instant now) noexcept;

    // Octets in.
    void read_socket(base::Instant now) noexcept;
    void peer_ended() noexcept;
    void arrived(base::Bytes raw, base::Instant now) noexcept;
    void read_proxy_header(base::Bytes raw, base::Instant now) noexcept;
    void believe(const base::Endpoint& source, const base::Endpoint& destination) noexcept;
    void shake_hands(base::Bytes raw, base::Instant now) noexcept;
    void handshake_done(base::Instant now) noexcept;
    void decrypt(base::Instant now) noexcept;
    void look_at_first(base::Bytes octets, base::Instant now) noexcept;
    void feed(base::Bytes octets, base::Instant now) noexcept;
    void feed_kept(base::Instant now) noexcept;
    void serve_dns() noexcept;
    void serve_http(bool http2, base::Instant now) noexcept;
    [[nodiscard]] Phase phase_after_proxy() const noexcept;

    // Octets out.
    void flush(base::Instant now) noexcept;
    void encrypt() noexcept;
    [[nodiscard]] bool encrypt_messages() noexcept;
    void send(base::Instant now) noexcept;
    void end_when_sent(base::Instant now) noexcept;

    // Time and interest.
    [[nodiscard]] Due next_deadline() const noexcept;
    void note_activity(base::Instant now) noexcept;
    void expired(Deadline what) noexcept;
    void update_timer() noexcept;
    void update_interest() noexcept;
    [[nodiscard]] bool wants_input() const noexcept;
    void die() noexcept;

    StreamTable& table_;
    std::shared_ptr<const StreamPort> port_; ///< before what borrows from it
    net::Descriptor socket_;
    base::IpAddress counted_address_;
    pipeline::Client client_;
    std::string server_name_;

    std::unique_ptr<net::TlsStream> tls_;
    KeptOctets kept_;                ///< input that its reader could not use yet
    std::vector<std::uint8_t> out_;  ///< from the session, not encrypted yet; lent by the table
    std::vector<std::uint8_t> wire_; ///< for the socket; lent by the table
    std::size_t wire_sent_ = 0;

    base::Instant opened_;
    base::Instant active_; ///< the last whole message, request or answer
    base::Instant message_began_;
    base::Instant stalled_since_;
    base::Instant ending_since_;
    base::Instant ticked_;
    std::uint64_t begun_ = 0; ///< messages that had begun when the session was last asked

    Phase phase_;
    bool counted_ = false;
    bool dns_ = false;         ///< the session writes framed messages
    bool blocked_ = false;     ///< the kernel took no more when last asked
    bool in_call_ = false;     ///< an event is being handled: its end flushes
    bool paused_ = false;      ///< the session wants no input
    bool again_ = false;       ///< the session wants what was kept once more
    bool peer_ended_ = false;  ///< FIN or close_notify: no more input, answers still leave
    bool goodbye_ = false;     ///< close_notify written
    bool shut_ = false;        ///< our FIN is out
    bool receiving_ = false;   ///< the session was in the midst of a message when last asked
    bool message_new_ = false; ///< the remainder kept is the beginning of another message
    bool moved_ = false;       ///< something was taken or answered in this call

    OrderHook order_hook_;
    TurnHook turn_hook_;
    net::Watch watch_{net::Watch::of<&StreamConnection::ready>(*this)};
    net::Timer timer_{net::Timer::of<&StreamConnection::timer_due>(*this)};
    net::Flush flush_{net::Flush::of<&StreamConnection::flush_due>(*this)};
    // Last: goes first, while what it writes to is still there.
    std::unique_ptr<StreamSession> session_;
};

} // namespace sallyport::listeners
