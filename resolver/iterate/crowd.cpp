#include "resolver/iterate/fetch.hpp"

#include <algorithm>
#include <utility>

/// Room for one more look-up where there are limits.
namespace sallyport::resolver::iterate {
namespace {

// Where there are too many, one that has had this long makes room for a new one.
constexpr base::Duration kHadItsChance = std::chrono::milliseconds{200};

template <class Crowds>
Crowd& crowd_of(Crowds& crowds, const typename Crowds::key_type& key, std::size_t most)
{
    // Empty ones stay, for they mostly fill again; when they are many they go.
    if (crowds.size() > most) std::erase_if(crowds, [](const auto& entry) { return entry.second.size() == 0; });
    return crowds[key];
}

} // namespace

Crowd& Engine::Parts::crowd_of_zone(const wire::Name& zone)
{
    return crowd_of(fetches_by_zone, zone, 2 * std::size_t{options.max_fetches});
}

Crowd& Engine::Parts::crowd_of_server(const base::IpAddress& server)
{
    return crowd_of(fetches_by_server, server, 2 * std::size_t{options.max_fetches});
}

bool Engine::Parts::make_room(Crowd& crowd, std::size_t limit, const Job* newcomer)
{
    if (crowd.size() < limit) return true;
    const auto oldest = std::find_if(crowd.places.begin(), crowd.places.end(), [newcomer](const Place& place) {
        return static_cast<const Job*>(&place.fetch()) != newcomer;
    });
    if (oldest == crowd.places.end() || now() - oldest->since() < kHadItsChance) return false;
    ++stats.gave_way;
    oldest->fetch().give_way();
    return crowd.size() < limit;
}

bool Engine::Parts::is_crowded(const base::IpAddress& server) const
{
    if (fetches_in_flight.size() < options.max_fetches_per_server) return false; // there cannot be so many
    const auto it = fetches_by_server.find(server);
    if (it == fetches_by_server.end() || it->second.size() < options.max_fetches_per_server) return false;
    return now() - it->second.places.front().since() < kHadItsChance;
}

void Fetch::query_ended() noexcept
{
    token_ = 0;
    at_server_.leave();
}

void Fetch::leave_all() noexcept
{
    if (std::exchange(shared_, false)) {
        parts_.fetches.erase({question_.qname, question_.qtype, question_.qclass, question_.subnet});
    }
    in_flight_.leave();
    in_zone_.leave();
    at_server_.leave();
}

bool Fetch::join_zone()
{
    if (zone_->fixed) return true; // whom to ask so much is the operator's to say
    Crowd& crowd = parts_.crowd_of_zone(zone_->zone);
    if (parts_.make_room(crowd, parts_.options.max_fetches_per_zone, this)) {
        in_zone_.join(crowd, parts_.now());
        return true;
    }
    ++parts_.stats.budget_zone_fetches;
    crowd_out(wire::ExtendedError::other, "too many look-ups in " + zone_->zone.to_text());
    return false;
}

bool Fetch::join_server(const base::IpAddress& server)
{
    if (zone_->fixed) return true;
    Crowd& crowd = parts_.crowd_of_server(server);
    if (parts_.make_room(crowd, parts_.options.max_fetches_per_server, this)) {
        at_server_.join(crowd, parts_.now());
        return true;
    }
    refuse_crowded(server);
    return false;
}

void Fetch::refuse_crowded(const base::IpAddress& server)
{
    ++parts_.stats.budget_server_fetches;
    crowd_out(wire::ExtendedError::other, "too many look-ups wait for " + server.to_string());
}

void Fetch::give_way() { crowd_out(wire::ExtendedError::network_error, "no reply yet, and too many look-ups wait"); }

/// That says nothing of the name, nor of its zone, so nothing is remembered.
void Fetch::crowd_out(wire::ExtendedError ede, std::string text)
{
    if (done_) return;
    result_.crowded_out = true;
    end_without(ede, std::move(text), false);
}

} // namespace sallyport::resolver::iterate
