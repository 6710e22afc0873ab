#include "quic_client.hpp"

#include "certs/certs.hpp"
#include "listeners/doh_context.hpp"
#include "listeners/quic/endpoint.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <unistd.h>

namespace sallyport {
namespace {

using namespace std::chrono_literals;
using listeners::QuicEndpoint;
using test::Octets;
using test::QuicClient;

constexpr std::uint64_t kProtocolError = 2;

base::Endpoint endpoint(const std::string& text) { return base::Endpoint::parse(text).value(); }

Octets query(std::string_view first_label, std::uint16_t qtype = 1, std::uint16_t id = 0)
{
    Octets q{static_cast<std::uint8_t>(id >> 8U), static_cast<std::uint8_t>(id & 0xFFU), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
    q.push_back(static_cast<std::uint8_t>(first_label.size()));
    q.insert(q.end(), first_label.begin(), first_label.end());
    for (const std::string_view label : {"gate", "test"}) {
        q.push_back(static_cast<std::uint8_t>(label.size()));
        q.insert(q.end(), label.begin(), label.end());
    }
    q.insert(q.end(), {0, static_cast<std::uint8_t>(qtype >> 8U), static_cast<std::uint8_t>(qtype & 0xFFU), 0, 1});
    return q;
}

Octets framed(const Octets& message)
{
    Octets out{static_cast<std::uint8_t>(message.size() >> 8U), static_cast<std::uint8_t>(message.size() & 0xFFU)};
    out.insert(out.end(), message.begin(), message.end());
    return out;
}

Octets with_option(Octets q, std::uint16_t code)
{
    q[11] = 1;
    q.insert(q.end(), {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 4, static_cast<std::uint8_t>(code >> 8U),
                       static_cast<std::uint8_t>(code & 0xFFU), 0, 0});
    return q;
}

/// A: one address. TXT: 24 kB. Names under `wait` are never answered.
class Answers final : public pipeline::Stage {
public:
    pipeline::Step handle(pipeline::Query& query) noexcept override
    {
        peers.push_back(query.client.peer);
        if (query.qtype == wire::RrType::AAAA) return pipeline::Step::suspended;
        if (query.qtype == wire::RrType::MX) return pipeline::Step::drop;
        Octets rdata{192, 0, 2, 1};
        int records = 1;
        if (query.qtype == wire::RrType::TXT) {
            rdata.assign(251, 'x');
            rdata[0] = 250;
            records = 92;
        }
        for (int i = 0; i < records; ++i)
            (void)query.answer->record(wire::Section::answer, query.qname, query.qtype, wire::RrClass::IN,
                                       wire::Ttl{300}, rdata);
        return pipeline::Step::answered;
    }

    std::vector<base::Endpoint> peers; ///< who asked
};

/// Certificates are made once for all tests of the file.
const std::shared_ptr<const certs::TlsIdentities>& identities()
{
    static const auto loaded = [] {
        const auto directory =
            std::filesystem::temp_directory_path() / ("sallyport-quic-" + std::to_string(::getpid()));
        certs::DevelopmentOptions development;
        development.directory = directory.string();
        const auto made = certs::make_development(development, std::chrono::system_clock::now());
        if (!made) throw std::runtime_error(made.error().to_string());
        certs::Options options;
        options.certificates.push_back({made->chain_file, made->key_file, {}});
        base::SystemClock clock;
        base::Problems problems;
        auto result =
            certs::load(options, certs::TicketKeys::make(options.tickets, clock.now()).value(), clock.wall(), problems);
        std::filesystem::remove_all(directory);
        if (!result) throw std::runtime_error("no certificates");
        return result;
    }();
    return loaded;
}

/// The QUIC port of a gateway with some workers, in memory: no socket, and time as the test says.
class Gate final : public listeners::PacketRouter {
public:
    struct Sent {
        Octets data;
        base::Endpoint peer;
    };
    struct Sender final : listeners::quic::PacketSender {
        void send(base::Bytes data, const base::Endpoint& peer, const base::Endpoint&, std::uint8_t,
                  std::uint16_t segment) noexcept override
        {
            while (!data.empty()) {
                const auto one = data.first(segment == 0 ? data.size() : std::min<std::size_t>(segment, data.size()));
                out.push_back({{one.begin(), one.end()}, peer});
                bytes += one.size();
                data = data.subspan(one.size());
            }
        }
        std::vector<Sent> out;
        std::size_t bytes = 0;
    };
    struct Node {
        Node(unsigned index, Gate& gate)
            : worker(index, gate.clock), pipeline(gate.pipeline_options, gate.clock, worker.random())
        {
            auto stage = std::make_unique<Answers>();
            answers = stage.get();
            pipeline.append_stage(std::move(stage));
            context = {&gate.doh.doh, &gate.options.http, &http_stats, &gate.budget, {}};
            make(gate);
        }
        void make(Gate& gate)
        {
            quic = std::make_unique<QuicEndpoint>(QuicEndpoint::Setup{.worker = worker,
                                                                      .pipeline = pipeline,
                                                                      .identities = identities(),
                                                                      .options = gate.options,
                                                                      .port = gate.port,
                                                                      .port_index = 0,
                                                                      .fd = -1,
                                                                      .router = gate,
                                                                      .secrets = gate.secrets,
                                                                      .doh = &context,
                                                                      .quic_ports = 1,
                                                                      .sender = &sender});
        }
        net::Worker worker;
        pipeline::Pipeline pipeline;
        Answers* answers = nullptr;
        listeners::HttpStats http_stats;
        listeners::DohContext context;
        Sender sender;
        std::unique_ptr<QuicEndpoint> quic;
    };

    explicit Gate(unsigned workers = 1)
    {
        options.workers = workers;
        doh.kind = listeners::DoorKind::doh;
        doq.kind = listeners::DoorKind::doq;
        port.kind = listeners::Port::Kind::quic;
        port.doh = &doh;
        port.doq = &doq;
        base::SystemRandom random;
        random.fill(secrets.quic_tokens);
        random.fill(secrets.quic_resets);
    }
    void start()
    {
        for (unsigned i = 0; i < options.workers; ++i) nodes.push_back(std::make_unique<Node>(i, *this));
    }
    void route(unsigned worker, std::size_t, base::Bytes packet, const base::Endpoint& peer,
               const base::Endpoint& local, std::uint8_t ecn) noexcept override
    {
        nodes[worker]->quic->packet_routed(packet, peer, local, ecn);
    }
    void deliver(base::Bytes packet, const base::Endpoint& peer, unsigned to = 0)
    {
        nodes[to]->quic->packet_arrived(packet, peer, address, 0);
    }
    /// One wake-up of every worker.
    void wake()
    {
        for (auto& node : nodes) {
            node->worker.refresh_now();
            node->worker.timers().expire(clock.now());
            node->quic->flush(clock.now());
        }
    }
    /// Carries packets to and fro until nobody has anything to say, `rounds` at most, a millisecond each.
    void exchange(std::initializer_list<QuicClient*> clients, unsigned to = 0, int rounds = 60)
    {
        for (auto& node : nodes) node->worker.refresh_now();
        for (int round = 0; round < rounds; ++round) {
            bool silent = true;
            for (QuicClient* client : clients) {
                client->tick(clock.now());
                for (const Octets& packet : client->outbox) {
                    deliver(packet, client->self, to);
                    silent = false;
                }
                client->outbox.clear();
            }
            wake();
            for (auto& node : nodes) {
                for (const Sent& sent : node->sender.out)
                    for (QuicClient* client : clients)
                        if (client->self == sent.peer) {
                            client->receive(sent.data, clock.now());
                            silent = false;
                        }
                node->sender.out.clear();
            }
            clock.advance(1ms);
            for (auto& node : nodes) node->worker.refresh_now();
            if (silent && round > 30) return;
        }
    }
    [[nodiscard]] const listeners::quic::QuicStats& stats(unsigned worker = 0) { return nodes[worker]->quic->stats(); }
    [[nodiscard]] QuicEndpoint& quic(unsigned worker = 0) { return *nodes[worker]->quic; }

    base::ManualClock clock;
    listeners::Options options;
    listeners::DoorOptions doh;
    listeners::DoorOptions doq;
    listeners::Port port;
    pipeline::Options pipeline_options;
    listeners::SharedSecrets secrets;
    listeners::HttpBudget budget{64U << 20U};
    base::Endpoint address = endpoint("127.0.0.1:8853");
    std::vector<std::unique_ptr<Node>> nodes;
};

class QuicDoors : public testing::Test {
protected:
    std::unique_ptr<QuicClient> client(const QuicClient::Options& options = {},
                                       const std::string& from = "127.0.0.1:40000")
    {
        return std::make_unique<QuicClient>(options, endpoint(from), gate.address, gate.clock.now());
    }
    std::unique_ptr<QuicClient> connected(const QuicClient::Options& options = {},
                                          const std::string& from = "127.0.0.1:40000")
    {
        auto made = client(options, from);
        gate.exchange({made.get()});
        EXPECT_TRUE(made->handshaken());
        return made;
    }
    void expect_closed(const Octets& stream, bool fin, std::uint64_t code)
    {
        auto user = connected();
        ASSERT_TRUE(user->open(stream, fin));
        gate.exchange({user.get()});
        ASSERT_TRUE(user->closed);
        EXPECT_TRUE(user->closed_by_application);
        EXPECT_EQ(*user->closed, code);
        EXPECT_EQ(gate.quic().connections(), 0U);
    }

    Gate gate;
};

TEST_F(QuicDoors, AnswersAQueryWithIdZeroAndFin)
{
    gate.start();
    auto user = connected();
    const auto id = user->open(framed(query("www")));
    ASSERT_TRUE(id);
    gate.exchange({user.get()});
    const auto& stream = user->streams[*id];
    ASSERT_GT(stream.in.size(), 14U);
    EXPECT_TRUE(stream.in_fin);
    EXPECT_EQ(base::load_be16(stream.in, 0), stream.in.size() - 2);
    EXPECT_EQ(base::load_be16(stream.in, 2), 0U);
    EXPECT_EQ(gate.stats().doq_replies.get(), 1U);
    EXPECT_EQ(gate.stats().streams.get(), 0U);
}

TEST_F(QuicDoors, GivesCreditBackForThousandsOfQueries)
{
    gate.start();
    auto user = connected();
    std::size_t asked = 0;
    for (int turn = 0; turn < 200 && asked < 3000; ++turn) {
        while (asked < 3000 && user->open(framed(query("www")))) ++asked;
        gate.exchange({user.get()}, 0, 12);
    }
    EXPECT_EQ(asked, 3000U);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().doq_replies.get(), 3000U);
    EXPECT_FALSE(user->closed);
    std::size_t whole = 0;
    for (const auto& [id, stream] : user->streams) whole += stream.in_fin ? 1 : 0;
    EXPECT_EQ(whole, 3000U);
}

TEST_F(QuicDoors, BigAnswersArriveWhole)
{
    gate.start();
    auto user = connected();
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(user->open(framed(query("big", 16))));
    for (int i = 0; i < 40; ++i) gate.exchange({user.get()});
    std::size_t whole = 0;
    for (const auto& [id, stream] : user->streams)
        if (stream.in_fin && stream.in.size() > 24'000) ++whole;
    EXPECT_EQ(whole, 100U);
    EXPECT_FALSE(user->closed);
    // More than a megabyte of answers is not made before the client has read what was made.
    EXPECT_GT(gate.stats().answers_deferred.get(), 0U);
}

TEST_F(QuicDoors, ProtocolErrorsOfDoqEndTheConnection)
{
    gate.start();
    expect_closed(framed(query("www", 1, 7)), true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_nonzero_ids.get(), 1U);
    expect_closed(framed(with_option(query("www"), 11)), true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_keepalive_options.get(), 1U);
    expect_closed({0, 0}, true, kProtocolError);
    expect_closed({0, 4, 1, 2, 3, 4}, true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_malformed.get(), 2U);
    expect_closed({0, 40, 0, 0}, true, kProtocolError);
    expect_closed({0}, true, kProtocolError);
    expect_closed({}, true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_truncated.get(), 3U);
    Octets two = framed(query("www"));
    const Octets again = two;
    two.insert(two.end(), again.begin(), again.end());
    expect_closed(two, true, kProtocolError);
    EXPECT_EQ(gate.stats().doq_trailing_data.get(), 1U);
    Octets response = query("www");
    response[2] |= 0x80U;
    expect_closed(framed(response), true, kProtocolError);
}

TEST_F(QuicDoors, UnidirectionalStreamsAreNoPartOfDoq)
{
    gate.start();
    auto user = connected();
    ASSERT_TRUE(user->open({1, 2, 3}, true, true));
    gate.exchange({user.get()});
    ASSERT_TRUE(user->closed);
    EXPECT_EQ(*user->closed, kProtocolError);
    EXPECT_EQ(gate.stats().doq_unidirectional.get(), 1U);
}

TEST_F(QuicDoors, ACancelledQueryIsLetGo)
{
    gate.start();
    auto user = connected();
    const auto stopped = user->open(framed(query("wait", 28)));
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().streams.get(), 1U);
    user->stop(*stopped, 3);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().streams.get(), 0U);
    EXPECT_EQ(gate.stats().stream_resets.get(), 1U);
    EXPECT_EQ(gate.nodes[0]->pipeline.stats().abandoned.get(), 1U);

