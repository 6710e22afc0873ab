#include "listeners/listeners.hpp"
#include "no_router.hpp"
#include "patient_clock.hpp"
#include "zones/zones.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <thread>

// Doors whose configuration changes while they serve.

using namespace sallyport;
using namespace std::chrono_literals;
using listeners::DoorKind;
using listeners::Port;
using test::NoRouter;
using Octets = std::vector<std::uint8_t>;

namespace {

/// An upstream that answers when it is told to.
class Slow final : public resolver::Backend {
public:
    resolver::Taken resolve(const resolver::Question&, resolver::Waiter& waiter, base::Instant) noexcept override
    {
        waiting_ = &waiter;
        return resolver::Taken::waiting;
    }
    void fetch(const resolver::Question&, base::Instant) noexcept override {}
    void explain(const resolver::Question&, const resolver::Tell&) const override {}

    [[nodiscard]] bool asked() const { return waiting_ != nullptr; }
    /// That nobody knew: an answer too.
    void answer(base::Instant now)
    {
        resolver::Outcome outcome;
        outcome.ede = wire::ExtendedError::network_error;
        std::exchange(waiting_, nullptr)->resolved(outcome, now);
    }

private:
    resolver::Waiter* waiting_ = nullptr;
};

Octets query(std::string_view label)
{
    Octets m{0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(label.size())};
    m.insert(m.end(), label.begin(), label.end());
    const std::string_view rest{"\4gate\4test\0\0\1\0\1", 15};
    m.insert(m.end(), rest.begin(), rest.end());
    return m;
}

Octets elsewhere()
{
    Octets m{0, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    const std::string_view rest{"\1a\7example\0\0\1\0\1", 15};
    m.insert(m.end(), rest.begin(), rest.end());
    return m;
}

/// A client of one kind of socket that never blocks.
class Client {
public:
    Client(const base::Endpoint& server, int type) : socket_(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
    {
        stream_ = type == SOCK_STREAM;
        sockaddr_storage storage{};
        const auto size = server.to_sockaddr(storage);
        ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&storage), size);
    }
    void ask(Octets message)
    {
        if (stream_) message.insert(message.begin(), {0, static_cast<std::uint8_t>(message.size())});
        (void)::send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
    }
    /// True once an answer is there.
    bool answered()
    {
        std::uint8_t buffer[2048];
        const auto got = ::recv(socket_.get(), buffer, sizeof buffer, 0);
        return got > 12;
    }
    /// True once the gateway has ended the connection, or refused it.
    bool ended()
    {
        std::uint8_t octet = 0;
        const auto got = ::recv(socket_.get(), &octet, 1, 0);
        return got == 0 || (got < 0 && errno != EAGAIN && errno != ENOTCONN);
    }

private:
    net::Descriptor socket_;
    bool stream_;
};

/// One worker, run by the test's own thread.
class ChangingDoors : public testing::Test {
protected:
    static listeners::DoorOptions do53(std::uint16_t port, bool udp, bool tcp)
    {
        listeners::DoorOptions door;
        door.on.push_back({base::Endpoint{base::IpAddress::v4({127, 0, 0, 1}), port}, "", "", {}});
        door.udp = udp;
        door.tcp = tcp;
        return door;
    }

    void open()
    {
        pipeline_.set_zones(zones(), {});
        pipeline::Services services;
        services.resolver = &slow_;
        pipeline_.set_services(services);
        auto set = opened({});
        ASSERT_TRUE(set);
        layout_ = set->layout;
        doors_ = std::make_unique<listeners::Doors>(worker_, pipeline_, nullptr, layout_,
                                                    std::move(set->descriptors[0]), router_, secrets_);
        ASSERT_TRUE(doors_->start());
    }
    /// What `options_` says now, while running.
    void change()
    {
        auto set = opened({.layout = layout_.get()});
        ASSERT_TRUE(set);
        layout_ = set->layout;
        ASSERT_TRUE(doors_->change(layout_, std::move(set->descriptors[0])));
    }
    std::optional<listeners::SocketSet> opened(const listeners::Running& running)
    {
        base::Problems problems;
        auto set = listeners::open_sockets(options_, {}, problems, running);
        for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
        if (!set) return std::nullopt;
        return std::move(*set);
    }
    [[nodiscard]] base::Endpoint bound(std::size_t port) const { return layout_->bound.at(port); }

