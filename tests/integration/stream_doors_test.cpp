#include "base/handle.hpp"
#include "certs/certs.hpp"
#include "listeners/listeners.hpp"
#include "zones/zones.hpp"

#include <gtest/gtest.h>

#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

using namespace sallyport;
using namespace std::chrono_literals;
using listeners::DoorKind;
using listeners::Port;
using Octets = std::vector<std::uint8_t>;

namespace {

struct NoRouter final : listeners::PacketRouter {
    void route(unsigned, std::size_t, base::Bytes, const base::Endpoint&, const base::Endpoint&,
               std::uint8_t) noexcept override
    {
    }
};

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

Octets query(std::uint16_t id, std::string_view name, wire::RrType type = wire::RrType::A)
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

Octets framed(const Octets& message)
{
    Octets out{static_cast<std::uint8_t>(message.size() >> 8U), static_cast<std::uint8_t>(message.size() & 0xFFU)};
    out.insert(out.end(), message.begin(), message.end());
    return out;
}

std::uint16_t id_of(const Octets& message) { return base::load_be16(message, 0); }
unsigned rcode_of(const Octets& message) { return message[3] & 0xFU; }

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

    base::SystemClock clock_;
    base::SystemRandom random_;
    net::Worker worker_{0, clock_};
    pipeline::Options pipeline_options_;
    zones::Limits zone_limits_;
    Held held_;
    std::unique_ptr<pipeline::Pipeline> pipeline_;
    listeners::Options options_;
    std::shared_ptr<const listeners::Layout> layout_;
    NoRouter router_;
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

Octets proxy_header(const std::vector<std::uint8_t>& source)
{
    Octets octets{0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x11, 0, 12};
    octets.insert(octets.end(), source.begin(), source.end());
    const Octets rest{127, 0, 0, 1, 0x10, 0x00, 0x03, 0x55};
    octets.insert(octets.end(), rest.begin(), rest.end());
    return octets;
}

Octets join(Octets left, const Octets& right)
{
    left.insert(left.end(), right.begin(), right.end());
    return left;
}

} // namespace

TEST_F(StreamDoors, UdpAnswersABatch)
{
    add_door(DoorKind::do53);
    open();
    const net::Descriptor socket{::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)};
    sockaddr_storage storage{};
    const auto size = address_of(Port::Kind::udp).to_sockaddr(storage);
    ASSERT_EQ(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage), size), 0);
    for (std::uint16_t id = 0; id < 100; ++id) {
        const auto message = query(id, "www.gate.test");
        ASSERT_GT(::send(socket.get(), message.data(), message.size(), 0), 0);
    }
    int answers = 0;
    EXPECT_TRUE(until([&] {
        std::uint8_t buffer[1500];
        while (::recv(socket.get(), buffer, sizeof buffer, 0) > 0) ++answers;
        return answers == 100;
    }));
    EXPECT_EQ(counter("udp_datagrams_total"), 100U);
    EXPECT_LT(counter("udp_batches_total"), 20U);
}

TEST_F(StreamDoors, PipelinedQueriesAreAnsweredInTurns)
{
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    Octets all;
    for (std::uint16_t id = 0; id < 1000; ++id) all = join(std::move(all), framed(query(id, "www.gate.test")));
    std::size_t sent = 0;
    EXPECT_TRUE(until([&] {
        sent += client.send(base::Bytes{all}.subspan(sent));
        return client.messages().size() == 1000;
    }));
    EXPECT_GE(counter("stream_turns_given_total"), 20U);
    for (std::uint16_t id = 0; id < 1000; ++id) EXPECT_EQ(id_of(client.messages()[id]), id);
}

TEST_F(StreamDoors, AnswersLeaveInAnyOrder)
{
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(join(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)), framed(query(2, "www.gate.test"))));
    ASSERT_TRUE(until([&] { return client.messages().size() == 1; }));
    EXPECT_EQ(id_of(client.messages()[0]), 2);
    ASSERT_FALSE(held_.empty());
    auto& held = held_.front();
    held_.pop_front();
    pipeline_->resume(held, pipeline::Step::next, clock_.now());
    ASSERT_TRUE(until([&] { return client.messages().size() == 2; }));
    EXPECT_EQ(id_of(client.messages()[1]), 1);
}

