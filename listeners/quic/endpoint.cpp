#include "listeners/quic/endpoint.hpp"

#include "listeners/quic/endpoint_core.hpp"

#include <algorithm>

namespace sallyport::listeners::quic {

MemoryShare memory_share(const Options& options) noexcept
{
    return {.limit = std::max<std::uint64_t>(options.quic.memory / std::max(1U, options.workers), 1U << 20U)};
}

QuicEndpoint::QuicEndpoint(const Setup& setup) : core_(std::make_unique<EndpointCore>(setup)) {}

QuicEndpoint::~QuicEndpoint() = default;

base::Result<void> QuicEndpoint::start() { return core_->start(); }

void QuicEndpoint::set_identities(std::shared_ptr<const certs::TlsIdentities> identities)
{
    core_->set_identities(std::move(identities));
}

void QuicEndpoint::renew(const Renewal& renewal) { core_->renew(renewal); }

void QuicEndpoint::drain(std::function<void()> done) { core_->drain(std::move(done)); }

void QuicEndpoint::packet_arrived(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                                  std::uint8_t ecn) noexcept
{
    core_->packet_arrived(packet, peer, local, ecn);
}

void QuicEndpoint::packet_routed(base::Bytes packet, const base::Endpoint& peer, const base::Endpoint& local,
                                 std::uint8_t ecn) noexcept
{
    core_->packet_routed(packet, peer, local, ecn);
}

void QuicEndpoint::flush(base::Instant now) noexcept { core_->flush(now); }

std::size_t QuicEndpoint::connections() const noexcept { return core_->connections(); }

const QuicStats& QuicEndpoint::stats() const noexcept { return core_->stats; }

const certs::Stats& QuicEndpoint::tls_stats() const noexcept { return core_->tls_stats; }

} // namespace sallyport::listeners::quic
