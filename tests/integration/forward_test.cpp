#include "base/handle.hpp"
#include "cache/cache.hpp"
#include "certs/certs.hpp"
#include "listeners/listeners.hpp"
#include "net/socket.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"
#include "resolver/resolver.hpp"
#include "resolver/shared.hpp"
#include "wire/message_view.hpp"
#include "wire/message_writer.hpp"
#include "zones/zones.hpp"

#include <gtest/gtest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>

using namespace sallyport;
using namespace std::chrono_literals;
using resolver::Strategy;
using resolver::Taken;
using wire::Rcode;
using wire::RrType;
using Octets = std::vector<std::uint8_t>;

namespace {

Octets octets_of(base::Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// An answer to `query`: one A record, or none for an error; its question octet by octet, and the cookie of the query.
Octets answer_to(const Octets& query, Rcode rcode = Rcode::NOERROR, std::uint16_t flags = 0, bool edns = true)
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

/// Someone who waits, and keeps what he hears.
class Client final : public resolver::Waiter {
public:
    void resolved(const resolver::Outcome& outcome, base::Instant) noexcept override
    {
        ++heard;
        answered = outcome.answer != nullptr;
        if (answered) {
            rcode = outcome.answer->rcode;
            message = octets_of(outcome.answer->message);
            authentic = outcome.answer->authentic;
        }
        ede = outcome.ede;
        ede_text = outcome.ede_text;
        upstream = outcome.upstream;
        if (then) then();
    }
    unsigned heard = 0;
    bool answered = false;
    bool authentic = false;
    Rcode rcode{};
    Octets message;
    std::optional<wire::ExtendedError> ede;
    std::string ede_text;
    std::string upstream;
    std::function<void()> then;
};

struct NoRouter final : listeners::PacketRouter {
    void route(unsigned, std::size_t, base::Bytes, const base::Endpoint&, const base::Endpoint&,
               std::uint8_t) noexcept override
    {
    }
};

class Forward : public testing::Test {
protected:
    void SetUp() override
    {
        static int number = 0;
        directory_ = std::filesystem::temp_directory_path() /
                     ("sallyport-forward-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
        std::filesystem::create_directories(directory_);
        options_.limits.first_timeout = 100ms;
    }
    void TearDown() override
    {
        resolver_.reset();
        doors_.reset();
        std::filesystem::remove_all(directory_);
    }

    static resolver::UpstreamOptions upstream(const base::Endpoint& server,
                                              base::Transport transport = base::Transport::udp)
    {
        resolver::UpstreamOptions made;
        made.transport = transport;
        made.host = server.address.to_string();
        made.port = server.port;
        made.addresses = {server.address};
        made.name = std::string{base::to_string(transport)} + "-" + std::to_string(server.port);
        return made;
    }
    resolver::GroupOptions& group(Strategy strategy, std::vector<resolver::UpstreamOptions> upstreams,
                                  std::string name = "default")
    {
        resolver::GroupOptions made;
        made.name = std::move(name);
        made.strategy = strategy;
        made.upstreams = std::move(upstreams);
        options_.groups.push_back(std::move(made));
        return options_.groups.back();
    }
    void open()
    {
        options_.mode = resolver::Mode::forward;
        if (!resolver_) resolver_ = std::make_unique<resolver::Resolver>(worker_, shared_, &cache_);
        resolver_->reconfigure(std::make_shared<const resolver::Options>(options_));
    }

    static resolver::Question question(std::string_view name, RrType type = RrType::A)
    {
        resolver::Question made;
        made.qname = *wire::Name::from_text(name);
        made.qtype = type;
        return made;
    }
    Taken ask(Client& client, std::string_view name)
    {
        return resolver_->resolve(question(name), client, worker_.refresh_now());
    }
    /// Asks and waits for the outcome.
    Client resolve(std::string_view name)
    {
        Client client;
        EXPECT_EQ(ask(client, name), Taken::waiting);
        EXPECT_TRUE(until([&] { return client.heard > 0; })) << name;
        return client;
    }

    template <class Done>
    bool until(Done&& done, base::Duration patience = 8s)
    {
        const auto end = clock_.now() + patience;
        while (!done()) {
            if (clock_.now() > end) return false;
            worker_.run_for(1ms);
            if (other_) other_->run_for(0ms);
        }
        return true;
    }
    void run(base::Duration time)
    {
        until([] { return false; }, time);
    }

    std::uint64_t counter(const std::string& name, const resolver::Resolver* of = nullptr) const
    {
        std::uint64_t sum = 0;
        (of != nullptr ? of : resolver_.get())
            ->each_counter([&](const char* each, const char*, const base::Counter& value) {
                if (each == name) sum += value.get();
            });
        return sum;
    }
    std::uint64_t upstream_counter(const std::string& name, const std::string& of = {}) const
    {
        std::uint64_t sum = 0;
        resolver_->each_upstream_counter(
            [&](const char* each, const char*, const std::string& labels, const base::Counter& value) {
                if (each == name && labels.find(of) != std::string::npos) sum += value.get();
            });
        return sum;
    }

    // A gateway of ours as an upstream over encrypted transports, on the same worker.
    void open_doors(std::initializer_list<listeners::DoorKind> kinds);
    base::Endpoint door(listeners::Port::Kind kind) const
    {
        for (std::size_t i = 0; i < layout_->ports.size(); ++i)
            if (layout_->ports[i].kind == kind) return layout_->bound[i];
        return {};
    }
    resolver::UpstreamOptions encrypted(listeners::Port::Kind kind, base::Transport transport) const
    {
        auto made = upstream(door(kind), transport);
        made.server_name = "localhost";
        made.ca_file = ca_file_;
        return made;
    }

    base::SystemClock clock_;
    base::SystemRandom random_;
    net::Worker worker_{0, clock_};
    std::unique_ptr<net::Worker> other_;
    cache::Options cache_options_;
    cache::Cache cache_{cache_options_};
    resolver::Shared shared_;
    resolver::Options options_;
    std::unique_ptr<resolver::Resolver> resolver_;
    std::filesystem::path directory_;

    std::unique_ptr<pipeline::Pipeline> pipeline_;
    pipeline::Options pipeline_options_;
    listeners::Options listener_options_;
    std::shared_ptr<const listeners::Layout> layout_;
    NoRouter router_;
    listeners::SharedSecrets secrets_;
    std::unique_ptr<listeners::Doors> doors_;
    bool http3_ = false;
    std::string ca_file_;
    std::string chain_file_;
};

void Forward::open_doors(std::initializer_list<listeners::DoorKind> kinds)
{
    listener_options_.streams.reserved_descriptors = 16;
    for (const auto kind : kinds) {
        listeners::DoorOptions door;
        door.kind = kind;
        door.doh.http3 = http3_;
        door.on.push_back({base::Endpoint{base::IpAddress::v4({127, 0, 0, 1}), 0}, "", "", {}});
        listener_options_.doors.push_back(door);
    }
    pipeline_ = std::make_unique<pipeline::Pipeline>(pipeline_options_, clock_, random_);
    zones::Options made;
    zones::ZoneOptions zone;
    zone.name = "gate.test";
    zone.records = {"*.gate.test. A 192.0.2.7"};
    made.zones.push_back(zone);
    base::Problems problems;
    pipeline_->set_zones(zones::load(made, problems), {});
    certs::DevelopmentOptions development;
    development.directory = directory_.string();
    const auto pair = certs::make_development(development, clock_.wall());
    ca_file_ = pair->ca_file;
    chain_file_ = pair->chain_file;
    certs::Options wanted;
    wanted.certificates.push_back({pair->chain_file, pair->key_file, {}});
    auto identities =
        certs::load(wanted, certs::TicketKeys::make(wanted.tickets, clock_.now()).value(), clock_.wall(), problems);
    auto set = listeners::open_sockets(listener_options_, {}, problems);
    for (const auto& problem : problems) ADD_FAILURE() << problem.to_string();
    layout_ = set->layout;
    doors_ = std::make_unique<listeners::Doors>(worker_, *pipeline_, identities, layout_,
                                                std::move(set->descriptors[0]), router_, secrets_);
    ASSERT_TRUE(doors_->start());
}

TEST_F(Forward, AnswersOverUdpAndKeepsTheAnswer)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const Client client = resolve("www.example.");
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(client.rcode, Rcode::NOERROR);
    EXPECT_EQ(client.upstream, options_.groups[0].upstreams[0].name);
    const auto view = wire::MessageView::parse(client.message);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->answers().size(), 1U);
    // Kept for whoever asks next.
    Octets room(4096);
    wire::MessageWriter writer{room, room.size()};
    const auto name = *wire::Name::from_text("www.example.");
    writer.begin(1, wire::flag::QR);
    (void)writer.question(name, RrType::A, wire::RrClass::IN);
    cache::Key key;
    key.qname = &name;
    key.qtype = RrType::A;
    EXPECT_TRUE(cache_.find(key, worker_.now(), writer));
}

TEST_F(Forward, QueriesAreWrittenAnew)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    for (int i = 0; i < 8; ++i) resolve("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" + std::to_string(i) + ".example.");
    ASSERT_EQ(server.udp_queries.size(), 8U);
    std::map<std::uint16_t, int> ids;
    bool upper = false;
    for (const Octets& query : server.udp_queries) {
        const auto view = wire::MessageView::parse(query);
        ASSERT_TRUE(view);
        ++ids[view->id()];
        EXPECT_TRUE(view->header().has(wire::flag::RD | wire::flag::AD));
        ASSERT_NE(view->edns(), nullptr);
        EXPECT_EQ(view->edns()->udp_payload_size, 1232);
        ASSERT_TRUE(view->edns()->cookie);
        EXPECT_EQ(view->edns()->cookie->size(), 8U);
        for (const auto octet : view->question_bytes()) upper = upper || (octet >= 'A' && octet <= 'Z');
    }
    EXPECT_GT(ids.size(), 6U);
    EXPECT_TRUE(upper);
}

