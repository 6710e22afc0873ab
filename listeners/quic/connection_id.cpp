#include "listeners/quic/connection_id.hpp"

namespace sallyport::listeners::quic {

ConnectionId ConnectionId::make(unsigned worker, unsigned workers, base::RandomSource& random) noexcept
{
    ConnectionId id;
    id.size_ = kOurs;
    random.fill({id.octets_.data(), kOurs});
    // 256 workers at most can be told apart by one octet; with more, some share and the router does the rest.
    const unsigned count = workers == 0 ? 1 : workers > 256 ? 256 : workers;
    const unsigned first = id.octets_[0] - id.octets_[0] % count + worker % count;
    id.octets_[0] = static_cast<std::uint8_t>(first < 256 ? first : first - count);
    return id;
}

bool ConnectionMap::add(const ConnectionId& id, Target& target)
{
    const auto [position, added] = map_.try_emplace(id, &target);
    return added || position->second == &target;
}

void ConnectionMap::remove(const ConnectionId& id, const Target& target) noexcept
{
    const auto position = map_.find(id);
    if (position != map_.end() && position->second == &target) map_.erase(position);
}

void ConnectionMap::move(const ConnectionId& id, const Target& from, Target& to) noexcept
{
    const auto position = map_.find(id);
    if (position != map_.end() && position->second == &from) position->second = &to;
}

Target* ConnectionMap::find(const ConnectionId& id) const noexcept
{
    const auto position = map_.find(id);
    return position == map_.end() ? nullptr : position->second;
}

} // namespace sallyport::listeners::quic