    const auto half = user->open({0, 40, 0, 0}, false);
    gate.exchange({user.get()});
    user->reset(*half, 3);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().streams.get(), 0U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicDoors, AConnectionThatGoesLetsItsQueriesGo)
{
    gate.start();
    auto user = connected();
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(user->open(framed(query("wait", 28))));
    gate.exchange({user.get()});
    gate.deliver(user->close(0), user->self);
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.nodes[0]->pipeline.stats().abandoned.get(), 10U);
    EXPECT_EQ(gate.stats().closed_by_peer.get(), 1U);
    EXPECT_EQ(gate.stats().remnants.get(), 1U);
}

TEST_F(QuicDoors, ADroppedQueryEndsItsStreamOnly)
{
    gate.start();
    auto user = connected();
    const auto id = user->open(framed(query("drop", 15)));
    gate.exchange({user.get()});
    EXPECT_EQ(user->streams[*id].reset_code, 5U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicDoors, TooManyResetsEndTheConnection)
{
    gate.options.http.reset_burst = 20;
    gate.options.http.reset_per_second = 1;
    gate.start();
    auto user = connected();
    for (int i = 0; i < 40 && !user->closed; ++i) {
        const auto id = user->open(framed(query("wait", 28)));
        if (!id) break;
        gate.exchange({user.get()}, 0, 5);
        user->stop(*id, 3);
        gate.exchange({user.get()}, 0, 5);
    }
    ASSERT_TRUE(user->closed);
    EXPECT_EQ(*user->closed, 4U);
    EXPECT_EQ(gate.stats().reset_budget_spent.get(), 1U);
}

TEST_F(QuicDoors, AQueryThatDoesNotComeIsShut)
{
    gate.start();
    auto user = connected();
    const auto id = user->open({0xFF, 0xFF, 0}, false);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().streams.get(), 1U);
    gate.clock.advance(5s);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().message_timeouts.get(), 1U);
    EXPECT_EQ(user->streams[*id].reset_code, 4U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicDoors, AnswersThatAreNotReadEndTheConnection)
{
    gate.start();
    auto user = connected({.stream_window = 100});
    ASSERT_TRUE(user->open(framed(query("big", 16))));
    // The test client gives credit for what it reads, so its stream is stopped by hand: nothing is delivered any more.
    user->tick(gate.clock.now());
    for (const Octets& packet : user->outbox) gate.deliver(packet, user->self);
    user->outbox.clear();
    for (int i = 0; i < 12; ++i) {
        gate.wake();
        gate.clock.advance(1s);
    }
    gate.wake();
    EXPECT_EQ(gate.stats().answer_stalls.get(), 1U);
    EXPECT_EQ(gate.quic().connections(), 0U);
}