TEST_F(Forward, KeepsDnssecBits)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    auto asked = question("www.example.");
    asked.dnssec_ok = true;
    asked.checking_disabled = true;
    Client client;
    ASSERT_EQ(resolver_->resolve(asked, client, worker_.refresh_now()), Taken::waiting);
    ASSERT_TRUE(until([&] { return client.heard > 0; }));
    const auto view = wire::MessageView::parse(server.udp_queries.at(0));
    ASSERT_TRUE(view && view->edns() != nullptr);
    EXPECT_TRUE(view->edns()->dnssec_ok);
    EXPECT_TRUE(view->header().has(wire::flag::CD));
}

TEST_F(Forward, TruncatedAnswersAreAskedForOverTcp)
{
    Server server{worker_, [](const Octets& query, bool tcp) {
                      return std::vector<Octets>{answer_to(query, Rcode::NOERROR, tcp ? 0 : wire::flag::TC)};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    EXPECT_TRUE(resolve("b.example.").answered);
    EXPECT_EQ(server.tcp_queries.size(), 2U);
    EXPECT_EQ(server.accepted, 1U) << "the connection is kept";
    EXPECT_EQ(upstream_counter("upstream_tcp_fallbacks_total"), 2U);
}

TEST_F(Forward, ForgedDatagramsAreNotBelieved)
{
    Server server{worker_, [](const Octets& query, bool tcp) {
                      std::vector<Octets> out;
                      if (tcp) return std::vector<Octets>{answer_to(query)};
                      Octets wrong = answer_to(query);
                      wrong[1] = static_cast<std::uint8_t>(wrong[1] + 1U); // id
                      out.push_back(wrong);
                      return out;
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const Client one = resolve("www.example.");
    EXPECT_TRUE(one.answered);
    EXPECT_GE(upstream_counter("upstream_near_misses_total"), 1U);
}

TEST_F(Forward, TwoNearMissesSendTheQuestionOverTcpAtOnce)
{
    Server server{worker_, [](const Octets& query, bool tcp) {
                      if (tcp) return std::vector<Octets>{answer_to(query)};
                      Octets wrong = answer_to(query);
                      wrong[13] = wrong[13] == 'x' ? 'y' : 'x'; // the name
                      Octets query_back = query;                // QR not set
                      return std::vector<Octets>{wrong, query_back};
                  }};
    options_.limits.first_timeout = 3s;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const auto began = clock_.now();
    EXPECT_TRUE(resolve("www.example.").answered);
    EXPECT_LT(clock_.now() - began, 2s);
    EXPECT_EQ(server.tcp_queries.size(), 1U);
    EXPECT_EQ(upstream_counter("upstream_near_misses_total"), 2U);
}

TEST_F(Forward, AServerThatDoesNotKeepLettersIsFoundOut)
{
    Server server{worker_, [](const Octets& query, bool) {
                      Octets answer = answer_to(query);
                      for (std::size_t i = 13; i < 40; ++i) answer[i] = wire::lower(answer[i]);
                      return std::vector<Octets>{answer};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const std::string name = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.example.";
    EXPECT_TRUE(resolve(name).answered);
    EXPECT_EQ(server.tcp_queries.size(), 1U);
    EXPECT_EQ(upstream_counter("upstream_case_fallbacks_total"), 1U);
    EXPECT_TRUE(resolve("b" + name).answered);
    EXPECT_EQ(server.tcp_queries.size(), 1U) << "from then on its letters do not count";
}

TEST_F(Forward, AForgerOfLettersDoesNotMakeThemOfNoAccount)
{
    bool forge = true;
    Server server{worker_, [&](const Octets& query, bool tcp) {
                      Octets answer = answer_to(query);
                      for (std::size_t i = 13; i < 40 && forge && !tcp; ++i) answer[i] = wire::lower(answer[i]);
                      return std::vector<Octets>{answer};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    const std::string name = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz.example.";
    EXPECT_TRUE(resolve(name).answered);
    EXPECT_TRUE(resolve("b" + name).answered);
    EXPECT_EQ(server.tcp_queries.size(), 2U) << "each of the forger's is asked for again over TCP, where letters fit";
    EXPECT_EQ(upstream_counter("upstream_case_fallbacks_total"), 0U);
    forge = false;
    EXPECT_TRUE(resolve("c" + name).answered);
    EXPECT_EQ(server.tcp_queries.size(), 2U);
}

TEST_F(Forward, CookiesAreLearntAndDemanded)
{
    bool with_cookie = true;
    const auto cookie_answer = [&](const Octets& query, Rcode rcode) {
        const auto view = wire::MessageView::parse(query);
        Octets cookie = octets_of(view->edns()->cookie->first(8));
        for (std::uint8_t i = 0; i < 16; ++i) cookie.push_back(i);
        Octets room(4096);
        wire::MessageWriter writer{room, room.size()};
        (void)writer.begin_response(view->id(), view->header().flags, view->question_bytes(), 1);
        writer.set_rcode(rcode);
        (void)writer.begin_opt(1232, false);
        (void)writer.option(wire::EdnsOptionCode::COOKIE, cookie);
        writer.end_opt();
        return octets_of(writer.message());
    };
    Server server{worker_, [&](const Octets& query, bool tcp) {
                      const auto view = wire::MessageView::parse(query);
                      if (!with_cookie && !tcp) return std::vector<Octets>{answer_to(query)};
                      if (view->edns()->cookie->size() == 8)
                          return std::vector<Octets>{cookie_answer(query, Rcode::BADCOOKIE)};
                      return std::vector<Octets>{cookie_answer(query, Rcode::NXDOMAIN)};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    EXPECT_EQ(resolve("a.example.").rcode, Rcode::NXDOMAIN);
    EXPECT_EQ(server.udp_queries.size(), 2U) << "once more with the cookie it gave";
    EXPECT_EQ(upstream_counter("upstream_bad_cookies_total"), 1U);
    EXPECT_EQ(resolve("b.example.").rcode, Rcode::NXDOMAIN);
    EXPECT_EQ(server.udp_queries.size(), 3U);
    // A forger has no cookie: his answer is not taken.
    with_cookie = false;
    const auto began = clock_.now();
    EXPECT_EQ(resolve("c.example.").rcode, Rcode::NXDOMAIN);
    EXPECT_LT(clock_.now() - began, 90ms) << "TCP at once, not when the time is over";
    EXPECT_EQ(server.tcp_queries.size(), 1U);
    EXPECT_GE(upstream_counter("upstream_near_misses_total"), 1U);
}

TEST_F(Forward, AServerWithoutEdnsIsAskedWithoutIt)
{
    Server server{worker_, [](const Octets& query, bool) {
                      const auto view = wire::MessageView::parse(query);
                      return std::vector<Octets>{
                          answer_to(query, view->edns() != nullptr ? Rcode::FORMERR : Rcode::NOERROR, 0, false)};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    EXPECT_EQ(server.udp_queries.size(), 2U);
    EXPECT_TRUE(resolve("b.example.").answered);
    EXPECT_EQ(server.udp_queries.size(), 3U) << "remembered";
}

TEST_F(Forward, OneQuestionDoesNotTakeEdnsFromTheOthers)
{
    // FORMERR with an OPT: the server knows EDNS, and means the question.
    Server server{worker_, [](const Octets& query, bool) {
                      const auto view = wire::MessageView::parse(query);
                      const bool bad = view->edns() != nullptr && wire::lower(query[13]) == 'a';
                      return std::vector<Octets>{answer_to(query, bad ? Rcode::FORMERR : Rcode::NOERROR)};
                  }};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    EXPECT_TRUE(resolve("b.example.").answered);
    ASSERT_EQ(server.udp_queries.size(), 3U);
    EXPECT_NE(wire::MessageView::parse(server.udp_queries[2])->edns(), nullptr);
}

TEST_F(Forward, RefusalsAreTakenToTheNextUpstream)
{
    Server one{worker_,
               [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query, Rcode::SERVFAIL)}; }};
    Server two{worker_,
               [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query, Rcode::REFUSED)}; }};
    Server three{worker_};
    group(Strategy::ordered, {upstream(one.endpoint), upstream(two.endpoint), upstream(three.endpoint)});
    open();
    const Client client = resolve("www.example.");
    EXPECT_EQ(client.rcode, Rcode::NOERROR);
    EXPECT_EQ(client.upstream, options_.groups[0].upstreams[2].name);
    EXPECT_EQ(one.udp_queries.size(), 1U);
    EXPECT_EQ(two.udp_queries.size(), 1U);
}

TEST_F(Forward, ARefusalDoesNotCutShortTheWaitForASlowUpstream)
{
    Server one{worker_,
               [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query, Rcode::SERVFAIL)}; }};
    Server two{worker_};
    two.delay = 400ms; // four times as long as a try may take
    group(Strategy::ordered, {upstream(one.endpoint), upstream(two.endpoint)});
    open();
    const Client client = resolve("www.example.");
    EXPECT_EQ(client.rcode, Rcode::NOERROR);
    EXPECT_EQ(client.upstream, options_.groups[0].upstreams[1].name);
}

TEST_F(Forward, WhereEveryUpstreamFailsSoDoesTheAnswerAndIsKept)
{
    Server one{worker_,
               [](const Octets& query, bool) { return std::vector<Octets>{answer_to(query, Rcode::SERVFAIL)}; }};
    group(Strategy::ordered, {upstream(one.endpoint)});
    open();
    const auto began = clock_.now();
    const Client client = resolve("www.example.");
    EXPECT_LT(clock_.now() - began, 1s);
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(client.rcode, Rcode::SERVFAIL);
    EXPECT_EQ(counter("resolver_servfail_total"), 1U);
    Octets room(4096);
    wire::MessageWriter writer{room, room.size()};
    const auto name = *wire::Name::from_text("www.example.");
    writer.begin(1, wire::flag::QR);
    (void)writer.question(name, RrType::A, wire::RrClass::IN);
    cache::Key key;
    key.qname = &name;
    key.qtype = RrType::A;
    const auto found = cache_.find(key, worker_.now(), writer);
    EXPECT_TRUE(found) << "RFC 9520";
    EXPECT_EQ(found.rcode, Rcode::SERVFAIL);
}

TEST_F(Forward, NobodyThereIsSaidWithinTheBudget)
{
    base::Endpoint closed;
    {
        Server gone{worker_};
        closed = gone.endpoint;
    }
    options_.limits.budget = 1s;
    group(Strategy::ordered, {upstream(closed), upstream(closed, base::Transport::tcp)});
    open();
    const auto began = clock_.now();
    const Client client = resolve("www.example.");
    EXPECT_LT(clock_.now() - began, 1500ms);
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede, wire::ExtendedError::no_reachable_authority);
    EXPECT_EQ(client.ede_text, "no upstream can be reached");
}

TEST_F(Forward, SilenceIsSaidWithinTheBudget)
{
    Server mute{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    options_.limits.budget = 1s;
    group(Strategy::ordered, {upstream(mute.endpoint)});
    open();
    const auto began = clock_.now();
    const Client client = resolve("www.example.");
    EXPECT_LT(clock_.now() - began, 1500ms);
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede_text, "no upstream answered in time");
    EXPECT_GT(mute.udp_queries.size(), 1U);
}

TEST_F(Forward, ADeadUpstreamIsPassedByAndProbed)
{
    bool alive = false;
    Server first{worker_, [&](const Octets& query, bool) {
                     return alive ? std::vector<Octets>{answer_to(query)} : std::vector<Octets>{};
                 }};
    Server second{worker_};
    options_.limits.failures_to_open = 3;
    options_.limits.backoff_first = 300ms;
    group(Strategy::ordered, {upstream(first.endpoint), upstream(second.endpoint)});
    open();
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(resolve("a" + std::to_string(i) + ".example.").answered);
    EXPECT_EQ(upstream_counter("upstream_breaker_opened_total"), 1U);
    EXPECT_EQ(upstream_counter("upstream_breaker_open"), 1U);
    run(20ms); // the first probe goes at once
    // Open: nobody waits for it any more.
    const auto before = first.udp_queries.size();
    const auto began = clock_.now();
    EXPECT_EQ(resolve("b.example.").upstream, options_.groups[0].upstreams[1].name);
    EXPECT_LT(clock_.now() - began, 80ms);
    EXPECT_EQ(first.udp_queries.size(), before);
    alive = true;
    ASSERT_TRUE(until([&] {
        bool open = false;
        resolver_->each_upstream([&](const resolver::UpstreamReport& report) {
            if (report.name == options_.groups[0].upstreams[0].name) open = report.open;
        });
        return open;
    }));
    EXPECT_GE(upstream_counter("upstream_probes_total"), 1U);
    EXPECT_EQ(upstream_counter("upstream_breaker_open"), 0U);
    EXPECT_EQ(resolve("c.example.").upstream, options_.groups[0].upstreams[0].name);
    std::uint64_t measured = 0;
    resolver_->each_upstream_latency([&](const std::string&, const base::Histogram& latency) {
        for (std::size_t i = 0; i < base::Histogram::kBuckets; ++i) measured += latency.count(i);
    });
    EXPECT_EQ(measured, upstream_counter("upstream_answers_total"));
}

TEST_F(Forward, OneBadZoneDoesNotKeepAnUpstreamOut)
{
    Server first{worker_, [](const Octets& query, bool) {
                     const bool bad = wire::lower(query[13]) == 'x';
                     return std::vector<Octets>{answer_to(query, bad ? Rcode::SERVFAIL : Rcode::NOERROR)};
                 }};
    Server second{worker_};
    group(Strategy::ordered, {upstream(first.endpoint), upstream(second.endpoint)});
    open();
    EXPECT_TRUE(resolve("good.example.").answered);
    for (int i = 0; i < 6; ++i) EXPECT_TRUE(resolve("x" + std::to_string(i) + ".bad.example.").answered);
    EXPECT_EQ(upstream_counter("upstream_breaker_opened_total"), 1U);
    // Far sooner than the back-off of 5 s.
    ASSERT_TRUE(until([&] { return upstream_counter("upstream_probes_total") > 0; }, 1s));
    run(50ms);
    EXPECT_EQ(resolve("better.example.").upstream, options_.groups[0].upstreams[0].name);
}

TEST_F(Forward, GarbageIsNotWaitedFor)
{
    Server bad{worker_, [](const Octets& query, bool tcp) {
                   Octets broken = answer_to(query);
                   broken[tcp ? 2 : 1] ^= 0xFFU; // the id, and over TCP the flags
                   return std::vector<Octets>{broken};
               }};
    group(Strategy::ordered, {upstream(bad.endpoint)});
    open();
    const auto began = clock_.now();
    EXPECT_FALSE(resolve("www.example.").answered);
    EXPECT_LT(clock_.now() - began, 1500ms) << "of a budget of 4 s";
}

TEST_F(Forward, WhenAllAreDeadTheLeastBadIsStillTried)
{
    bool alive = false;
    Server only{worker_, [&](const Octets& query, bool) {
                    return alive ? std::vector<Octets>{answer_to(query)} : std::vector<Octets>{};
                }};
    options_.limits.failures_to_open = 1;
    options_.limits.budget = 600ms;
    options_.limits.backoff_first = 60s;
    group(Strategy::ordered, {upstream(only.endpoint)});
    open();
    EXPECT_FALSE(resolve("a.example.").answered);
    EXPECT_EQ(upstream_counter("upstream_breaker_opened_total"), 1U);
    alive = true;
    EXPECT_TRUE(resolve("b.example.").answered);
}

TEST_F(Forward, TheRaceIsWonByTheFirstAndTheOthersAreCancelled)
{
    Server slow{worker_};
    slow.delay = 500ms;
    Server quick{worker_};
    auto& racers = group(Strategy::race, {upstream(slow.endpoint), upstream(quick.endpoint)});
    racers.race = 2;
    open();
    const auto began = clock_.now();
    const Client client = resolve("www.example.");
    EXPECT_LT(clock_.now() - began, 400ms);
    EXPECT_EQ(client.upstream, options_.groups[0].upstreams[1].name);
    run(20ms);
    EXPECT_EQ(upstream_counter("upstream_in_flight"), 0U);
}

TEST_F(Forward, TheFastestIsFound)
{
    Server slow{worker_};
    slow.delay = 60ms;
    Server quick{worker_};
    options_.limits.first_timeout = 800ms;
    group(Strategy::fastest, {upstream(slow.endpoint), upstream(quick.endpoint)});
    open();
    resolve("a.example.");
    run(150ms);
    resolve("b.example.");
    const auto before = slow.udp_queries.size();
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(resolve("c" + std::to_string(i) + ".example.").upstream, options_.groups[0].upstreams[1].name);
    EXPECT_EQ(slow.udp_queries.size(), before);
}

TEST_F(Forward, RoundRobinTakesTurns)
{
    Server one{worker_};
    Server two{worker_};
    group(Strategy::round_robin, {upstream(one.endpoint), upstream(two.endpoint)});
    open();
    for (int i = 0; i < 10; ++i) resolve("a" + std::to_string(i) + ".example.");
    EXPECT_EQ(one.udp_queries.size(), 5U);
    EXPECT_EQ(two.udp_queries.size(), 5U);
}

TEST_F(Forward, NamesGoWhereTheirRouteLeads)
{
    Server world{worker_};
    Server corp{worker_};
    group(Strategy::ordered, {upstream(world.endpoint)});
    group(Strategy::ordered, {upstream(corp.endpoint)}, "corp");
    options_.routes.push_back({{"corp.example"}, "corp", {}});
    open();
    resolve("www.corp.example.");
    EXPECT_EQ(corp.udp_queries.size(), 1U);
    resolve("www.example.");
    EXPECT_EQ(world.udp_queries.size(), 1U);
    auto chosen = question("other.example.");
    chosen.group = "corp";
    Client client;
    ASSERT_EQ(resolver_->resolve(chosen, client, worker_.refresh_now()), Taken::waiting);
    ASSERT_TRUE(until([&] { return client.heard > 0; }));
    EXPECT_EQ(corp.udp_queries.size(), 2U);
    chosen.group = "nobody";
    EXPECT_EQ(resolver_->resolve(chosen, client, worker_.refresh_now()), Taken::no_route);
    std::string told;
    resolver_->explain(question("www.corp.example."), [&](std::string_view what, std::string_view why) {
        told += std::string{what} + "|" + std::string{why} + "\n";
    });
    EXPECT_NE(told.find("group corp|route corp.example"), std::string::npos) << told;
}

TEST_F(Forward, EqualQuestionsAreAskedOnce)
{
    Server server{worker_};
    server.delay = 50ms;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    std::deque<Client> clients(100);
    for (auto& client : clients) ASSERT_EQ(ask(client, "www.example."), Taken::waiting);
    clients.pop_back(); // one that hangs up
    ASSERT_TRUE(until([&] { return clients.back().heard > 0; }));
    for (const auto& client : clients) EXPECT_EQ(client.heard, 1U);
    EXPECT_EQ(server.udp_queries.size(), 1U);
    EXPECT_EQ(counter("resolver_joined_total"), 99U);
}

TEST_F(Forward, EqualQuestionsAreAskedOnceAcrossWorkers)
{
    Server server{worker_};
    server.delay = 50ms;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    other_ = std::make_unique<net::Worker>(1, clock_);
    resolver::Resolver elsewhere{*other_, shared_, &cache_};
    elsewhere.reconfigure(std::make_shared<const resolver::Options>(options_));
    Client here;
    Client there;
    ASSERT_EQ(ask(here, "www.example."), Taken::waiting);
    run(5ms);
    ASSERT_EQ(elsewhere.resolve(question("www.example."), there, other_->refresh_now()), Taken::waiting);
    ASSERT_TRUE(until([&] { return here.heard > 0 && there.heard > 0; }));
    EXPECT_EQ(server.udp_queries.size(), 1U);
    EXPECT_EQ(counter("resolver_joined_elsewhere_total", &elsewhere), 1U);
    EXPECT_EQ(here.message, there.message);
    EXPECT_EQ(there.upstream, here.upstream);
    EXPECT_EQ(shared_.in_flight(), 0U);
}

TEST_F(Forward, WhoWaitsForAWorkerThatStopsIsTakenOver)
{
    Server server{worker_};
    server.delay = 100ms;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    other_ = std::make_unique<net::Worker>(1, clock_);
    auto owner = std::make_unique<resolver::Resolver>(*other_, shared_, &cache_);
    owner->reconfigure(std::make_shared<const resolver::Options>(options_));
    Client there;
    Client here;
    ASSERT_EQ(owner->resolve(question("www.example."), there, other_->refresh_now()), Taken::waiting);
    run(10ms);
    ASSERT_EQ(ask(here, "www.example."), Taken::waiting);
    run(10ms);
    EXPECT_EQ(counter("resolver_joined_elsewhere_total"), 1U);
    owner.reset();
    ASSERT_TRUE(until([&] { return here.heard > 0; }));
    EXPECT_TRUE(here.answered);
    EXPECT_EQ(there.heard, 0U);
    EXPECT_EQ(counter("resolver_taken_over_total"), 1U);
    EXPECT_EQ(shared_.in_flight(), 0U);
}

TEST_F(Forward, LimitsOfQuestionsInFlight)
{
    Server mute{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    options_.limits.budget = 500ms;
    options_.limits.in_flight = 2;
    options_.limits.waiters = 2;
    group(Strategy::ordered, {upstream(mute.endpoint)});
    open();
    std::deque<Client> clients(6);
    EXPECT_EQ(ask(clients[0], "a.example."), Taken::waiting);
    EXPECT_EQ(ask(clients[1], "a.example."), Taken::waiting);
    EXPECT_EQ(ask(clients[2], "a.example."), Taken::overloaded);
    EXPECT_EQ(ask(clients[3], "b.example."), Taken::waiting);
    EXPECT_EQ(ask(clients[4], "c.example."), Taken::overloaded);
    EXPECT_EQ(counter("resolver_waiters_full_total"), 1U);
    EXPECT_EQ(counter("resolver_in_flight_full_total"), 1U);
    EXPECT_EQ(counter("resolver_in_flight"), 2U);
    ASSERT_TRUE(until([&] { return clients[0].heard > 0 && clients[3].heard > 0; }));
    EXPECT_EQ(counter("resolver_in_flight"), 0U);
    EXPECT_EQ(counter("resolver_in_flight_octets"), 0U);
    options_.limits.in_flight_octets = 1000;
    open();
    EXPECT_EQ(ask(clients[5], "d.example."), Taken::overloaded);
    EXPECT_EQ(counter("resolver_octets_full_total"), 1U);
}

TEST_F(Forward, TheOldestOfTooManyGivesWay)
{
    Server server{worker_, [](const Octets& query, bool) {
                      if (wire::lower(query[13]) == 'x') return std::vector<Octets>{};
                      return std::vector<Octets>{answer_to(query)};
                  }};
    options_.limits.in_flight = 3;
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    std::deque<Client> silent(3);
    for (std::size_t i = 0; i < 3; ++i) ask(silent[i], "x" + std::to_string(i) + ".example.");
    Client early;
    EXPECT_EQ(ask(early, "a.example."), Taken::overloaded) << "they have not had their chance yet";
    run(250ms);
    Client late;
    EXPECT_EQ(ask(late, "b.example."), Taken::waiting);
    EXPECT_EQ(silent[0].heard, 0U) << "not from within";
    ASSERT_TRUE(until([&] { return late.heard > 0; }));
    EXPECT_TRUE(late.answered);
    EXPECT_EQ(silent[0].heard, 1U);
    EXPECT_FALSE(silent[0].answered);
    EXPECT_EQ(silent[1].heard + silent[2].heard, 0U);
    EXPECT_EQ(counter("resolver_gave_way_total"), 1U);
    EXPECT_EQ(shared_.in_flight(), 2U);
    EXPECT_EQ(ask(silent[0], "x0.example."), Taken::waiting) << "it may be asked again at once";
    resolver_->stop();
    EXPECT_EQ(shared_.in_flight(), 0U);
}

TEST_F(Forward, LimitsOfConnections)
{
    Server mute{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    options_.limits.connections = 2;
    options_.limits.pipeline = 3;
    options_.limits.budget = 500ms;
    options_.limits.tries = 1;
    group(Strategy::ordered, {upstream(mute.endpoint, base::Transport::tcp)});
    open();
    std::deque<Client> clients(8);
    for (int i = 0; i < 8; ++i)
        ASSERT_EQ(ask(clients[static_cast<std::size_t>(i)], "n" + std::to_string(i) + ".example."), Taken::waiting);
    run(50ms);
    EXPECT_EQ(mute.accepted, 2U);
    EXPECT_EQ(mute.tcp_queries.size(), 6U);
    EXPECT_EQ(upstream_counter("upstream_busy_total"), 2U);
    ASSERT_TRUE(until([&] { return clients[0].heard > 0 && clients[7].heard > 0; }));
}

TEST_F(Forward, TcpIsPipelinedAndAnsweredOutOfOrder)
{
    std::vector<Octets> held;
    Server server{worker_, [&](const Octets& query, bool) {
                      held.push_back(query);
                      std::vector<Octets> out;
                      if (held.size() == 3)
                          for (auto it = held.rbegin(); it != held.rend(); ++it) out.push_back(answer_to(*it));
                      return out;
                  }};
    options_.limits.first_timeout = 800ms;
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    std::deque<Client> clients(3);
    for (std::size_t i = 0; i < 3; ++i) ask(clients[i], "n" + std::to_string(i) + ".example.");
    ASSERT_TRUE(until([&] { return clients[0].heard + clients[1].heard + clients[2].heard == 3; }));
    for (const auto& client : clients) EXPECT_TRUE(client.answered);
    EXPECT_EQ(server.accepted, 1U);
}

TEST_F(Forward, AConnectionThatEndsTakesNoQueryWithIt)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    // It closes just when the next query is on its way.
    Client client;
    server.close_connections();
    ask(client, "b.example.");
    ASSERT_TRUE(until([&] { return client.heard > 0; }));
    EXPECT_TRUE(client.answered);
    EXPECT_EQ(upstream_counter("upstream_failures_total"), 0U);
}

TEST_F(Forward, AConnectionThatEndsMakesRoomForTheNext)
{
    Server server{worker_};
    options_.limits.connections = 1;
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
    Client client;
    server.close_connections();
    ask(client, "b.example.");
    ASSERT_TRUE(until([&] { return client.heard > 0; }));
    EXPECT_TRUE(client.answered) << client.ede_text;
    EXPECT_EQ(upstream_counter("upstream_busy_total"), 0U);
}

TEST_F(Forward, QueriesThatAreNeverAnsweredDoNotFillAConnection)
{
    Server server{worker_, [](const Octets& query, bool) {
                      if (wire::lower(query[13]) == 'x') return std::vector<Octets>{};
                      return std::vector<Octets>{answer_to(query)};
                  }};
    options_.limits.connections = 1;
    options_.limits.pipeline = 8;
    options_.limits.budget = 200ms;
    options_.limits.tries = 1;
    options_.limits.failures_to_open = 1000;
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    for (int round = 0; round < 3; ++round) {
        std::deque<Client> lost(3);
        for (std::size_t i = 0; i < lost.size(); ++i)
            ask(lost[i], "x" + std::to_string(i) + "-" + std::to_string(round) + ".example.");
        Client found;
        ask(found, "a" + std::to_string(round) + ".example.");
        ASSERT_TRUE(until([&] { return found.heard > 0 && lost[0].heard + lost[1].heard + lost[2].heard == 3; }));
        EXPECT_TRUE(found.answered) << found.ede_text;
    }
    EXPECT_EQ(upstream_counter("upstream_busy_total"), 0U);
    EXPECT_GT(server.accepted, 1U);
}

TEST_F(Forward, AServerThatClosesEveryConnectionIsAFailure)
{
    Server server{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    server.close_after_query = true;
    Server good{worker_};
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp), upstream(good.endpoint)});
    open();
    const auto began = clock_.now();
    EXPECT_TRUE(resolve("a.example.").answered);
    EXPECT_LT(clock_.now() - began, 90ms) << "not by waiting";
    EXPECT_GE(upstream_counter("upstream_failures_total"), 1U);
}

TEST_F(Forward, GarbageOverTcpIsTakenToTheNext)
{
    Server server{worker_, [](const Octets& query, bool) {
                      Octets broken = answer_to(query);
                      broken.resize(20);
                      return std::vector<Octets>{broken};
                  }};
    Server good{worker_};
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp), upstream(good.endpoint)});
    open();
    EXPECT_EQ(resolve("a.example.").upstream, options_.groups[0].upstreams[1].name);
}

TEST_F(Forward, UnchangedUpstreamsKeepTheirConnections)
{
    Server server{worker_};
    Server other{worker_};
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    resolve("a.example.");
    options_.groups[0].upstreams[0].position.line = 7;
    options_.groups[0].upstreams.push_back(upstream(other.endpoint));
    open();
    resolve("b.example.");
    EXPECT_EQ(server.accepted, 1U);
    // One that goes away ends its connections.
    options_.groups[0].upstreams.erase(options_.groups[0].upstreams.begin());
    open();
    EXPECT_TRUE(until([&] { return server.open_connections() == 0; }));
    EXPECT_EQ(resolve("c.example.").upstream, options_.groups[0].upstreams[0].name);
}

TEST_F(Forward, IdleConnectionsAreClosed)
{
    Server server{worker_};
    options_.limits.idle = 100ms;
    group(Strategy::ordered, {upstream(server.endpoint, base::Transport::tcp)});
    open();
    resolve("a.example.");
    EXPECT_EQ(server.open_connections(), 1U);
    EXPECT_TRUE(until([&] { return server.open_connections() == 0; }, 2s));
    resolve("b.example.");
    EXPECT_EQ(upstream_counter("upstream_failures_total"), 0U);
}

TEST_F(Forward, AWaiterMayAskAgainFromWithin)
{
    Server server{worker_};
    group(Strategy::ordered, {upstream(server.endpoint)});
    open();
    Client first;
    Client second;
    first.then = [&] { ask(second, "b.example."); };
    ask(first, "a.example.");
    ASSERT_TRUE(until([&] { return second.heard > 0; }));
}

TEST_F(Forward, StoppingLetsWaitersGoUnheard)
{
    Server mute{worker_, [](const Octets&, bool) { return std::vector<Octets>{}; }};
    group(Strategy::ordered, {upstream(mute.endpoint)});
    open();
    Client client;
    ask(client, "a.example.");
    run(10ms);
    resolver_->stop();
    run(50ms);
    EXPECT_EQ(client.heard, 0U);
    EXPECT_FALSE(client.is_linked());
    EXPECT_EQ(ask(client, "b.example."), Taken::overloaded);
}

TEST_F(Forward, SeveralAddressesAreTriedInTurn)
{
    Server server{worker_};
    auto two = upstream(server.endpoint, base::Transport::tcp);
    two.addresses = {base::IpAddress::v4({127, 0, 0, 9}), server.endpoint.address}; // nobody listens on the first
    group(Strategy::ordered, {two});
    open();
    EXPECT_TRUE(resolve("a.example.").answered);
}

#ifdef SALLYPORT_HAS_QUIC
constexpr bool kQuic = true;
#else
constexpr bool kQuic = false;
#endif

struct Encrypted {
    listeners::DoorKind door;
    listeners::Port::Kind port;
    base::Transport transport;
};

class ForwardEncrypted : public Forward, public testing::WithParamInterface<Encrypted> {
protected:
    void SetUp() override
    {
        Forward::SetUp();
        http3_ = GetParam().transport == base::Transport::doh3;
        if (!kQuic && GetParam().port == listeners::Port::Kind::quic) GTEST_SKIP() << "this build has no QUIC";
        open_doors({GetParam().door});
        options_.limits.first_timeout = 2s; // a handshake under a sanitizer
    }
    [[nodiscard]] resolver::UpstreamOptions peer() const { return encrypted(GetParam().port, GetParam().transport); }
};

TEST_P(ForwardEncrypted, ManyQuestionsShareOneConnection)
{
    group(Strategy::ordered, {peer()});
    open();
    std::deque<Client> clients(20);
    for (std::size_t i = 0; i < clients.size(); ++i) ask(clients[i], "n" + std::to_string(i) + ".gate.test.");
    ASSERT_TRUE(until([&] {
        return std::all_of(clients.begin(), clients.end(), [](const Client& client) { return client.heard > 0; });
    }));
    for (const auto& client : clients) {
        EXPECT_TRUE(client.answered) << client.ede_text;
        EXPECT_EQ(client.rcode, Rcode::NOERROR);
    }
    EXPECT_EQ(upstream_counter("upstream_connections_total"), 1U);
}

TEST_P(ForwardEncrypted, SessionsAreResumed)
{
    options_.limits.idle = 100ms;
    group(Strategy::ordered, {peer()});
    open();
    EXPECT_TRUE(resolve("a.gate.test.").answered);
    run(300ms);
    EXPECT_TRUE(resolve("b.gate.test.").answered);
    EXPECT_EQ(upstream_counter("upstream_connections_total"), 2U);
    EXPECT_EQ(upstream_counter("upstream_resumed_total"), 1U);
}

TEST_P(ForwardEncrypted, ACertificateOfAnotherNameIsNotTaken)
{
    auto wrong = peer();
    wrong.server_name = "elsewhere.example";
    options_.limits.budget = 2s;
    group(Strategy::ordered, {wrong});
    open();
    const Client client = resolve("a.gate.test.");
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede, wire::ExtendedError::network_error);
    EXPECT_EQ(client.ede_text, "no secure connection to an upstream");
}

