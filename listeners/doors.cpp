#include "listeners/do53_udp.hpp"
#include "listeners/listeners.hpp"
#include "listeners/port_terms.hpp"
#include "listeners/stream_listener.hpp"
#include "listeners/stream_table.hpp"
#ifdef SALLYPORT_HAS_QUIC
#include "listeners/quic/endpoint.hpp"
#endif

#include "base/log.hpp"
#include "net/udp_batch.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace sallyport::listeners {
namespace {

using namespace std::chrono_literals;

// Queries over UDP are small; updates and signed ones fit too.
constexpr std::size_t kLargestDatagram = 4096;
// How often an ending gateway, or port, looks whether all have gone.
constexpr base::Duration kDrainStep = 10ms;

// A socket that the service manager hands over may be a Unix one, whatever the port was planned as.
bool is_unix(int fd) noexcept
{
    int domain = 0;
    socklen_t size = sizeof domain;
    return ::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX;
}

/// One port as this worker serves it.
struct Served {
    std::size_t id = 0;
    std::shared_ptr<PortTerms> terms;
    std::unique_ptr<Do53Udp> udp;
    std::unique_ptr<StreamListener> stream;
#ifdef SALLYPORT_HAS_QUIC
    net::Descriptor socket;
    std::unique_ptr<QuicEndpoint> quic;
    quic::PortStats* counters = nullptr;
#endif
    bool leaving = false; ///< no configuration names it any more
    bool drained = false; ///< of QUIC: its last connection has gone
    base::Instant until;  ///< when leaving: the last moment
};

std::size_t quic_ports_of(const Layout& layout) noexcept
{
    return static_cast<std::size_t>(std::count_if(layout.ports.begin(), layout.ports.end(),
                                                  [](const Port& port) { return port.kind == Port::Kind::quic; }));
}

} // namespace

struct Doors::Parts {
    Parts(net::Worker& the_worker, pipeline::Pipeline& the_pipeline, std::shared_ptr<const Layout> the_layout,
          PacketRouter& the_router, const SharedSecrets& the_secrets)
        : worker(the_worker),
          pipeline(the_pipeline),
          router(the_router),
          secrets(the_secrets),
          layout(std::move(the_layout)),
          http_date(worker),
          http_budget(http_share()),
          streams(worker, pipeline, options().streams, options().workers)
    {
        doh_shared.stats = &http_stats;
        doh_shared.budget = &http_budget;
        doh_shared.date = &http_date;
        make_batches();
    }

    [[nodiscard]] const Options& options() const noexcept { return layout->options; }
    [[nodiscard]] std::size_t http_share() const noexcept
    {
        return options().http.answers_in_all / std::max(1U, options().workers);
    }
    void make_batches();

    // Ports.
    void open(std::size_t index, net::Descriptor socket);
    void open_quic(Served& port, net::Descriptor socket);
    [[nodiscard]] static base::Result<void> start(Served& port);
    [[nodiscard]] base::Result<void> serve(std::size_t index, net::Descriptor socket);
    [[nodiscard]] Served* find(std::size_t id) noexcept;
    [[nodiscard]] Served* find_leaving(const Port& port) noexcept;
    void renew(Served& port, std::size_t index);
    void renew_stream(Served& port, const StreamPort& before);
    void renew_quic(Served& port);
    [[nodiscard]] static int socket_of(const Served& port) noexcept;
    void leave(Served& port);
    [[nodiscard]] bool has_left(Served& port, base::Instant now) noexcept;
    void let_go(Served& port) noexcept;
    void leave_step(base::Instant now) noexcept;
    void reconfigure(std::shared_ptr<const Layout> next);

    // The end of the gateway.
    [[nodiscard]] bool drained() const noexcept;
    void drain_step(base::Instant now) noexcept;
    void finish_drain() noexcept;