TEST_F(StreamDoors, ClientThatGoesTakesItsQueriesAlong)
{
    add_door(DoorKind::do53);
    open();
    {
        Client client{address_of(Port::Kind::tcp)};
        client.send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
        ASSERT_TRUE(until([&] { return !held_.empty(); }));
        const linger hard{1, 0}; // RST
        ::setsockopt(client.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    EXPECT_TRUE(until([&] { return held_.empty(); }));
    EXPECT_EQ(counter("stream_connections"), 0U);
}

TEST_F(StreamDoors, ReadingPausesWithTooManyQueriesInWork)
{
    options_.streams.queries_in_work = 2;
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    for (std::uint16_t id = 0; id < 5; ++id) client.send(framed(query(id, "a.elsewhere.test", wire::RrType::HINFO)));
    ASSERT_TRUE(until([&] { return counter("stream_work_pauses_total") == 1; }));
    run(20ms);
    EXPECT_EQ(held_.size(), 2U);
    for (int i = 0; i < 5; ++i) {
        ASSERT_TRUE(until([&] { return !held_.empty(); }));
        auto& held = held_.front();
        held_.pop_front();
        pipeline_->resume(held, pipeline::Step::next, clock_.now());
    }
    EXPECT_TRUE(until([&] { return client.messages().size() == 5; }));
}

TEST_F(StreamDoors, HalfClosedClientGetsItsAnswers)
{
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(join(framed(query(1, "www.gate.test")), framed(query(2, "a.elsewhere.test", wire::RrType::HINFO))));
    client.shut();
    ASSERT_TRUE(until([&] { return client.messages().size() == 1; }));
    ASSERT_FALSE(held_.empty());
    auto& held = held_.front();
    held_.pop_front();
    pipeline_->resume(held, pipeline::Step::next, clock_.now());
    EXPECT_TRUE(until([&] { return client.messages().size() == 2 && !client.open(); }));
    EXPECT_TRUE(until([&] { return counter("stream_connections") == 0; }));
}

TEST_F(StreamDoors, SlowMessageIsTakenInTimeOnly)
{
    options_.streams.message = 150ms;
    add_door(DoorKind::do53);
    open();
    Client quick{address_of(Port::Kind::tcp)};
    Client slow{address_of(Port::Kind::tcp)};
    for (const auto octet : framed(query(7, "www.gate.test"))) {
        quick.send({&octet, 1});
        run(1ms);
    }
    EXPECT_TRUE(until([&] { return quick.messages().size() == 1; }));
    const auto message = framed(query(8, "www.gate.test"));
    std::size_t sent = 0;
    // Progress all the time, and yet over when the time is.
    EXPECT_TRUE(until(
        [&] {
            if (sent + 1 < message.size()) slow.send({&message[sent++], 1});
            run(12ms);
            return !slow.open();
        },
        1s));
    EXPECT_EQ(counter("stream_message_timeouts_total"), 1U);
    EXPECT_TRUE(slow.messages().empty());
}

TEST_F(StreamDoors, ResponsesAndShortMessagesEndTheStream)
{
    add_door(DoorKind::do53);
    open();
    auto response = query(1, "www.gate.test");
    response[2] |= 0x80;
    for (const auto& bad : {framed(response), framed({1, 2, 3}), framed({})}) {
        Client client{address_of(Port::Kind::tcp)};
        client.send(join(framed(query(9, "www.gate.test")), bad));
        EXPECT_TRUE(until([&] { return !client.open(); }));
        EXPECT_EQ(client.messages().size(), 1U);
    }
    EXPECT_EQ(counter("stream_bad_messages_total"), 3U);
}

TEST_F(StreamDoors, IdleConnectionIsClosed)
{
    options_.streams.idle = 80ms;
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(framed(query(1, "www.gate.test")));
    ASSERT_TRUE(until([&] { return client.messages().size() == 1; }));
    EXPECT_TRUE(client.open());
    EXPECT_TRUE(until([&] { return !client.open(); }, 1s));
    EXPECT_EQ(counter("stream_idle_timeouts_total"), 1U);
}

TEST_F(StreamDoors, IdleTimeIsShorterWhenCrowded)
{
    options_.streams.connections = 4;
    options_.streams.idle_when_full = 50ms;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
    EXPECT_TRUE(until([&] { return counter("stream_idle_timeouts_total") >= 1; }));
}

TEST_F(StreamDoors, PeerThatDoesNotReadIsPausedAndThenClosed)
{
    options_.streams.write_stall = 150ms;
    options_.streams.backlog_bytes = 65'536;
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp), 4096};
    Octets all;
    for (std::uint16_t id = 0; id < 2000; ++id)
        all = join(std::move(all), framed(query(id, "big.gate.test", wire::RrType::TXT)));
    std::size_t sent = 0;
    EXPECT_TRUE(until([&] {
        sent += client.send(base::Bytes{all}.subspan(sent));
        return counter("stream_backlog_pauses_total") > 0;
    }));
    const auto taken = counter("stream_messages_total");
    run(50ms);
    EXPECT_EQ(counter("stream_messages_total"), taken);
    EXPECT_LT(taken, 1500U);
    EXPECT_TRUE(until([&] { return counter("stream_write_stalls_total") == 1; }));
    EXPECT_EQ(counter("stream_connections"), 0U);
}

