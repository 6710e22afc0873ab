#include "base/log.hpp"
#include "resolver/upstream_connection.hpp"
#include "resolver/upstream_probe.hpp"

#include <algorithm>

namespace sallyport::resolver {
namespace {

// A second connection is opened when the first has so much in flight: some servers answer one query after the other.
constexpr std::size_t kCrowded = 24;

} // namespace

base::Endpoint Upstream::endpoint() const noexcept
{
    if (addresses_.empty()) return {};
    return {addresses_[address_ % addresses_.size()], options_.port, 0};
}

/// One that failed is left for the next. Others that failed there as well, at the same time, leave it once.
void Upstream::leave_address(const base::IpAddress& failed) noexcept
{
    if (addresses_.size() > 1 && addresses_[address_ % addresses_.size()] == failed)
        address_ = (address_ + 1) % addresses_.size();
}

void Upstream::set_addresses(const std::vector<base::IpAddress>& fresh)
{
    if (fresh.empty()) return;
    const bool had = has_address();
    const base::IpAddress current = endpoint().address;
    addresses_ = fresh;
    address_ = 0;
    const auto same = std::find(addresses_.begin(), addresses_.end(), current);
    if (had && same != addresses_.end()) address_ = static_cast<std::size_t>(same - addresses_.begin());
    // What is in flight at an address that is none any more is still answered there.
    for (const auto& connection : connections_)
        if (std::find(addresses_.begin(), addresses_.end(), connection->server().address) == addresses_.end())
            connection->retire();
    // Who was dead may be well there: the probe goes at once.
    if (health_.is_open() && !health_.is_probing()) around_.worker.arm(probe_timer_, around_.worker.now());
}

void Upstream::await_address(AddressWaiter& waiter)
{
    if (!waiter.awaits_address()) around_.without_address.push_back(waiter);
}

bool Upstream::may_connect() const noexcept
{
    const auto kept =
        std::count_if(connections_.begin(), connections_.end(), [](const auto& one) { return !one->is_retiring(); });
    return static_cast<std::size_t>(kept) < limits().connections;
}

UpstreamConnection* Upstream::find_connection(base::Instant now)
{
    UpstreamConnection* least = nullptr;
    for (const auto& connection : connections_) {
        if (!connection->has_room()) continue;
        if (least == nullptr || connection->load() < least->load()) least = connection.get();
    }
    const bool crowded = least != nullptr && least->load() >= kCrowded;
    if ((least != nullptr && !crowded) || !may_connect()) return least;
    UpstreamConnection* const fresh = open_connection(now);
    return fresh == nullptr ? least : fresh;
}

/// At the address whose turn it is; at the next one where nothing comes of that at once: there is no way there, say.
UpstreamConnection* Upstream::open_connection(base::Instant now)
{
    const base::Transport transport =
        options_.transport == base::Transport::udp ? base::Transport::tcp : options_.transport;
    for (std::size_t i = 0; i < addresses_.size(); ++i) {
        auto made = std::make_unique<UpstreamConnection>(around_.worker, *this, transport, limits().pipeline);
        stats_->connections.add();
        const base::Endpoint server = endpoint();
        if (made->open(factories_.stream, memory_, server, now)) {
            connections_.push_back(std::move(made));
            return connections_.back().get();
        }
        leave_address(server.address);
    }
    return nullptr;
}

void Upstream::renew(Factories factories)
{
    if (!factories.stream || factories.stream == factories_.stream) return;
    factories_ = std::move(factories);
    // A session that is resumed is not verified again.
    memory_ = std::make_shared<net::client::Memory>();
}

void Upstream::connection_ready(bool resumed) noexcept
{
    if (resumed) stats_->resumed.add();
}

void Upstream::connection_ended(const UpstreamConnection& connection, Trouble trouble, base::Instant now)
{
    // One that answered and then ended is nobody's failure: servers do not keep idle connections for ever.
    if (trouble == Trouble::none || (trouble == Trouble::closed && connection.has_answered())) return;
    if (connection.is_ready() && connection.load() == 0) return;
    static base::log::Limiter limiter;
    if (trouble == Trouble::insecure && limiter.admit(now) > 0)
        base::log::warning("upstream " + options_.name + ": " + connection.failure().detail);
    leave_address(connection.server().address);
    note_failure(now);
}

void Upstream::connection_lost(Try& query, const UpstreamConnection& connection, Trouble trouble, base::Instant now)
{
    // A server may close an idle connection just when a query is on its way to it (RFC 7766 §6.2.4): once more, on a
    // new one.
    if (trouble == Trouble::closed && connection.has_answered() && !query.sent_again_) {
        query.sent_again_ = true;
        again_over_stream(query, now);
        return;
    }
    fail(query, trouble == Trouble::none ? Trouble::closed : trouble, now);
}

void Upstream::bury(UpstreamConnection& connection)
{
    const auto found = std::find_if(connections_.begin(), connections_.end(),
                                    [&](const auto& one) { return one.get() == &connection; });
    if (found == connections_.end()) return;
    // It may be on the stack right now.
    buried_.push_back(std::move(*found));
    connections_.erase(found);
    around_.worker.flush_later(bury_flush_);
}

void Upstream::bury_now(base::Instant) noexcept
{
    buried_.clear();
    if (probe_ && probe_->ended_) probe_.reset();
}

} // namespace sallyport::resolver