    net::Worker& worker;
    pipeline::Pipeline& pipeline;
    PacketRouter& router;
    const SharedSecrets& secrets;
    std::shared_ptr<const Layout> layout;
    std::shared_ptr<const certs::TlsIdentities> identities;
    std::optional<net::UdpReceiver> receiver;
    std::optional<net::UdpSender> sender;
    UdpStats udp_stats;
    HttpStats http_stats;
    HttpDate http_date;
    // The worker's share: budgets of answers are kept worker by worker.
    HttpBudget http_budget;
    DohContext doh_shared;
    // Behind what its connections borrow.
    StreamTable streams;
#ifdef SALLYPORT_HAS_QUIC
    std::shared_ptr<quic::MemoryShare> quic_memory; ///< one for all QUIC ports of the worker
    // A port that comes counts on where one that went stopped: counters never go back. The lock is for the scraper.
    mutable std::mutex quic_stats_lock;
    std::deque<quic::PortStats> quic_stats;
    std::vector<quic::PortStats*> quic_stats_free;
    unsigned quic_draining = 0;
#endif
    std::vector<std::unique_ptr<Served>> served;
    std::function<void()> drain_done;
    base::Instant drain_until;
    net::Timer drain_timer{net::Timer::of<&Parts::drain_step>(*this)};
    net::Timer leave_timer{net::Timer::of<&Parts::leave_step>(*this)};
};

void Doors::Parts::make_batches()
{
    const std::size_t batch = std::max(1U, options().udp_batch);
    if (receiver) udp_stats.oversized_earlier += receiver->oversized();
    if (sender) {
        sender->flush();
        udp_stats.dropped_earlier += sender->dropped();
    }
    receiver.emplace(batch, kLargestDatagram);
    sender.emplace(2 * batch, 64 * kLargestDatagram);
}

// ---- opening

void Doors::Parts::open(std::size_t index, net::Descriptor socket)
{
    served.push_back(std::make_unique<Served>());
    Served& port = *served.back();
    port.id = layout->ports[index].id;
    port.terms = make_terms(layout, index, doh_shared, is_unix(socket.get()));
    switch (port.terms->port.kind) {
    case Port::Kind::udp:
        port.udp = std::make_unique<Do53Udp>(worker, pipeline, *receiver, *sender, udp_stats, std::move(socket));
        return;
    case Port::Kind::quic: return open_quic(port, std::move(socket));
    case Port::Kind::tcp:
    case Port::Kind::unix_stream:
    case Port::Kind::tls:
    case Port::Kind::http_cleartext:
        port.stream =
            std::make_unique<StreamListener>(worker, streams, options().streams, std::move(socket),
                                             std::shared_ptr<const StreamPort>{port.terms, &port.terms->stream});
        return;
    }
}

void Doors::Parts::open_quic([[maybe_unused]] Served& port, [[maybe_unused]] net::Descriptor socket)
{
#ifdef SALLYPORT_HAS_QUIC
    if (!quic_memory) quic_memory = std::make_shared<quic::MemoryShare>(quic::memory_share(options()));
    if (quic_stats_free.empty()) {
        const std::lock_guard lock{quic_stats_lock};
        quic_stats_free.push_back(&quic_stats.emplace_back());
    }
    port.counters = quic_stats_free.back();
    quic_stats_free.pop_back();
    port.socket = std::move(socket);
    port.quic =
        std::make_unique<QuicEndpoint>(QuicEndpoint::Setup{.worker = worker,
                                                           .pipeline = pipeline,
                                                           .identities = identities,
                                                           .options = options(),
                                                           .port = port.terms->port,
                                                           .port_index = port.id,
                                                           .fd = port.socket.get(),
                                                           .router = router,
                                                           .secrets = secrets,
                                                           .doh = port.terms->doh_or_null(),
                                                           .quic_ports = static_cast<unsigned>(quic_ports_of(*layout)),
                                                           .memory = quic_memory,
                                                           .terms = port.terms,
                                                           .stats = port.counters});
#endif
}

base::Result<void> Doors::Parts::start(Served& port)
{
    if (port.udp) return port.udp->start();
    if (port.stream) return port.stream->start();
#ifdef SALLYPORT_HAS_QUIC
    if (port.quic) return port.quic->start();
#endif
    return {};
}

// ---- changing

Served* Doors::Parts::find(std::size_t id) noexcept
{
    for (auto& port : served)
        if (port->id == id && !port->leaving) return port.get();
    return nullptr;
}

