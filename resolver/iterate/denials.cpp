#include "resolver/iterate/denials.hpp"

#include "dnssec/nsec3_hash.hpp"
#include "resolver/iterate/judge.hpp"

#include <algorithm>

namespace sallyport::resolver::iterate {

using cache::Rrset;
using cache::RrsetKind;
using cache::RrsetPtr;
using dnssec::Finding;
using wire::Name;
using wire::RrType;
using wire::ValidationState;

namespace {

/// Each question would pay for the iterations that a zone chose (RFC 9276 §3.2).
bool is_worth_hashing(const Rrset& set)
{
    const dnssec::Limits limits;
    const auto nsec3 = dnssec::read_nsec3(*set.records.begin());
    return nsec3 && nsec3->iterations <= limits.nsec3_iterations && nsec3->salt.size() <= limits.nsec3_salt;
}

/// Records of two sets of parameters prove nothing together (RFC 5155 §8.2).
bool is_of_one_chain(const Rrset& left, const Rrset& right)
{
    const auto one = dnssec::read_nsec3(*left.records.begin());
    const auto other = dnssec::read_nsec3(*right.records.begin());
    return one && other && one->iterations == other->iterations && base::equal(one->salt, other->salt);
}

Name wildcard_of(const Name& encloser)
{
    const auto made = encloser.prepend(base::as_bytes("*"));
    return made ? *made : encloser; // an ancestor is at least two octets shorter than a name
}

dnssec::Limits limits_of_a_search()
{
    dnssec::Limits limits;
    limits.nsec3_hashes = Denials::kMaxHashes;
    limits.hashes_per_turn = limits.nsec3_hashes;
    return limits;
}

/// Types of which a proof says nothing, or which no wildcard stands for.
bool may_be_expanded(RrType type) noexcept
{
    return type != RrType::DS && type != RrType::NSEC && type != RrType::NSEC3 && type != RrType::RRSIG;
}

} // namespace

void Denials::add(const RrsetPtr& set, const Name& zone, base::Instant until)
{
    if (set->type != RrType::NSEC && set->type != RrType::NSEC3) return;
    if (set->octets() > kMaxOctets) return;
    const bool hashed = set->type == RrType::NSEC3;
    const auto hash = hashed ? dnssec::nsec3_owner_hash(set->owner) : std::nullopt;
    if (hashed && (!hash || !is_worth_hashing(*set))) return;
    auto& named = *zones_.try_emplace(zone).first;
    Zone& kept = named.second;
    if (hashed && !kept.nsec3.empty() && !is_of_one_chain(*set, *kept.nsec3.begin()->second.set))
        begin_other_chain(kept);
    const auto note = [&](Kept& entry, bool added, Place place) {
        if (added) entry.place = order_.insert(order_.end(), place);
        order_.splice(order_.end(), order_, entry.place);
        entry.set = set;
        entry.until = until;
    };
    if (hashed) {
        const auto [it, added] = kept.nsec3.try_emplace(*hash);
        note(it->second, added, {&named, true, {}, it});
    } else {
        const auto [it, added] = kept.nsec.try_emplace(set->owner);
        note(it->second, added, {&named, false, it, {}});
    }
    if (order_.size() > kMaxSets) erase_oldest();
}

void Denials::erase_oldest()
{
    const Place place = order_.front();
    order_.pop_front();
    Zone& zone = place.zone->second;
    if (place.hashed)
        zone.nsec3.erase(place.nsec3);
    else
        zone.nsec.erase(place.nsec);
    if (!zone.empty()) return;
    const Name name = place.zone->first;
    zones_.erase(name);
}

/// Each set that goes here has been paid for by the one that it came with.
void Denials::begin_other_chain(Zone& zone)
{
    for (const auto& [hash, entry] : zone.nsec3) order_.erase(entry.place);
    zone.nsec3.clear();
}

/// One question against what is kept of one zone.
class Denials::Search {
public:
    Search(const Zone& zone, const Name& apex, const Name& qname, RrType qtype, const cache::RrsetStore& store,
           base::Instant now)
        : zone_(zone),
          apex_(apex),
          qname_(qname),
          qtype_(qtype),
          store_(store),
          now_(now),
          budget_(limits_of_a_search())
    {
    }

