// fuzz: links sallyport_listeners
//
// Datagrams from strangers, down to the pipeline. Octet 0 of the input chooses the mode:
//   even: each piece of the input is a datagram as it stands, from one of a few addresses;
//   odd:  a client of ours makes a handshake in memory, then the pieces are put in the place of parts of its packets or
//         sent as streams, so that what lies behind the encryption is reached too.
// Whatever came, when every deadline is over nothing may be left: no connection, no ID, no octet of memory; and no call
// into the library may have been out of order.
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

struct Answers final : pipeline::Stage {
    pipeline::Step handle(pipeline::Query& query) noexcept override
    {
        const std::uint8_t address[4] = {192, 0, 2, 1};
        (void)query.answer->record(wire::Section::answer, query.qname, wire::RrType::A, wire::RrClass::IN,
                                   wire::Ttl{60}, address);
        return pipeline::Step::answered;
    }
};

std::shared_ptr<const certs::TlsIdentities> make_identities()
{
    const auto directory = std::filesystem::temp_directory_path() / ("sallyport-fuzz-" + std::to_string(::getpid()));
    certs::DevelopmentOptions development;
    development.directory = directory.string();
    const auto made = certs::make_development(development, std::chrono::system_clock::now());
    if (!made) std::abort();
    certs::Options options;
    options.certificates.push_back({made->chain_file, made->key_file, {}});
    base::SystemClock clock;
    base::Problems problems;
    auto loaded =
        certs::load(options, certs::TicketKeys::make(options.tickets, clock.now()).value(), clock.wall(), problems);
    std::filesystem::remove_all(directory);
    if (!loaded) std::abort();
    return loaded;
}

struct Harness final : listeners::PacketRouter, listeners::quic::PacketSender {
    Harness()
    {
        options.quic.connections = 64;
        doh.kind = listeners::DoorKind::doh;
        doq.kind = listeners::DoorKind::doq;
        port.kind = listeners::Port::Kind::quic;
        port.doh = &doh;
        port.doq = &doq;
        pipeline.append_stage(std::make_unique<Answers>());
        context = {&doh.doh, &options.http, &http_stats, &budget, {}};
        static const auto identities = make_identities();
        quic = std::make_unique<listeners::QuicEndpoint>(listeners::QuicEndpoint::Setup{.worker = worker,
                                                                                        .pipeline = pipeline,
                                                                                        .identities = identities,
                                                                                        .options = options,
                                                                                        .port = port,
                                                                                        .port_index = 0,
                                                                                        .fd = -1,
                                                                                        .router = *this,
                                                                                        .secrets = secrets,
                                                                                        .doh = &context,
                                                                                        .quic_ports = 1,
                                                                                        .sender = this});
    }
    void route(unsigned, std::size_t, base::Bytes, const base::Endpoint&, const base::Endpoint&,
               std::uint8_t) noexcept override
    {
        std::abort(); // one worker: there is nobody else
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
    void wake(base::Duration step)
    {
        clock.advance(step);
        worker.refresh_now();
        worker.timers().expire(clock.now());
        quic->flush(clock.now());
    }
    void arrived(base::Bytes packet, const base::Endpoint& peer)
    {
        quic->packet_arrived(packet, peer, self, 0);
        wake(1ms);
    }
    void exchange(test::QuicClient& client)
    {
        for (int round = 0; round < 8; ++round) {
            client.tick(clock.now());
            for (const auto& packet : client.outbox) arrived(packet, client.self);
            client.outbox.clear();
            wake(1ms);
            for (const auto& packet : out) client.receive(packet, clock.now());
            out.clear();
        }
    }

    base::ManualClock clock;
    net::Worker worker{0, clock};
    pipeline::Options pipeline_options;
    pipeline::Pipeline pipeline{pipeline_options, clock, worker.random()};
    listeners::Options options;
    listeners::DoorOptions doh, doq;
    listeners::Port port;
    listeners::SharedSecrets secrets;
    listeners::HttpBudget budget{1U << 20U};
    listeners::HttpStats http_stats;
    listeners::DohContext context;
    base::Endpoint self = base::Endpoint::parse("127.0.0.1:8853").value();
    std::vector<test::Octets> out;
    std::unique_ptr<listeners::QuicEndpoint> quic;
};

// The input is a row of pieces, each with two octets of length before it.
std::vector<base::Bytes> pieces_of(base::Bytes input)
{
    std::vector<base::Bytes> pieces;
    while (input.size() >= 2 && pieces.size() < 16) {
        const std::size_t size = std::min<std::size_t>(base::load_be16(input, 0) % 1500U, input.size() - 2);
        pieces.push_back(input.subspan(2, size));
        input = input.subspan(2 + size);
    }
    return pieces;
}

void strangers(Harness& harness, const std::vector<base::Bytes>& pieces)
{
    std::uint16_t number = 1;
    for (const base::Bytes piece : pieces) {
        auto peer = harness.self;
        peer.port = static_cast<std::uint16_t>(1000U + number++ % 3U);
        harness.arrived(piece, peer);
        test::Octets whole(piece.begin(), piece.end());
        whole.resize(1200); // as a first packet must be
        harness.arrived(whole, peer);
    }
}

void guest(Harness& harness, std::uint8_t choice, const std::vector<base::Bytes>& pieces)
{
    test::QuicClient::Options options;
    options.alpn = (choice & 2U) != 0 ? "h3" : "doq";
    auto peer = harness.self;
    peer.port = 999;
    test::QuicClient client{options, peer, harness.self, harness.clock.now()};
    if ((choice & 4U) != 0) { // the first packet, changed
        client.tick(harness.clock.now());
        for (auto& packet : client.outbox) {
            for (const base::Bytes piece : pieces)
                if (piece.size() >= 3) packet[base::load_be16(piece, 0) % packet.size()] ^= piece[2];
            harness.arrived(packet, peer);
        }
        return;
    }
    harness.exchange(client);
    for (const base::Bytes piece : pieces) {
        if (client.closed || client.error != 0) return;
        const bool unidirectional = !piece.empty() && (piece[0] & 0x80U) != 0;
        const bool fin = piece.empty() || (piece[0] & 0x40U) == 0;
        const auto id = client.open({piece.begin() + (piece.empty() ? 0 : 1), piece.end()}, fin, unidirectional);
        if (id && !piece.empty() && (piece[0] & 0x20U) != 0) client.reset(*id, 3);
        harness.exchange(client);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 1) return 0;
    Harness harness;
    const auto pieces = pieces_of({data + 1, size - 1});
    if ((data[0] & 1U) == 0)
        strangers(harness, pieces);
    else
        guest(harness, data[0], pieces);
    for (int i = 0; i < 50; ++i) harness.wake(1s); // all deadlines
    const auto& stats = harness.quic->stats();
    if (harness.quic->connections() != 0 || stats.connection_ids.get() != 0 || stats.memory.get() != 0) std::abort();
    if (stats.call_order_breaches.get() != 0 || stats.streams.get() != 0 || harness.budget.answers.held() != 0)
        std::abort();
    return 0;
}
