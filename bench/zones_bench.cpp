// bench: links sallyport_zones
#include "wire/message_writer.hpp"
#include "zones/snapshot_builder.hpp"
#include "zones/zone_builder.hpp"
#include "zones/zone_text.hpp"
#include "zones/zones.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

using namespace sallyport;
using namespace sallyport::zones;

namespace {

/// `names` hosts, each with A, AAAA and an alias: three records a host.
std::string zone_text(std::uint32_t names)
{
    std::string text = "$TTL 3600\n@ SOA ns hostmaster 1 3600 600 604800 300\n@ NS ns\nns A 192.0.2.53\n";
    text.reserve(names * std::size_t{110});
    for (std::uint32_t i = 0; i < names; ++i) {
        const std::string number = std::to_string(i);
        text += "host-" + number + " IN A 10." + std::to_string(i >> 16U & 255U) + "." +
                std::to_string(i >> 8U & 255U) + "." + std::to_string(i & 255U) +
                "\n             IN AAAA 2001:db8::" + std::to_string(i % 10'000U) + "\nalias" + number +
                " 600 IN CNAME host-" + number + "\n";
    }
    return text;
}

std::shared_ptr<const Snapshot> load_text(const std::string& text)
{
    base::Problems problems;
    const Limits limits;
    ZoneBuilder builder{*wire::Name::from_text("big.test"), limits, problems};
    ZoneTextReader{builder, limits, TextOrigin::imported}.read_text(text, {"bench", 1, 1});
    SnapshotBuilder snapshot;
    snapshot.add(builder.finish({}));
    return snapshot.finish();
}

void load_zone(benchmark::State& state)
{
    const std::string text = zone_text(static_cast<std::uint32_t>(state.range(0)));
    std::uint64_t records = 0;
    std::uint64_t memory = 0;
    for (auto _ : state) {
        const auto begin = std::chrono::steady_clock::now();
        const auto snapshot = load_text(text);
        state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
        records = snapshot->record_count();
        memory = snapshot->memory_bytes();
    }
    state.counters["records"] = static_cast<double>(records);
    state.counters["octets_a_record"] = static_cast<double>(memory) / static_cast<double>(records);
}
BENCHMARK(load_zone)->Arg(1'000)->Arg(333'333)->UseManualTime()->Unit(benchmark::kMillisecond);

/// Answers one question after the other, `count` names in turn, so that a large zone does not stay in the cache.
void answer_names(benchmark::State& state, const char* prefix, const char* suffix)
{
    const auto names = static_cast<std::uint32_t>(state.range(0));
    const auto snapshot = load_text(zone_text(names));
    std::vector<wire::Name> asked;
    for (std::uint32_t i = 0; i < 4096; ++i) {
        const std::uint32_t number = (i * 2'654'435'761U) % names;
        asked.push_back(*wire::Name::from_text(prefix + std::to_string(number) + suffix));
    }
    std::array<std::uint8_t, 4096> buffer;
    const Limits limits;
    Stats stats;
    std::size_t at = 0;
    for (auto _ : state) {
        const wire::Name& name = asked[at++ & 4095U];
        wire::MessageWriter writer{buffer, 1232};
        writer.begin(0, wire::flag::QR);
        benchmark::DoNotOptimize(writer.question(name, wire::RrType::A, wire::RrClass::IN));
        benchmark::DoNotOptimize(answer(*snapshot, {&name, wire::RrType::A, false, true}, limits, writer, stats));
    }
}
BENCHMARK_CAPTURE(answer_names, address, "host-", ".big.test")->Arg(1'000)->Arg(333'333);
BENCHMARK_CAPTURE(answer_names, alias, "alias", ".big.test")->Arg(1'000)->Arg(333'333);
BENCHMARK_CAPTURE(answer_names, missing, "nobody-", ".big.test")->Arg(1'000)->Arg(333'333);
BENCHMARK_CAPTURE(answer_names, missing_deep, "a.b.c.d.e.f.g.h.", ".x.y.z.big.test")->Arg(1'000)->Arg(333'333);

} // namespace
