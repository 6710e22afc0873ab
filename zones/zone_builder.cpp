#include "zones/zone_builder.hpp"

#include "base/log.hpp"
#include "zones/zone_check.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace sallyport::zones {

namespace {

/// Offsets into the stores are 32 bits.
constexpr std::size_t kStoreLimit = UINT32_MAX - 70'000;

[[nodiscard]] wire::RrType covered_type(wire::RrType type, base::Bytes rdata) noexcept
{
    if (type != wire::RrType::RRSIG || rdata.size() < 2) return wire::RrType{};
    return static_cast<wire::RrType>(base::load_be16(rdata, 0));
}

[[nodiscard]] std::string text_of(base::Bytes name)
{
    const auto parsed = wire::Name::from_wire(name);
    return parsed ? parsed->to_text() : std::string{"?"};
}

/// `label.name`, or the name itself where 255 octets do not hold it.
[[nodiscard]] wire::Name prefixed(const wire::Name& name, std::string_view label)
{
    const auto longer = name.prepend(base::as_bytes(label));
    return longer ? *longer : name;
}

} // namespace

ZoneBuilder::ZoneBuilder(const wire::Name& apex, const Limits& limits, base::Problems& problems)
    : apex_(apex.lower()), limits_(limits), problems_(problems), zone_(std::make_unique<Zone>())
{
    zone_->table_.resize(8);
    last_node_ = new_node(apex_.wire(), short_hash(apex_.wire()), UINT32_MAX);
}

ZoneBuilder::~ZoneBuilder() = default;

std::uint16_t ZoneBuilder::file_number(std::string_view file)
{
    const auto found = std::find(files_.begin(), files_.end(), file);
    if (found != files_.end()) return static_cast<std::uint16_t>(found - files_.begin());
    if (files_.size() == UINT16_MAX) return UINT16_MAX - 1;
    files_.emplace_back(file);
    return static_cast<std::uint16_t>(files_.size() - 1);
}

base::SourcePosition ZoneBuilder::position(const Place& place) const
{
    if (place.file >= files_.size()) return {};
    return {files_[place.file], place.line, place.column};
}

void ZoneBuilder::problem(base::ErrorCode code, std::string message, const Place& place)
{
    if (given_up()) return;
    ++noted_;
    problems_.push_back({code, std::move(message), position(place)});
    if (!given_up()) return;
    problems_.push_back(
        {base::ErrorCode::limit,
         std::to_string(noted_) + " problems in zone " + apex_.to_text() + ", the rest is not looked at",
         position(place)});
}

void ZoneBuilder::warning(std::string_view message, const Place& place)
{
    if (warned_++ >= limits_.warnings) return;
    base::log::warning(base::Error{base::ErrorCode::invalid, std::string{message}, position(place)}.to_string());
}

void ZoneBuilder::insert_slot(std::uint32_t hash, std::uint32_t node)
{
    auto& table = zone_->table_;
    const std::size_t mask = table.size() - 1;
    std::size_t at = hash & mask;
    while (table[at].node != UINT32_MAX) at = (at + 1) & mask;
    table[at] = {hash, node};
}

std::uint32_t ZoneBuilder::new_node(base::Bytes lower_name, std::uint32_t hash, std::uint32_t parent)
{
    auto& nodes = zone_->nodes_;
    auto& names = zone_->names_;
    const auto number = static_cast<std::uint32_t>(nodes.size());
    Node node;
    node.name = static_cast<std::uint32_t>(names.size());
    node.parent = parent;
    node.labels = static_cast<std::uint8_t>(parent == UINT32_MAX ? apex_.label_count() : nodes[parent].labels + 1U);
    nodes.push_back(node);
    names.push_back(static_cast<std::uint8_t>(lower_name.size()));
    names.insert(names.end(), lower_name.begin(), lower_name.end());
    if (nodes.size() * 8 > zone_->table_.size() * 5) { // at most five eighths full
        auto old = std::move(zone_->table_);
        zone_->table_.assign(old.size() * 2, {});
        for (const auto& slot : old) {
            if (slot.node != UINT32_MAX) insert_slot(slot.hash, slot.node);
        }
    }
    insert_slot(hash, number);
    return number;
}

std::uint32_t ZoneBuilder::intern(base::Bytes lower_name)
{
    const std::uint32_t hash = short_hash(lower_name);
    if (const auto found = zone_->find_number(lower_name, hash); found != UINT32_MAX) return found;
    // The name's ancestors come first, so that parents always stand before children.
    const LabelOffsets labels{lower_name};
    const unsigned apex_labels = zone_->apex_labels();
    unsigned strip = 1;
    std::uint32_t parent = UINT32_MAX;
    for (; strip <= labels.count() - apex_labels; ++strip) {
        const base::Bytes ancestor = lower_name.subspan(labels.without(strip));
        parent = zone_->find_number(ancestor, short_hash(ancestor));
        if (parent != UINT32_MAX) break;
    }
    while (--strip > 0) {
        const base::Bytes ancestor = lower_name.subspan(labels.without(strip));
        parent = new_node(ancestor, short_hash(ancestor), parent);
    }
    return new_node(lower_name, hash, parent);
}