    RrsetPtr run() { return zone_.nsec.empty() ? by_nsec3() : by_nsec(); }

private:
    /// RFC 4035 §5.4: the NSEC at or before the name, then that of the wildcard.
    RrsetPtr by_nsec()
    {
        const RrsetPtr closest = take_at_or_before(zone_.nsec, qname_);
        if (!closest) return nullptr;
        if (closest->owner == qname_) return deny();
        const auto nsec = dnssec::read_nsec(*closest->records.begin());
        if (!nsec || !dnssec::nsec_covers(closest->owner, *nsec, apex_, qname_)) return nullptr;
        if (dnssec::shows_empty_non_terminal(*nsec, qname_)) return deny();
        const Name encloser = dnssec::nsec_closest_encloser(closest->owner, *nsec, qname_);
        if (RrsetPtr made = expand(encloser)) return made;
        static_cast<void>(take_at_or_before(zone_.nsec, wildcard_of(encloser)));
        return deny();
    }

    /// RFC 5155 §8.3: from the name upwards to what is there.
    RrsetPtr by_nsec3()
    {
        if (zone_.nsec3.empty() || !qname_.is_under(apex_)) return nullptr;
        const auto parameters = dnssec::read_nsec3(*zone_.nsec3.begin()->second.set->records.begin());
        if (!parameters) return nullptr;
        how_ = {parameters->hash_algorithm, parameters->iterations, parameters->salt};
        const unsigned above = qname_.label_count() - apex_.label_count();
        if (RrsetPtr made = by_wildcard(above)) return made;
        sets_.clear();
        if (take_match(qname_)) return deny();
        for (unsigned labels = 1; labels <= above; ++labels) {
            const Name encloser = qname_.parent(labels);
            if (!take_match(encloser)) continue;
            take_cover(qname_.parent(labels - 1));
            if (!take_match(wildcard_of(encloser))) take_cover(wildcard_of(encloser));
            return deny();
        }
        return nullptr;
    }

    /// To look for a wildcard is cheaper than to hash.
    RrsetPtr by_wildcard(unsigned above)
    {
        if (!may_be_expanded(qtype_)) return nullptr;
        for (unsigned labels = 1; labels <= above; ++labels) {
            const Name encloser = qname_.parent(labels);
            if (!find_wildcard(encloser)) continue;
            take_cover(qname_.parent(labels - 1));
            return expand(encloser);
        }
        return nullptr;
    }

    // --- what is there

    template <class Map, class Place>
    RrsetPtr take_at_or_before(const Map& kept, const Place& place)
    {
        if (kept.empty()) return nullptr;
        auto it = kept.upper_bound(place);
        it = it == kept.begin() ? std::prev(kept.end()) : std::prev(it); // the last of the chain closes it
        return take(it->second);
    }
    RrsetPtr take(const Kept& kept)
    {
        if (!kept.is_fresh(now_)) return nullptr;
        if (std::find(sets_.begin(), sets_.end(), kept.set) == sets_.end()) sets_.push_back(kept.set);
        until_ = std::min({until_, kept.until, kept.set->expires});
        return kept.set;
    }
    [[nodiscard]] const dnssec::Nsec3Hash* hash(const Name& name)
    {
        auto why = dnssec::Budget::Grant::granted;
        return memo_.hash(how_, name, budget_, why);
    }
    [[nodiscard]] bool take_match(const Name& name)
    {
        const dnssec::Nsec3Hash* hashed = hash(name);
        if (hashed == nullptr) return false;
        const auto it = zone_.nsec3.find(*hashed);
        return it != zone_.nsec3.end() && take(it->second);
    }
    void take_cover(const Name& name)
    {
        if (const dnssec::Nsec3Hash* hashed = hash(name)) static_cast<void>(take_at_or_before(zone_.nsec3, *hashed));
    }

    /// The set that stands for names below, or its alias, signed by this zone.
    [[nodiscard]] RrsetPtr find_wildcard(const Name& encloser) const
    {
        const Name wildcard = wildcard_of(encloser);
        for (const RrType type : {qtype_, RrType::CNAME}) {
            RrsetPtr set = store_.find(wildcard, type, wire::RrClass::IN, now_);
            if (!set || !set->is_data() || set->state != ValidationState::secure) continue;
            if (const auto signer = signer_of(*set); signer && *signer == apex_) return set;
        }
        return nullptr;
    }

