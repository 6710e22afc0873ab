#pragma once

#include "net/socket.hpp"
#include "net/worker.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace sallyport::forward_testing {

using Octets = std::vector<std::uint8_t>;
using wire::Rcode;
using wire::RrType;

inline Octets octets_of(base::Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// An answer to `query`: one A record, or none for an error; its question octet by octet, and the cookie of the query.
inline Octets answer_to(const Octets& query, Rcode rcode = Rcode::NOERROR, std::uint16_t flags = 0, bool edns = true)
{
    const auto view = wire::MessageView::parse(query);
    if (!view) return {};
    Octets room(4096);
    wire::MessageWriter writer{room, room.size()};
    (void)writer.begin_response(view->id(), view->header().flags, view->question_bytes(), 1);
    writer.set_flags(static_cast<std::uint16_t>(wire::flag::RA | flags));
    writer.set_rcode(rcode);
    const std::array<std::uint8_t, 4> address{192, 0, 2, 1};
    if (rcode == Rcode::NOERROR && (flags & wire::flag::TC) == 0)
        (void)writer.record(wire::Section::answer, view->qname().to_name(), RrType::A, wire::RrClass::IN, wire::Ttl{60},
                            address);
    if (edns && view->edns() != nullptr) {
        (void)writer.begin_opt(1232, view->edns()->dnssec_ok);
        writer.end_opt();
    }
    return octets_of(writer.message());
}

/// A server on UDP and TCP that does what it is told, run by the same worker as who asks it.
class Server {
public:
    using Handler = std::function<std::vector<Octets>(const Octets& query, bool tcp)>;

    explicit Server(
        net::Worker& worker,
        Handler given = [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query)}; })
        : handler(std::move(given)), worker_(worker)
    {
        // The same port for both.
        for (int i = 0; i < 50 && !listener_; ++i) {
            udp_ = net::open_udp({base::IpAddress::v4({127, 0, 0, 1}), 0}, {.reuse_port = false}).value();
            auto tcp = net::open_tcp_listener(net::local_endpoint(udp_.get()), {.reuse_port = false});
            if (tcp) listener_ = std::move(*tcp);
        }
        endpoint = net::local_endpoint(udp_.get());
        EXPECT_TRUE(udp_watch_.start(worker, udp_.get(), net::kReadable));
        EXPECT_TRUE(accept_watch_.start(worker, listener_.get(), net::kReadable));
    }

    Handler handler;
    base::Endpoint endpoint;
    base::Duration delay{};
    bool close_after_query = false;
    std::vector<Octets> udp_queries;
    std::vector<Octets> tcp_queries;
    unsigned accepted = 0;
    unsigned resets = 0;

    void close_connections() { connections_.clear(); }
    [[nodiscard]] std::size_t open_connections() const { return connections_.size(); }

private:
    struct Connection {
        Connection(Server& given, int fd) : server(given), socket(fd)
        {
            EXPECT_TRUE(watch.start(given.worker_, fd, net::kReadable));
        }
        void readable(std::uint32_t, base::Instant) noexcept { server.stream_readable(*this); }
        Server& server;
        net::Descriptor socket;
        net::Watch watch{net::Watch::of<&Connection::readable>(*this)};
        Octets input;
    };
    struct Later {
        std::weak_ptr<Connection> connection; // or a client over UDP
        sockaddr_storage peer{};
        socklen_t peer_size = 0;
        bool tcp = false;
        Octets message;
    };

    void udp_readable(std::uint32_t, base::Instant now) noexcept
    {
        std::array<std::uint8_t, 4096> buffer{};
        for (;;) {
            Later later;
            later.peer_size = sizeof later.peer;
            const auto got = ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0,
                                        reinterpret_cast<sockaddr*>(&later.peer), &later.peer_size);
            if (got < 0) return;
            const Octets query(buffer.begin(), buffer.begin() + got);
            udp_queries.push_back(query);
            for (Octets& message : handler(query, false)) {
                later.message = std::move(message);
                send_later(later, now);
            }
        }
    }
    void acceptable(std::uint32_t, base::Instant) noexcept
    {
        for (;;) {
            const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            ++accepted;
            connections_.push_back(std::make_shared<Connection>(*this, fd));
        }
    }
    void drop(const Connection& connection)
    {
        std::erase_if(connections_, [&](const auto& one) { return one.get() == &connection; });
    }
    void stream_readable(Connection& connection) noexcept
    {
        const auto kept = *std::find_if(connections_.begin(), connections_.end(),
                                        [&](const auto& one) { return one.get() == &connection; });
        std::array<std::uint8_t, 65536> buffer{};
        const auto got = ::recv(connection.socket.get(), buffer.data(), buffer.size(), 0);
        if (got <= 0) {
            drop(connection);
            return;
        }
        connection.input.insert(connection.input.end(), buffer.begin(), buffer.begin() + got);
        while (connection.input.size() >= 2 && connection.input.size() - 2 >= base::load_be16(connection.input, 0)) {
            const auto size = base::load_be16(connection.input, 0);
            const Octets query(connection.input.begin() + 2, connection.input.begin() + 2 + size);
            connection.input.erase(connection.input.begin(), connection.input.begin() + 2 + size);
            tcp_queries.push_back(query);
            Later later;
            later.tcp = true;
            later.connection = kept;
            for (Octets& message : handler(query, true)) {
                later.message = std::move(message);
                send_later(later, worker_.now());
            }
            if (close_after_query) {
                drop(connection);
                return;
            }
        }
    }
    void send_later(const Later& later, base::Instant now)
    {
        if (delay == base::Duration{}) {
            send(later);
            return;
        }
        later_.emplace(now + delay, later);
        worker_.arm(timer_, later_.begin()->first);
    }
    void timer_expired(base::Instant now) noexcept
    {
        while (!later_.empty() && later_.begin()->first <= now) {
            send(later_.begin()->second);
            later_.erase(later_.begin());
        }
        if (!later_.empty()) worker_.arm(timer_, later_.begin()->first);
    }
    void send(const Later& later)
    {
        if (!later.tcp) {
            ::sendto(udp_.get(), later.message.data(), later.message.size(), 0,
                     reinterpret_cast<const sockaddr*>(&later.peer), later.peer_size);
            return;
        }
        const auto connection = later.connection.lock();
        if (!connection) return;
        Octets framed{static_cast<std::uint8_t>(later.message.size() >> 8U),
                      static_cast<std::uint8_t>(later.message.size() & 0xFFU)};
        framed.insert(framed.end(), later.message.begin(), later.message.end());
        (void)::send(connection->socket.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
    }

    net::Worker& worker_;
    net::Descriptor udp_;
    net::Descriptor listener_;
    std::vector<std::shared_ptr<Connection>> connections_;
    std::multimap<base::Instant, Later> later_;
    net::Watch udp_watch_{net::Watch::of<&Server::udp_readable>(*this)};
    net::Watch accept_watch_{net::Watch::of<&Server::acceptable>(*this)};
    net::Timer timer_{net::Timer::of<&Server::timer_expired>(*this)};
};

} // namespace sallyport::forward_testing
