#include "cache/cache.hpp"
#include "net/socket.hpp"
#include "net/worker.hpp"
#include "patient_clock.hpp"
#include "resolver/resolver.hpp"
#include "resolver/shared.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <set>

using namespace sallyport;
using namespace std::chrono_literals;
using resolver::Taken;
using wire::Rcode;
using wire::RrType;
using Octets = std::vector<std::uint8_t>;

namespace {

enum class Way { udp, tcp };

/// What the server of the root says to a query: one A record with AA, or TC.
Octets reply_to(const Octets& query, bool truncated = false, std::uint32_t ttl = 60)
{
    const auto view = wire::MessageView::parse(query);
    if (!view) return {};
    Octets room(4096);
    wire::MessageWriter writer{room, room.size()};
    (void)writer.begin_response(view->id(), 0, view->question_bytes(), 1);
    writer.set_flags(static_cast<std::uint16_t>(wire::flag::AA | (truncated ? wire::flag::TC : 0)));
    const std::array<std::uint8_t, 4> address{192, 0, 2, 1};
    if (!truncated)
        (void)writer.record(wire::Section::answer, view->qname().to_name(), RrType::A, wire::RrClass::IN,
                            wire::Ttl{ttl}, address);
    const base::Bytes message = writer.message();
    return {message.begin(), message.end()};
}

/// The one server of a DNS that has nothing but a root zone. Its handler says what is sent back to a query.
class RootServer {
public:
    using Handler = std::function<std::vector<Octets>(const Octets& query, Way way)>;

    explicit RootServer(net::Worker& worker) : worker_(worker)
    {
        for (int i = 0; i < 50 && !listener_; ++i) { // the same port for both
            udp_ = net::open_udp({base::IpAddress::v4({127, 0, 0, 1}), 0}, {.reuse_port = false}).value();
            auto tcp = net::open_tcp_listener(net::local_endpoint(udp_.get()), {.reuse_port = false});
            if (tcp) listener_ = std::move(*tcp);
        }
        endpoint = net::local_endpoint(udp_.get());
        EXPECT_TRUE(udp_watch_.start(worker, udp_.get(), net::kReadable));
        EXPECT_TRUE(accept_watch_.start(worker, listener_.get(), net::kReadable));
    }

    Handler handler = [](const Octets& query, Way) { return std::vector<Octets>{reply_to(query)}; };
    base::Endpoint endpoint;
    std::vector<std::uint16_t> ports; ///< that queries over UDP came from
    unsigned tcp_queries = 0;
    unsigned accepted = 0;
    bool close_after_reply = false;

    [[nodiscard]] sockaddr_storage last_peer() const { return peer_; }
    void send(const Octets& message, const sockaddr_storage& peer) const
    {
        ::sendto(udp_.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&peer),
                 sizeof(sockaddr_in));
    }

private:
    struct Connection {
        Connection(RootServer& given, int fd) : server(given), socket(fd)
        {
            EXPECT_TRUE(watch.start(given.worker_, fd, net::kReadable));
        }
        void readable(std::uint32_t, base::Instant) noexcept { server.stream_readable(*this); }
        RootServer& server;
        net::Descriptor socket;
        net::Watch watch{net::Watch::of<&Connection::readable>(*this)};
        Octets input;
    };