TEST_F(QuicDoors, NegotiatesTheVersionForWholeInitialsOnly)
{
    gate.start();
    Octets packet(1200, 0);
    const Octets head{0xC0, 0x1A, 0x2A, 0x3A, 0x4A, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9};
    std::copy(head.begin(), head.end(), packet.begin());
    gate.deliver({packet.data(), 1199}, endpoint("127.0.0.1:1"));
    EXPECT_TRUE(gate.nodes[0]->sender.out.empty());
    gate.deliver(packet, endpoint("127.0.0.1:1"));
    ASSERT_EQ(gate.nodes[0]->sender.out.size(), 1U);
    const Octets& answer = gate.nodes[0]->sender.out[0].data;
    EXPECT_EQ(base::load_be32(answer, 1), 0U);
    EXPECT_EQ(answer[5], 4U);  // our DCID is the client's SCID
    EXPECT_EQ(answer[10], 8U); // and the other way round
    EXPECT_EQ(gate.stats().version_negotiations.get(), 1U);
    EXPECT_EQ(gate.quic().connections(), 0U);
}

TEST_F(QuicDoors, AnEmptyDatagramIsNothing)
{
    gate.start();
    gate.deliver({}, endpoint("127.0.0.1:1"));
    EXPECT_EQ(gate.stats().unreadable.get(), 1U);
    EXPECT_TRUE(gate.nodes[0]->sender.out.empty());
}

TEST_F(QuicDoors, SpeaksVersionTwo)
{
    gate.start();
    auto user = connected({.version = NGTCP2_PROTO_VER_V2});
    ASSERT_TRUE(user->open(framed(query("www"))));
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().doq_replies.get(), 1U);
}

