#include "wire/rdata.hpp"
#include "zones/denial.hpp"
#include "zones/zone.hpp"
#include "zones/zones.hpp"

#include <algorithm>
#include <array>

namespace sallyport::zones {

using wire::RrType;
using wire::Section;

namespace {

/// Loops are seen by comparing with every name before, so the chain is kept and this short.
constexpr std::size_t kLongestChain = 16;
constexpr std::size_t kMostAdditional = 32;

/// One question on its way through local data.
class Answerer {
public:
    Answerer(const Snapshot& snapshot, const Question& question, const Limits& limits, wire::MessageWriter& writer,
             Stats& stats) noexcept
        : snapshot_(snapshot),
          question_(question),
          limits_(limits),
          writer_(writer),
          stats_(stats),
          current_(*question.lower_name)
    {
    }

    AnswerResult run() noexcept
    {
        const Zone* zone = zone_for(current_);
        if (zone == nullptr) return {};
        if (refuse_meta()) return {Outcome::answered, {}};
        auto step = answer_from(*zone);
        while (step == Step::follow) {
            zone = zone_for(current_);
            if (zone == nullptr) return {Outcome::unfinished, current_};
            step = answer_from(*zone);
        }
        if (step == Step::done) return {Outcome::answered, {}, zone->special_rfc()};
        return truncate();
    }

private:
    enum class Step : std::uint8_t { done, follow, full };

    /// A record set to write: as it lies in its zone, under the owner it is asked for by.
    struct Found {
        const Zone& zone;
        const RrSet& set;
        base::Bytes owner;
    };

    [[nodiscard]] bool refuse_meta() noexcept;
    [[nodiscard]] const Zone* zone_for(const wire::Name& name) const noexcept;
    [[nodiscard]] Step answer_from(const Zone& zone) noexcept;
    [[nodiscard]] Step answer_node(const Zone& zone, const Lookup& found, const LabelOffsets& labels) noexcept;
    [[nodiscard]] Step answer_set(const Found& found) noexcept;
    [[nodiscard]] Step answer_any(const Zone& zone, const Node& node) noexcept;
    [[nodiscard]] Step answer_rrsig(const Zone& zone, const Node& node) noexcept;
    [[nodiscard]] Step follow_cname(const Zone& zone, const RrSet& set) noexcept;
    [[nodiscard]] Step follow_dname(const Zone& zone, const Node& node) noexcept;
    [[nodiscard]] Step follow(const wire::Name& target) noexcept;
    [[nodiscard]] Step no_data(const Zone& zone, const Lookup& found, const LabelOffsets& labels) noexcept;
    [[nodiscard]] Step name_error(const Zone& zone, const Lookup& found, const LabelOffsets& labels) noexcept;
    [[nodiscard]] Step negative(const Zone& zone) noexcept;
    [[nodiscard]] Step refer(const Zone& zone, const Node& cut) noexcept;
    [[nodiscard]] bool put_glue(const Zone& zone, const Node& cut, const RrSet& ns, bool in_domain) noexcept;
    [[nodiscard]] bool put_proofs() noexcept;
    void put_additional(const Found& found) noexcept;
    [[nodiscard]] bool put_addresses(const Zone& zone, const Node& node) noexcept;
    [[nodiscard]] bool seen_additional(const Node* node) noexcept;

    [[nodiscard]] bool put_records(Section section, const Zone& zone, const RrSet& set, base::Bytes owner,
                                   wire::Ttl ttl) noexcept;
    [[nodiscard]] bool put(Section section, const Found& found, wire::Ttl ttl) noexcept;
    [[nodiscard]] bool put(Section section, const Found& found) noexcept { return put(section, found, found.set.ttl); }
    [[nodiscard]] AnswerResult truncate() noexcept;

    const Snapshot& snapshot_;
    const Question& question_;
    const Limits& limits_;
    wire::MessageWriter& writer_;
    Stats& stats_;

