#include "resolver/iterate/parts.hpp"
#include "resolver/iterate/response.hpp"

#include <array>

/// What is known without asking anybody.
namespace sallyport::resolver::iterate {

using cache::Rrset;
using wire::Name;
using wire::RrType;

RrsetPtr Engine::Parts::find_known(const Question& question, cache::Rank least, bool stale)
{
    const base::Instant when = now();
    if (question.subnet) {
        for (const RrType type : {question.qtype, RrType::CNAME})
            if (RrsetPtr set = subnets.find(question.qname, type, question.qclass, *question.subnet, when, stale))
                return set;
    }
    // A DS that is proven needs no rank: a referral is where it is told (RFC 4035 §3.1.4.1).
    const auto good = [least](const RrsetPtr& set) {
        const bool proven_ds =
            set && set->type == RrType::DS && set->is_data() && set->state == wire::ValidationState::secure;
        return set && (set->rank >= least || proven_ds);
    };
    {
        const std::array types{question.qtype, RrType::CNAME, cache::RrsetStore::kNameError};
        std::array<RrsetPtr, 3> found;
        store.find_all(question.qname, types, question.qclass, when, stale, found);
        if (good(found[0])) return found[0];
        // DS is the parent's to tell, an alias the child's.
        const bool alias = question.qtype != RrType::CNAME && question.qtype != RrType::DS;
        if (alias && good(found[1]) && found[1]->is_data()) return found[1];
        if (found[2]) return found[2];
    }
    // What is configured stands whatever is proven of the names above it.
    const DelegationPtr cut = delegations.closest(question.qname, when);
    const Name floor = cut->fixed ? cut->zone : Name{};
    for (Name above = question.qname; !above.is_root() && !(above == floor);) {
        above = above.parent();
        const std::array types{RrType::DNAME, cache::RrsetStore::kNameError};
        std::array<RrsetPtr, 2> found;
        store.find_all(above, types, question.qclass, when, stale, found);
        const auto& [dname, nothing] = found;
        // Unsigned, one forged DNAME would lead a whole subtree astray: it counts for the name it came for alone.
        if (good(dname) && dname->is_data() && !above.is_root() && dname->state == wire::ValidationState::secure) {
            if (auto made = make_cname(dname, question.qname)) return std::make_shared<const Rrset>(std::move(*made));
        }
        // RFC 8020: below a name that does not exist nothing does. Without proof many servers do not mean it so.
        if (!options.nothing_below_nxdomain || !nothing) continue;
        if (nothing->state == wire::ValidationState::secure || options.trust_unsigned_nxdomain) return nothing;
    }
    if (options.aggressive_denial && is_anchored(question.qname) && !stale && question.qtype != RrType::ANY) {
        RrsetPtr set = denials.prove(question.qname, question.qtype, store, when);
        if (set && set->zone.is_under(floor)) {
            ++(set->is_data() ? stats.wildcards_synthesised : stats.denials_synthesised);
            return set;
        }
    }
    return nullptr;
}

} // namespace sallyport::resolver::iterate