    void udp_readable(std::uint32_t, base::Instant) noexcept
    {
        std::array<std::uint8_t, 4096> buffer{};
        for (;;) {
            socklen_t size = sizeof peer_;
            const auto got =
                ::recvfrom(udp_.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&peer_), &size);
            if (got < 0) return;
            ports.push_back(base::Endpoint::from_sockaddr(reinterpret_cast<const sockaddr*>(&peer_)).port);
            for (const Octets& message : handler({buffer.begin(), buffer.begin() + got}, Way::udp))
                ::sendto(udp_.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&peer_),
                         size);
        }
    }
    void acceptable(std::uint32_t, base::Instant) noexcept
    {
        const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        ++accepted;
        connections_.push_back(std::make_unique<Connection>(*this, fd));
    }
    void stream_readable(Connection& connection) noexcept
    {
        std::array<std::uint8_t, 65536> buffer{};
        const auto got = ::recv(connection.socket.get(), buffer.data(), buffer.size(), 0);
        bool ended = got <= 0;
        Octets& input = connection.input;
        if (!ended) input.insert(input.end(), buffer.begin(), buffer.begin() + got);
        while (input.size() >= 2 && input.size() - 2 >= base::load_be16(input, 0)) {
            const auto end = input.begin() + 2 + base::load_be16(input, 0);
            ++tcp_queries;
            for (const Octets& message : handler({input.begin() + 2, end}, Way::tcp)) {
                Octets framed{static_cast<std::uint8_t>(message.size() >> 8U),
                              static_cast<std::uint8_t>(message.size() & 0xFFU)};
                framed.insert(framed.end(), message.begin(), message.end());
                (void)::send(connection.socket.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
                ended = ended || close_after_reply;
            }
            input.erase(input.begin(), end);
        }
        if (ended) std::erase_if(connections_, [&](const auto& one) { return one.get() == &connection; });
    }

    net::Worker& worker_;
    net::Descriptor udp_;
    net::Descriptor listener_;
    sockaddr_storage peer_{};
    std::vector<std::unique_ptr<Connection>> connections_;
    net::Watch udp_watch_{net::Watch::of<&RootServer::udp_readable>(*this)};
    net::Watch accept_watch_{net::Watch::of<&RootServer::acceptable>(*this)};
};

class Client final : public resolver::Waiter {
public:
    void resolved(const resolver::Outcome& outcome, base::Instant) noexcept override
    {
        ++heard;
        answered = outcome.answer != nullptr;
        rcode = answered ? outcome.answer->rcode : Rcode::SERVFAIL;
        lifetime = answered ? outcome.answer->lifetime : base::Duration{};
        ede = outcome.ede;
    }
    unsigned heard = 0;
    bool answered = false;
    Rcode rcode{};
    base::Duration lifetime{};
    std::optional<wire::ExtendedError> ede;
};

class Recurse : public testing::Test {
protected:
    void SetUp() override
    {
        options_.mode = resolver::Mode::recurse;
        options_.recurse.allow_loopback = true;
        options_.recurse.dnssec.enabled = false;
        options_.recurse.engine.prime = false;
        options_.recurse.engine.qname_minimisation = false;
        options_.recurse.engine.first_timeout = 300ms;
        options_.recurse.engine.limits.time = 3s;
        resolver::iterate::FixedZone root;
        root.servers.push_back(server_.endpoint);
        options_.recurse.engine.fixed.push_back(root);
    }
    void TearDown() override { resolver_.reset(); }

    void start()
    {
        base::Problems problems;
        auto options = std::make_shared<resolver::Options>(options_);
        ASSERT_TRUE(resolver::prepare_recursion(*options, nullptr, {}, 0, problems));
        if (!resolver_) resolver_ = std::make_unique<resolver::Resolver>(worker_, shared_, &cache_);
        resolver_->reconfigure(options);
    }
    static resolver::Question question(const std::string& name)
    {
        resolver::Question asked;
        asked.qname = *wire::Name::from_text(name);
        asked.qtype = RrType::A;
        return asked;
    }
    Taken ask(const std::string& name, Client& client)
    {
        return resolver_->resolve(question(name), client, worker_.refresh_now());
    }
    template <class Done>
    bool run_until(Done&& done, base::Duration patience = 20s)
    {
        const auto deadline = clock_.now() + patience;
        while (!done() && clock_.now() < deadline) worker_.run_for(2ms);
        return done();
    }
    std::uint64_t counter(std::string_view wanted) const
    {
        std::uint64_t sum = 0;
        resolver_->each_counter([&](const char* name, const char*, const base::Counter& value) {
            if (name == wanted) sum += value.get();
        });
        return sum;
    }

