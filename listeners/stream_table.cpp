#include "listeners/stream_table.hpp"

#include <algorithm>
#include <utility>

namespace sallyport::listeners {
namespace {

// Buffers kept for the next busy connection, and how large they start and may stay.
constexpr std::size_t kSpareBuffers = 32;
constexpr std::size_t kBufferSize = 16'384;
constexpr std::size_t kLargestSpare = 262'144;
// One read's worth of TLS records may complete one that was begun before.
constexpr std::size_t kRecord = 16'384 + 256;
// Connections looked at for one that is idle: the list is in order of idleness, so the first mostly is.
constexpr unsigned kLookedAt = 32;

} // namespace

StreamTable::StreamTable(net::Worker& worker, pipeline::Pipeline& pipeline, const StreamLimits& limits,
                         unsigned workers)
    : worker_(worker),
      pipeline_(pipeline),
      limits_(limits),
      counts_(limits.connections, limits.connections_per_address, workers),
      plain_buffer_(worker.read_buffer().size() + kRecord)
{
    spare_buffers_.reserve(kSpareBuffers);
}

StreamTable::~StreamTable()
{
    close_all();
    clear_graves(worker_.now());
}

void StreamTable::reconfigure(const StreamLimits& limits, unsigned workers)
{
    limits_ = limits;
    counts_.set(limits.connections, limits.connections_per_address, workers);
}

void StreamTable::adopt(net::Descriptor socket, const base::Endpoint& peer,
                        const std::shared_ptr<const StreamPort>& port)
{
    ++stats_.connections;
    if (counts_.full() && !make_room()) {
        ++stats_.refused_full;
        return;
    }
    auto connection = std::make_unique<StreamConnection>(*this, std::move(socket), peer, port);
    // Behind a listed proxy the client counts, whose address comes with the header.
    const bool counted = !port->unix_socket && connection->phase_ != StreamConnection::Phase::proxy_header;
    if (counted) {
        if (!count_address(peer.address)) return;
        connection->counted_ = true;
        connection->counted_address_ = peer.address;
    }
    if (!connection->start()) {
        if (counted) counts_.remove_address(peer.address);
        ++stats_.accept_errors;
        return;
    }
    connections_.push_back(*connection.release());
    counts_.add();
    stats_.active.set(counts_.held());
}

bool StreamTable::count_address(const base::IpAddress& address)
{
    if (counts_.add_address(address)) return true;
    ++stats_.refused_address;
    return false;
}

bool StreamTable::make_room() noexcept
{
    for (unsigned looked_at = 0; looked_at < kLookedAt && !connections_.empty(); ++looked_at) {
        StreamConnection& connection = connections_.front();
        if (connection.is_idle()) {
            ++stats_.evicted;
            connection.make_way();
            return true;
        }
        // It has work: no idler than anyone. Left in front, a few of its kind would hide all who are idle.
        touch(connection);
    }
    return false;
}

void StreamTable::touch(StreamConnection& connection) noexcept
{
    connections_.splice(connections_.end(), connections_, connections_.iterator_to(connection));
}

void StreamTable::bury(StreamConnection& connection) noexcept
{
    if (connection.turn_hook_.is_linked()) connection.turn_hook_.unlink();
    if (!connection.order_hook_.is_linked()) return; // never came to life: its maker destroys it
    connections_.erase(connections_.iterator_to(connection));
    graves_.push_back(connection);
    counts_.remove();
    stats_.active.set(counts_.held());
    if (connection.counted_) counts_.remove_address(connection.counted_address_);
    worker_.flush_later(grave_flush_);
}

void StreamTable::clear_graves(base::Instant) noexcept
{
    graves_.clear_and_dispose([](StreamConnection* connection) { delete connection; });
}

void StreamTable::give_turn(StreamConnection& connection) noexcept
{
    if (connection.turn_hook_.is_linked()) return;
    turns_.push_back(connection);
    // Not in this round of the loop: everyone else who is ready comes first.
    if (!turn_timer_.armed()) worker_.arm(turn_timer_, worker_.now() + std::chrono::nanoseconds{1});
}

void StreamTable::turns_due(base::Instant now) noexcept
{
    Turns due;
    due.swap(turns_);
    while (!due.empty()) {
        StreamConnection& connection = due.front();
        due.pop_front();
        connection.next_turn(now);
    }
}

std::vector<std::uint8_t> StreamTable::take_buffer() noexcept
{
    if (spare_buffers_.empty()) {
        std::vector<std::uint8_t> fresh;
        fresh.reserve(kBufferSize);
        return fresh;
    }
    auto buffer = std::move(spare_buffers_.back());
    spare_buffers_.pop_back();
    return buffer;
}

void StreamTable::return_buffer(std::vector<std::uint8_t>&& buffer) noexcept
{
    auto returned = std::move(buffer);
    buffer = {};
    if (spare_buffers_.size() >= kSpareBuffers || returned.capacity() > kLargestSpare) return;
    returned.clear();
    spare_buffers_.push_back(std::move(returned));
}

void StreamTable::drain()
{
    // Connections that end leave the list while it is walked.
    for (auto next = connections_.begin(); next != connections_.end();) {
        StreamConnection& connection = *next++;
        connection.drain();
    }
}

void StreamTable::drain(std::size_t port_id, Which which)
{
    for (auto next = connections_.begin(); next != connections_.end();) {
        StreamConnection& connection = *next++;
        if (connection.port().id != port_id) continue;
        if (which == Which::all || connection.speaks_dns() == (which == Which::dns)) connection.drain();
    }
}

void StreamTable::close(std::size_t port_id) noexcept
{
    for (auto next = connections_.begin(); next != connections_.end();) {
        StreamConnection& connection = *next++;
        if (connection.port().id == port_id) connection.make_way();
    }
}

bool StreamTable::has(std::size_t port_id) const noexcept
{
    return std::any_of(connections_.begin(), connections_.end(),
                       [&](const StreamConnection& connection) { return connection.port().id == port_id; });
}

void StreamTable::close_all() noexcept
{
    while (!connections_.empty()) connections_.front().make_way();
}

} // namespace sallyport::listeners