Served* Doors::Parts::find_leaving(const Port& port) noexcept
{
    for (auto& old : served)
        if (old->leaving && old->terms->port.kind == Port::Kind::quic && is_same_port(old->terms->port, port))
            return old.get();
    return nullptr;
}

void Doors::Parts::reconfigure(std::shared_ptr<const Layout> next)
{
    const auto batch = options().udp_batch;
    layout = std::move(next);
    if (options().udp_batch != batch) make_batches();
    http_budget.set_limit(http_share());
    streams.reconfigure(options().streams, options().workers);
#ifdef SALLYPORT_HAS_QUIC
    if (quic_memory) quic_memory->limit = quic::memory_share(options()).limit;
#endif
}

base::Result<void> Doors::Parts::serve(std::size_t index, net::Descriptor socket)
{
    const Port& wanted = layout->ports[index];
    Served* port = find(wanted.id);
    // A port of QUIC that was given up a moment ago, and whose socket is open still, goes on: with two sockets of one
    // address, newcomers would be refused at the old one. Those of Do53 answer side by side until the old one closes.
    if (port == nullptr) port = find_leaving(wanted);
    if (port != nullptr) {
        renew(*port, index);
        return {};
    }
    open(index, std::move(socket));
    return start(*served.back());
}

int Doors::Parts::socket_of(const Served& port) noexcept
{
    if (port.udp) return port.udp->fd();
#ifdef SALLYPORT_HAS_QUIC
    if (port.quic) return port.socket.get();
#endif
    return -1;
}