    test::PatientClock clock_;
    net::Worker worker_{0, clock_};
    RootServer server_{worker_};
    resolver::Shared shared_;
    cache::Cache cache_{cache::Options{}};
    resolver::Options options_;
    std::unique_ptr<resolver::Resolver> resolver_;
};

TEST_F(Recurse, AsksTheRootAndKeepsWhatItSays)
{
    start();
    Client client;
    ASSERT_EQ(ask("www.example", client), Taken::waiting);
    EXPECT_EQ(client.heard, 0U); // never from within the call
    ASSERT_TRUE(run_until([&] { return client.heard == 1; }));
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(client.lifetime, 60s);

    Octets room(512);
    wire::MessageWriter writer{room, room.size()};
    writer.begin(0, wire::flag::QR);
    const auto qname = *wire::Name::from_text("www.example");
    ASSERT_TRUE(writer.question(qname, RrType::A, wire::RrClass::IN));
    cache::Key key;
    key.qname = &qname;
    key.qtype = RrType::A;
    EXPECT_TRUE(cache_.find(key, clock_.now(), writer));
    key.checking_disabled = true;
    EXPECT_FALSE(cache_.find(key, clock_.now(), writer));
}

TEST_F(Recurse, EachQueryHasItsOwnSocketAndPort)
{
    options_.recurse.engine.max_fetches_per_zone = 1000;
    start();
    std::deque<Client> clients(60);
    for (std::size_t i = 0; i < clients.size(); ++i)
        ASSERT_EQ(ask("n" + std::to_string(i) + ".example", clients[i]), Taken::waiting);
    ASSERT_TRUE(run_until([&] { return std::ranges::all_of(clients, [](const Client& c) { return c.heard == 1; }); }));
    EXPECT_TRUE(std::ranges::all_of(clients, [](const Client& c) { return c.answered; }));
    const std::set<std::uint16_t> different(server_.ports.begin(), server_.ports.end());
    EXPECT_GE(different.size(), clients.size() - 3); // two of them may draw the same, one after the other
    EXPECT_EQ(counter("recursion_sockets"), 0U);
}

TEST_F(Recurse, ASocketThatRestsHearsNothingAndComesBackAtAnotherPort)
{
    std::vector<std::pair<sockaddr_storage, Octets>> held;
    server_.handler = [&](const Octets& query, Way) -> std::vector<Octets> {
        held.emplace_back(server_.last_peer(), query);
        return {reply_to(query), reply_to(query)}; // the second one comes when nobody waits
    };
    start();
    for (int i = 0; i < 20; ++i) { // one after the other: the same socket
        Client client;
        (void)ask("n" + std::to_string(i) + ".example", client);
        ASSERT_TRUE(run_until([&] { return client.heard == 1; }));
        EXPECT_TRUE(client.answered);
        for (const auto& [peer, query] : held) server_.send(reply_to(query, false, 9999), peer);
    }
    EXPECT_EQ(counter("recursion_foreign_replies_total"), 0U);
    EXPECT_EQ(counter("recursion_sockets"), 0U);
    const std::set<std::uint16_t> different(server_.ports.begin(), server_.ports.end());
    EXPECT_GE(different.size(), 18U);
}

TEST_F(Recurse, WhatDoesNotFitIsNotTheAnswer)
{
    server_.handler = [&](const Octets& query, Way) -> std::vector<Octets> {
        Octets wrong = reply_to(query);
        wrong[0] ^= 0x5AU; // another id
        return {wrong, reply_to(query)};
    };
    start();
    Client client;
    (void)ask("www.example", client);
    ASSERT_TRUE(run_until([&] { return client.heard == 1; }));
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(counter("recursion_foreign_replies_total"), 1U);
    EXPECT_EQ(counter("recursion_timeouts_total"), 0U);
}