TEST_F(QuicDoors, RetryProvesTheAddressAndATokenSavesIt)
{
    gate.options.quic.always_retry = true;
    gate.start();
    auto first = connected();
    EXPECT_TRUE(first->got_retry);
    EXPECT_EQ(gate.stats().retries.get(), 1U);
    ASSERT_FALSE(first->token.empty());

    auto second = connected({.token = first->token}, "127.0.0.1:40001");
    EXPECT_FALSE(second->got_retry);
    auto other = connected({.token = first->token}, "127.0.0.2:40001");
    EXPECT_TRUE(other->got_retry);
    EXPECT_EQ(gate.stats().tokens_invalid.get(), 1U);
    EXPECT_EQ(gate.stats().retries.get(), 2U);
}

TEST_F(QuicDoors, ALateRetryTokenIsRefused)
{
    gate.options.quic.always_retry = true;
    gate.start();
    auto user = client();
    user->tick(gate.clock.now());
    gate.deliver(user->outbox.front(), user->self);
    ASSERT_EQ(gate.nodes[0]->sender.out.size(), 1U);
    user->receive(gate.nodes[0]->sender.out[0].data, gate.clock.now());
    gate.nodes[0]->sender.out.clear();
    user->outbox.clear();
    user->write(gate.clock.now());
    gate.clock.advance(11s);
    gate.wake();
    for (const Octets& packet : user->outbox) gate.deliver(packet, user->self);
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().tokens_invalid.get(), 1U);
    ASSERT_FALSE(gate.nodes[0]->sender.out.empty());
    user->receive(gate.nodes[0]->sender.out[0].data, gate.clock.now());
    EXPECT_EQ(user->closed, NGTCP2_INVALID_TOKEN);
}

TEST_F(QuicDoors, ResumesASession)
{
    gate.start();
    auto first = connected();
    const Octets session = first->session_data();
    ASSERT_FALSE(session.empty());
    auto second = connected({.session = session}, "127.0.0.1:40001");
    EXPECT_TRUE(second->resumed());
    EXPECT_EQ(gate.stats().resumed.get(), 1U);
}

TEST_F(QuicDoors, EarlyDataIsRefusedByDefault)
{
    gate.start();
    auto first = connected();
    auto second =
        client({.session = first->session_data(), .early_parameters = first->early_parameters()}, "127.0.0.1:40001");
    gate.exchange({second.get()});
    EXPECT_TRUE(second->handshaken());
    EXPECT_EQ(gate.stats().early_data.get(), 0U);
}

TEST_F(QuicDoors, EarlyDataIsAnsweredWhereConfigured)
{
    gate.doq.early_data = true;
    gate.start();
    auto first = connected();
    const Octets session = first->session_data();
    const Octets parameters = first->early_parameters();
    ASSERT_FALSE(session.empty());
    ASSERT_FALSE(parameters.empty());
    auto second = client({.session = session, .early_parameters = parameters}, "127.0.0.1:40001");
    const auto id = second->open(framed(query("www")));
    ASSERT_TRUE(id);
    gate.exchange({second.get()});
    EXPECT_TRUE(second->resumed());
    EXPECT_EQ(gate.stats().early_data.get(), 1U);
    EXPECT_TRUE(second->streams[*id].in_fin);
}

TEST_F(QuicDoors, AClientWhosePortChangedGoesOn)
{
    gate.start();
    auto user = connected();
    user->self = endpoint("127.0.0.1:50123");
    const auto id = user->open(framed(query("www")));
    gate.exchange({user.get()});
    EXPECT_TRUE(user->streams[*id].in_fin);
    EXPECT_EQ(gate.stats().migrations.get(), 1U);
}

TEST_F(QuicDoors, AForgedAddressIsNotBelievedUntilItAnswers)
{
    gate.start();
    auto user = connected();
    const std::string own = "127.0.0.1:40000";
    user->self = endpoint("10.9.9.9:53");
    for (int i = 0; i < 4; ++i) {
        ASSERT_TRUE(user->open(framed(query("www"))));
        user->tick(gate.clock.now());
        for (const Octets& packet : user->outbox) gate.deliver(packet, user->self);
        user->outbox.clear();
        gate.wake();
        gate.nodes[0]->sender.out.clear(); // nobody is there to get it
        gate.clock.advance(1ms);
    }
    ASSERT_EQ(gate.nodes[0]->answers->peers.size(), 4U);
    for (const base::Endpoint& peer : gate.nodes[0]->answers->peers) EXPECT_EQ(peer, endpoint(own));
    EXPECT_EQ(gate.stats().migrations.get(), 0U);
}

TEST_F(QuicDoors, AnAddressThatAnswersIsBelieved)
{
    gate.start();
    auto user = connected();
    for (const char* address : {"127.0.0.9:40000", "127.0.0.10:4", "127.0.0.9:40000"}) {
        user->self = endpoint(address);
        // The way back needs a connection ID that the client has to give first.
        for (int i = 0; i < 20; ++i) {
            ASSERT_TRUE(user->open(framed(query("www"))));
            gate.exchange({user.get()});
            if (gate.nodes[0]->answers->peers.back() == endpoint(address)) break;
            gate.clock.advance(100ms);
        }
        EXPECT_EQ(gate.nodes[0]->answers->peers.back(), endpoint(address));
    }
    EXPECT_EQ(gate.stats().migrations.get(), 3U);
}

TEST_F(QuicDoors, PacketsAtTheWrongWorkerReachTheirConnection)
{
    gate.options.workers = 2;
    gate.start();
    for (int i = 0; i < 8; ++i) {
        auto user = client({}, "127.0.0.1:4000" + std::to_string(i));
        gate.exchange({user.get()}, static_cast<unsigned>(i) % 2);
        ASSERT_TRUE(user->handshaken());
        user->self = endpoint("127.0.0.1:5000" + std::to_string(i));
        const auto id = user->open(framed(query("www")));
        gate.exchange({user.get()}, static_cast<unsigned>(i + 1) % 2);
        EXPECT_TRUE(user->streams[*id].in_fin);
    }
    EXPECT_EQ(gate.quic(0).connections() + gate.quic(1).connections(), 8U);
    EXPECT_GT(gate.stats(0).routed_in.get() + gate.stats(1).routed_in.get(), 0U);
    EXPECT_EQ(gate.stats(0).routed_wrong.get() + gate.stats(1).routed_wrong.get(), 0U);
}