TEST_F(StreamDoors, SlowReaderGetsEverything)
{
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp), 4096};
    Octets all;
    for (std::uint16_t id = 0; id < 400; ++id)
        all = join(std::move(all), framed(query(id, "big.gate.test", wire::RrType::TXT)));
    std::size_t sent = 0;
    EXPECT_TRUE(until(
        [&] {
            sent += client.send(base::Bytes{all}.subspan(sent));
            return client.messages().size() == 400;
        },
        20s));
}

TEST_F(StreamDoors, LongestIdleMakesWayForANewcomer)
{
    options_.streams.connections = 5;
    options_.streams.idle_when_full = 10s;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 7; ++i) {
        clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
        clients.back()->send(framed(query(1, "www.gate.test")));
        ASSERT_TRUE(until([&] { return clients.back()->messages().size() == 1; }));
    }
    EXPECT_EQ(counter("stream_evicted_total"), 2U);
    EXPECT_EQ(counter("stream_connections"), 5U);
    EXPECT_FALSE(clients[0]->open());
    EXPECT_FALSE(clients[1]->open());
    EXPECT_TRUE(clients[2]->open());
}

TEST_F(StreamDoors, BusyConnectionsDoNotMakeWay)
{
    options_.streams.connections = 2;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 2; ++i) {
        clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
        clients.back()->send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
    }
    ASSERT_TRUE(until([&] { return held_.size() == 2; }));
    Client newcomer{address_of(Port::Kind::tcp)};
    EXPECT_TRUE(until([&] { return counter("stream_refused_full_total") == 1; }));
    EXPECT_TRUE(until([&] { return !newcomer.open(); }));
    EXPECT_EQ(counter("stream_connections"), 2U);
}

TEST_F(StreamDoors, BusyConnectionsInFrontDoNotHideIdleOnes)
{
    options_.streams.connections = 45;
    options_.streams.idle_when_full = 10s;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 40; ++i) {
        clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
        clients.back()->send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
    }
    ASSERT_TRUE(until([&] { return held_.size() == 40; }));
    for (int i = 0; i < 7; ++i) clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
    EXPECT_TRUE(until([&] { return counter("stream_evicted_total") >= 1; }));
    EXPECT_LE(counter("stream_refused_full_total"), 1U);
    EXPECT_EQ(held_.size(), 40U);
}

TEST_F(StreamDoors, AnswerOfThisWakeUpHasNotStalled)
{
    options_.streams.write_stall = 30ms;
    add_door(DoorKind::do53);
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(framed(query(9, "a.elsewhere.test", wire::RrType::HINFO)));
    ASSERT_TRUE(until([&] { return held_.size() == 1; }));
    run(50ms);
    // The answer is there and not sent yet when the connection's own timer comes.
    auto& waiting = held_.front();
    held_.pop_front();
    pipeline_->resume(waiting, pipeline::Step::next, clock_.now());
    worker_.timers().expire(clock_.now() + 2s);
    EXPECT_TRUE(until([&] { return client.messages().size() == 1; }));
    EXPECT_EQ(counter("stream_write_stalls_total"), 0U);
}