TEST_F(Recurse, NobodyElseIsHeard)
{
    server_.handler = [&](const Octets& query, Way) -> std::vector<Octets> {
        // The right answer in all but the port that it comes from: the kernel keeps it away from a connected socket.
        net::Descriptor stranger{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
        const Octets forged = reply_to(query, false, 9999);
        const sockaddr_storage peer = server_.last_peer();
        ::sendto(stranger.get(), forged.data(), forged.size(), 0, reinterpret_cast<const sockaddr*>(&peer),
                 sizeof(sockaddr_in));
        return {reply_to(query)};
    };
    start();
    Client client;
    (void)ask("www.example", client);
    ASSERT_TRUE(run_until([&] { return client.heard == 1; }));
    EXPECT_EQ(client.lifetime, 60s);
    EXPECT_EQ(counter("recursion_foreign_replies_total"), 0U);
}

TEST_F(Recurse, TwoNearMissesAndTheQuestionGoesOverTcp)
{
    server_.handler = [&](const Octets& query, Way way) -> std::vector<Octets> {
        if (way == Way::tcp) return {reply_to(query)};
        Octets wrong = reply_to(query);
        wrong[1] ^= 1U;
        return {wrong, wrong, wrong, wrong};
    };
    start();
    Client client;
    (void)ask("www.example", client);
    ASSERT_TRUE(run_until([&] { return client.heard == 1; }));
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(server_.tcp_queries, 1U);
    EXPECT_EQ(counter("recursion_sockets"), 0U);
}

TEST_F(Recurse, TruncatedAnswersShareAConnection)
{
    server_.handler = [](const Octets& query, Way way) {
        return std::vector<Octets>{reply_to(query, way == Way::udp)};
    };
    options_.recurse.limits.connections_per_server = 1;
    start();
    std::deque<Client> clients(40);
    for (std::size_t i = 0; i < clients.size(); ++i) (void)ask("n" + std::to_string(i) + ".example", clients[i]);
    ASSERT_TRUE(run_until([&] { return std::ranges::all_of(clients, [](const Client& c) { return c.heard == 1; }); }));
    EXPECT_TRUE(std::ranges::all_of(clients, [](const Client& c) { return c.answered; }));
    EXPECT_EQ(server_.tcp_queries, 40U);
    EXPECT_EQ(server_.accepted, 1U);
    EXPECT_EQ(counter("recursion_connections"), 1U);
}

TEST_F(Recurse, AnIdleConnectionIsClosed)
{
    server_.handler = [](const Octets& query, Way way) {
        return std::vector<Octets>{reply_to(query, way == Way::udp)};
    };
    options_.recurse.limits.idle = 100ms;
    start();
    Client client;
    (void)ask("www.example", client);
    ASSERT_TRUE(run_until([&] { return client.heard == 1; }));
    EXPECT_TRUE(run_until([&] { return counter("recursion_connections") == 0; }));
}

TEST_F(Recurse, AConnectionThatTheServerClosedIsOpenedAgain)
{
    unsigned seen = 0;
    server_.handler = [&](const Octets& query, Way way) -> std::vector<Octets> {
        // The second query on the first connection is not answered any more (RFC 7766 §6.2.4).
        if (way == Way::tcp && ++seen == 2) {
            server_.close_after_reply = true;
            return {Octets{}};
        }
        server_.close_after_reply = false;
        return {reply_to(query, way == Way::udp)};
    };
    start();
    Client first, second;
    (void)ask("a.example", first);
    ASSERT_TRUE(run_until([&] { return first.heard == 1; }));
    (void)ask("b.example", second);
    ASSERT_TRUE(run_until([&] { return second.heard == 1; }));
    EXPECT_TRUE(second.answered);
    EXPECT_EQ(server_.accepted, 2U);
}

TEST_F(Recurse, QueriesWaitForASocket)
{
    options_.recurse.limits.sockets = 3;
    options_.recurse.engine.max_fetches_per_zone = 1000;
    start();
    std::deque<Client> clients(50);
    for (std::size_t i = 0; i < clients.size(); ++i) (void)ask("n" + std::to_string(i) + ".example", clients[i]);
    ASSERT_TRUE(run_until([&] { return std::ranges::all_of(clients, [](const Client& c) { return c.heard == 1; }); }));
    EXPECT_TRUE(std::ranges::all_of(clients, [](const Client& c) { return c.answered; }));
    EXPECT_GT(counter("recursion_sockets_waited_total"), 0U);
    EXPECT_EQ(counter("recursion_sockets_full_total"), 0U);
}

TEST_F(Recurse, AServerThatIsNotThereFailsAtOnce)
{
    net::Descriptor taken = net::open_udp({base::IpAddress::v4({127, 0, 0, 1}), 0}, {.reuse_port = false}).value();
    options_.recurse.engine.fixed.front().servers = {net::local_endpoint(taken.get())};
    taken.reset();
    start();
    Client client;
    const auto began = clock_.now();
    (void)ask("www.example", client);
    ASSERT_TRUE(run_until([&] { return client.heard == 1; }));
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede, wire::ExtendedError::no_reachable_authority);
    EXPECT_LT(clock_.now() - began, 3s);
}

