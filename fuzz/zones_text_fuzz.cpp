// fuzz: links sallyport_zones
#include "base/log.hpp"
#include "wire/message_view.hpp"
#include "zones/snapshot_builder.hpp"
#include "zones/zone_builder.hpp"
#include "zones/zone_text.hpp"
#include "zones/zones.hpp"

#include <array>
#include <cstdlib>

using namespace sallyport;
using namespace sallyport::zones;

namespace {

void require(bool holds)
{
    if (!holds) std::abort();
}

/// Asks for a name and checks that the answer is a message within its limit, and that only TC makes it incomplete.
void check_answer(const Snapshot& snapshot, const wire::Name& name, wire::RrType type, bool dnssec_ok,
                  std::size_t limit)
{
    static std::array<std::uint8_t, wire::kMaxMessageSize> buffer;
    static Stats stats;
    const Limits limits;
    wire::MessageWriter writer{buffer, limit};
    writer.begin(0, wire::flag::QR);
    require(writer.question(name, type, wire::RrClass::IN));
    const auto result = answer(snapshot, {&name, type, dnssec_ok, limit == 1232}, limits, writer, stats);
    require(result.outcome != Outcome::not_ours);
    require(writer.size() <= limit);
    const auto message = wire::MessageView::parse(writer.message());
    require(message.has_value());
    require(message->header().has(wire::flag::TC) == (result.outcome == Outcome::truncated));
    if (result.outcome == Outcome::unfinished) require(snapshot.find(result.rest) == nullptr);
}

} // namespace

// Zone text, as an import would be: what loads answers for each of its names, and for names below them.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size > 16'384) return 0;
    base::log::set_level(base::log::Level::error);
    Limits limits;
    limits.generate_names = 200;
    limits.records = 2'000;
    limits.warnings = 0;
    base::Problems problems;
    ZoneBuilder builder{*wire::Name::from_text("a.test"), limits, problems};
    ZoneTextReader reader{builder, limits, TextOrigin::imported};
    reader.set_fallback_ttl(wire::Ttl{60});
    reader.read_text(base::as_text({data, size}), {"input", 1, 1});
    builder.make_missing_apex_records({});
    auto zone = builder.finish({});
    require((zone == nullptr) == !problems.empty());
    require(problems.size() <= limits.problems + 1);
    if (zone == nullptr) return 0;

    const Zone& built = *zone;
    SnapshotBuilder snapshots;
    require(snapshots.add(std::move(zone)));
    const auto snapshot = snapshots.finish();
    std::size_t left = 100;
    for (const Node& node : built.nodes()) {
        if (left-- == 0) break;
        const auto name = wire::Name::from_wire(built.owner(node));
        require(name.has_value());
        for (const RrSet& set : built.sets(node)) check_answer(*snapshot, *name, set.type, true, 65'535);
        check_answer(*snapshot, *name, wire::RrType::ANY, false, 1232);
        check_answer(*snapshot, *name, wire::RrType::DS, true, 512);
        const auto below = name->prepend(base::as_bytes("x"));
        if (below) check_answer(*snapshot, *below, wire::RrType::A, true, 512);
    }
    return 0;
}
