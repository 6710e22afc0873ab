#pragma once

#include "base/handle.hpp"
#include "certs/certs.hpp"
#include "listeners/listeners.hpp"
#include "no_router.hpp"
#include "patient_clock.hpp"
#include "zones/zones.hpp"

#include <gtest/gtest.h>

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

/// What the tests of the stream doors share: a gateway of one worker, and clients that never block.
namespace sallyport::stream_testing {

using namespace std::chrono_literals;
using listeners::DoorKind;
using listeners::Port;
using Octets = std::vector<std::uint8_t>;

/// Queries that wait; one whose client went is not there any more.
class Held {
public:
    void push_back(pipeline::Query& query, pipeline::Pipeline& pipeline)
    {
        resolver::Waiter& waiter = query.waiter(pipeline);
        queries_[&waiter] = &query;
        waiters_.push_back(waiter);
    }
    [[nodiscard]] bool empty() const { return waiters_.empty(); }
    [[nodiscard]] std::size_t size() const { return waiters_.size(); }
    pipeline::Query& front() { return *queries_.at(&waiters_.front()); }
    void pop_front() { waiters_.pop_front(); }

private:
    using Hook = boost::intrusive::list_base_hook<boost::intrusive::tag<resolver::Waiter>,
                                                  boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
    boost::intrusive::list<resolver::Waiter, boost::intrusive::base_hook<Hook>,
                           boost::intrusive::constant_time_size<false>>
        waiters_;
    std::map<resolver::Waiter*, pipeline::Query*> queries_;
};

/// Holds queries for HINFO until told.
class Holder final : public pipeline::Stage {
public:
    Holder(Held& held, pipeline::Pipeline& pipeline) : held_(held), pipeline_(pipeline) {}
    pipeline::Step handle(pipeline::Query& query) noexcept override
    {
        if (query.qtype != wire::RrType::HINFO) return pipeline::Step::next;
        held_.push_back(query, pipeline_);
        return pipeline::Step::suspended;
    }

private:
    Held& held_;
    pipeline::Pipeline& pipeline_;
};

inline Octets query(std::uint16_t id, std::string_view name, wire::RrType type = wire::RrType::A)
{
    Octets m{static_cast<std::uint8_t>(id >> 8U), static_cast<std::uint8_t>(id & 0xFFU), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    while (!name.empty()) {
        const auto label = name.substr(0, name.find('.'));
        m.push_back(static_cast<std::uint8_t>(label.size()));
        m.insert(m.end(), label.begin(), label.end());
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    const auto value = static_cast<std::uint16_t>(type);
    const Octets tail{0, static_cast<std::uint8_t>(value >> 8U), static_cast<std::uint8_t>(value & 0xFFU), 0, 1};
    m.insert(m.end(), tail.begin(), tail.end());
    return m;
}

inline Octets framed(const Octets& message)
{
    Octets out{static_cast<std::uint8_t>(message.size() >> 8U), static_cast<std::uint8_t>(message.size() & 0xFFU)};
    out.insert(out.end(), message.begin(), message.end());
    return out;
}

inline Octets join(Octets left, const Octets& right)
{
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

inline std::uint16_t id_of(const Octets& message) { return base::load_be16(message, 0); }
inline unsigned rcode_of(const Octets& message) { return message[3] & 0xFU; }

/// A gateway of one worker, run by the test's own thread.
class StreamDoors : public testing::Test {
protected:
    void SetUp() override
    {
        static int number = 0;
        directory_ = std::filesystem::temp_directory_path() /
                     ("sallyport-stream-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
        std::filesystem::create_directories(directory_);
        options_.streams.reserved_descriptors = 16;
    }
    void TearDown() override
    {
        doors_.reset();
        std::filesystem::remove_all(directory_);
    }

    listeners::DoorOptions& add_door(DoorKind kind)
    {
        listeners::DoorOptions door;
        door.kind = kind;
        door.doh.http3 = false;
        door.on.push_back({base::Endpoint{base::IpAddress::v4({127, 0, 0, 1}), 0}, "", "", {}});
        options_.doors.push_back(door);
        return options_.doors.back();
    }

    void open()
    {
        pipeline_ = std::make_unique<pipeline::Pipeline>(pipeline_options_, clock_, random_);
        pipeline_->append_stage(std::make_unique<Holder>(held_, *pipeline_));
        pipeline_->set_zones(zones(), zone_limits_);
        base::Problems problems;
        auto set = listeners::open_sockets(options_, {}, problems);
        for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
        ASSERT_TRUE(set);
        layout_ = set->layout;
        doors_ = std::make_unique<listeners::Doors>(worker_, *pipeline_, identities(), layout_,
                                                    std::move(set->descriptors[0]), router_, secrets_);
        ASSERT_TRUE(doors_->start());
    }

    std::shared_ptr<const zones::Snapshot> zones()
    {
        zones::Options made;
        zones::ZoneOptions zone;
        zone.name = "gate.test";
        std::string big = "big TXT";
        for (int i = 0; i < 95; ++i) big += " \"" + std::string(250, 'x') + "\"";
        zone.records = {"www A 192.0.2.1", big};
        made.zones.push_back(zone);
        base::Problems problems;
        auto snapshot = zones::load(made, problems);
        for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
        return snapshot;
    }

    std::shared_ptr<const certs::TlsIdentities> identities()
    {
        const bool needed = std::any_of(options_.doors.begin(), options_.doors.end(),
                                        [](const auto& door) { return door.kind != DoorKind::do53; });
        if (!needed) return nullptr;
        certs::DevelopmentOptions development;
        development.directory = directory_.string();
        const auto made = certs::make_development(development, clock_.wall());
        certs::Options wanted;
        wanted.certificates.push_back({made->chain_file, made->key_file, {}});
        base::Problems problems;
        auto loaded =
            certs::load(wanted, certs::TicketKeys::make(wanted.tickets, clock_.now()).value(), clock_.wall(), problems);
        for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
        return loaded;
    }

    [[nodiscard]] base::Endpoint address_of(Port::Kind kind) const
    {
        for (std::size_t i = 0; i < layout_->ports.size(); ++i)
            if (layout_->ports[i].kind == kind) return layout_->bound[i];
        return {};
    }

    [[nodiscard]] std::uint64_t counter(const std::string& name) const
    {
        std::uint64_t sum = 0;
        doors_->each_counter([&](const std::string& each, const std::string&, const base::Counter& value) {
            if (each == name) sum += value.get();
        });
        return sum;
    }

    /// Runs the worker until `done`, for two seconds at most.
    template <class Done>
    bool until(Done&& done, base::Duration patience = 2s)
    {
        const auto end = clock_.now() + patience;
        while (!done()) {
            if (clock_.now() > end) return false;
            worker_.run_for(1ms);
        }
        return true;
    }
    void run(base::Duration time)
    {
        until([] { return false; }, time);
    }

    test::PatientClock clock_;
    base::SystemRandom random_;
    net::Worker worker_{0, clock_};
    pipeline::Options pipeline_options_;
    zones::Limits zone_limits_;
    Held held_;
    std::unique_ptr<pipeline::Pipeline> pipeline_;
    listeners::Options options_;
    std::shared_ptr<const listeners::Layout> layout_;
    test::NoRouter router_;
    listeners::SharedSecrets secrets_;
    std::unique_ptr<listeners::Doors> doors_;
    std::filesystem::path directory_;
};

/// A raw client that never blocks.
class Client {
public:
    explicit Client(const base::Endpoint& server, int receive_buffer = 0)
        : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
    {
        if (receive_buffer > 0)
            ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        sockaddr_storage storage{};
        const auto size = server.to_sockaddr(storage);
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&storage), size);
    }
    explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    }

    std::size_t send(base::Bytes octets)
    {
        const auto sent = ::send(socket_.get(), octets.data(), octets.size(), MSG_NOSIGNAL);
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
    }
    /// Reads what is there; true while more may come.
    bool open()
    {
        std::uint8_t buffer[65536];
        for (;;) {
            const auto got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
            if (got > 0)
                input_.insert(input_.end(), buffer, buffer + got);
            else
                return got < 0 && (errno == EAGAIN || errno == ENOTCONN);
        }
    }
    /// Whole messages read so far; the rest stays.
    std::vector<Octets>& messages()
    {
        open();
        std::size_t at = 0;
        while (input_.size() - at >= 2) {
            const std::size_t size = base::load_be16(base::Bytes{input_}, at);
            if (input_.size() - at - 2 < size) break;
            const auto begin = input_.begin() + static_cast<std::ptrdiff_t>(at + 2);
            messages_.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(size));
            at += 2 + size;
        }
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(at));
        return messages_;
    }
    void shut() { ::shutdown(socket_.get(), SHUT_WR); }
    void close() { socket_.reset(); }
    [[nodiscard]] int fd() const { return socket_.get(); }

private:
    net::Descriptor socket_;
    Octets input_;
    std::vector<Octets> messages_;
};

