// fuzz: links sallyport_zones sallyport_dnssec
#include "base/log.hpp"
#include "dnssec/canonical.hpp"
#include "wire/framing.hpp"
#include "zones/transfer.hpp"
#include "zones/zone.hpp"
#include "zones/zonemd.hpp"
#include "zones/zones.hpp"

#include <array>
#include <cstdlib>
#include <optional>

using namespace sallyport;
using namespace sallyport::zones;

namespace {

constexpr std::uint16_t kId = 0x5350;
constexpr TransferLimits kLimits{1U << 18U, 2'000};

void require(bool holds)
{
    if (!holds) std::abort();
}

std::optional<TransferredZone> read(base::Bytes stream, const wire::Name& apex, const TransferLimits& limits)
{
    TransferReader reader{apex, kId, limits};
    wire::FrameReader frames{stream};
    while (const auto message = frames.next()) {
        const auto step = reader.take(*message);
        if (step == TransferReader::Step::failed) require(!to_string(reader.error()).empty());
        if (step == TransferReader::Step::failed) return std::nullopt;
        if (step == TransferReader::Step::done) return reader.take_zone();
    }
    return std::nullopt;
}

/// As two records of a zone are the same: letters of names that are compressed take the case of what they point at.
bool same(const TransferredZone::Record& left, const TransferredZone::Record& right)
{
    const auto left_owner = wire::Name::from_wire(left.owner);
    const auto right_owner = wire::Name::from_wire(right.owner);
    require(left_owner.has_value() && right_owner.has_value());
    dnssec::CanonicalRrset first, second;
    const std::array<base::Bytes, 1> left_rdata{left.rdata}, right_rdata{right.rdata};
    require(first.set(left.type, left_rdata) && second.set(right.type, right_rdata));
    return *left_owner == *right_owner && left.type == right.type && left.ttl == right.ttl &&
           base::equal(first.rdatas().front(), second.rdatas().front());
}

void check(const TransferredZone& zone)
{
    require(zone.count() > 0 && zone.count() <= kLimits.records && zone.octets() <= kLimits.octets);
    bool first = true;
    zone.each([&](const TransferredZone::Record& record) {
        const auto owner = wire::Name::from_wire(record.owner);
        require(owner.has_value() && owner->is_under(zone.apex()));
        const bool is_apex_soa = record.type == wire::RrType::SOA && *owner == zone.apex();
        require(is_apex_soa == first); // it begins with the SOA, which comes again only as the end
        first = false;
    });
}

void check_written(const TransferredZone& zone)
{
    const auto stream = write_transfer(zone, kId);
    const auto again = read(stream, zone.apex(), {stream.size() + 4 * zone.octets(), kLimits.records});
    require(again.has_value() && again->count() == zone.count());
    std::vector<TransferredZone::Record> records;
    zone.each([&](const TransferredZone::Record& record) { records.push_back(record); });
    std::size_t at = 0;
    again->each([&](const TransferredZone::Record& record) { require(same(record, records[at++])); });
}

} // namespace

// What a server sends in the place of a zone: what is taken is of the zone, begins with its SOA, is written so that it
// is read again, and either is a zone with all that belongs to one or is told not to be.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 1 || size > 1U << 16U) return 0;
    base::log::set_level(base::log::Level::error);
    const wire::Name apex = (data[0] & 1U) != 0 ? *wire::Name::from_text("a.test") : wire::Name{};
    const auto zone = read({data + 1, size - 1}, apex, kLimits);
    if (!zone) return 0;
    check(*zone);
    check_written(*zone);
    Limits limits;
    limits.warnings = 0;
    base::Problems problems;
    const auto snapshot = build_zone(*zone, "input", limits, problems);
    require((snapshot == nullptr) == !problems.empty());
    if (snapshot == nullptr) return 0;
    const Zone* const built = snapshot->find(apex.lower());
    require(built != nullptr);
    const auto digest = check_digest(*built);
    require((digest.state == DigestState::mismatch) == !digest.why.empty());
    return 0;
}
