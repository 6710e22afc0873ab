#include "resolver/iterate/fetch.hpp"

#include "wire/rdata.hpp"

#include <algorithm>
#include <array>
#include <utility>

/// Which server a look-up asks, and where the addresses of servers come from.
namespace sallyport::resolver::iterate {

using cache::Rrset;
using wire::ExtendedError;
using wire::Name;
using wire::RrType;

namespace {

constexpr std::size_t kLookupsAtOnce = 2; // of addresses, for one look-up

} // namespace

void Fetch::lookup_is_slow()
{
    if (done_ || state_ != State::select || lookups_.empty()) return;
    hurry_ = true;
    parts_.wake(shared_from_this());
}

Fetch::Attempt& Fetch::attempt(const base::IpAddress& address)
{
    const auto it =
        std::find_if(attempts_.begin(), attempts_.end(), [&](const Attempt& each) { return each.address == address; });
    if (it != attempts_.end()) return *it;
    attempts_.push_back(Attempt{});
    attempts_.back().address = address;
    return attempts_.back();
}

bool Fetch::may_ask(const base::Endpoint& server, unsigned most_tries) const
{
    const Options& options = parts_.options;
    if (server.address.is_v4() ? !options.ipv4 : !options.ipv6) return false;
    if (std::find(avoid_.begin(), avoid_.end(), server.address) != avoid_.end()) return false;
    if (!zone_->fixed && std::any_of(options.do_not_query.begin(), options.do_not_query.end(),
                                     [&](const base::Prefix& each) { return each.contains(server.address); })) {
        return false;
    }
    const auto it = std::find_if(attempts_.begin(), attempts_.end(),
                                 [&](const Attempt& each) { return each.address == server.address; });
    return it == attempts_.end() || (!it->out && it->tries < most_tries);
}

std::vector<base::Endpoint> Fetch::known_addresses() const
{
    std::vector<base::Endpoint> found;
    const auto add = [&found](const base::Endpoint& server) {
        if (std::find(found.begin(), found.end(), server) == found.end()) found.push_back(server);
    };
    const auto add_kept = [&](const Name& name, unsigned& used) {
        constexpr std::array kTypes{RrType::A, RrType::AAAA};
        std::array<RrsetPtr, 2> sets;
        parts_.store.find_all(name, kTypes, wire::RrClass::IN, parts_.now(), false, sets);
        for (std::size_t i = 0; i < kTypes.size(); ++i) {
            const RrType type = kTypes[i];
            const RrsetPtr& set = sets[i];
            if (!set || !set->is_data() || set->state == wire::ValidationState::bogus) continue;
            for (const base::Bytes rdata : set->records) {
                if (rdata.size() != (type == RrType::A ? 4U : 16U)) continue;
                if (used++ < 2 * parts_.options.limits.addresses) {
                    add({base::IpAddress::from_octets(rdata), parts_.options.port, 0});
                }
            }
        }
    };
    const auto add_parents_word = [&](const Name& name) {
        const DelegationPtr home = parts_.delegations.closest(name, parts_.now());
        for (const NameServer& other : home->servers) {
            if (!(other.name == name)) continue;
            for (const base::Endpoint& glue : other.glue) add(glue);
        }
    };
    for (const NameServer& server : zone_->servers) {
        unsigned used = 0;
        if (parents_word_ && server.glue.empty()) add_parents_word(server.name);
        for (const base::Endpoint& glue : server.glue) {
            if (used++ < parts_.options.limits.addresses) add(glue);
        }
        add_kept(server.name, used);
    }
    for (const Name& name : other_names_) {
        unsigned used = 0;
        if (parents_word_) add_parents_word(name);
        add_kept(name, used);
    }
    return found;
}

bool Fetch::choose_server(unsigned most_tries)
{
    struct Choice {
        base::Endpoint server;
        const Server* known; // null: nobody asked it yet
    };
    std::vector<Choice> usable;
    std::vector<Choice> paused;
    std::vector<Choice> lame;
    const base::Endpoint* crowded = nullptr;
    const base::Instant now = parts_.now();
    const std::vector<base::Endpoint> addresses = known_addresses();
    for (const base::Endpoint& server : addresses) {
        if (!may_ask(server, most_tries)) continue;
        if (!zone_->fixed && parts_.is_crowded(server.address)) {
            crowded = &server;
            continue;
        }
        const Choice choice{server, parts_.servers.find(server.address)};
        if (parts_.servers.is_lame(server.address, zone_->zone, question_.qtype, now)) {
            lame.push_back(choice);
            continue;
        }
        (parts_.servers.is_paused(choice.known, now) ? paused : usable).push_back(choice);
    }
    if (usable.empty()) {
        // All of them pause: one of them may be asked all the same, for otherwise the zone is gone for a minute.
        std::erase_if(paused, [](const Choice& choice) { return choice.known != nullptr && choice.known->probing; });
        usable = std::move(paused);
    }
    // What was lame may have been put right since; it is asked when nobody else is left.
    if (usable.empty() && most_tries > 1) usable = std::move(lame);
    if (usable.empty() && crowded != nullptr) {
        refuse_crowded(crowded->address);
        return true;
    }
    if (usable.empty()) return false;
    const auto cost = [this](const Choice& choice) {
        const bool preferred = choice.server.address.is_v4() != parts_.options.prefer_ipv6;
        const auto handicap = !preferred && parts_.options.prefer_ipv6 ? parts_.options.band : 0ms;
        return parts_.servers.cost(choice.known) + handicap;
    };
    auto best = cost(usable.front());
    for (const Choice& choice : usable) best = std::min(best, cost(choice));
    // Anyone not much slower than the best is as good: so that round trips of all stay known, and guessing is harder.
    std::erase_if(usable, [&](const Choice& choice) { return cost(choice) > best + parts_.options.band; });
    ask(usable[parts_.random.number() % usable.size()].server, zone_->tcp);
    return true;
}

void Fetch::select()
{
    if (!zone_->group.empty()) return select_group();
    state_ = State::select;
    std::erase_if(lookups_, [this](const std::shared_ptr<Fetch>& lookup) {
        if (!lookup->is_done()) return false;
        const RrsetPtr& set = lookup->result().set;
        if (!set || !set->is_data()) {
            ++failing_lookups_;
        } else if (set->type == RrType::CNAME) {
            // A server's name must not be an alias (RFC 2181 §10.3); many are all the same.
            const auto target = alias_target(*set);
            if (target && other_names_.size() < parts_.options.limits.address_lookups) {
                other_names_.push_back(target->lower());
            }
        }
        return true;
    });
    const bool hurry = std::exchange(hurry_, false);
    if (choose_server(1)) return;
    if (!lookups_.empty()) {
        // An address is on its way. Where that takes long another is looked for beside it: of the other family, or of
        // another server; not with the last means, which the one on its way still needs.
        const bool may = budget_->lookups < parts_.options.limits.lookups;
        if (hurry && may && lookups_.size() < kLookupsAtOnce) static_cast<void>(look_up_addresses());
        return;
    }
    if (look_up_addresses()) return;
    if (done_) return;
    if (!own_names_used_ && !zone_->own_names.empty()) {
        own_names_used_ = true;
        for (const Name& name : zone_->own_names) {
            if (other_names_.size() < parts_.options.limits.address_lookups) other_names_.push_back(name);
        }
        if (choose_server(1) || look_up_addresses() || done_) return;
    }
    if (!parents_word_) {
        // What the servers' own zones say leads nowhere: what their parents say may.
        parents_word_ = true;
        if (choose_server(1)) return;
    }
    if (choose_server(parts_.options.limits.tries)) return;
    if (zone_->first && !skip_first_) {
        skip_first_ = true;
        state_ = State::priming;
        return begin();
    }
    if (empty_seen_) {
        // Nobody knows more than that there is nothing.
        const auto empty =
            std::find_if(attempts_.begin(), attempts_.end(), [](const Attempt& each) { return each.empty; });
        if (empty != attempts_.end()) {
            empty->empty = empty->out = false;
            return ask({empty->address, parts_.options.port, 0}, zone_->tcp);
        }
    }
    // Better an answer out of somebody's cache than none.
    const auto recursive =
        std::find_if(attempts_.begin(), attempts_.end(), [](const Attempt& each) { return each.recursive_lame; });
    if (recursive != attempts_.end() && asked_recursively_ == 0) {
        asked_recursively_ = 1;
        recursive->out = false;
        return ask({recursive->address, parts_.options.port, 0}, false);
    }
    fail(last_ede_, last_trouble_.empty() ? (avoid_.empty() ? "no server of " : "no other server of ") +
                                                zone_->zone.to_text() + " can be asked"
                                          : last_trouble_);
}

/// Starts the look-up of one more address; false where none is left to be looked up.
bool Fetch::look_up_addresses()
{
    const WorkLimits& limits = parts_.options.limits;
    const std::size_t own = zone_->servers.size();
    const std::size_t count = own + other_names_.size();
    const std::size_t first = count == 0 ? 0 : parts_.random.number() % count;
    for (const RrType type : {parts_.options.prefer_ipv6 ? RrType::AAAA : RrType::A,
                              parts_.options.prefer_ipv6 ? RrType::A : RrType::AAAA}) {
        if (type == RrType::A ? !parts_.options.ipv4 : !parts_.options.ipv6) continue;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t at = (first + i) % count;
            // Configured by address: it has no name.
            if (at < own && zone_->fixed && !zone_->servers[at].glue.empty()) continue;
            Key key{at < own ? zone_->servers[at].name : other_names_[at - own], type, wire::RrClass::IN};
            if (std::find(looked_up_.begin(), looked_up_.end(), key) != looked_up_.end()) continue;
            if (looked_up_.size() >= limits.address_lookups || failing_lookups_ >= limits.failing_lookups) {
                ++parts_.stats.budget_lookups;
                last_trouble_ = "too many servers of " + zone_->zone.to_text() + " without address";
                return false;
            }
            looked_up_.push_back(key);
            if (parts_.store.find(key.name, key.type, key.rr_class, parts_.now()) ||
                parts_.store.find_nxdomain(key.name, key.rr_class, parts_.now())) {
                continue;
            }
            if (key.name == question_.qname && type == question_.qtype) continue; // it would wait for itself
            auto lookup = parts_.fetch({key.name, type, key.rr_class, false}, shared_from_this(), budget_, depth_ + 1);
            if (!lookup) {
                ++failing_lookups_;
                continue;
            }
            lookups_.push_back(std::move(lookup));
            return true;
        }
    }
    return false;
}