    wire::Name current_; // lower case: the question, then the target of each alias
    Denial denial_;
    std::array<std::uint64_t, kLongestChain + 1> chain_; // hashes of the names so far, from the first alias on
    std::size_t aliases_ = 0;
    std::array<const RrSet*, kLongestChain> dnames_; // written already
    std::size_t dname_count_ = 0;
    std::array<const Node*, kMostAdditional> additional_;
    std::size_t additional_count_ = 0;
    wire::MessageWriter::Mark answer_end_;
    bool past_answer_ = false;
};

/// The pipeline refuses these before; here they must not look like types that do not exist.
bool Answerer::refuse_meta() noexcept
{
    if (!wire::is_meta(question_.qtype) || question_.qtype == RrType::ANY) return false;
    const bool transfer = question_.qtype == RrType::AXFR || question_.qtype == RrType::IXFR;
    writer_.set_rcode(transfer ? wire::Rcode::REFUSED : wire::Rcode::NOTIMP);
    return true;
}

const Zone* Answerer::zone_for(const wire::Name& name) const noexcept
{
    const Zone* zone = snapshot_.find(name);
    if (zone == nullptr || question_.qtype != RrType::DS || name.is_root()) return zone;
    if (!base::equal(zone->apex(), name.wire())) return zone;
    // DS belongs to the parent's side of a cut (RFC 4035 §3.1.4.1), where the parent is ours and knows of the cut.
    const Zone* above = snapshot_.find(name.parent());
    if (above == nullptr) return zone->is_delegated_elsewhere() ? nullptr : zone;
    const Node* cut = above->find(name.wire());
    return cut != nullptr && cut->has(Node::cut) && !cut->has(Node::occluded) ? above : zone;
}

bool Answerer::put_records(Section section, const Zone& zone, const RrSet& set, base::Bytes owner,
                           wire::Ttl ttl) noexcept
{
    for (const base::Bytes rdata : zone.rdata(set)) {
        if (!writer_.record(section, owner, set.type, wire::RrClass::IN, ttl, rdata)) return false;
    }
    return true;
}

/// A whole set with its signatures, or nothing of it.
bool Answerer::put(Section section, const Found& found, wire::Ttl ttl) noexcept
{
    const auto mark = writer_.mark();
    const RrSet* signatures = question_.dnssec_ok ? found.zone.signatures(found.set) : nullptr;
    if (put_records(section, found.zone, found.set, found.owner, ttl) &&
        (signatures == nullptr || put_records(section, found.zone, *signatures, found.owner, ttl))) {
        return true;
    }
    writer_.rollback(mark);
    return false;
}

AnswerResult Answerer::truncate() noexcept
{
    // What follows the answer section is of no use to one who has to ask again (RFC 2181 §9).
    if (past_answer_) writer_.rollback(answer_end_);
    writer_.set_flags(wire::flag::TC);
    ++stats_.truncated;
    return {Outcome::truncated, {}};
}

Answerer::Step Answerer::answer_from(const Zone& zone) noexcept
{
    const LabelOffsets labels{current_.wire()};
    Lookup found = zone.look_up(current_.wire(), labels);
    const bool at_cut = found.match == Match::delegation && found.node->labels == labels.count();
    if (at_cut && question_.qtype == RrType::DS) found.match = Match::exact; // the parent's own data
    if (found.match == Match::delegation) return refer(zone, *found.node);
    // AA speaks of the first owner name in the answer (RFC 1035 §4.1.1).
    if (aliases_ == 0) writer_.set_flags(wire::flag::AA);
    if (found.match == Match::dname) return follow_dname(zone, *found.node);
    if (found.match == Match::none) return name_error(zone, found, labels);
    return answer_node(zone, found, labels);
}

Answerer::Step Answerer::answer_node(const Zone& zone, const Lookup& found, const LabelOffsets& labels) noexcept
{
    const Node& node = *found.node;
    const RrSet* set = zone.find_set(node, question_.qtype);
    const RrSet* alias = set == nullptr ? zone.find_set(node, RrType::CNAME) : nullptr;
    const bool any = question_.qtype == RrType::ANY && node.set_count != 0;
    if (set == nullptr && alias == nullptr && !any) return no_data(zone, found, labels);
    if (found.match == Match::wildcard && question_.dnssec_ok) {
        denial_.wildcard_answer(zone, current_.wire(), labels, *found.closest_encloser);
    }
    if (any) return answer_any(zone, node);
    if (set == nullptr) return follow_cname(zone, *alias);
    if (question_.qtype == RrType::RRSIG) return answer_rrsig(zone, node);
    return answer_set({zone, *set, current_.wire()});
}

Answerer::Step Answerer::answer_set(const Found& found) noexcept
{
    if (!put(Section::answer, found)) return Step::full;
    if (!put_proofs()) return Step::full;
    put_additional(found);
    ++stats_.answered;
    return Step::done;
}

/// RFC 8482 §4.1: over UDP one set, so that a forged question gains nothing; elsewhere all that the name has.
Answerer::Step Answerer::answer_any(const Zone& zone, const Node& node) noexcept
{
    for (const RrSet& set : zone.sets(node)) {
        // Signatures go with what they sign.
        if (set.type == RrType::RRSIG && node.set_count > 1) continue;
        if (!put(Section::answer, {zone, set, current_.wire()})) return Step::full;
        if (question_.over_udp) break;
    }
    if (!put_proofs()) return Step::full;
    ++stats_.answered;
    return Step::done;
}

/// RRSIG lies in sets by the type it covers; asked for by itself it is one set of many, treated as ANY is.
Answerer::Step Answerer::answer_rrsig(const Zone& zone, const Node& node) noexcept
{
    for (const RrSet& set : zone.sets(node)) {
        if (set.type != RrType::RRSIG) continue;
        if (!put(Section::answer, {zone, set, current_.wire()})) return Step::full;
        if (question_.over_udp) break;
    }
    if (!put_proofs()) return Step::full;
    ++stats_.answered;
    return Step::done;
}

Answerer::Step Answerer::follow_cname(const Zone& zone, const RrSet& set) noexcept
{
    if (!put(Section::answer, {zone, set, current_.wire()})) return Step::full;
    const auto target = wire::Name::from_wire(zone.first_rdata(set));
    return target ? follow(target->lower()) : Step::done;
}

Answerer::Step Answerer::follow_dname(const Zone& zone, const Node& node) noexcept
{
    const RrSet& set = *zone.find_set(node, RrType::DNAME);
    const auto written = std::span{dnames_}.first(dname_count_);
    if (std::find(written.begin(), written.end(), &set) == written.end()) {
        if (!put(Section::answer, {zone, set, zone.owner(node)})) return Step::full;
        if (dname_count_ < dnames_.size()) dnames_[dname_count_++] = &set;
    }
    const auto owner = wire::Name::from_wire(zone.owner(node));
    const auto target = wire::Name::from_wire(zone.first_rdata(set));
    if (!owner || !target) return Step::done;
    const auto name = current_.substitute(*owner, *target);
    if (!name) {
        writer_.set_rcode(wire::Rcode::YXDOMAIN); // RFC 6672 §2.2
        ++stats_.answered;
        return Step::done;
    }
    // The synthesised CNAME has the TTL of its DNAME and no signature (RFC 6672 §3.1, §5.3.1).
    if (!writer_.record(Section::answer, current_.wire(), RrType::CNAME, wire::RrClass::IN, set.ttl, name->wire())) {
        return Step::full;
    }
    if (question_.qtype != RrType::CNAME && question_.qtype != RrType::ANY) return follow(name->lower());
    if (!put_proofs()) return Step::full;
    ++stats_.answered;
    return Step::done;
}

Answerer::Step Answerer::follow(const wire::Name& target) noexcept
{
    if (aliases_ == 0) chain_[0] = current_.hash();
    ++aliases_;
    const std::uint64_t hash = target.hash();
    const auto before = std::span{chain_}.first(aliases_);
    const bool loop = std::find(before.begin(), before.end(), hash) != before.end();
    if (!loop && aliases_ <= std::min<std::size_t>(limits_.cname_chain, kLongestChain)) {
        chain_[aliases_] = hash;
        current_ = target;
        return Step::follow;
    }
    ++stats_.chains_cut;
    if (!put_proofs()) return Step::full;
    ++stats_.answered;
    return Step::done;
}

Answerer::Step Answerer::no_data(const Zone& zone, const Lookup& found, const LabelOffsets& labels) noexcept
{
    if (question_.dnssec_ok && found.match == Match::wildcard) {
        denial_.wildcard_no_data(zone, current_.wire(), labels, *found.closest_encloser, *found.node);
    } else if (question_.dnssec_ok) {
        denial_.no_data(zone, *found.node);
    }
    ++stats_.nodata;
    return negative(zone);
}

Answerer::Step Answerer::name_error(const Zone& zone, const Lookup& found, const LabelOffsets& labels) noexcept
{
    if (question_.dnssec_ok) denial_.name_error(zone, current_.wire(), labels, *found.closest_encloser);
    // Of a chain, the RCODE speaks of its last name (RFC 6604 §3).
    writer_.set_rcode(wire::Rcode::NXDOMAIN);
    ++stats_.nxdomain;
    return negative(zone);
}

Answerer::Step Answerer::negative(const Zone& zone) noexcept
{
    answer_end_ = writer_.mark();
    past_answer_ = true;
    // RFC 2308 §3: the SOA, with the TTL that the negative answer has.
    if (!put(Section::authority, {zone, zone.soa(), zone.apex()}, zone.negative_ttl())) return Step::full;
    return put_proofs() ? Step::done : Step::full;
}

bool Answerer::put_proofs() noexcept
{
    if (denial_.proofs().empty()) return true;
    if (!past_answer_) answer_end_ = writer_.mark();
    past_answer_ = true;
    for (const Denial::Proof& proof : denial_.proofs()) {
        const RrSet* set = proof.zone->find_set(*proof.node, RrType::NSEC);
        if (set == nullptr) set = proof.zone->find_set(*proof.node, RrType::NSEC3);
        if (set == nullptr) continue;
        if (!put(Section::authority, {*proof.zone, *set, proof.zone->owner(*proof.node)})) return false;
    }
    return true;
}

/// RFC 1034 §4.3.2 step 3b.
Answerer::Step Answerer::refer(const Zone& zone, const Node& cut) noexcept
{
    ++stats_.referrals;
    answer_end_ = writer_.mark();
    past_answer_ = true;
    const RrSet& ns = *zone.find_set(cut, RrType::NS);
    if (!put(Section::authority, {zone, ns, zone.owner(cut)})) return Step::full;
    if (question_.dnssec_ok) {
        const RrSet* ds = zone.find_set(cut, RrType::DS);
        if (ds != nullptr && !put(Section::authority, {zone, *ds, zone.owner(cut)})) return Step::full;
        if (ds == nullptr) denial_.no_data(zone, cut); // RFC 4035 §3.1.4
        if (!put_proofs()) return Step::full;
    }
    // Without the addresses of servers below the cut nobody gets there (RFC 9471 §3); others are a kindness.
    if (!put_glue(zone, cut, ns, true)) return Step::full;
    (void)put_glue(zone, cut, ns, false);
    return Step::done;
}

bool Answerer::put_glue(const Zone& zone, const Node& cut, const RrSet& ns, bool in_domain) noexcept
{
    const base::Bytes below = zone.owner(cut);
    for (const base::Bytes rdata : zone.rdata(ns)) {
        const auto parsed = wire::Name::from_wire(rdata);
        if (!parsed) continue;
        const wire::Name target = parsed->lower();
        const base::Bytes name = target.wire();
        const LabelOffsets labels{name};
        const bool is_below = labels.count() >= cut.labels &&
                              base::equal(name.subspan(labels.without(labels.count() - cut.labels)), below);
        if (is_below != in_domain) continue;
        if (!in_domain && additional_count_ >= limits_.additional_names) return true;
        const Node* node = zone.find(name);
        if (node == nullptr || seen_additional(node)) continue;
        if (!put_addresses(zone, *node) && in_domain) return false;
    }
    return true;
}

bool Answerer::seen_additional(const Node* node) noexcept
{
    const auto known = std::span{additional_}.first(additional_count_);
    if (std::find(known.begin(), known.end(), node) != known.end()) return true;
    if (additional_count_ < additional_.size()) additional_[additional_count_++] = node;
    return false;
}

/// False where an address set did not fit; the others are written all the same.
bool Answerer::put_addresses(const Zone& zone, const Node& node) noexcept
{
    bool fits = true;
    for (const RrType type : {RrType::A, RrType::AAAA}) {
        const RrSet* set = zone.find_set(node, type);
        if (set != nullptr && !put(Section::additional, {zone, *set, zone.owner(node)})) fits = false;
    }
    return fits;
}

/// Addresses that the client would ask for next, where they are ours and there is room. Never a reason for TC.
void Answerer::put_additional(const Found& found) noexcept
{
    const RrType type = found.set.type;
    const bool service = type == RrType::SVCB || type == RrType::HTTPS;
    if (type != RrType::NS && type != RrType::MX && type != RrType::SRV && !service) return;
    for (const base::Bytes rdata : found.zone.rdata(found.set)) {
        if (additional_count_ >= std::min<std::size_t>(limits_.additional_names, kMostAdditional)) return;
        const auto target = wire::target_name(type, rdata);
        if (!target) continue;
        // In ServiceMode "." is the owner itself (RFC 9460 §2.5.2); elsewhere it is nobody.
        if (target->is_root() && !service) continue;
        const wire::Name name = target->is_root() ? current_ : target->lower();
        const Zone* zone = snapshot_.find(name);
        const Node* node = zone == nullptr ? nullptr : zone->find(name.wire());
        if (node == nullptr || node->has(Node::occluded | Node::cut) || seen_additional(node)) continue;
        (void)put_addresses(*zone, *node);
    }
}

} // namespace

AnswerResult answer(const Snapshot& snapshot, const Question& question, const Limits& limits,
                    wire::MessageWriter& writer, Stats& stats) noexcept
{
    if (!snapshot.may_have(*question.lower_name)) return {};
    return Answerer{snapshot, question, limits, writer, stats}.run();
}

} // namespace sallyport::zones
