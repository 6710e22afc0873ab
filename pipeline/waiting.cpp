#include "pipeline/waiting.hpp"

#include "base/hash.hpp"
#include "policy/access_list.hpp"

#include <algorithm>
#include <array>

namespace sallyport::pipeline {
namespace {

base::IpAddress client_of(const base::IpAddress& address) noexcept
{
    if (address.is_v4()) return address;
    std::array<std::uint8_t, 16> octets{};
    std::copy_n(address.octets().begin(), 8, octets.begin());
    return base::IpAddress::v6(octets);
}

} // namespace

std::size_t Waiting::Hash::operator()(const base::IpAddress& address) const noexcept
{
    return base::keyed_hash(address.octets());
}

void Waiting::configure(const WaitOptions& options, std::vector<base::Prefix> exempt, std::uint64_t most)
{
    options_ = options;
    exempt_ = std::move(exempt);
    most_ = most;
    wind();
}

void Waiting::set(Alarm* alarm) noexcept
{
    alarm_ = alarm;
    wound_ = {};
    wind();
}

std::uint32_t Waiting::count_of(const base::IpAddress& client) const noexcept
{
    const auto found = clients_.find(client_of(client));
    return found == clients_.end() ? 0 : found->second;
}

bool Waiting::has_room(const Query& query) const noexcept
{
    const base::IpAddress& client = query.client.peer.address;
    return count_of(client) < options_.per_client || policy::any_contains(exempt_, client);
}

void Waiting::add(Query& query) noexcept
{
    ++clients_[client_of(query.client.peer.address)];
    patient_.push_back(query);
    if (wound_ == base::Instant{}) wind();
}

void Waiting::remove(Query& query) noexcept
{
    query.age.unlink();
    const auto found = clients_.find(client_of(query.client.peer.address));
    if (found != clients_.end() && --found->second == 0) clients_.erase(found);
}

bool Waiting::is_late(const Query& query, base::Instant now) const noexcept
{
    if (!base::is_datagram(query.client.transport) || query.cookie_valid) return false;
    if (now - query.arrival <= options_.late_over_udp) return false;
    return count_of(query.client.peer.address) > options_.late_from || 2 * stats_.in_flight.get() > most_;
}

Query* Waiting::next_impatient(base::Instant now) noexcept
{
    if (patient_.empty() || now - patient_.front().arrival < options_.stale_after) return nullptr;
    Query& query = patient_.front();
    patient_.pop_front();
    impatient_.push_back(query);
    return &query;
}

Query* Waiting::next_over(base::Instant now) noexcept
{
    AgeList& oldest = impatient_.empty() ? patient_ : impatient_;
    if (oldest.empty() || now - oldest.front().arrival < options_.longest) return nullptr;
    return &oldest.front();
}

std::optional<base::Instant> Waiting::due() const noexcept
{
    std::optional<base::Instant> when;
    if (!patient_.empty()) when = patient_.front().arrival + std::min(options_.stale_after, options_.longest);
    if (impatient_.empty()) return when;
    const base::Instant end = impatient_.front().arrival + options_.longest;
    return when ? std::min(*when, end) : end;
}

void Waiting::wind() noexcept
{
    const auto when = due();
    wound_ = when.value_or(base::Instant{});
    if (when && alarm_ != nullptr) alarm_->set(*when);
}

} // namespace sallyport::pipeline