void Doors::Parts::renew(Served& port, std::size_t index)
{
    const auto before =
        std::exchange(port.terms, make_terms(layout, index, doh_shared, port.stream && port.stream->unix_socket()));
    port.id = port.terms->port.id;
    port.leaving = false;
    const auto buffer = static_cast<int>(options().udp_receive_buffer);
    if (before->layout->options.udp_receive_buffer != options().udp_receive_buffer && socket_of(port) >= 0)
        ::setsockopt(socket_of(port), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    if (port.stream) renew_stream(port, before->stream);
    renew_quic(port);
}

void Doors::Parts::renew_stream(Served& port, const StreamPort& before)
{
    const StreamPort& now = port.terms->stream;
    port.stream->renew(options().streams, std::shared_ptr<const StreamPort>{port.terms, &now});
    // What is spoken no more is brought to its end.
    if (before.tls != now.tls) return streams.drain(port.id, StreamTable::Which::all);
    if (before.dns && !now.dns) streams.drain(port.id, StreamTable::Which::dns);
    if (before.http && !now.http) streams.drain(port.id, StreamTable::Which::http);
}

void Doors::Parts::renew_quic([[maybe_unused]] Served& port)
{
#ifdef SALLYPORT_HAS_QUIC
    if (port.quic)
        port.quic->renew({.options = options(),
                          .port = port.terms->port,
                          .doh = port.terms->doh_or_null(),
                          .quic_ports = static_cast<unsigned>(quic_ports_of(*layout)),
                          .terms = port.terms});
#endif
}

// ---- ports that go

void Doors::Parts::leave(Served& port)
{
    port.leaving = true;
    port.drained = false;
    port.until = worker.now() + options().drain;
    if (port.stream) {
        port.stream->stop_after_rest(worker.now());
        streams.drain(port.id, StreamTable::Which::all);
    }
#ifdef SALLYPORT_HAS_QUIC
    if (port.quic)
        port.quic->drain([this, id = port.id] {
            for (auto& old : served)
                if (old->leaving && old->id == id) old->drained = true;
        });
#endif
    // One of UDP reads on: as long as its socket is open, whoever asks is answered.
    if (!leave_timer.armed()) worker.arm(leave_timer, worker.now());
}

bool Doors::Parts::has_left(Served& port, base::Instant now) noexcept
{
    const bool late = now >= port.until;
    if (port.udp) {
        if (!late && port.udp->waiting()) return false;
        port.udp->serve_rest(now);
        return late || !port.udp->waiting();
    }
    if (port.stream) {
        if (late) streams.close(port.id);
        return late || !streams.has(port.id);
    }
    return port.drained || late;
}

void Doors::Parts::let_go([[maybe_unused]] Served& port) noexcept
{
#ifdef SALLYPORT_HAS_QUIC
    if (port.counters == nullptr) return;
    port.quic.reset();
    quic_stats_free.push_back(port.counters);
#endif
}

void Doors::Parts::leave_step(base::Instant now) noexcept
{
    bool more = false;
    for (std::size_t i = 0; i < served.size();) {
        Served& port = *served[i];
        if (port.leaving && has_left(port, now)) {
            let_go(port);
            served.erase(served.begin() + static_cast<std::ptrdiff_t>(i));
            continue;
        }
        more = more || port.leaving;
        ++i;
    }
    if (more) worker.arm(leave_timer, now + kDrainStep);
}

// ---- all doors of a worker

Doors::Doors(net::Worker& worker, pipeline::Pipeline& pipeline, std::shared_ptr<const certs::TlsIdentities> identities,
             std::shared_ptr<const Layout> layout, std::vector<net::Descriptor> descriptors, PacketRouter& router,
             const SharedSecrets& secrets)
    : parts_(std::make_unique<Parts>(worker, pipeline, std::move(layout), router, secrets))
{
    parts_->identities = identities;
    parts_->streams.set_identities(std::move(identities));
    for (std::size_t i = 0; i < parts_->layout->ports.size() && i < descriptors.size(); ++i)
        parts_->open(i, std::move(descriptors[i]));
}

Doors::~Doors() = default;

base::Result<void> Doors::start()
{
    for (auto& port : parts_->served)
        if (auto started = Parts::start(*port); !started) return started;
    return {};
}

base::Result<void> Doors::change(std::shared_ptr<const Layout> layout, std::vector<net::Descriptor> descriptors)
{
    Parts& p = *parts_;
    p.reconfigure(std::move(layout));
    const auto& ports = p.layout->ports;
    for (auto& port : p.served) {
        const bool stays =
            std::any_of(ports.begin(), ports.end(), [&](const Port& wanted) { return wanted.id == port->id; });
        if (!stays && !port->leaving) p.leave(*port);
    }
    base::Result<void> result;
    for (std::size_t i = 0; i < ports.size(); ++i)
        if (auto done = p.serve(i, std::move(descriptors[i])); !done && result) result = done;
    return result;
}

void Doors::set_identities(std::shared_ptr<const certs::TlsIdentities> identities)
{
#ifdef SALLYPORT_HAS_QUIC
    for (auto& port : parts_->served)
        if (port->quic) port->quic->set_identities(identities);
#endif
    parts_->identities = identities;
    parts_->streams.set_identities(std::move(identities));
}

// ---- ending

void Doors::drain(std::function<void()> done)
{
    Parts& p = *parts_;
    p.drain_done = std::move(done);
    p.drain_until = p.worker.now() + p.options().drain;
    for (auto& port : p.served) {
        if (port->stream) port->stream->stop();
        if (port->udp) port->udp->stop_reading();
#ifdef SALLYPORT_HAS_QUIC
        if (!port->quic) continue;
        ++p.quic_draining;
        port->quic->drain([&p] { --p.quic_draining; });
#endif
    }
    p.streams.drain();
    p.worker.arm(p.drain_timer, p.worker.now());
}

bool Doors::Parts::drained() const noexcept
{
#ifdef SALLYPORT_HAS_QUIC
    if (quic_draining > 0) return false;
#endif
    return streams.empty() && std::none_of(served.begin(), served.end(),
                                           [](const auto& port) { return port->udp && port->udp->waiting(); });
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

void Doors::packet_routed([[maybe_unused]] std::size_t port_id, [[maybe_unused]] base::Bytes packet,
                          [[maybe_unused]] const base::Endpoint& peer, [[maybe_unused]] const base::Endpoint& local,
                          [[maybe_unused]] std::uint8_t ecn)
{
#ifdef SALLYPORT_HAS_QUIC
    for (auto& port : parts_->served)
        if (port->quic && port->id == port_id) return port->quic->packet_routed(packet, peer, local, ecn);
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
    const std::lock_guard lock{parts_->quic_stats_lock};
    for (const auto& port : parts_->quic_stats) {
        port.quic.each(visit);
        port.tls.each(visit);
    }
#endif
}

} // namespace sallyport::listeners