bool ZoneBuilder::add(const wire::Name& owner, wire::RrType type, wire::Ttl ttl, base::Bytes rdata, const Place& place)
{
    if (full_) return false;
    if (!owner.is_under(apex_)) {
        problem(base::ErrorCode::invalid,
                owner.to_text() + " is outside the zone, expected a name at or below " + apex_.to_text(), place);
        return false;
    }
    if (records_.size() < limits_.records && zone_->names_.size() < kStoreLimit) {
        const wire::Name lower = owner.lower();
        last_node_ = intern(lower.wire());
    }
    return append(last_node_, type, ttl, rdata, place);
}

bool ZoneBuilder::add_same_owner(wire::RrType type, wire::Ttl ttl, base::Bytes rdata, const Place& place)
{
    return !full_ && append(last_node_, type, ttl, rdata, place);
}

bool ZoneBuilder::append(std::uint32_t node, wire::RrType type, wire::Ttl ttl, base::Bytes rdata, const Place& place)
{
    if (wire::is_meta(type)) {
        problem(base::ErrorCode::invalid, wire::to_string(type) + " is no type of zone data, expected another", place);
        return false;
    }
    if (rdata.size() > UINT16_MAX) {
        problem(base::ErrorCode::invalid,
                "RDATA of " + std::to_string(rdata.size()) + " octets, expected at most 65535", place);
        return false;
    }
    if (records_.size() >= limits_.records || raw_.size() >= kStoreLimit || zone_->names_.size() >= kStoreLimit) {
        full_ = true;
        problem(base::ErrorCode::limit,
                "zone " + apex_.to_text() + " is too large, expected at most " + std::to_string(limits_.records) +
                    " records and 4 GiB",
                place);
        return false;
    }
    records_.push_back(
        {node, type, covered_type(type, rdata), ttl.seconds(), static_cast<std::uint32_t>(raw_.size()), place});
    raw_.push_back(static_cast<std::uint8_t>(rdata.size() >> 8U));
    raw_.push_back(static_cast<std::uint8_t>(rdata.size() & 0xFFU));
    raw_.insert(raw_.end(), rdata.begin(), rdata.end());
    return true;
}

void ZoneBuilder::set_special(std::uint16_t rfc, bool delegated) noexcept
{
    zone_->special_rfc_ = rfc;
    zone_->delegated_ = delegated;
}

bool ZoneBuilder::apex_has(wire::RrType type) const noexcept
{
    return std::any_of(records_.begin(), records_.end(),
                       [type](const Record& record) { return record.node == 0 && record.type == type; });
}

void ZoneBuilder::make_missing_apex_records(const Place& place)
{
    const wire::Name localhost = wire::Name::from_text("localhost.").value();
    constexpr wire::Ttl kAddedTtl{3600};
    if (!apex_has(wire::RrType::SOA)) {
        const wire::Name mailbox = prefixed(apex_, "hostmaster");
        std::vector<std::uint8_t> rdata(localhost.wire().begin(), localhost.wire().end());
        rdata.insert(rdata.end(), mailbox.wire().begin(), mailbox.wire().end());
        const std::size_t numbers = rdata.size();
        rdata.resize(numbers + 20);
        std::size_t at = numbers;
        // Serial, refresh, retry, expire; five minutes for negative answers, since such zones change by hand.
        for (const std::uint32_t number : {1U, 3600U, 600U, 604800U, 300U}) {
            base::store_be32(rdata, at, number);
            at += 4;
        }
        (void)add(apex_, wire::RrType::SOA, kAddedTtl, rdata, place);
    }
    if (!apex_has(wire::RrType::NS)) (void)add(apex_, wire::RrType::NS, kAddedTtl, localhost.wire(), place);
}

base::Bytes ZoneBuilder::rdata(const Record& record) const noexcept
{
    return {raw_.data() + record.rdata + 2, base::load_be16(raw_, record.rdata)};
}

std::string ZoneBuilder::describe(const Record& record) const
{
    return text_of(zone_->owner(zone_->nodes_[record.node])) + " " + wire::to_string(record.type);
}

