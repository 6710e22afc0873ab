#include "zones/zone_check.hpp"

#include "wire/rdata.hpp"

#include <algorithm>

namespace sallyport::zones {

using wire::RrType;

namespace {

/// What may stand beside a CNAME (RFC 4035 §2.5, RFC 2535 for the old types).
[[nodiscard]] bool may_stand_beside_cname(RrType type) noexcept
{
    return type == RrType::CNAME || type == RrType::RRSIG || type == RrType::NSEC || type == RrType::NSEC3 ||
           type == RrType::SIG || type == RrType::KEY;
}

[[nodiscard]] bool is_address(RrType type) noexcept { return type == RrType::A || type == RrType::AAAA; }

} // namespace

const ZoneBuilder::Record& ZoneCheck::record_of(const RrSet& set) const noexcept
{
    return builder_.records_[builder_.first_record_[static_cast<std::size_t>(&set - zone_.sets_.data())]];
}

void ZoneCheck::problem(const RrSet& set, std::string_view message)
{
    const auto& record = record_of(set);
    builder_.problem(base::ErrorCode::invalid, builder_.describe(record) + std::string{message}, record.place);
}

void ZoneCheck::warning(const RrSet& set, std::string_view message)
{
    const auto& record = record_of(set);
    builder_.warning(builder_.describe(record) + std::string{message}, record.place);
}

void ZoneCheck::run(const Place& place)
{
    check_apex(place);
    for (const Node& node : zone_.nodes_) {
        if (builder_.given_up()) return;
        if (node.set_count != 0) check_node(node);
    }
}

void ZoneCheck::check_apex(const Place& place)
{
    // After a record that could not be read, what seems to be missing may be just that one.
    const bool whole = builder_.problem_count() == 0;
    const Node& apex = zone_.apex_node();
    for (const RrType type : {RrType::SOA, RrType::NS}) {
        if (!whole || zone_.find_set(apex, type) != nullptr) continue;
        builder_.problem(base::ErrorCode::invalid,
                         "zone " + builder_.apex_.to_text() + " has no " + wire::to_string(type) +
                             ", expected one at its apex",
                         place);
    }
    if (const RrSet* parameters = zone_.find_set(apex, RrType::NSEC3PARAM)) check_nsec3_parameters(*parameters);
}

void ZoneCheck::check_nsec3_parameters(const RrSet& set)
{
    for (const base::Bytes rdata : zone_.rdata(set)) {
        const auto parameters = read_nsec3_parameters(rdata);
        if (!parameters || parameters->iterations <= builder_.limits_.nsec3_iterations) continue;
        // Each negative answer costs that many hashes, several times (RFC 9276 §3.2).
        problem(set, " asks for " + std::to_string(parameters->iterations) + " iterations, expected at most " +
                         std::to_string(builder_.limits_.nsec3_iterations));
    }
}

void ZoneCheck::check_node(const Node& node)
{
    check_singletons(node);
    if (zone_.find_set(node, RrType::CNAME) != nullptr) check_cname(node);
    if (node.has(Node::occluded)) check_occluded(node);
    if (node.has(Node::denial)) check_nsec3_owner(node);
    if (node.has(Node::cut) && node.has(Node::dname)) {
        problem(*zone_.find_set(node, RrType::DNAME), " stands beside NS, expected it there at the apex only");
    }
    for (const RrSet& set : zone_.sets(node)) check_targets(set);
}

void ZoneCheck::check_singletons(const Node& node)
{
    for (const RrType type : {RrType::CNAME, RrType::DNAME, RrType::SOA}) {
        const RrSet* set = zone_.find_set(node, type);
        if (set == nullptr) continue;
        if (set->count > 1) problem(*set, " is there more than once, expected one");
        if (type == RrType::SOA && &node != &zone_.apex_node()) {
            problem(*set, " is not at the apex, expected it at " + builder_.apex_.to_text() + " only");
        }
    }
}

void ZoneCheck::check_cname(const Node& node)
{
    for (const RrSet& set : zone_.sets(node)) {
        if (may_stand_beside_cname(set.type)) continue;
        problem(set, " stands beside a CNAME, expected no other data there (RFC 1034 §3.6.2)");
    }
}

void ZoneCheck::check_occluded(const Node& node)
{
    const Node& top = zone_.topmost_cut(node);
    for (const RrSet& set : zone_.sets(node)) {
        if (top.has(Node::dname)) {
            problem(set, " is below a DNAME, expected no data there (RFC 6672 §2.4)");
        } else if (!is_address(set.type)) {
            warning(set, " is below a delegation and never answered; only addresses serve there, as glue");
        }
    }
}

void ZoneCheck::check_nsec3_owner(const Node& node)
{
    const base::Bytes owner = zone_.owner(node);
    if (node.parent == 0 && nsec3_label(owner.subspan(1, owner[0]))) return;
    problem(zone_.sets(node).front(),
            " has an owner that is no hash, expected 32 characters of base32hex below the apex");
}

void ZoneCheck::check_targets(const RrSet& set)
{
    if (set.type != RrType::NS && set.type != RrType::MX) return;
    for (const base::Bytes rdata : zone_.rdata(set)) {
        const auto target = wire::target_name(set.type, rdata);
        if (!target) continue;
        const wire::Name lower = target->lower();
        const Node* node = zone_.find(lower.wire());
        if (node == nullptr || zone_.find_set(*node, RrType::CNAME) == nullptr) continue;
        warning(set, " names " + lower.to_text() + ", which is an alias (RFC 2181 §10.3)");
    }
}

} // namespace sallyport::zones