TEST_F(StreamDoors, EachPipelinedRequestHasTimeOfItsOwn)
{
    options_.streams.message = 150ms;
    auto& door = add_door(DoorKind::doh);
    door.doh.cleartext = true;
    open();
    Client client{address_of(Port::Kind::http_cleartext)};
    const std::string text =
        "GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwRnYXRlBHRlc3QAAAEAAQ HTTP/1.1\r\nHost: g\r\n\r\n";
    const Octets request(text.begin(), text.end());
    const base::Bytes begin = base::Bytes{request}.first(20);
    const base::Bytes end = base::Bytes{request}.subspan(20);
    client.send(begin);
    for (int i = 0; i < 10; ++i) {
        run(40ms);
        // The end of one and the beginning of the next arrive together.
        Octets both(end.begin(), end.end());
        both.insert(both.end(), begin.begin(), begin.end());
        client.send(both);
        ASSERT_TRUE(client.open()) << i;
    }
    EXPECT_EQ(counter("stream_message_timeouts_total"), 0U);
    EXPECT_TRUE(until([&] { return !client.open(); })) << "the last one stays incomplete";
}

TEST_F(StreamDoors, ForwardedAddressIsNotBelievedFromAProxysClient)
{
    const auto proxy = base::Prefix::parse("127.0.0.0/8").value();
    auto& door = add_door(DoorKind::doh);
    door.doh.cleartext = true;
    door.doh.forwarded_from = {proxy};
    door.proxy_protocol_from = {proxy};
    open();
    // The proxy passes the stream on as it is: what stands in it was written by 10.9.9.9.
    Client client{address_of(Port::Kind::http_cleartext)};
    const std::string text = "GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwRnYXRlBHRlc3QAAAEAAQ HTTP/1.1\r\nHost: g\r\n"
                             "X-Forwarded-For: 10.1.1.1\r\n\r\n";
    client.send(join(proxy_header({10, 9, 9, 9}), Octets(text.begin(), text.end())));
    EXPECT_TRUE(until([&] { return counter("http_answers_total") == 1; }));
    EXPECT_EQ(counter("http_forwarded_believed_total"), 0U);
    EXPECT_EQ(counter("http_forwarded_ignored_total"), 1U);
}

TEST_F(StreamDoors, InheritedSocketMustListen)
{
    const net::Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const auto adopted = net::adopt_inherited(socket.get(), {});
    ASSERT_FALSE(adopted);
    EXPECT_NE(adopted.error().message.find("does not listen"), std::string::npos);
}

TEST_F(StreamDoors, OneAddressHasItsNumber)
{
    options_.streams.connections_per_address = 3;
    add_door(DoorKind::do53);
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
    EXPECT_TRUE(until([&] { return counter("stream_refused_address_total") == 2; }));
    EXPECT_EQ(counter("stream_connections"), 3U);
    clients.clear();
    EXPECT_TRUE(until([&] { return counter("stream_connections") == 0; }));
    Client again{address_of(Port::Kind::tcp)};
    again.send(framed(query(1, "www.gate.test")));
    EXPECT_TRUE(until([&] { return again.messages().size() == 1; }));
}

TEST_F(StreamDoors, AcceptingPausesWhenDescriptorsRunLow)
{
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit low = before;
    low.rlim_cur = 64;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    options_.streams.reserved_descriptors = 24;
    add_door(DoorKind::do53);
    open();
    {
        std::vector<std::unique_ptr<Client>> clients;
        for (int i = 0; i < 25; ++i) clients.push_back(std::make_unique<Client>(address_of(Port::Kind::tcp)));
        EXPECT_TRUE(until([&] { return counter("stream_descriptor_pauses_total") >= 1; }));
        run(150ms);
        EXPECT_LE(counter("stream_descriptor_pauses_total"), 4U); // a timer, no spinning
    }
    ::setrlimit(RLIMIT_NOFILE, &before);
    Client client{address_of(Port::Kind::tcp)};
    client.send(framed(query(1, "www.gate.test")));
    EXPECT_TRUE(until([&] { return client.messages().size() == 1; }));
}

