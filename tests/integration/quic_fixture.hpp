#pragma once

#include "certs/certs.hpp"
#include "listeners/doh_context.hpp"
#include "listeners/quic/endpoint.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"
#include "quic_client.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <stdexcept>

/// What the tests of the QUIC doors share: a port in memory, and clients that speak with it.
namespace sallyport::quic_testing {

using namespace std::chrono_literals;
using listeners::QuicEndpoint;
using test::Octets;
using test::QuicClient;

inline base::Endpoint endpoint(const std::string& text) { return base::Endpoint::parse(text).value(); }

inline Octets query(std::string_view first_label, std::uint16_t qtype = 1, std::uint16_t id = 0)
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

inline Octets framed(const Octets& message)
{
    Octets out{static_cast<std::uint8_t>(message.size() >> 8U), static_cast<std::uint8_t>(message.size() & 0xFFU)};
    out.insert(out.end(), message.begin(), message.end());
    return out;
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

/// Certificates are made once for all tests of the program.
inline const std::shared_ptr<const certs::TlsIdentities>& identities()
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

} // namespace sallyport::quic_testing