TEST_F(Recurse, WhatIsInFlightGoesOnWhenTheConfigurationChanges)
{
    bool silent = true;
    server_.handler = [&](const Octets& query, Way) -> std::vector<Octets> {
        return silent ? std::vector<Octets>{} : std::vector<Octets>{reply_to(query)};
    };
    start();
    Client before, after, again;
    (void)ask("before.example", before);
    ASSERT_TRUE(run_until([&] { return counter("recursion_packets_total") == 1; }));
    start();
    (void)ask("after.example", after);
    ASSERT_TRUE(run_until([&] { return counter("recursion_packets_total") >= 2; }));
    silent = false;
    ASSERT_TRUE(run_until([&] { return before.heard == 1 && after.heard == 1; }));
    EXPECT_TRUE(before.answered);
    EXPECT_TRUE(after.answered);
    // What has gone is counted all the same.
    const auto packets = counter("recursion_packets_total");
    start();
    EXPECT_EQ(counter("recursion_packets_total"), packets);
}

TEST_F(Recurse, LateAnswersAreCountedAndNotHeard)
{
    std::vector<std::pair<sockaddr_storage, Octets>> held;
    server_.handler = [&](const Octets& query, Way) -> std::vector<Octets> {
        held.emplace_back(server_.last_peer(), query);
        return {};
    };
    options_.recurse.engine.limits.time = 1s;
    start();
    Client client;
    (void)ask("www.example", client);
    ASSERT_TRUE(run_until([&] { return client.heard == 1; }));
    EXPECT_FALSE(client.answered);
    ASSERT_FALSE(held.empty());
    for (const auto& [peer, query] : held) server_.send(reply_to(query), peer);
    EXPECT_TRUE(run_until([&] { return counter("recursion_late_answers_total") > 0; }));
    EXPECT_EQ(client.heard, 1U);
}

TEST_F(Recurse, WhoGoesAwayIsNotTold)
{
    start();
    {
        Client gone;
        (void)ask("www.example", gone);
    }
    EXPECT_TRUE(run_until([&] { return counter("recursion_sockets") == 0 && counter("resolver_in_flight") == 0; }));
    // And all of it may go while a query is in flight.
    server_.handler = [](const Octets&, Way) { return std::vector<Octets>{}; };
    Client client;
    (void)ask("silent.example", client);
    ASSERT_TRUE(run_until([&] { return counter("recursion_sockets") == 1; }));
    resolver_.reset();
    worker_.run_for(20ms);
    EXPECT_EQ(client.heard, 0U);
}

} // namespace