void ZoneBuilder::sort_records()
{
    const auto before = [](const Record& left, const Record& right) {
        return std::tie(left.node, left.type, left.covered) < std::tie(right.node, right.type, right.covered);
    };
    // Mostly the file is in order already.
    if (!std::is_sorted(records_.begin(), records_.end(), before)) {
        std::stable_sort(records_.begin(), records_.end(), before);
    }
}

std::vector<std::size_t> ZoneBuilder::without_duplicates(std::size_t first, std::size_t end) const
{
    std::vector<std::size_t> kept(end - first);
    std::iota(kept.begin(), kept.end(), first);
    const auto order = [this](std::size_t left, std::size_t right) {
        const auto a = rdata(records_[left]);
        const auto b = rdata(records_[right]);
        return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
    };
    std::stable_sort(kept.begin(), kept.end(), order);
    const auto same = [this](std::size_t left, std::size_t right) {
        return base::equal(rdata(records_[left]), rdata(records_[right]));
    };
    kept.erase(std::unique(kept.begin(), kept.end(), same), kept.end());
    std::sort(kept.begin(), kept.end()); // as the operator wrote them
    return kept;
}

std::size_t ZoneBuilder::lay_out_set(std::size_t first)
{
    const Record& head = records_[first];
    std::size_t end = first + 1;
    while (end < records_.size() && records_[end].node == head.node && records_[end].type == head.type &&
           records_[end].covered == head.covered) {
        ++end;
    }
    RrSet set;
    set.type = head.type;
    set.covered = head.covered;
    set.rdata = static_cast<std::uint32_t>(zone_->data_.size());
    const auto copy = [this, &set](const Record& record) {
        const auto* at = raw_.data() + record.rdata;
        zone_->data_.insert(zone_->data_.end(), at, at + 2 + base::load_be16(raw_, record.rdata));
        ++set.count;
    };
    std::uint32_t ttl = head.ttl;
    if (end - first == 1) {
        copy(head);
    } else {
        // RFC 2181 §5.2: a set has one TTL, the lowest where they differ; §5: it holds no record twice.
        for (std::size_t number = first; number < end; ++number) {
            const Record& record = records_[number];
            if (record.ttl != head.ttl) {
                warning(describe(head) + " has records with different TTLs; the lowest is used", record.place);
            }
            ttl = std::min(ttl, record.ttl);
        }
        for (const std::size_t number : without_duplicates(first, end)) copy(records_[number]);
        if (set.count > limits_.records_per_set) {
            problem(base::ErrorCode::limit,
                    describe(head) + " has " + std::to_string(set.count) + " records, expected at most " +
                        std::to_string(limits_.records_per_set),
                    head.place);
        }
    }
    set.ttl = wire::Ttl{ttl};
    zone_->records_ += set.count;
    Node& node = zone_->nodes_[head.node];
    if (node.set_count == 0) node.first_set = static_cast<std::uint32_t>(zone_->sets_.size());
    if (node.set_count == std::min<std::uint32_t>(limits_.sets_per_name, UINT16_MAX)) {
        problem(base::ErrorCode::limit,
                text_of(zone_->owner(node)) + " has too many record sets, expected at most " +
                    std::to_string(node.set_count),
                head.place);
        return end;
    }
    ++node.set_count;
    zone_->sets_.push_back(set);
    first_record_.push_back(static_cast<std::uint32_t>(first));
    return end;
}

void ZoneBuilder::lay_out_sets()
{
    zone_->data_.reserve(raw_.size());
    for (std::size_t at = 0; at < records_.size() && !given_up();) at = lay_out_set(at);
}

void ZoneBuilder::link_signatures(Node& node)
{
    for (std::uint32_t i = 0; i < node.set_count; ++i) {
        RrSet& set = zone_->sets_[node.first_set + i];
        if (set.type == wire::RrType::RRSIG) continue;
        for (std::uint32_t j = 0; j < node.set_count; ++j) {
            const RrSet& other = zone_->sets_[node.first_set + j];
            if (other.type == wire::RrType::RRSIG && other.covered == set.type) set.signatures = node.first_set + j;
        }
    }
}

void ZoneBuilder::flag_nodes()
{
    auto& nodes = zone_->nodes_;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        Node& node = nodes[i];
        zone_->deepest_ = std::max<unsigned>(zone_->deepest_, node.labels);
        if (zone_->find_set(node, wire::RrType::RRSIG) != nullptr) link_signatures(node);
        const auto* name = zone_->names_.data() + node.name + 1;
        const bool wildcard = name[0] == 1 && name[1] == '*';
        // NS or DNAME at a wildcard mean nothing more than themselves (RFC 4592 §4.2, §4.4).
        if (i != 0 && !wildcard && zone_->find_set(node, wire::RrType::NS) != nullptr) node.flags |= Node::cut;
        if (!wildcard && zone_->find_set(node, wire::RrType::DNAME) != nullptr) node.flags |= Node::dname;
        if (i == 0 || node.has(Node::denial)) continue;
        Node& parent = nodes[node.parent];
        if (wildcard) parent.flags |= Node::wildcard_child;
        if (parent.has(Node::cut | Node::dname | Node::occluded)) node.flags |= Node::occluded;
    }
}

