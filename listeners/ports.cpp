#include "listeners/listeners.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace sallyport::listeners {
namespace {

using Inherited = std::vector<std::pair<std::string, int>>;

#ifdef SALLYPORT_HAS_QUIC
constexpr bool kHasQuic = true;
#else
constexpr bool kHasQuic = false;
#endif

bool is_datagram(Port::Kind kind) noexcept { return kind == Port::Kind::udp || kind == Port::Kind::quic; }

const char* name_of(DoorKind kind) noexcept
{
    switch (kind) {
    case DoorKind::do53: return "do53";
    case DoorKind::dot: return "dot";
    case DoorKind::doh: return "doh";
    case DoorKind::doq: return "doq";
    }
    return "";
}

std::string text_of(const ListenAddress& address)
{
    if (!address.unix_path.empty()) return "unix:" + address.unix_path;
    if (!address.systemd_name.empty()) return "systemd:" + address.systemd_name;
    return address.endpoint.to_string();
}

const base::SourcePosition& position_of(const ListenAddress& address, const DoorOptions& door)
{
    return address.position.file.empty() && address.position.line == 0 ? door.position : address.position;
}

// Groups door after door into ports.
class Planner {
public:
    Planner(std::vector<Port>& ports, base::Problems& problems) : ports_(ports), problems_(problems) {}

    void add(const DoorOptions& door)
    {
        if (door.on.empty()) report(door.position, std::string{"the "} + name_of(door.kind) + " door has no address");
        for (const ListenAddress& address : door.on) add(door, address);
    }

private:
    void add(const DoorOptions& door, const ListenAddress& address)
    {
        if (!address.unix_path.empty()) return add_unix(door, address);
        switch (door.kind) {
        case DoorKind::do53:
            if (!door.udp && !door.tcp) report(door.position, "the do53 door has neither udp nor tcp");
            if (door.udp) claim(Port::Kind::udp, door, address, &Port::do53);
            if (door.tcp) claim(Port::Kind::tcp, door, address, &Port::do53);
            return;
        case DoorKind::dot: return claim(Port::Kind::tls, door, address, &Port::dot);
        case DoorKind::doh:
            claim(door.doh.cleartext ? Port::Kind::http_cleartext : Port::Kind::tls, door, address, &Port::doh);
            if (kHasQuic && door.doh.http3 && !door.doh.cleartext) claim(Port::Kind::quic, door, address, &Port::doh);
            return;
        case DoorKind::doq:
            if (!kHasQuic)
                return report(position_of(address, door), "doq: this build has no QUIC (libngtcp2 1.11 was not found)");
            return claim(Port::Kind::quic, door, address, &Port::doq);
        }
    }

    void add_unix(const DoorOptions& door, const ListenAddress& address)
    {
        if (door.kind != DoorKind::do53)
            return report(position_of(address, door),
                          text_of(address) + ": a Unix socket serves do53 only, not " + name_of(door.kind));
        claim(Port::Kind::unix_stream, door, address, &Port::do53);
    }

    void claim(Port::Kind kind, const DoorOptions& door, const ListenAddress& address, const DoorOptions* Port::* slot)
    {
        Port* const port = find(kind, address);
        if (port == nullptr) {
            ports_.push_back(Port{kind, address});
            ports_.back().*slot = &door;
            return;
        }
        const auto& position = position_of(address, door);
        if (port->kind != kind) {
            report(position, text_of(address) + ": " + name_of(door.kind) + " cannot share this port with " +
                                 name_of(held_by(*port)) + " (only TLS doors share a port, and only QUIC doors)");
        } else if (port->*slot != nullptr) {
            report(position,
                   text_of(address) + ": a " + name_of(door.kind) + " door is on this address already" +
                       (slot == &Port::doh && (port->*slot)->doh.paths != door.doh.paths ? "; give one door both paths"
                                                                                         : ""));
        } else {
            port->*slot = &door;
        }
    }

    Port* find(Port::Kind kind, const ListenAddress& address)
    {
        const auto found = std::find_if(ports_.begin(), ports_.end(), [&](const Port& port) {
            if (is_datagram(port.kind) != is_datagram(kind)) return false;
            // Port 0 asks for any: different doors get different ones.
            const bool any = address.unix_path.empty() && address.systemd_name.empty() && address.endpoint.port == 0;
            return (!any || port.kind == kind) && port.address.endpoint == address.endpoint &&
                   port.address.unix_path == address.unix_path && port.address.systemd_name == address.systemd_name;
        });
        return found == ports_.end() ? nullptr : &*found;
    }

    static DoorKind held_by(const Port& port)
    {
        for (const auto* door : {port.do53, port.dot, port.doh, port.doq})
            if (door != nullptr) return door->kind;
        return DoorKind::do53;
    }

