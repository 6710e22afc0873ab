// fuzz: links sallyport_listeners
//
// What a client writes into DoQ streams. Whole queries with ID 0 and without edns-tcp-keepalive are answered,
// everything else ends the connection with DOQ_PROTOCOL_ERROR (RFC 9250 §4.3.3): the rule is written here a second
// time, in its plainest form, and both must agree, however the octets are cut into pieces.
#include "../tests/integration/quic_client.hpp"

#include "certs/certs.hpp"
#include "listeners/doh_context.hpp"
#include "listeners/quic/endpoint.hpp"
#include "net/worker.hpp"
#include "pipeline/pipeline.hpp"

#include <cstdlib>
#include <filesystem>
#include <unistd.h>

namespace {

using namespace sallyport;
using namespace std::chrono_literals;

struct Refusal final : pipeline::Stage {
    pipeline::Step handle(pipeline::Query& query) noexcept override
    {
        query.answer->set_rcode(wire::Rcode::REFUSED);
        return pipeline::Step::answered;
    }
};

struct Harness final : listeners::PacketRouter, listeners::quic::PacketSender {
    Harness()
    {
        const auto directory = std::filesystem::temp_directory_path() / ("sallyport-doq-" + std::to_string(::getpid()));
        certs::DevelopmentOptions development;
        development.directory = directory.string();
        const auto made = certs::make_development(development, std::chrono::system_clock::now());
        if (!made) std::abort();
        certs::Options certificates;
        certificates.certificates.push_back({made->chain_file, made->key_file, {}});
        base::SystemClock wall;
        base::Problems problems;
        auto identities = certs::load(certificates, certs::TicketKeys::make(certificates.tickets, wall.now()).value(),
                                      wall.wall(), problems);
        std::filesystem::remove_all(directory);
        if (!identities) std::abort();
        pipeline.append_stage(std::make_unique<Refusal>());
        doq.kind = listeners::DoorKind::doq;
        port.kind = listeners::Port::Kind::quic;
        port.doq = &doq;
        quic = std::make_unique<listeners::QuicEndpoint>(listeners::QuicEndpoint::Setup{.worker = worker,
                                                                                        .pipeline = pipeline,
                                                                                        .identities = identities,
                                                                                        .options = options,
                                                                                        .port = port,
                                                                                        .port_index = 0,
                                                                                        .fd = -1,
                                                                                        .router = *this,
                                                                                        .secrets = secrets,
                                                                                        .sender = this});
    }
    void route(unsigned, std::size_t, base::Bytes, const base::Endpoint&, const base::Endpoint&,
               std::uint8_t) noexcept override
    {
        std::abort();
    }
    void send(base::Bytes data, const base::Endpoint&, const base::Endpoint&, std::uint8_t,
              std::uint16_t segment) noexcept override
    {
        while (!data.empty()) {
            const auto one = data.first(segment == 0 ? data.size() : std::min<std::size_t>(segment, data.size()));
            out.emplace_back(one.begin(), one.end());
            data = data.subspan(one.size());
        }
    }
    void exchange(test::QuicClient& user, int rounds)
    {
        for (int round = 0; round < rounds; ++round) {
            user.tick(clock.now());
            for (const auto& packet : user.outbox) quic->packet_arrived(packet, user.self, self, 0);
            user.outbox.clear();
            clock.advance(2ms);
            worker.refresh_now();
            worker.timers().expire(clock.now());
            quic->flush(clock.now());
            for (const auto& packet : out) user.receive(packet, clock.now());
            out.clear();
        }
    }
    test::QuicClient& guest()
    {
        if (!client || client->closed || client->error != 0 || client->streams.size() > 500) {
            auto peer = self;
            peer.port = static_cast<std::uint16_t>(1000U + ++connections % 50'000U);
            clock.advance(40s); // those before are gone
            worker.refresh_now();
            worker.timers().expire(clock.now());
            quic->flush(clock.now());
            client = std::make_unique<test::QuicClient>(test::QuicClient::Options{}, peer, self, clock.now());
            exchange(*client, 8);
        }
        return *client;
    }

    base::ManualClock clock;
    net::Worker worker{0, clock};
    pipeline::Options pipeline_options;
    pipeline::Pipeline pipeline{pipeline_options, clock, worker.random()};
    listeners::Options options;
    listeners::DoorOptions doq;
    listeners::Port port;
    listeners::SharedSecrets secrets;
    base::Endpoint self = base::Endpoint::parse("127.0.0.1:8853").value();
    std::vector<test::Octets> out;
    std::unique_ptr<listeners::QuicEndpoint> quic;
    std::unique_ptr<test::QuicClient> client;
    unsigned connections = 0;
};

bool is_query(base::Bytes stream)
{
    if (stream.size() < 2 + wire::kHeaderSize || stream.size() != base::load_be16(stream, 0) + 2U) return false;
    const auto message = stream.subspan(2);
    if (base::load_be16(message, 0) != 0 || (message[2] & 0x80U) != 0) return false;
    const auto view = wire::MessageView::parse(message);
    return view && (view->edns() == nullptr || !view->edns()->tcp_keepalive);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static Harness harness;
    if (size < 1 || size > 4096) return 0;
    const std::size_t cut = std::min<std::size_t>(data[0], size - 1);
    const base::Bytes stream{data + 1, size - 1};
    test::QuicClient& client = harness.guest();
    if (!client.handshaken()) std::abort();
    const auto id = client.open({stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(cut)}, false);
    if (!id) std::abort(); // streams come back when they are done
    harness.exchange(client, 1);
    if (!client.closed) client.add(*id, {stream.begin() + static_cast<std::ptrdiff_t>(cut), stream.end()}, true);
    harness.exchange(client, 24);
    const bool expected = is_query(stream);
    const bool answered = !client.closed && client.streams[*id].in_fin && client.streams[*id].in.size() >= 14;
    const bool refused = client.closed == 2U && client.closed_by_application;
    if (expected ? !answered : !refused && !answered) std::abort();
    // What is malformed behind a sound header may be answered FORMERR instead of ending the connection; never more.
    if (!expected && answered && (client.streams[*id].in[5] & 0xFU) == 0) std::abort();
    return 0;
}