/// A TLS client over a socket that never blocks.
class TlsClient {
public:
    explicit TlsClient(const base::Endpoint& server, const std::vector<std::string>& alpn = {}) : client_(server)
    {
        SSL_CTX_set_options(context_.get(), SSL_OP_NO_RENEGOTIATION);
        ssl_.reset(SSL_new(context_.get()));
        Octets wire;
        for (const auto& name : alpn) {
            wire.push_back(static_cast<std::uint8_t>(name.size()));
            wire.insert(wire.end(), name.begin(), name.end());
        }
        if (!wire.empty()) SSL_set_alpn_protos(ssl_.get(), wire.data(), static_cast<unsigned>(wire.size()));
        SSL_set_tlsext_host_name(ssl_.get(), "Gate.Test");
        SSL_set_fd(ssl_.get(), client_.fd());
        SSL_set_connect_state(ssl_.get());
    }
    bool connected() { return SSL_do_handshake(ssl_.get()) == 1; }
    bool refused()
    {
        const int result = SSL_do_handshake(ssl_.get());
        if (result == 1) return false;
        const int error = SSL_get_error(ssl_.get(), result);
        return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
    }
    void send(const Octets& octets) { (void)SSL_write(ssl_.get(), octets.data(), static_cast<int>(octets.size())); }
    Octets& received()
    {
        std::uint8_t buffer[16384];
        int got = 0;
        while ((got = SSL_read(ssl_.get(), buffer, sizeof buffer)) > 0)
            input_.insert(input_.end(), buffer, buffer + got);
        if (got <= 0 && SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN) closed_ = true;
        return input_;
    }
    [[nodiscard]] bool closed_cleanly()
    {
        received();
        return closed_;
    }
    [[nodiscard]] SSL* ssl() { return ssl_.get(); }

private:
    Client client_;
    base::Handle<SSL_CTX, SSL_CTX_free> context_{SSL_CTX_new(TLS_client_method())};
    base::Handle<SSL, SSL_free> ssl_;
    Octets input_;
    bool closed_ = false;
};

} // namespace sallyport::stream_testing