void ZoneBuilder::hide_denial_names()
{
    auto& nodes = zone_->nodes_;
    bool any = false;
    for (std::size_t i = 1; i < nodes.size(); ++i) {
        if (nodes[i].set_count == 0) continue;
        const auto sets = zone_->sets(nodes[i]);
        const bool denial = std::all_of(sets.begin(), sets.end(), [](const RrSet& set) {
            return set.type == wire::RrType::NSEC3 ||
                   (set.type == wire::RrType::RRSIG && set.covered == wire::RrType::NSEC3);
        });
        if (!denial) continue;
        // Below a DNAME at the apex they are no data under the DNAME either.
        nodes[i].flags = Node::denial;
        any = true;
    }
    if (!any) return;
    std::vector<Zone::Slot> old(zone_->table_.size());
    old.swap(zone_->table_);
    for (const auto& slot : old) {
        if (slot.node != UINT32_MAX && !nodes[slot.node].has(Node::denial)) insert_slot(slot.hash, slot.node);
    }
}

void ZoneBuilder::order_nsec()
{
    const auto& nodes = zone_->nodes_;
    if (zone_->find_set(nodes.front(), wire::RrType::NSEC) == nullptr) return;
    auto& order = zone_->nsec_order_;
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
        if (!nodes[i].has(Node::occluded) && zone_->find_set(nodes[i], wire::RrType::NSEC) != nullptr) {
            order.push_back(i);
        }
    }
    const auto before = [this, &nodes](std::uint32_t left, std::uint32_t right) {
        return canonical_compare(zone_->owner(nodes[left]), zone_->owner(nodes[right])) < 0;
    };
    // Signers write the canonical order, so that mostly nothing is left to do.
    if (!std::is_sorted(order.begin(), order.end(), before)) std::sort(order.begin(), order.end(), before);
    order.shrink_to_fit();
}

void ZoneBuilder::order_nsec3()
{
    const auto& nodes = zone_->nodes_;
    const RrSet* parameters = zone_->find_set(nodes.front(), wire::RrType::NSEC3PARAM);
    if (parameters == nullptr) return;
    const auto wanted = read_nsec3_parameters(zone_->first_rdata(*parameters));
    if (!wanted || wanted->algorithm != 1) return;
    zone_->nsec3_parameters_ = *wanted;
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
        const RrSet* set = zone_->find_set(nodes[i], wire::RrType::NSEC3);
        if (set == nullptr || nodes[i].parent != 0) continue;
        const auto have = read_nsec3_parameters(zone_->first_rdata(*set));
        const base::Bytes owner = zone_->owner(nodes[i]);
        const auto hash = nsec3_label(owner.subspan(1, owner[0]));
        if (!have || !hash || !same_parameters(*have, *wanted)) continue;
        zone_->nsec3_order_.push_back({*hash, i});
    }
    std::sort(zone_->nsec3_order_.begin(), zone_->nsec3_order_.end(),
              [](const auto& left, const auto& right) { return left.hash < right.hash; });
    zone_->nsec3_order_.shrink_to_fit();
}

void ZoneBuilder::summarise()
{
    const RrSet* soa = zone_->find_set(zone_->apex_node(), wire::RrType::SOA);
    if (soa == nullptr) return;
    zone_->soa_ = static_cast<std::uint32_t>(soa - zone_->sets_.data());
    const base::Bytes rdata = zone_->first_rdata(*soa);
    const auto minimum = wire::Ttl::from_wire(base::load_be32(rdata, rdata.size() - 4));
    zone_->negative_ttl_ = std::min(soa->ttl, minimum);
}

std::unique_ptr<Zone> ZoneBuilder::finish(const Place& place)
{
    sort_records();
    lay_out_sets();
    if (!given_up()) {
        hide_denial_names();
        flag_nodes();
        ZoneCheck{*this}.run(place);
        order_nsec();
        order_nsec3();
        summarise();
    }
    if (warned_ > limits_.warnings) {
        base::log::warning("zone " + apex_.to_text() + ": " + std::to_string(warned_ - limits_.warnings) +
                           " more warnings left out");
    }
    if (noted_ != 0) return nullptr;
    zone_->names_.shrink_to_fit();
    zone_->data_.shrink_to_fit();
    zone_->nodes_.shrink_to_fit();
    zone_->sets_.shrink_to_fit();
    return std::move(zone_);
}

} // namespace sallyport::zones