/// What a zone says of its own servers is better than what its parent says (RFC 2181 §5.4.1), but it never prolongs the
/// delegation (ghost domains): names its parent does not have are kept for when the others fail, and a shorter life
/// counts.
void Fetch::note_own_servers(const Response& response)
{
    if (!response.authoritative || zone_->fixed || zone_->zone.is_root()) return;
    const Rrset* own = nullptr;
    for (const std::vector<Rrset>* sets : {&response.answers, &response.authority}) {
        for (const Rrset& set : *sets) {
            if (set.type == RrType::NS && set.owner == zone_->zone) own = &set;
        }
    }
    const base::Instant now = parts_.now();
    if (own == nullptr || parts_.delegations.find(zone_->zone, now, skip_first_) != zone_) return;
    constexpr std::uint32_t kLeastTtl = 60; // the parent is not asked for every question
    const std::uint32_t seconds = std::max(own->ttl.seconds(), kLeastTtl);
    auto changed = std::make_shared<Delegation>(*zone_);
    if (now + std::chrono::seconds(seconds) < zone_->expires) {
        changed->ttl = wire::Ttl{seconds};
        changed->expires = now + std::chrono::seconds(seconds);
    }
    changed->own_names.clear();
    for (const base::Bytes rdata : own->records) {
        const auto name = wire::target_name(RrType::NS, rdata);
        if (!name || changed->own_names.size() >= parts_.options.limits.servers) continue;
        const bool known = std::any_of(zone_->servers.begin(), zone_->servers.end(),
                                       [&](const NameServer& server) { return server.name == *name; });
        if (!known) changed->own_names.push_back(name->lower());
    }
    if (changed->expires == zone_->expires && changed->own_names == zone_->own_names) return;
    zone_ = changed;
    parts_.delegations.put(std::move(changed));
}

