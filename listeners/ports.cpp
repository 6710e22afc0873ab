#include "listeners/addresses.hpp"
#include "listeners/listeners.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace sallyport::listeners {
namespace {

using Inherited = std::vector<std::pair<std::string, int>>;

#ifdef SALLYPORT_HAS_QUIC
constexpr bool kQuicDoors = true;
#else
constexpr bool kQuicDoors = false;
#endif

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

// Port 0 asks for any: different doors get different ones.
bool is_any(const ListenAddress& address) noexcept
{
    return address.unix_path.empty() && address.systemd_name.empty() && address.endpoint.port == 0;
}

bool is_same_address(const ListenAddress& a, const ListenAddress& b) noexcept
{
    return a.endpoint == b.endpoint && a.unix_path == b.unix_path && a.systemd_name == b.systemd_name;
}

// Bound to one of them, a socket stands in the way of the other.
bool overlap(const ListenAddress& a, const ListenAddress& b) noexcept
{
    if (is_same_address(a, b)) return true;
    if (!a.unix_path.empty() || !a.systemd_name.empty() || !b.unix_path.empty() || !b.systemd_name.empty())
        return false;
    return a.endpoint.port == b.endpoint.port && a.endpoint.address.is_v4() == b.endpoint.address.is_v4() &&
           (is_wildcard(a.endpoint.address) || is_wildcard(b.endpoint.address));
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
            if (kQuicDoors && door.doh.http3 && !door.doh.cleartext) claim(Port::Kind::quic, door, address, &Port::doh);
            return;
        case DoorKind::doq:
            if (!kQuicDoors)
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
            return (!is_any(address) || port.kind == kind) && is_same_address(port.address, address);
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

// Port 0 resolved.
ListenAddress bound_address(const Layout& layout, std::size_t port)
{
    ListenAddress address = layout.ports[port].address;
    if (address.unix_path.empty() && address.systemd_name.empty()) address.endpoint = layout.bound[port];
    return address;
}

// Opens the sockets of one port for all workers.
class Opener {
public:
    Opener(const Options& options, const Inherited& inherited, const Running& running)
        : options_(options), inherited_(inherited), running_(running)
    {
    }

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
        if (address.port != 0 && !was_ours(port) && net::is_taken(address, stream)) {
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

    // Sockets of ours that are about to be closed have it: we share it with ourselves.
    [[nodiscard]] bool was_ours(const Port& port) const noexcept
    {
        const auto is_there = [&](Port::Kind kind, const ListenAddress& address) {
            return is_datagram(kind) == is_datagram(port.kind) && overlap(address, port.address);
        };
        for (const Port& gone : running_.leaving)
            if (is_there(gone.kind, gone.address)) return true;
        const std::size_t served = running_.layout == nullptr ? 0 : running_.layout->ports.size();
        for (std::size_t i = 0; i < served; ++i)
            if (is_there(running_.layout->ports[i].kind, bound_address(*running_.layout, i))) return true;
        return false;
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
    const Inherited& inherited_;
    const Running& running_;
};

// Gives each port the id it has already, or one of its own; true where it is served already.
std::vector<bool> number_ports(Layout& layout, const Layout* before)
{
    std::vector<bool> served(layout.ports.size(), false);
    layout.bound.resize(layout.ports.size());
    layout.next_id = before == nullptr ? 0 : before->next_id;
    for (std::size_t i = 0; i < layout.ports.size(); ++i) {
        Port& port = layout.ports[i];
        const auto same = [&](const Port& other) { return is_same_port(port, other); };
        const auto found = before == nullptr ? std::vector<Port>::const_iterator{}
                                             : std::find_if(before->ports.begin(), before->ports.end(), same);
        served[i] = before != nullptr && found != before->ports.end();
        port.id = served[i] ? found->id : layout.next_id++;
        if (served[i]) layout.bound[i] = before->bound[static_cast<std::size_t>(found - before->ports.begin())];
    }
    return served;
}

} // namespace

bool is_same_port(const Port& a, const Port& b) noexcept
{
    if (!is_same_address(a.address, b.address)) return false;
    // Streams speak what is asked of them; datagrams of Do53 and of QUIC need sockets of their own kind.
    return a.kind == b.kind || (!is_any(a.address) && !is_datagram(a.kind) && !is_datagram(b.kind));
}

std::vector<Port> plan_ports(const Options& options, base::Problems& problems)
{
    std::vector<Port> ports;
    Planner planner{ports, problems};
    if (options.doors.empty())
        problems.push_back({base::ErrorCode::not_found, "no door is configured: nothing to listen on"});
    for (const DoorOptions& door : options.doors) planner.add(door);
    return ports;
}

base::Result<SocketSet> open_sockets(const Options& options, const std::vector<std::pair<std::string, int>>& systemd,
                                     base::Problems& problems, const Running& running)
{
    const std::size_t before = problems.size();
    auto layout = std::make_shared<Layout>();
    layout->options = options;
    layout->ports = plan_ports(layout->options, problems);
    const auto served = number_ports(*layout, running.layout);
    SocketSet set;
    set.descriptors.resize(std::max(1U, options.workers));
    for (auto& of_worker : set.descriptors) of_worker.resize(layout->ports.size());
    Opener opener{layout->options, systemd, running};
    for (std::size_t i = 0; i < layout->ports.size(); ++i) {
        if (served[i]) continue;
        auto opened = opener.open(layout->ports[i]);
        if (!opened) {
            problems.push_back(opened.error());
            problems.back().position = layout->ports[i].address.position;
            continue;
        }
        layout->bound[i] = net::local_endpoint(opened->front().get());
        for (std::size_t worker = 0; worker < opened->size(); ++worker)
            set.descriptors[worker][i] = std::move((*opened)[worker]);
    }
    if (problems.size() > before) return problems[before];
    set.layout = std::move(layout);
    return set;
}

} // namespace sallyport::listeners
