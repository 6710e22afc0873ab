#include "resolver/iterate/delegations.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {
namespace {

DelegationPtr from_options(const FixedZone& zone)
{
    auto made = std::make_shared<Delegation>();
    made->zone = zone.zone;
    made->fixed = true;
    made->forward = zone.forward;
    made->first = zone.first;
    made->tcp = zone.tcp;
    made->group = zone.forward ? zone.group : std::string{};
    made->hints = zone.zone.is_root() && !zone.forward;
    if (!zone.servers.empty()) made->servers.push_back({zone.zone, zone.servers});
    for (const wire::Name& name : zone.names) made->servers.push_back({name, {}});
    return made;
}

cache::Cut cut_of(const Delegation& delegation)
{
    cache::Cut cut;
    std::vector<base::IpAddress> glue;
    for (const NameServer& server : delegation.servers) {
        glue.clear();
        for (const base::Endpoint& endpoint : server.glue) glue.push_back(endpoint.address);
        cut.servers.add(server.name, glue);
    }
    cut.ttl = delegation.ttl;
    cut.expires = delegation.expires;
    return cut;
}

} // namespace

Delegations::Delegations(const Options& options, cache::Cuts& shared) : options_(options), shared_(shared)
{
    for (const FixedZone& zone : options.fixed) {
        (zone.forward ? forward_ : fixed_).insert_or_assign(zone.zone, from_options(zone));
    }
    if (!fixed_.contains(wire::Name{})) fixed_.emplace(wire::Name{}, from_options(root_hints()));
}

DelegationPtr Delegations::find(const wire::Name& zone, base::Instant now, bool skip_first) const
{
    if (const auto it = forward_.find(zone); it != forward_.end() && !(skip_first && it->second->first))
        return it->second;
    if (zone.is_root() && primed_ && now < primed_->expires) return primed_;
    if (const auto it = fixed_.find(zone); it != fixed_.end() && !(skip_first && it->second->first)) return it->second;
    const auto it = table_.find(zone);
    if (it == table_.end()) return take_over(zone, now);
    return (*it->second)->expires <= now ? nullptr : *it->second;
}

DelegationPtr Delegations::take_over(const wire::Name& zone, base::Instant now) const
{
    const cache::CutPtr cut = zone.is_root() ? nullptr : shared_.find_restored(zone, now);
    if (!cut) return nullptr;
    auto made = std::make_shared<Delegation>();
    made->zone = zone;
    made->ttl = cut->ttl;
    made->expires = cut->expires;
    cut->servers.each([&](const wire::Name& name, std::span<const base::IpAddress> glue) {
        if (made->servers.size() >= options_.limits.servers) return;
        NameServer server{name, {}};
        for (const base::IpAddress& address : glue.first(std::min<std::size_t>(glue.size(), options_.limits.addresses)))
            server.glue.push_back({address, options_.port, 0});
        made->servers.push_back(std::move(server));
    });
    keep(made);
    return made;
}

DelegationPtr Delegations::closest(const wire::Name& name, base::Instant now, bool skip_first, bool renews) const
{
    for (wire::Name zone = name; !zone.is_root(); zone = zone.parent()) {
        DelegationPtr found = find(zone, now, skip_first);
        const bool old = renews && found && !found->fixed &&
                         10 * (found->expires - now) <= std::chrono::seconds(found->ttl.seconds());
        if (found && !old) return found;
    }
    return find(wire::Name{}, now, skip_first); // the constructor saw to it that the root is there
}

void Delegations::put(DelegationPtr delegation)
{
    shared_.put(delegation->zone, cut_of(*delegation));
    keep(std::move(delegation));
}

void Delegations::keep(DelegationPtr delegation) const
{
    erase(delegation->zone);
    if (entries_.size() >= std::max(options_.max_delegations, 1U)) {
        table_.erase(entries_.back()->zone);
        entries_.pop_back();
    }
    entries_.push_front(std::move(delegation));
    table_.emplace(entries_.front()->zone, entries_.begin());
}

void Delegations::erase(const wire::Name& zone) const
{
    const auto it = table_.find(zone);
    if (it == table_.end()) return;
    entries_.erase(it->second);
    table_.erase(it);
}

} // namespace sallyport::resolver::iterate
