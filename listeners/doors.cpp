#include "listeners/do53_udp.hpp"
#include "listeners/doh_context.hpp"
#include "listeners/doh_sessions.hpp"
#include "listeners/listeners.hpp"
#include "listeners/stream_listener.hpp"
#include "listeners/stream_table.hpp"
#ifdef SALLYPORT_HAS_QUIC
#include "listeners/quic/endpoint.hpp"
#endif

#include "base/log.hpp"
#include "net/udp_batch.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace sallyport::listeners {
namespace {

using namespace std::chrono_literals;

// Queries over UDP are small; updates and signed ones fit too.
constexpr std::size_t kLargestDatagram = 4096;
// How often an ending gateway looks whether all have gone.
constexpr base::Duration kDrainStep = 10ms;

constexpr bool kHasQuic =
#ifdef SALLYPORT_HAS_QUIC
    true;
#else
    false;
#endif

// A socket that the service manager hands over may be a Unix one, whatever the port was planned as.
bool is_unix(int fd) noexcept
{
    int domain = 0;
    socklen_t size = sizeof domain;
    return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

StreamPort stream_port(const Port& port, int fd, DohContext* doh)
{
    StreamPort stream;
    stream.tls = port.kind == Port::Kind::tls;
    stream.dns = port.do53 != nullptr || port.dot != nullptr;
    stream.http = port.doh != nullptr;
    stream.unix_socket = is_unix(fd);
    if (port.dot != nullptr) stream.alpn.protocols.emplace_back("dot");
    if (stream.http) stream.alpn.protocols.insert(stream.alpn.protocols.end(), {"h2", "http/1.1"});
    // Without ALPN it is DoT (Android), or on a port of DoH alone HTTP/1.1.
    stream.alpn.none_offered_is_fine = true;
    for (const DoorOptions* door : {port.do53, port.dot, port.doh})
        if (door != nullptr)
            stream.proxies.insert(stream.proxies.end(), door->proxy_protocol_from.begin(),
                                  door->proxy_protocol_from.end());
    stream.doh = doh;
    stream.make_http1 = make_http1_session;
    stream.make_http2 = make_http2_session;
    return stream;
}

} // namespace

struct Doors::Parts {
    Parts(net::Worker& the_worker, pipeline::Pipeline& the_pipeline, const Options& the_options)
        : worker(the_worker),
          pipeline(the_pipeline),
          options(the_options),
          receiver(std::max(1U, options.udp_batch), kLargestDatagram),
          sender(2 * std::size_t{std::max(1U, options.udp_batch)}, 64 * kLargestDatagram),
          http_date(worker),
          http_budget(options.http.answers_in_all / std::max(1U, options.workers)),
          streams(worker, pipeline, options.streams, options.workers)
    {
    }

    void open(std::size_t index, const Port& port, net::Descriptor socket, PacketRouter& router,
              const SharedSecrets& secrets);
    DohContext* doh_context(const Port& port, std::uint16_t alt_svc_port);
    [[nodiscard]] bool drained() const noexcept;
    void drain_step(base::Instant now) noexcept;
    void finish_drain() noexcept;