TEST_F(StreamDoors, UnixSocketServesStreams)
{
    auto& door = add_door(DoorKind::do53);
    const std::string path = (directory_ / "dns.sock").string();
    door.on[0].unix_path = path;
    open();
    Client client{path};
    client.send(framed(query(1, "www.gate.test")));
    ASSERT_TRUE(until([&] { return client.messages().size() == 1; }));
    EXPECT_EQ(rcode_of(client.messages()[0]), 0U);
}

TEST_F(StreamDoors, ProxyHeaderGivesTheClientsAddress)
{
    add_door(DoorKind::do53).proxy_protocol_from = {base::Prefix::parse("127.0.0.0/8").value()};
    pipeline_options_.access.deny = {base::Prefix::parse("10.9.9.9/32").value()};
    open();
    Client allowed{address_of(Port::Kind::tcp)};
    Client denied{address_of(Port::Kind::tcp)};
    const auto header = proxy_header({10, 1, 1, 1});
    allowed.send(base::Bytes{header}.first(10));
    run(5ms);
    allowed.send(base::Bytes{header}.subspan(10));
    allowed.send(framed(query(1, "www.gate.test")));
    denied.send(join(proxy_header({10, 9, 9, 9}), framed(query(2, "www.gate.test"))));
    ASSERT_TRUE(until([&] { return allowed.messages().size() == 1 && denied.messages().size() == 1; }));
    EXPECT_EQ(rcode_of(allowed.messages()[0]), 0U);
    EXPECT_EQ(rcode_of(denied.messages()[0]), 5U);
    EXPECT_EQ(counter("proxy_headers_total"), 2U);
}

TEST_F(StreamDoors, ListedProxyWithoutAGoodHeaderIsClosed)
{
    options_.streams.message = 100ms;
    add_door(DoorKind::do53).proxy_protocol_from = {base::Prefix::parse("127.0.0.0/8").value()};
    open();
    auto too_long = proxy_header({10, 1, 1, 1});
    too_long[14] = 0x02;
    const std::string v1 = "PROXY TCP4 10.1.1.1 127.0.0.1 1 2\r\n";
    for (const auto& bad : {framed(query(1, "www.gate.test")), Octets(v1.begin(), v1.end()), too_long, Octets{0x0D}}) {
        Client client{address_of(Port::Kind::tcp)};
        client.send(bad);
        EXPECT_TRUE(until([&] { return !client.open(); }));
        EXPECT_TRUE(client.messages().empty());
    }
    EXPECT_EQ(counter("proxy_refused_total"), 4U);
}

TEST_F(StreamDoors, UnlistedPeerNeedsNoProxyHeader)
{
    add_door(DoorKind::do53).proxy_protocol_from = {base::Prefix::parse("192.0.2.0/24").value()};
    open();
    Client client{address_of(Port::Kind::tcp)};
    client.send(framed(query(1, "www.gate.test")));
    EXPECT_TRUE(until([&] { return client.messages().size() == 1; }));
}