    void report(const base::SourcePosition& position, std::string message)
    {
        problems_.push_back({base::ErrorCode::conflict, std::move(message), position});
    }

    std::vector<Port>& ports_;
    base::Problems& problems_;
};

// Opens the sockets of one port for all workers.
class Opener {
public:
    Opener(const Options& options, Inherited& inherited) : options_(options), inherited_(inherited) {}

    [[nodiscard]] base::Result<std::vector<net::Descriptor>> open(const Port& port)
    {
        net::SocketOptions socket;
        socket.quic = port.kind == Port::Kind::quic;
        if (is_datagram(port.kind)) socket.receive_buffer = static_cast<int>(options_.udp_receive_buffer);
        if (!port.address.systemd_name.empty()) return share(inherit(port, socket));
        if (port.kind == Port::Kind::unix_stream) return share(net::open_unix_listener(port.address.unix_path, socket));
        return open_each(port, socket);
    }

private:
    using Descriptors = base::Result<std::vector<net::Descriptor>>;

    Descriptors open_each(const Port& port, const net::SocketOptions& socket)
    {
        const bool stream = !is_datagram(port.kind);
        base::Endpoint address = port.address.endpoint;
        if (address.port != 0 && net::is_taken(address, stream)) {
            // Bound without sharing, it gives the error that names the address.
            net::SocketOptions alone = socket;
            alone.reuse_port = false;
            auto refused = open_one(address, stream, alone);
            if (!refused) return refused.error();
        }
        std::vector<net::Descriptor> all;
        for (unsigned worker = 0; worker < workers(); ++worker) {
            auto opened = open_one(address, stream, socket);
            if (!opened) return opened.error();
            all.push_back(std::move(*opened));
            address.port = net::local_endpoint(all.front().get()).port;
        }
        return all;
    }

    static base::Result<net::Descriptor> open_one(const base::Endpoint& address, bool stream,
                                                  const net::SocketOptions& socket)
    {
        return stream ? net::open_tcp_listener(address, socket) : net::open_udp(address, socket);
    }

    base::Result<net::Descriptor> inherit(const Port& port, const net::SocketOptions& socket)
    {
        const int wanted = is_datagram(port.kind) ? SOCK_DGRAM : SOCK_STREAM;
        for (const auto& [name, fd] : inherited_) {
            if (name != port.address.systemd_name || type_of(fd) != wanted) continue;
            if (auto adopted = net::adopt_inherited(fd, socket); !adopted) return adopted.error();
            return net::duplicate(fd);
        }
        return base::Error{base::ErrorCode::not_found,
                           "systemd:" + port.address.systemd_name + ": the service manager handed over no " +
                               (wanted == SOCK_DGRAM ? "datagram" : "stream") + " socket of that FileDescriptorName"};
    }

    static int type_of(int fd) noexcept
    {
        int type = 0;
        socklen_t size = sizeof type;
        return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 ? type : -1;
    }

    Descriptors share(base::Result<net::Descriptor> first)
    {
        if (!first) return first.error();
        std::vector<net::Descriptor> all;
        all.push_back(std::move(*first));
        while (all.size() < workers()) {
            auto copy = net::duplicate(all.front().get());
            if (!copy) return copy.error();
            all.push_back(std::move(*copy));
        }
        return all;
    }

    [[nodiscard]] unsigned workers() const noexcept { return std::max(1U, options_.workers); }

    const Options& options_;
    Inherited& inherited_;
};

} // namespace

std::vector<Port> plan_ports(const Options& options, base::Problems& problems)
{
    std::vector<Port> ports;
    Planner planner{ports, problems};
    if (options.doors.empty())
        problems.push_back({base::ErrorCode::not_found, "no door is configured: nothing to listen on"});
    for (const DoorOptions& door : options.doors) planner.add(door);
    return ports;
}

base::Result<SocketSet> open_sockets(const Options& options, std::vector<std::pair<std::string, int>> systemd,
                                     base::Problems& problems)
{
    const std::size_t before = problems.size();
    SocketSet set;
    set.ports = plan_ports(options, problems);
    set.descriptors.resize(std::max(1U, options.workers));
    Opener opener{options, systemd};
    for (const Port& port : set.ports) {
        auto opened = opener.open(port);
        if (!opened) {
            problems.push_back(opened.error());
            problems.back().position = port.address.position;
            continue;
        }
        set.bound.push_back(net::local_endpoint(opened->front().get()));
        for (std::size_t worker = 0; worker < opened->size(); ++worker)
            set.descriptors[worker].push_back(std::move((*opened)[worker]));
    }
    if (problems.size() > before) return problems[before];
    return set;
}

} // namespace sallyport::listeners