TEST_F(QuicDoors, AStatelessResetTellsTheClientThatWeForgot)
{
    gate.start();
    auto user = connected();
    gate.nodes[0]->make(gate); // started anew, with the same secrets
    ASSERT_TRUE(user->open(framed(query("www"))));
    gate.exchange({user.get()});
    EXPECT_TRUE(user->got_stateless_reset);
    EXPECT_GE(gate.stats().resets_sent.get(), 1U);
}

TEST_F(QuicDoors, StatelessResetsAreLimitedAndSmaller)
{
    gate.options.quic.resets_per_second = 10;
    gate.start();
    Octets packet(60, 0x41);
    for (int i = 0; i < 50; ++i) gate.deliver(packet, endpoint("127.0.0.1:9"));
    EXPECT_EQ(gate.stats().resets_sent.get(), 10U);
    EXPECT_EQ(gate.stats().resets_held_back.get(), 40U);
    EXPECT_LT(gate.nodes[0]->sender.bytes, 10U * 60U);
    gate.deliver({packet.data(), 42}, endpoint("127.0.0.1:9"));
    EXPECT_EQ(gate.stats().resets_held_back.get(), 40U); // too short to be answered at all
}

TEST_F(QuicDoors, TheClosingPeriodRepeatsTheClosePacketSeldomAndEnds)
{
    gate.start();
    auto user = connected();
    ASSERT_TRUE(user->open({0, 0}));
    user->tick(gate.clock.now());
    const Octets last = user->outbox.back();
    gate.deliver(last, user->self);
    gate.wake();
    EXPECT_EQ(gate.stats().remnants.get(), 1U);
    for (int i = 0; i < 64; ++i) gate.deliver(last, user->self);
    EXPECT_EQ(gate.stats().close_packets_repeated.get(), 7U); // 1, 2, 4 … 64
    gate.clock.advance(10s);
    gate.wake();
    EXPECT_EQ(gate.stats().remnants.get(), 0U);
    EXPECT_EQ(gate.stats().connection_ids.get(), 0U);
}

TEST_F(QuicDoors, NeverSendsMoreThanThreeTimesWhatAnUnknownAddressSent)
{
    gate.start();
    auto user = client();
    user->tick(gate.clock.now());
    std::size_t received = 0;
    for (const Octets& packet : user->outbox) {
        gate.deliver(packet, user->self);
        received += packet.size();
    }
    for (int i = 0; i < 100; ++i) {
        gate.wake();
        gate.clock.advance(100ms);
    }
    EXPECT_GT(gate.nodes[0]->sender.bytes, 0U);
    EXPECT_LE(gate.nodes[0]->sender.bytes, 3 * received);
    EXPECT_EQ(gate.quic().connections(), 0U); // five seconds were enough
    EXPECT_EQ(gate.stats().handshake_timeouts.get(), 1U);
}

TEST_F(QuicDoors, AFloodOfFirstPacketsIsMetByRetryAndBoundedMemory)
{
    gate.options.quic.handshakes_before_retry = 50;
    gate.start();
    for (int i = 0; i < 300; ++i) {
        auto user = client({}, "10." + std::to_string(i / 200) + "." + std::to_string(i % 200) + ".1:5000");
        user->tick(gate.clock.now());
        for (const Octets& packet : user->outbox) gate.deliver(packet, user->self);
        gate.wake();
    }
    EXPECT_EQ(gate.quic().connections(), 50U);
    EXPECT_EQ(gate.stats().handshaking.get(), 50U);
    EXPECT_EQ(gate.stats().retries.get(), 250U);
    EXPECT_LT(gate.stats().memory.get(), 50U * 100'000U);
    gate.clock.advance(6s);
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().handshaking.get(), 0U);
    EXPECT_EQ(gate.stats().memory.get(), 0U);
}

TEST_F(QuicDoors, FirstPacketsThatFailLeaveNothing)
{
    gate.start();
    base::SystemRandom random;
    auto user = client();
    user->tick(gate.clock.now());
    const Octets good = user->outbox.front();
    for (std::size_t i = 0; i < 400; ++i) {
        Octets bad = good;
        bad[40 + i * 2] ^= 0x55U;
        gate.deliver(bad, endpoint("127.0.0.1:7"));
        gate.wake();
    }
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().connection_ids.get(), 0U);
    EXPECT_EQ(gate.stats().memory.get(), 0U);
    EXPECT_EQ(gate.stats().call_order_breaches.get(), 0U);
    EXPECT_GT(gate.stats().first_packet_failures.get(), 300U);
}

TEST_F(QuicDoors, AClientWithoutACommonProtocolIsToldSo)
{
    gate.start();
    auto user = client({.alpn = "smtp"});
    gate.exchange({user.get()});
    EXPECT_FALSE(user->handshaken());
    EXPECT_EQ(user->closed, NGTCP2_CRYPTO_ERROR | 120U); // no_application_protocol
    EXPECT_EQ(gate.quic().connections(), 0U);
}

