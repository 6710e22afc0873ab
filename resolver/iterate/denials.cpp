#include "resolver/iterate/denials.hpp"

#include "dnssec/nsec3_hash.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {

using cache::Rrset;
using cache::RrsetKind;
using cache::RrsetPtr;
using dnssec::Finding;
using wire::Name;
using wire::RrType;

namespace {

/// Each question would pay for the iterations that a zone chose (RFC 9276 §3.2).
bool is_worth_hashing(const Rrset& set)
{
    const dnssec::Limits limits;
    const auto nsec3 = dnssec::read_nsec3(*set.records.begin());
    return nsec3 && nsec3->iterations <= limits.nsec3_iterations && nsec3->salt.size() <= limits.nsec3_salt;
}

} // namespace

void Denials::add(const RrsetPtr& set, const Name& zone)
{
    if (set->type != RrType::NSEC && set->type != RrType::NSEC3) return;
    if (set->octets() > kMaxOctets) return;
    if (set->type == RrType::NSEC3 && !is_worth_hashing(*set)) return;
    if (size_ >= kMaxSets) {
        const auto victim = zones_.begin();
        size_ -= victim->second.nsec.size() + victim->second.nsec3.size();
        zones_.erase(victim);
    }
    Zone& kept = zones_[zone];
    auto& sets = set->type == RrType::NSEC ? kept.nsec : kept.nsec3;
    if (set->type == RrType::NSEC3 && !sets.empty()) {
        // One chain at a time: records of two sets of parameters prove nothing together (RFC 5155 §8.2).
        const auto fresh = dnssec::read_nsec3(*set->records.begin());
        const auto old = dnssec::read_nsec3(*sets.begin()->second->records.begin());
        const bool same = fresh && old && fresh->iterations == old->iterations && base::equal(fresh->salt, old->salt);
        if (!same) {
            size_ -= sets.size();
            sets.clear();
        }
    }
    if (sets.insert_or_assign(set->owner, set).second) ++size_;
}

std::vector<RrsetPtr> Denials::gather(const Zone& zone, const Name& apex, const Name& qname, base::Instant now) const
{
    std::vector<RrsetPtr> found;
    const auto add_before = [&](const std::map<Name, RrsetPtr>& sets, const Name& name) -> RrsetPtr {
        if (sets.empty()) return nullptr;
        auto it = sets.upper_bound(name);
        it = it == sets.begin() ? std::prev(sets.end()) : std::prev(it);
        if (!it->second->is_fresh(now)) return nullptr;
        if (std::find(found.begin(), found.end(), it->second) == found.end()) found.push_back(it->second);
        return it->second;
    };
    if (!zone.nsec.empty()) {
        const RrsetPtr closest = add_before(zone.nsec, qname);
        if (!closest) return found;
        if (const auto nsec = dnssec::read_nsec(*closest->records.begin())) {
            const Name encloser = dnssec::nsec_closest_encloser(closest->owner, *nsec, qname);
            const std::uint8_t star = '*';
            if (const auto wildcard = encloser.prepend({&star, 1})) add_before(zone.nsec, *wildcard);
        }
        return found;
    }
    const auto sample = zone.nsec3.begin()->second;
    const auto parameters = dnssec::read_nsec3(*sample->records.begin());
    if (!parameters) return found;
    unsigned hashes = 0;
    const auto add_hashed = [&](const Name& name) {
        if (++hashes > kMaxHashes) return;
        const dnssec::Nsec3Parameters how{parameters->hash_algorithm, parameters->iterations, parameters->salt};
        const auto label = dnssec::nsec3_label(dnssec::nsec3_hash(how, name));
        if (const auto owner = apex.prepend(label)) add_before(zone.nsec3, *owner);
    };
    for (Name name = qname; name.is_under(apex); name = name.parent()) {
        add_hashed(name);
        const std::uint8_t star = '*';
        if (!(name == qname)) {
            if (const auto wildcard = name.prepend({&star, 1})) add_hashed(*wildcard);
        }
        if (name.is_root()) break;
    }
    return found;
}

RrsetPtr Denials::prove(const Name& qname, RrType qtype, const cache::RrsetStore& store, base::Instant now) const
{
    if (zones_.empty()) return nullptr;
    const Name start = qtype == RrType::DS && !qname.is_root() ? qname.parent() : qname;
    auto zone = zones_.end();
    Name apex = start;
    for (;; apex = apex.parent()) {
        zone = zones_.find(apex);
        if (zone != zones_.end() || apex.is_root()) break;
    }
    if (zone == zones_.end() || (zone->second.nsec.empty() && zone->second.nsec3.empty())) return nullptr;
    const RrsetPtr soa = store.find(apex, RrType::SOA, wire::RrClass::IN, now);
    if (!soa || !soa->is_data() || soa->state != wire::ValidationState::secure) return nullptr;
    auto sets = gather(zone->second, apex, qname, now);
    if (sets.empty()) return nullptr;
    std::vector<dnssec::DenialRecord> records;
    for (const RrsetPtr& set : sets) {
        for (const base::Bytes rdata : set->records) records.push_back({&set->owner, set->type, rdata});
    }
    dnssec::Limits limits;
    limits.nsec3_hashes = 3 * kMaxHashes;
    limits.hashes_per_turn = limits.nsec3_hashes;
    dnssec::Budget budget(limits);
    dnssec::DenialProver prover({&qname, qtype, &apex, dnssec::Claim::whatever, 0}, records);
    if (prover.step(budget) != dnssec::Step::done) return nullptr;
    const dnssec::Denial& denial = prover.result();
    if (!denial.verdict.is_secure() || denial.opt_out) return nullptr;
    Rrset made;
    switch (denial.finding) {
    case Finding::name_error: made.kind = RrsetKind::nxdomain; break;
    case Finding::no_data:
    case Finding::empty_non_terminal:
    case Finding::wildcard_no_data:
    case Finding::no_delegation: made.kind = RrsetKind::nodata; break;
    default: return nullptr;
    }
    made.owner = qname;
    made.type = qtype;
    made.rank = cache::Rank::answer_auth;
    made.state = wire::ValidationState::secure;
    made.zone = apex;
    made.expires = soa->expires;
    made.authority.push_back(soa);
    for (RrsetPtr& set : sets) {
        made.expires = std::min(made.expires, set->expires);
        made.authority.push_back(std::move(set));
    }
    made.ttl = made.ttl_left(now);
    return std::make_shared<const Rrset>(std::move(made));
}

} // namespace sallyport::resolver::iterate
