#include "resolver/shared.hpp"

#include "base/hash.hpp"
#include "net/worker.hpp"

#include <algorithm>

namespace sallyport::resolver {
namespace {

std::size_t hash_of(const FlightKey& key) noexcept
{
    const Inquiry& asked = key.inquiry;
    const std::uint64_t rest = (std::uint64_t{key.partition} << 32U) |
                               (static_cast<std::uint64_t>(asked.qtype) << 16U) |
                               (static_cast<std::uint64_t>(asked.qclass) << 2U) | (asked.dnssec_ok ? 2U : 0U) |
                               (asked.checking_disabled ? 1U : 0U);
    const std::uint64_t hash = wire::hash_lower(asked.qname.wire()) ^ (rest * 0x9E37'79B9'7F4A'7C15U);
    return asked.subnet ? hash + base::keyed_hash(asked.subnet->address().octets()) + asked.subnet->length() : hash;
}

} // namespace

bool operator==(const FlightKey& left, const FlightKey& right) noexcept
{
    const Inquiry& a = left.inquiry;
    const Inquiry& b = right.inquiry;
    return a.qtype == b.qtype && a.qclass == b.qclass && a.dnssec_ok == b.dnssec_ok &&
           a.checking_disabled == b.checking_disabled && a.subnet == b.subnet && left.partition == right.partition &&
           a.qname == b.qname;
}

std::size_t FlightKeyHash::operator()(const FlightKey& key) const noexcept { return hash_of(key); }

void Mailbox::post(const std::shared_ptr<Mailbox>& self, std::function<void(void* owner)> work)
{
    const std::lock_guard lock{self->mutex_};
    if (self->worker_ == nullptr) return;
    self->worker_->post([self, work = std::move(work)] {
        // Closed on this very thread, or after it: what is there now stays there for the call.
        if (self->owner_ != nullptr) work(self->owner_);
    });
}

void Mailbox::send(const std::shared_ptr<Mailbox>& self, const FlightKey& key, std::uint64_t flight,
                   std::shared_ptr<const FlightResult> result)
{
    const Heard heard = self->heard_;
    post(self, [heard, key, flight, result = std::move(result)](void* owner) { heard(owner, key, flight, *result); });
}

void Mailbox::close() noexcept
{
    const std::lock_guard lock{mutex_};
    worker_ = nullptr;
    owner_ = nullptr;
}

Shared::Shared() = default;
Shared::~Shared() = default;

Shared::Shard& Shared::shard_of(const FlightKey& key) noexcept
{
    // The table below takes the low bits.
    return shards_[(hash_of(key) >> 48U) % kShards];
}

Shared::Joined Shared::join(const FlightKey& key, const std::shared_ptr<Mailbox>& who)
{
    Shard& shard = shard_of(key);
    const std::lock_guard lock{shard.mutex};
    const auto [place, fresh] = shard.flights.try_emplace(key);
    Flight& flight = place->second;
    if (fresh) {
        flight.number = shard.next++;
        return {flight.number, true};
    }
    if (std::find(flight.followers.begin(), flight.followers.end(), who) == flight.followers.end())
        flight.followers.push_back(who);
    return {flight.number, false};
}

std::vector<std::shared_ptr<Mailbox>> Shared::end(const FlightKey& key, std::uint64_t flight)
{
    Shard& shard = shard_of(key);
    const std::lock_guard lock{shard.mutex};
    const auto found = shard.flights.find(key);
    if (found == shard.flights.end() || found->second.number != flight) return {};
    auto followers = std::move(found->second.followers);
    shard.flights.erase(found);
    return followers;
}

std::size_t Shared::in_flight() const
{
    std::size_t count = 0;
    for (const Shard& shard : shards_) {
        const std::lock_guard lock{shard.mutex};
        count += shard.flights.size();
    }
    return count;
}

base::Result<Factories> Shared::factories_for(const UpstreamOptions& options, const Limits& limits)
{
    const std::lock_guard lock{made_mutex_};
    for (const Made& one : made_)
        if (one.pipeline == limits.pipeline && is_same(one.options, options)) return one.factories;
    auto made = make_factories(options, limits);
    if (made) made_.push_back({options, limits.pipeline, *made});
    return made;
}

bool Shared::prepare(const Options& options, base::Problems& problems)
{
    // CA files may have changed: all are read anew. Those that are in use stay with whoever uses them.
    std::vector<Made> fresh;
    bool good = true;
    const auto make = [&](const UpstreamOptions& upstream, const std::string& what) {
        auto made = make_factories(upstream, options.limits);
        if (made) {
            fresh.push_back({upstream, options.limits.pipeline, *made});
            return;
        }
        base::Error error = made.error();
        error.message = what + " '" + upstream.name + "': " + error.message;
        error.position = upstream.position;
        problems.push_back(std::move(error));
        good = false;
    };
    for (const GroupOptions& group : options.groups)
        for (const UpstreamOptions& upstream : group.upstreams) make(upstream, "upstream");
    for (const UpstreamOptions& server : options.bootstrap) make(server, "bootstrap server");
    const std::lock_guard lock{made_mutex_};
    if (good) made_ = std::move(fresh);
    return good;
}

} // namespace sallyport::resolver