    net::Worker& worker;
    pipeline::Pipeline& pipeline;
    const Options& options;
    std::shared_ptr<const certs::TlsIdentities> identities;
    net::UdpReceiver receiver;
    net::UdpSender sender;
    UdpStats udp_stats;
    HttpStats http_stats;
    HttpDate http_date;
    // The worker's share: budgets of answers are kept worker by worker.
    HttpBudget http_budget;
    std::vector<std::unique_ptr<DohContext>> doh;
    std::vector<std::unique_ptr<std::string>> alt_svc; // borrowed by the contexts
    std::vector<std::unique_ptr<StreamListener>> listeners;
    // Behind what its connections borrow.
    StreamTable streams;
    std::vector<std::unique_ptr<Do53Udp>> udp;
    std::function<void()> drain_done;
    base::Instant drain_until;
    net::Timer drain_timer{net::Timer::of<&Parts::drain_step>(*this)};
#ifdef SALLYPORT_HAS_QUIC
    struct QuicPort {
        net::Descriptor socket;
        std::unique_ptr<QuicEndpoint> endpoint;
        std::size_t index;
    };
    std::vector<QuicPort> quic;
    unsigned quic_ports = 0;
    std::shared_ptr<quic::MemoryShare> quic_memory; ///< one for all QUIC ports of the worker
    unsigned quic_draining = 0;
#endif
};

/// `alt_svc_port`: where clients of this door find HTTP/3; 0 tells them nothing.
DohContext* Doors::Parts::doh_context(const Port& port, std::uint16_t alt_svc_port)
{
    if (port.doh == nullptr) return nullptr;
    const DohOptions& door = port.doh->doh;
    doh.push_back(std::make_unique<DohContext>());
    DohContext& context = *doh.back();
    context.options = &door;
    context.limits = &options.http;
    context.stats = &http_stats;
    context.budget = &http_budget;
    context.date = &http_date;
    if (kHasQuic && alt_svc_port != 0 && door.alt_svc && door.http3) {
        alt_svc.push_back(std::make_unique<std::string>("h3=\":" + std::to_string(alt_svc_port) + "\"; ma=86400"));
        context.alt_svc = *alt_svc.back();
    }
    return &context;
}

void Doors::Parts::open([[maybe_unused]] std::size_t index, const Port& port, net::Descriptor socket,
                        [[maybe_unused]] PacketRouter& router, [[maybe_unused]] const SharedSecrets& secrets)
{
    switch (port.kind) {
    case Port::Kind::udp:
        udp.push_back(std::make_unique<Do53Udp>(worker, pipeline, receiver, sender, udp_stats, std::move(socket)));
        return;
    case Port::Kind::quic: {
#ifdef SALLYPORT_HAS_QUIC
        const int fd = socket.get();
        if (!quic_memory) quic_memory = std::make_shared<quic::MemoryShare>(quic::memory_share(options));
        const QuicEndpoint::Setup setup{worker, pipeline, identities,           options,    port,    index,      fd,
                                        router, secrets,  doh_context(port, 0), quic_ports, nullptr, quic_memory};
        quic.push_back({std::move(socket), std::make_unique<QuicEndpoint>(setup), index});
#endif
        return;
    }
    case Port::Kind::tcp:
    case Port::Kind::unix_stream:
    case Port::Kind::tls:
    case Port::Kind::http_cleartext: {
        const std::uint16_t h3_port = port.kind == Port::Kind::tls ? net::local_endpoint(socket.get()).port : 0;
        StreamPort stream = stream_port(port, socket.get(), doh_context(port, h3_port));
        listeners.push_back(
            std::make_unique<StreamListener>(worker, streams, options.streams, std::move(socket), std::move(stream)));
        return;
    }
    }
}

Doors::Doors(net::Worker& worker, pipeline::Pipeline& pipeline, std::shared_ptr<const certs::TlsIdentities> identities,
             const Options& options, const std::vector<Port>& ports, std::vector<net::Descriptor> descriptors,
             PacketRouter& router, const SharedSecrets& secrets)
    : parts_(std::make_unique<Parts>(worker, pipeline, options))
{
    parts_->identities = identities;
    parts_->streams.set_identities(std::move(identities));
#ifdef SALLYPORT_HAS_QUIC
    parts_->quic_ports = static_cast<unsigned>(
        std::count_if(ports.begin(), ports.end(), [](const Port& port) { return port.kind == Port::Kind::quic; }));
#endif
    for (std::size_t i = 0; i < ports.size() && i < descriptors.size(); ++i)
        parts_->open(i, ports[i], std::move(descriptors[i]), router, secrets);
}

Doors::~Doors() = default;

base::Result<void> Doors::start()
{
    for (auto& door : parts_->udp)
        if (auto started = door->start(); !started) return started;
    for (auto& door : parts_->listeners)
        if (auto started = door->start(); !started) return started;
#ifdef SALLYPORT_HAS_QUIC
    for (auto& door : parts_->quic)
        if (auto started = door.endpoint->start(); !started) return started;
#endif
    return {};
}

void Doors::set_identities(std::shared_ptr<const certs::TlsIdentities> identities)
{
#ifdef SALLYPORT_HAS_QUIC
    for (auto& door : parts_->quic) door.endpoint->set_identities(identities);
#endif
    parts_->identities = identities;
    parts_->streams.set_identities(std::move(identities));
}

// ---- ending

void Doors::drain(std::function<void()> done)
{
    Parts& p = *parts_;
    p.drain_done = std::move(done);
    p.drain_until = p.worker.now() + p.options.drain;
    for (auto& door : p.listeners) door->stop();
    for (auto& door : p.udp) door->stop_reading();
    p.streams.drain();
#ifdef SALLYPORT_HAS_QUIC
    p.quic_draining = static_cast<unsigned>(p.quic.size());
    for (auto& door : p.quic) door.endpoint->drain([&p] { --p.quic_draining; });
#endif
    p.worker.arm(p.drain_timer, p.worker.now());
}

bool Doors::Parts::drained() const noexcept
{
#ifdef SALLYPORT_HAS_QUIC
    if (quic_draining > 0) return false;
#endif
    return streams.empty() && std::none_of(udp.begin(), udp.end(), [](const auto& door) { return door->waiting(); });
}

void Doors::Parts::drain_step(base::Instant now) noexcept
{
    if (drained() || now >= drain_until) return finish_drain();
    worker.arm(drain_timer, now + kDrainStep);
}

void Doors::Parts::finish_drain() noexcept
{
    streams.close_all();
    const auto done = std::move(drain_done);
    drain_done = nullptr;
    if (done) done(); // may end this object
}

void Doors::packet_routed([[maybe_unused]] std::size_t port, [[maybe_unused]] base::Bytes packet,
                          [[maybe_unused]] const base::Endpoint& peer, [[maybe_unused]] const base::Endpoint& local,
                          [[maybe_unused]] std::uint8_t ecn)
{
#ifdef SALLYPORT_HAS_QUIC
    for (auto& door : parts_->quic)
        if (door.index == port) return door.endpoint->packet_routed(packet, peer, local, ecn);
#endif
}

void Doors::each_counter(
    const std::function<void(const std::string&, const std::string&, const base::Counter&)>& visit) const
{
    parts_->udp_stats.each(visit);
    parts_->streams.stats().each(visit);
    parts_->streams.tls_stats().each(visit);
    parts_->http_stats.each(visit);
#ifdef SALLYPORT_HAS_QUIC
    for (const auto& door : parts_->quic) door.endpoint->each(visit);
#endif
}

} // namespace sallyport::listeners