TEST_F(QuicDoors, ConnectionsAreLimitedInAllAndPerAddress)
{
    gate.options.quic.connections = 6;
    gate.options.quic.connections_per_address = 4;
    gate.start();
    std::vector<std::unique_ptr<QuicClient>> users;
    for (int i = 0; i < 5; ++i) {
        users.push_back(client({}, "127.0.0.1:4000" + std::to_string(i)));
        gate.exchange({users.back().get()});
    }
    EXPECT_EQ(gate.stats().refused_per_address.get(), 1U);
    EXPECT_EQ(users.back()->closed, NGTCP2_CONNECTION_REFUSED);
    for (int i = 0; i < 3; ++i) {
        users.push_back(client({}, "127.0.1." + std::to_string(i) + ":40000"));
        gate.exchange({users.back().get()}, 0, 20);
    }
    EXPECT_EQ(gate.stats().refused_connections.get(), 1U);
    // One that has been silent for long makes room.
    gate.clock.advance(3s);
    users.push_back(client({}, "127.0.2.1:40000"));
    gate.exchange({users.back().get()});
    EXPECT_TRUE(users.back()->handshaken());
    EXPECT_EQ(gate.stats().evicted.get(), 1U);
    EXPECT_EQ(gate.quic().connections(), 6U);
}

TEST_F(QuicDoors, ForgedFirstPacketsLeaveRoomForTheOwnerOfTheAddress)
{
    gate.options.quic.connections_per_address = 10;
    gate.start();
    for (int i = 0; i < 50; ++i) {
        auto forged = client({}, "127.0.0.1:3" + std::to_string(1000 + i));
        forged->tick(gate.clock.now());
        for (const Octets& packet : forged->outbox) gate.deliver(packet, forged->self);
        gate.wake();
    }
    EXPECT_LT(gate.quic().connections(), 10U);
    auto user = connected();
    EXPECT_TRUE(user->got_retry);
}

TEST_F(QuicDoors, AFirstPacketWithAShortIdIsNothing)
{
    gate.start();
    Octets packet{0xC3, 0, 0, 0, 1, 4, 1, 2, 3, 4, 8, 1, 2, 3, 4, 5, 6, 7, 8, 3, 0x36, 1, 1, 0x44, 0xB0};
    packet.resize(1'250);
    gate.deliver(packet, endpoint("127.0.0.1:7"));
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().first_packet_failures.get(), 0U);
    EXPECT_TRUE(gate.nodes[0]->sender.out.empty());
}