void Fetch::ask(const base::Endpoint& server, bool tcp)
{
    if (budget_->spent || budget_->packets >= parts_.options.limits.packets) {
        if (!budget_->spent) ++parts_.stats.budget_packets;
        budget_->spent = true;
        return fail(ExtendedError::no_reachable_authority, "too much work for one question", true);
    }
    if (!join_server(server.address)) return;
    ++budget_->packets;
    Attempt& how = attempt(server.address);
    ++(tcp ? how.tcp_tries : how.tries);
    Server& known = parts_.servers.get(server.address);
    Pending query;
    query.fetch = std::static_pointer_cast<Fetch>(shared_from_this());
    query.server = server;
    query.qname = outgoing_;
    query.qtype = outgoing_type_;
    query.qclass = question_.qclass;
    query.tcp = tcp;
    query.edns = parts_.options.edns && known.plain_until <= parts_.now() && !how.plain;
    if (question_.subnet) choose_subnet(query, known, how);
    if (known.failures >= parts_.options.failures_to_pause) known.probing = true;
    if (is_minimised()) ++parts_.stats.minimised;
    state_ = State::waiting;
    const bool recursion = zone_->forward || asked_recursively_ == 1;
    tell(Event::Kind::ask, query, {});
    parts_.send(std::static_pointer_cast<Fetch>(shared_from_this()), std::move(query), zone_->zone, recursion);
}

} // namespace sallyport::resolver::iterate