TEST_P(ForwardEncrypted, PinsAreChecked)
{
    const std::string command =
        "openssl x509 -in " + chain_file_ +
        " -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64";
    std::string pin;
    if (FILE* pipe = ::popen(command.c_str(), "r"); pipe != nullptr) {
        std::array<char, 128> line{};
        if (std::fgets(line.data(), line.size(), pipe) != nullptr) pin = line.data();
        ::pclose(pipe);
    }
    while (!pin.empty() && pin.back() == '\n') pin.pop_back();
    if (pin.size() != 44) GTEST_SKIP() << "openssl is not installed";
    auto pinned = peer();
    pinned.verify = false;
    pinned.spki_pins = {std::string(43, 'A') + "=", pin};
    group(Strategy::ordered, {pinned});
    options_.limits.budget = 2s;
    open();
    EXPECT_TRUE(resolve("a.gate.test.").answered);
    options_.groups[0].upstreams[0].spki_pins = {std::string(43, 'A') + "="};
    open();
    const Client client = resolve("b.gate.test.");
    EXPECT_FALSE(client.answered);
    EXPECT_EQ(client.ede_text, "no secure connection to an upstream");
}

INSTANTIATE_TEST_SUITE_P(
    Transports, ForwardEncrypted,
    testing::Values(Encrypted{listeners::DoorKind::dot, listeners::Port::Kind::tls, base::Transport::dot},
                    Encrypted{listeners::DoorKind::doh, listeners::Port::Kind::tls, base::Transport::doh2},
                    Encrypted{listeners::DoorKind::doq, listeners::Port::Kind::quic, base::Transport::doq},
                    Encrypted{listeners::DoorKind::doh, listeners::Port::Kind::quic, base::Transport::doh3}),
    [](const auto& each) { return std::string{base::to_string(each.param.transport)}; });

} // namespace