TEST_F(QuicDoors, ClosedConnectionsGiveTheirMemoryBackAtOnce)
{
    gate.start();
    std::size_t most = 0;
    for (int turn = 0; turn < 3; ++turn) {
        std::vector<std::unique_ptr<QuicClient>> users;
        for (int i = 0; i < 40; ++i) {
            users.push_back(client({}, "127.0.0.1:4" + std::to_string(1000 + i)));
            gate.exchange({users.back().get()}, 0, 12);
            ASSERT_TRUE(users.back()->open(framed(query("www"))));
            gate.exchange({users.back().get()}, 0, 12);
        }
        EXPECT_EQ(gate.quic().connections(), 40U);
        most = std::max<std::size_t>(most, gate.stats().memory.get());
        for (auto& user : users) gate.deliver(user->close(0), user->self);
        gate.wake();
        EXPECT_EQ(gate.quic().connections(), 0U);
        EXPECT_LT(gate.stats().memory.get(), 40U * 1'024U); // what is left of them
    }
    RecordProperty("octets_a_connection", std::to_string(most / 40));
    EXPECT_LT(most, 40U * 36'000U);
    gate.clock.advance(11s);
    gate.wake();
    EXPECT_EQ(gate.stats().memory.get(), 0U);
    EXPECT_EQ(gate.stats().connection_ids.get(), 0U);
}

TEST_F(QuicDoors, AQueryThatWaitsForRoomInVainIsShut)
{
    gate.options.http.answers_per_connection = 0; // there never is room
    gate.start();
    auto user = connected();
    const auto id = user->open(framed(query("www")));
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().answers_deferred.get(), 1U);
    gate.clock.advance(11s);
    gate.exchange({user.get()});
    EXPECT_EQ(user->streams[*id].reset_code, 4U); // DOQ_EXCESSIVE_LOAD
    EXPECT_EQ(gate.stats().deferred_timeouts.get(), 1U);
    EXPECT_EQ(gate.stats().streams.get(), 0U);
}

TEST_F(QuicDoors, FloodsOfChallengesAndIdsAreBounded)
{
    gate.start();
    auto user = connected();
    const std::size_t before = gate.stats().memory.get();
    // A client that moves all the time: each path costs a PATH_CHALLENGE, a NEW_CONNECTION_ID and a
    // RETIRE_CONNECTION_ID on both sides.
    int moves = 0;
    for (int i = 0; i < 1'000 && user->error == 0; ++i) {
        const base::Endpoint next = endpoint("127.0.0.1:" + std::to_string(10'000 + i));
        if (user->move(next)) {
            user->self = next;
            ++moves;
        } else {
            gate.clock.advance(20ms); // it has no connection ID left: those retired go after a while
        }
        gate.exchange({user.get()}, 0, 12);
        ASSERT_LE(gate.stats().connection_ids.get(), 12U);
        ASSERT_LE(gate.stats().memory.get(), before + 64'000U);
    }
    EXPECT_GT(moves, 500);
    EXPECT_LE(gate.quic().connections(), 1U);
    EXPECT_EQ(gate.stats().call_order_breaches.get(), 0U);
}

TEST_F(QuicDoors, NewcomersAreRefusedAtTheMemoryBudget)
{
    gate.options.quic.memory = 1U << 20U;
    gate.start();
    std::vector<std::unique_ptr<QuicClient>> users;
    for (int i = 0; i < 60; ++i) {
        users.push_back(client({}, "127.0.0." + std::to_string(i + 1) + ":40000"));
        gate.exchange({users.back().get()}, 0, 12);
    }
    EXPECT_GT(gate.stats().refused_memory.get(), 0U);
    EXPECT_LE(gate.stats().memory.get(), 1U << 20U);
    EXPECT_GT(gate.quic().connections(), 10U);
}

TEST_F(QuicDoors, IdleConnectionsGo)
{
    gate.start();
    auto user = connected();
    gate.clock.advance(31s);
    gate.wake();
    EXPECT_EQ(gate.quic().connections(), 0U);
    EXPECT_EQ(gate.stats().idle_timeouts.get(), 1U);
    EXPECT_EQ(gate.stats().memory.get(), 0U);
}

/// A request as HTTP/3 frames (RFC 9114 §7.2), its header encoded without dynamic table.
Octets http_request(std::vector<std::pair<std::string, std::string>> fields, const Octets& body = {})
{
    nghttp3_qpack_encoder* encoder = nullptr;
    nghttp3_qpack_encoder_new(&encoder, 0, nghttp3_mem_default());
    std::vector<nghttp3_nv> list;
    for (const auto& [name, value] : fields)
        list.push_back({reinterpret_cast<const std::uint8_t*>(name.data()),
                        reinterpret_cast<const std::uint8_t*>(value.data()), name.size(), value.size(), 0});
    nghttp3_buf prefix{}, block{}, instructions{};
    nghttp3_qpack_encoder_encode(encoder, &prefix, &block, &instructions, 0, list.data(), list.size());
    Octets header(prefix.pos, prefix.last);
    header.insert(header.end(), block.pos, block.last);
    nghttp3_buf_free(&prefix, nghttp3_mem_default());
    nghttp3_buf_free(&block, nghttp3_mem_default());
    nghttp3_buf_free(&instructions, nghttp3_mem_default());
    nghttp3_qpack_encoder_del(encoder);
    Octets out;
    const auto frame = [&out](std::uint8_t type, const Octets& content) {
        out.push_back(type);
        const auto size = static_cast<std::uint32_t>(content.size());
        out.insert(out.end(), {static_cast<std::uint8_t>(0x80U | size >> 24U), static_cast<std::uint8_t>(size >> 16U),
                               static_cast<std::uint8_t>(size >> 8U), static_cast<std::uint8_t>(size)});
        out.insert(out.end(), content.begin(), content.end());
    };
    frame(1, header);
    if (!body.empty()) frame(0, body);
    return out;
}

Octets post(const Octets& body)
{
    return http_request({{":method", "POST"},
                         {":scheme", "https"},
                         {":authority", "gate.test"},
                         {":path", "/dns-query"},
                         {"content-type", "application/dns-message"},
                         {"content-length", std::to_string(body.size())}},
                        body);
}

class QuicHttp3 : public QuicDoors {
protected:
    std::unique_ptr<QuicClient> guest()
    {
        QuicClient::Options options;
        options.alpn = "h3";
        auto user = connected(options);
        EXPECT_TRUE(user->open({0, 4, 0}, false, true)); // control stream, empty SETTINGS
        return user;
    }
    /// The octets of the response's DATA frame; 0 without one.
    static std::size_t body_size(const QuicClient::Stream& stream)
    {
        const Octets& in = stream.in;
        std::size_t at = 0;
        while (at + 2 <= in.size()) {
            const std::uint8_t type = in[at++];
            const unsigned octets = 1U << (in[at] >> 6U);
            std::size_t size = in[at] & 0x3FU;
            for (unsigned i = 1; i < octets && at + i < in.size(); ++i) size = size << 8U | in[at + i];
            at += octets;
            if (type == 0) return size;
            at += size;
        }
        return 0;
    }
};

TEST_F(QuicHttp3, AnswersPostsAndBigAnswers)
{
    gate.start();
    auto user = guest();
    const auto small = user->open(post(query("www")));
    const auto big = user->open(post(query("big", 16)));
    gate.exchange({user.get()});
    EXPECT_TRUE(user->streams[*small].in_fin);
    EXPECT_GT(body_size(user->streams[*small]), 12U);
    EXPECT_TRUE(user->streams[*big].in_fin);
    EXPECT_GT(body_size(user->streams[*big]), 24'000U);
    EXPECT_EQ(gate.stats().h3_responses.get(), 2U);
    EXPECT_EQ(gate.stats().streams.get(), 0U);
    EXPECT_EQ(gate.budget.answers.held(), 0U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, GivesCreditBackForThousandsOfRequests)
{
    gate.start();
    auto user = guest();
    std::size_t asked = 0;
    const Octets request = post(query("www"));
    for (int turn = 0; turn < 200 && asked < 2000; ++turn) {
        while (asked < 2000 && user->open(request)) ++asked;
        gate.exchange({user.get()}, 0, 12);
    }
    gate.exchange({user.get()});
    EXPECT_EQ(asked, 2000U);
    EXPECT_EQ(gate.stats().h3_responses.get(), 2000U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, MalformedRequestsGetAnAnswerEach)
{
    gate.start();
    auto user = guest();
    const auto garbage = user->open(post({1, 2, 3}));
    const auto nowhere = user->open(
        http_request({{":method", "GET"}, {":scheme", "https"}, {":authority", "gate.test"}, {":path", "/elsewhere"}}));
    gate.exchange({user.get()});
    EXPECT_TRUE(user->streams[*garbage].in_fin);
    EXPECT_TRUE(user->streams[*nowhere].in_fin);
    EXPECT_EQ(gate.nodes[0]->http_stats.status_400.get(), 1U);
    EXPECT_EQ(gate.nodes[0]->http_stats.status_404.get(), 1U);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, ABodyOverTheLimitIsRefused)
{
    gate.start();
    auto user = guest();
    const auto id = user->open(http_request({{":method", "POST"},
                                             {":scheme", "https"},
                                             {":authority", "gate.test"},
                                             {":path", "/dns-query"},
                                             {"content-type", "application/dns-message"}},
                                            Octets(70'000, 0)));
    gate.exchange({user.get()});
    EXPECT_EQ(gate.nodes[0]->http_stats.status_413.get(), 1U);
    EXPECT_TRUE(user->streams[*id].in_fin);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, AHeaderListOverTheLimitEndsTheConnection)
{
    gate.start();
    auto user = guest();
    std::vector<std::pair<std::string, std::string>> fields{
        {":method", "GET"}, {":scheme", "https"}, {":authority", "gate.test"}, {":path", "/dns-query"}};
    for (int i = 0; i < 20; ++i) fields.emplace_back("x-" + std::to_string(i), std::string(1000, 'a'));
    ASSERT_TRUE(user->open(http_request(fields)));
    gate.exchange({user.get()});
    EXPECT_EQ(user->closed, NGHTTP3_H3_EXCESSIVE_LOAD);
    EXPECT_EQ(gate.stats().h3_header_lists_too_large.get(), 1U);
}

TEST_F(QuicHttp3, ARequestThatDoesNotComeIsShut)
{
    gate.start();
    auto user = guest();
    Octets half = post(query("www"));
    half.resize(half.size() - 5);
    const auto id = user->open(half, false);
    gate.exchange({user.get()});
    gate.clock.advance(5s);
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().message_timeouts.get(), 1U);
    EXPECT_EQ(user->streams[*id].reset_code, NGHTTP3_H3_REQUEST_INCOMPLETE);
    EXPECT_FALSE(user->closed);
}

TEST_F(QuicHttp3, FloodsOfControlFramesEndTheConnection)
{
    gate.options.http.offence_burst = 100;
    gate.options.http.offence_per_second = 1;
    gate.start();
    auto user = guest();
    Octets flood;
    for (int i = 0; i < 4000; ++i) flood.insert(flood.end(), {0x21, 0}); // reserved frames, empty
    user->add(2, flood, false);
    gate.exchange({user.get()});
    EXPECT_EQ(user->closed, NGHTTP3_H3_EXCESSIVE_LOAD);
    EXPECT_EQ(gate.stats().h3_control_floods.get(), 1U);
}

TEST_F(QuicHttp3, DrainSaysGoaway)
{
    gate.start();
    auto user = guest();
    const auto open = user->open(post(query("wait", 28)));
    gate.exchange({user.get()});
    bool done = false;
    gate.quic().drain([&] { done = true; });
    gate.exchange({user.get()});
    EXPECT_EQ(gate.stats().h3_goaways.get(), 1U);
    EXPECT_FALSE(user->closed);
    user->stop(*open, NGHTTP3_H3_REQUEST_CANCELLED);
    gate.exchange({user.get()});
    EXPECT_EQ(user->closed, NGHTTP3_H3_NO_ERROR);
}

TEST_F(QuicDoors, DrainAnswersWhatIsOpenAndClosesInOrder)
{
    gate.start();
    auto idle = connected();
    auto busy = connected({}, "127.0.0.1:40001");
    ASSERT_TRUE(busy->open(framed(query("wait", 28))));
    gate.exchange({idle.get(), busy.get()});
    bool done = false;
    gate.quic().drain([&] { done = true; });
    gate.exchange({idle.get(), busy.get()});
    EXPECT_EQ(idle->closed, 0U);
    EXPECT_FALSE(busy->closed);
    gate.clock.advance(6s);
    gate.exchange({busy.get()});
    EXPECT_EQ(busy->closed, 0U);
    EXPECT_EQ(gate.quic().connections(), 0U);
    gate.clock.advance(20s); // no timer is left, which the loop would wait for in vain: our clock is not its own
    gate.wake();
    gate.nodes[0]->worker.run_for(10ms);
    EXPECT_TRUE(done);
    auto late = client({}, "127.0.0.1:40002");
    gate.exchange({late.get()});
    EXPECT_EQ(late->closed, NGTCP2_CONNECTION_REFUSED);
}

TEST_F(QuicDoors, AProtocolThatIsGoneFromThePortFinishesAndTheOtherGoesOn)
{
    gate.start();
    auto doq = connected();
    auto doh3 = connected({.alpn = "h3"}, "127.0.0.1:40001");
    listeners::Port less = gate.port;
    less.doq = nullptr;
    gate.quic().renew(
        {.options = gate.options, .port = less, .doh = &gate.nodes[0]->context, .quic_ports = 1, .terms = nullptr});
    gate.exchange({doq.get(), doh3.get()});
    EXPECT_EQ(doq->closed, 0U);
    EXPECT_FALSE(doh3->closed);
    auto late = client({}, "127.0.0.1:40002");
    gate.exchange({late.get()});
    EXPECT_EQ(late->closed, NGTCP2_CRYPTO_ERROR | 120U); // no_application_protocol
}

TEST_F(QuicDoors, NewLimitsAreForThoseWhoComeAfterThem)
{
    gate.start();
    auto before = connected();
    listeners::Options fewer = gate.options;
    fewer.quic.streams = 1;
    gate.quic().renew(
        {.options = fewer, .port = gate.port, .doh = &gate.nodes[0]->context, .quic_ports = 1, .terms = nullptr});
    auto after = connected({}, "127.0.0.1:40001");
    EXPECT_TRUE(after->open(framed(query("www")), false));
    EXPECT_FALSE(after->open(framed(query("www")), false));
    EXPECT_TRUE(before->open(framed(query("www"))));
    EXPECT_TRUE(before->open(framed(query("www"))));
    gate.exchange({before.get()});
    EXPECT_EQ(gate.stats().doq_replies.get(), 2U);
}

TEST_F(QuicDoors, APortThatComesBackWhileItDrainsTakesNewcomers)
{
    gate.start();
    auto busy = connected();
    ASSERT_TRUE(busy->open(framed(query("wait", 28))));
    gate.exchange({busy.get()});
    bool done = false;
    gate.quic().drain([&] { done = true; });
    gate.exchange({busy.get()});
    gate.quic().renew({.options = gate.options,
                       .port = gate.port,
                       .doh = &gate.nodes[0]->context,
                       .quic_ports = 1,
                       .terms = nullptr});
    auto late = connected({}, "127.0.0.1:40001");
    ASSERT_TRUE(late->open(framed(query("www"))));
    gate.exchange({late.get()});
    EXPECT_EQ(gate.stats().doq_replies.get(), 1U);
    gate.clock.advance(6s); // as long as it would have drained
    gate.exchange({late.get()});
    EXPECT_FALSE(late->closed);
    EXPECT_FALSE(done);
}

} // namespace
} // namespace sallyport