    // --- what it proves

    [[nodiscard]] const dnssec::Denial* prove(dnssec::Claim claim, std::uint8_t labels)
    {
        records_.clear();
        for (const RrsetPtr& set : sets_) {
            for (const base::Bytes rdata : set->records) records_.push_back({&set->owner, set->type, rdata});
        }
        prover_.emplace(dnssec::DenialQuestion{&qname_, qtype_, &apex_, claim, labels}, records_, memo_);
        if (prover_->step(budget_) != dnssec::Step::done) return nullptr;
        const dnssec::Denial& denial = prover_->result();
        return denial.verdict.is_secure() && !denial.opt_out ? &denial : nullptr;
    }

    RrsetPtr expand(const Name& encloser)
    {
        if (!may_be_expanded(qtype_)) return nullptr;
        const RrsetPtr wildcard = find_wildcard(encloser);
        if (!wildcard) return nullptr;
        const auto* denial = prove(dnssec::Claim::wildcard_answer, static_cast<std::uint8_t>(encloser.label_count()));
        if (denial == nullptr || denial->finding != Finding::wildcard_expansion) return nullptr;
        auto made = std::make_shared<Rrset>(*wildcard);
        made->owner = qname_;
        made->expires = std::min(made->expires, until_);
        made->authority = std::move(sets_);
        tell_how(*made, "a wildcard");
        return made;
    }

    RrsetPtr deny()
    {
        const RrsetPtr soa = store_.find(apex_, RrType::SOA, wire::RrClass::IN, now_);
        if (!soa || !soa->is_data() || soa->state != ValidationState::secure) return nullptr;
        const auto* denial = prove(dnssec::Claim::whatever, 0);
        if (denial == nullptr) return nullptr;
        auto made = std::make_shared<Rrset>();
        switch (denial->finding) {
        case Finding::name_error: made->kind = RrsetKind::nxdomain; break;
        case Finding::no_data:
        case Finding::empty_non_terminal:
        case Finding::wildcard_no_data:
        case Finding::no_delegation: made->kind = RrsetKind::nodata; break;
        default: return nullptr;
        }
        made->owner = qname_;
        made->type = qtype_;
        made->rank = cache::Rank::answer_auth;
        made->state = ValidationState::secure;
        made->zone = apex_;
        made->expires = std::min(soa->expires, until_);
        made->ttl = made->ttl_left(now_);
        made->authority = std::move(sets_);
        made->authority.insert(made->authority.begin(), soa);
        tell_how(*made, "a denial");
        return made;
    }

    void tell_how(Rrset& made, std::string_view of) const
    {
        made.ede = wire::ExtendedError::synthesized;
        made.ede_text = made.owner.to_text() + " (zone " + apex_.to_text() + "): made of " + std::string(of) +
                        " proven before (RFC 8198)";
    }

    const Zone& zone_;
    const Name& apex_;
    const Name& qname_;
    RrType qtype_;
    const cache::RrsetStore& store_;
    base::Instant now_;
    dnssec::Budget budget_;
    dnssec::Nsec3Parameters how_;
    dnssec::Nsec3Memo memo_;
    std::vector<RrsetPtr> sets_;
    base::Instant until_ = base::Instant::max();
    std::vector<dnssec::DenialRecord> records_;
    std::optional<dnssec::DenialProver> prover_;
};

RrsetPtr Denials::prove(const Name& qname, RrType qtype, const cache::RrsetStore& store, base::Instant now) const
{
    if (zones_.empty()) return nullptr;
    // DS belongs to the parent's side of a cut (RFC 4035 §2.4).
    Name apex = qtype == RrType::DS && !qname.is_root() ? qname.parent() : qname;
    auto zone = zones_.find(apex);
    while (zone == zones_.end() && !apex.is_root()) {
        apex = apex.parent();
        zone = zones_.find(apex);
    }
    if (zone == zones_.end()) return nullptr;
    return Search{zone->second, apex, qname, qtype, store, now}.run();
}

} // namespace sallyport::resolver::iterate