    static std::shared_ptr<const zones::Snapshot> zones()
    {
        zones::Options made;
        zones::ZoneOptions zone;
        zone.name = "gate.test";
        zone.records = {"www A 192.0.2.1"};
        made.zones.push_back(zone);
        base::Problems problems;
        return zones::load(made, problems);
    }

    template <class Done>
    bool until(Done&& done, base::Duration patience = 5s)
    {
        const auto end = clock_.now() + patience;
        while (!done()) {
            if (clock_.now() > end) return false;
            worker_.run_for(1ms);
        }
        return true;
    }

    test::PatientClock clock_;
    net::Worker worker_{0, clock_};
    pipeline::Options pipeline_options_;
    Slow slow_;
    pipeline::Pipeline pipeline_{pipeline_options_, clock_, worker_.random()};
    listeners::Options options_;
    std::shared_ptr<const listeners::Layout> layout_;
    NoRouter router_;
    listeners::SharedSecrets secrets_;
    std::unique_ptr<listeners::Doors> doors_;
};

TEST_F(ChangingDoors, APortThatStaysKeepsItsSocketAndItsConnections)
{
    options_.doors = {do53(0, true, true)};
    open();
    const auto before = layout_->bound;
    Client client{bound(1), SOCK_STREAM};
    client.ask(query("www"));
    ASSERT_TRUE(until([&] { return client.answered(); }));
    options_.streams.idle = 7s;
    options_.udp_batch = 8;
    change();
    EXPECT_EQ(layout_->bound, before);
    client.ask(query("www"));
    EXPECT_TRUE(until([&] { return client.answered(); }));
    Client datagrams{bound(0), SOCK_DGRAM};
    datagrams.ask(query("www"));
    EXPECT_TRUE(until([&] { return datagrams.answered(); }));
}

TEST_F(ChangingDoors, APortThatIsNewAnswers)
{
    options_.doors = {do53(0, true, false)};
    open();
    options_.doors.push_back(do53(0, false, true));
    change();
    ASSERT_EQ(layout_->ports.size(), 2U);
    Client client{bound(1), SOCK_STREAM};
    ASSERT_TRUE(until([&] {
        client.ask(query("www"));
        return client.answered();
    }));
}

TEST_F(ChangingDoors, ConnectionsOfAPortThatIsGoneFinish)
{
    options_.doors = {do53(0, true, true)};
    open();
    const auto gone = bound(1);
    Client waiting{gone, SOCK_STREAM};
    Client idle{gone, SOCK_STREAM};
    waiting.ask(elsewhere());
    ASSERT_TRUE(until([&] { return slow_.asked(); }));
    options_.doors = {do53(0, true, false)};
    change();
    EXPECT_TRUE(until([&] { return idle.ended(); }));
    Client late{gone, SOCK_STREAM};
    EXPECT_TRUE(until([&] { return late.ended(); }));
    EXPECT_FALSE(waiting.answered());
    slow_.answer(clock_.now());
    EXPECT_TRUE(until([&] { return waiting.answered(); }));
    EXPECT_TRUE(until([&] { return waiting.ended(); }));
}

TEST_F(ChangingDoors, AQueryOverUdpIsAnsweredThoughItsPortIsGone)
{
    options_.doors = {do53(0, true, true)};
    open();
    const auto gone = bound(0);
    Client waiting{gone, SOCK_DGRAM};
    waiting.ask(elsewhere());
    ASSERT_TRUE(until([&] { return slow_.asked(); }));
    options_.doors = {do53(0, false, true)};
    change();
    // As long as the socket is open, whoever asks is answered.
    Client late{gone, SOCK_DGRAM};
    late.ask(query("www"));
    EXPECT_TRUE(until([&] { return late.answered(); }));
    slow_.answer(clock_.now());
    EXPECT_TRUE(until([&] { return waiting.answered(); }));
    EXPECT_TRUE(until([&] {
        late.ask(query("www"));
        return late.ended(); // port unreachable
    }));
}

TEST_F(ChangingDoors, AnAnswerThatComesAsItsPortGoesIsSent)
{
    options_.doors = {do53(0, true, false)};
    open();
    Client waiting{bound(0), SOCK_DGRAM};
    waiting.ask(elsewhere());
    ASSERT_TRUE(until([&] { return slow_.asked(); }));
    options_.doors = {do53(0, false, true)};
    change();
    worker_.run_for(1ms); // it has looked once, and will again
    struct Answer {
        Slow& slow;
        void due(base::Instant now) noexcept { slow.answer(now); }
    } answer{slow_};
    net::Timer timer{net::Timer::of<&Answer::due>(answer)};
    worker_.arm(timer, worker_.now());
    // Both are due in one turn: the answer, and the look that finds nobody waiting any more.
    for (int i = 0; i < 10; ++i) {
        std::this_thread::sleep_for(4ms);
        (void)clock_.now();
    }
    EXPECT_TRUE(until([&] { return waiting.answered(); }, 1s));
}

TEST_F(ChangingDoors, ThereIsAnEndToTheDrainOfAPort)
{
    options_.doors = {do53(0, true, true)};
    options_.drain = 50ms;
    open();
    Client waiting{bound(1), SOCK_STREAM};
    waiting.ask(elsewhere());
    ASSERT_TRUE(until([&] { return slow_.asked(); }));
    options_.doors = {do53(0, true, false)};
    change();
    EXPECT_TRUE(until([&] { return waiting.ended(); }));
}

TEST_F(ChangingDoors, APortThatComesBackAtOnceIsServed)
{
    options_.doors = {do53(0, true, true)};
    open();
    const auto stream = bound(1).port;
    for (int round = 0; round < 5; ++round) {
        options_.doors = {do53(0, true, false)};
        change();
        options_.doors = {do53(0, true, false), do53(stream, false, true)};
        change();
        Client client{bound(1), SOCK_STREAM};
        ASSERT_TRUE(until([&] {
            client.ask(query("www"));
            return client.answered();
        }));
    }
}

TEST_F(ChangingDoors, APortMayMoveFromAllAddressesToOne)
{
    options_.doors = {do53(0, true, false)};
    open();
    const auto port = bound(0).port;
    auto everywhere = do53(port, true, true);
    everywhere.on[0].endpoint.address = base::IpAddress::v4({0, 0, 0, 0});
    options_.doors = {everywhere};
    change();
    options_.doors = {do53(port, true, true)};
    change();
    Client datagrams{bound(0), SOCK_DGRAM}, stream{bound(1), SOCK_STREAM};
    datagrams.ask(query("www"));
    EXPECT_TRUE(until([&] { return datagrams.answered(); }));
    EXPECT_TRUE(until([&] {
        stream.ask(query("www"));
        return stream.answered();
    }));
}

TEST_F(ChangingDoors, AnAddressInUseChangesNothing)
{
    options_.doors = {do53(0, true, false)};
    open();
    const net::Descriptor taken =
        net::open_tcp_listener(base::Endpoint{base::IpAddress::v4({127, 0, 0, 1}), 0}, {}).value();
    options_.doors.push_back(do53(net::local_endpoint(taken.get()).port, false, true));
    base::Problems problems;
    EXPECT_FALSE(listeners::open_sockets(options_, {}, problems, {.layout = layout_.get()}));
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_NE(problems[0].message.find("in use"), std::string::npos);
    Client client{bound(0), SOCK_DGRAM};
    client.ask(query("www"));
    EXPECT_TRUE(until([&] { return client.answered(); }));
}

} // namespace