TEST_F(StreamDoors, TlsWithAndWithoutAlpn)
{
    add_door(DoorKind::dot);
    open();
    for (const auto& alpn : {std::vector<std::string>{}, std::vector<std::string>{"dot"}}) {
        TlsClient client{address_of(Port::Kind::tls), alpn};
        ASSERT_TRUE(until([&] { return client.connected(); }));
        // Ids 0, 1, 2 pipelined, a large answer among them.
        client.send(join(join(framed(query(0, "www.gate.test")), framed(query(1, "big.gate.test", wire::RrType::TXT))),
                         framed(query(2, "www.gate.test"))));
        EXPECT_TRUE(until([&] { return client.received().size() > 23'900; }));
        run(5ms);
        const auto& input = client.received();
        const std::size_t first = base::load_be16(base::Bytes{input}, 0) + 2U;
        const std::size_t second = base::load_be16(base::Bytes{input}, first) + 2U;
        EXPECT_EQ(input[3], 0);
        EXPECT_EQ(input[first + 3], 1);
        EXPECT_EQ(input[first + second + 3], 2);
    }
    TlsClient other{address_of(Port::Kind::tls), {"h2"}};
    EXPECT_TRUE(until([&] { return other.refused(); }));
    EXPECT_EQ(counter("tls_handshakes_total"), 2U);
    EXPECT_EQ(counter("tls_handshake_failures_total"), 1U);
}

TEST_F(StreamDoors, TlsIdleEndsWithCloseNotify)
{
    options_.streams.idle = 80ms;
    add_door(DoorKind::dot);
    open();
    TlsClient client{address_of(Port::Kind::tls)};
    ASSERT_TRUE(until([&] { return client.connected(); }));
    EXPECT_TRUE(until([&] { return client.closed_cleanly(); }));
}

TEST_F(StreamDoors, ClientsCloseNotifyIsAnsweredAfterItsQueries)
{
    add_door(DoorKind::dot);
    open();
    TlsClient client{address_of(Port::Kind::tls)};
    ASSERT_TRUE(until([&] { return client.connected(); }));
    Octets all;
    for (std::uint16_t id = 0; id < 50; ++id) all = join(std::move(all), framed(query(id, "www.gate.test")));
    client.send(all);
    SSL_shutdown(client.ssl());
    EXPECT_TRUE(until([&] { return client.closed_cleanly(); }));
    EXPECT_GE(client.received().size(), 50U * 40U);
}

TEST_F(StreamDoors, HalfOpenHandshakeIsClosedInTime)
{
    options_.streams.handshake = 100ms;
    add_door(DoorKind::dot);
    open();
    Client silent{address_of(Port::Kind::tls)};
    Client half{address_of(Port::Kind::tls)};
    const Octets hello{0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03};
    std::size_t sent = 0;
    EXPECT_TRUE(until(
        [&] {
            if (sent < hello.size()) half.send({&hello[sent++], 1});
            run(8ms);
            return !silent.open() && !half.open();
        },
        1s));
    EXPECT_EQ(counter("tls_handshake_timeouts_total"), 2U);
    Client garbage{address_of(Port::Kind::tls)};
    garbage.send(framed(query(1, "www.gate.test")));
    EXPECT_TRUE(until([&] { return !garbage.open(); }));
}

TEST_F(StreamDoors, DrainFinishesWhatIsInWork)
{
    add_door(DoorKind::do53);
    add_door(DoorKind::dot);
    open();
    Client idle{address_of(Port::Kind::tcp)};
    Client busy{address_of(Port::Kind::tcp)};
    TlsClient tls{address_of(Port::Kind::tls)};
    ASSERT_TRUE(until([&] { return tls.connected(); }));
    busy.send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
    ASSERT_TRUE(until([&] { return !held_.empty(); }));
    bool done = false;
    doors_->drain([&] { done = true; });
    EXPECT_TRUE(until([&] { return !idle.open() && tls.closed_cleanly(); }));
    EXPECT_FALSE(done);
    EXPECT_TRUE(busy.open());
    auto& held = held_.front();
    held_.pop_front();
    pipeline_->resume(held, pipeline::Step::next, clock_.now());
    EXPECT_TRUE(until([&] { return busy.messages().size() == 1; }));
    idle.close();
    busy.close();
    EXPECT_TRUE(until([&] { return done; }));
}

TEST_F(StreamDoors, DrainHasAnEnd)
{
    options_.drain = 100ms;
    add_door(DoorKind::do53);
    open();
    Client busy{address_of(Port::Kind::tcp)};
    busy.send(framed(query(1, "a.elsewhere.test", wire::RrType::HINFO)));
    ASSERT_TRUE(until([&] { return !held_.empty(); }));
    bool done = false;
    doors_->drain([&] { done = true; });
    EXPECT_TRUE(until([&] { return done; }, 1s));
    EXPECT_TRUE(held_.empty());
}

TEST_F(StreamDoors, PortInUseIsNamed)
{
    const net::Descriptor taken =
        net::open_tcp_listener(base::Endpoint{base::IpAddress::v4({127, 0, 0, 1}), 0}, {}).value();
    add_door(DoorKind::do53).on[0].endpoint = net::local_endpoint(taken.get());
    base::Problems problems;
    EXPECT_FALSE(listeners::open_sockets(options_, {}, problems));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].message.find("the address is in use"), std::string::npos);
    EXPECT_NE(problems[0].message.find(net::local_endpoint(taken.get()).to_string()), std::string::npos);
}
