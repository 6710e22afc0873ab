#pragma once

/// Module `listeners`: the doors.
///
/// They take bytes off TCP, TLS, HTTP and QUIC until a whole DNS message is found, hand it to
/// `pipeline::Pipeline::receive`, and carry the reply back. Nothing here knows what a query means. One `Doors` serves
/// one worker; nothing in it is shared with other workers but what is posted. Start reading at `doors.cpp`, then
/// `stream_connection.hpp` (TCP and TLS), `doh_request.hpp` (the rules of RFC 8484) and `quic/endpoint.hpp`.

#include "base/result.hpp"
#include "certs/certs.hpp"
#include "listeners/options.hpp"
#include "net/socket.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace sallyport::listeners {

/// One port as it is served: every door that names its address, told apart by ALPN.
struct Port {
    enum class Kind : std::uint8_t { udp, tcp, unix_stream, tls, http_cleartext, quic };
    Kind kind = Kind::udp;
    ListenAddress address;
    const DoorOptions* do53 = nullptr; ///< borrowed from the Options that the ports were made from
    const DoorOptions* dot = nullptr;
    const DoorOptions* doh = nullptr;
    const DoorOptions* doq = nullptr;
    std::size_t id = 0; ///< the same for as long as the port is served, whatever else changes
};

[[nodiscard]] constexpr bool is_datagram(Port::Kind kind) noexcept
{
    return kind == Port::Kind::udp || kind == Port::Kind::quic;
}
/// True when `a` can be served by the sockets of `b`: the address is the same, and what is spoken on it is told by
/// octets and not by the socket.
[[nodiscard]] bool is_same_port(const Port& a, const Port& b) noexcept;

/// The doors as one configuration wants them. Immutable once published; a connection keeps the one it began with.
struct Layout {
    Layout() = default;
    Layout(const Layout&) = delete;
    Layout& operator=(const Layout&) = delete;

    Options options;
    std::vector<Port> ports; ///< borrow from `options`
    /// What each port is really bound to (port 0 resolved), for messages and DDR.
    std::vector<base::Endpoint> bound;
    std::size_t next_id = 0; ///< of the next port that is added
};

/// Groups the doors by address. Errors name the door's position: doors that can not share a port (Do53 with TLS, two
/// DoH entries with different paths on one address), no address at all.
[[nodiscard]] std::vector<Port> plan_ports(const Options& options, base::Problems& problems);

/// The sockets of all ports, one a worker and port (SO_REUSEPORT; a Unix or systemd socket is shared by duplicate).
struct SocketSet {
    std::shared_ptr<const Layout> layout;
    /// [worker][port]; empty where a port that is served already keeps its sockets.
    std::vector<std::vector<net::Descriptor>> descriptors;
};

/// What is open already, for a change while running.
struct Running {
    const Layout* layout = nullptr; ///< its ports keep their sockets and their ids
    std::vector<Port> leaving{};    ///< ports given up a moment ago, with what they were bound to: may still be open
};

/// Opens everything that is not open yet, or nothing: what is wrong comes back in `problems` (`address in use` names
/// the address). `systemd` maps names of inherited sockets (sd_listen_fds_with_names) to descriptors, which stay open.
[[nodiscard]] base::Result<SocketSet> open_sockets(const Options& options,
                                                   const std::vector<std::pair<std::string, int>>& systemd,
                                                   base::Problems& problems, const Running& running = {});

/// Where a QUIC packet goes that the kernel gave to the wrong worker: posts a copy to `worker`. Any thread.
class PacketRouter {
public:
    virtual void route(unsigned worker, std::size_t port_id, base::Bytes packet, const base::Endpoint& peer,
                       const base::Endpoint& local, std::uint8_t ecn) noexcept = 0;

protected:
    ~PacketRouter() = default;
};

/// Secrets that all workers share: QUIC Retry and NEW_TOKEN tokens, stateless resets.
struct SharedSecrets {
    std::array<std::uint8_t, 32> quic_tokens{};
    std::array<std::uint8_t, 32> quic_resets{};
};

/// All doors of one worker.
class Doors {
public:
    /// What is borrowed must outlive this. `options.workers` of the layout is set; `descriptors` has one of each port.
    Doors(net::Worker& worker, pipeline::Pipeline& pipeline, std::shared_ptr<const certs::TlsIdentities> identities,
          std::shared_ptr<const Layout> layout, std::vector<net::Descriptor> descriptors, PacketRouter& router,
          const SharedSecrets& secrets);
    ~Doors();

    /// Begins to accept. On the worker's thread.
    [[nodiscard]] base::Result<void> start();
    /// New connections use these from now on; those that live keep theirs. On the worker's thread.
    void set_identities(std::shared_ptr<const certs::TlsIdentities> identities);
    /// Serves by another layout from now on. A port that stays keeps its socket; its connections go on as they began,
    /// unless what they speak is gone from it. A port that is gone takes nothing new and lets its connections finish
    /// for `options.drain` at most. A port that is new begins with its descriptor. On the worker's thread.
    [[nodiscard]] base::Result<void> change(std::shared_ptr<const Layout> layout,
                                            std::vector<net::Descriptor> descriptors);
    /// Stops accepting, lets connections finish (GOAWAY, close_notify, CONNECTION_CLOSE) until `options.drain` is over,
    /// then calls `done`. On the worker's thread.
    void drain(std::function<void()> done);
    /// A packet that another worker got for the port of this id (see PacketRouter). On the worker's thread.
    void packet_routed(std::size_t port_id, base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                       std::uint8_t ecn);
    /// Visits every counter of every door as (metric name, help, counter). Any thread.
    void
    each_counter(const std::function<void(const std::string&, const std::string&, const base::Counter&)>& visit) const;

private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

} // namespace sallyport::listeners
