// bench: links sallyport_zones
#include "wire/message_writer.hpp"
#include "zones/nsec3.hpp"
#include "zones/snapshot_builder.hpp"
#include "zones/zone_builder.hpp"
#include "zones/zone_text.hpp"
#include "zones/zones.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace sallyport;
using namespace sallyport::zones;

namespace {

enum class Kind : std::uint8_t { plain, nsec, nsec3 };

constexpr const char* kSignature =
    " 13 3 3600 20371231235959 20200101000000 12345 big.test. "
    "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ==\n";

std::string host(std::uint32_t number)
{
    char text[16];
    (void)std::snprintf(text, sizeof text, "host-%07u", number);
    return text;
}

std::string address(std::uint32_t number)
{
    return "10." + std::to_string(number >> 16U & 255U) + "." + std::to_string(number >> 8U & 255U) + "." +
           std::to_string(number & 255U);
}

/// Collects a zone in canonical order: the chain of NSEC and the hashes of NSEC3 are made from that order.
class ZoneWriter {
public:
    explicit ZoneWriter(Kind kind) : kind_(kind) {}

    /// `data` are lines `TYPE RDATA`; each is signed where the zone is, but for NS and glue below the apex.
    void name(const std::string& label, std::vector<std::pair<std::string, std::string>> data, bool is_signed = true)
    {
        std::string types;
        for (const auto& [type, rdata] : data) {
            text_ += label + " " + type + " " + rdata + "\n";
            if (kind_ != Kind::plain && is_signed) text_ += label + " RRSIG " + type + kSignature;
            types += " " + type;
        }
        if (kind_ != Kind::plain) names_.emplace_back(label, types);
    }
    void glue(const std::string& line) { text_ += line + "\n"; }

    std::string finish()
    {
        if (kind_ == Kind::nsec) add_nsec();
        if (kind_ == Kind::nsec3) add_nsec3();
        return std::move(text_);
    }

private:
    void add_nsec()
    {
        for (std::size_t i = 0; i < names_.size(); ++i) {
            const auto& [label, types] = names_[i];
            if (types.empty()) continue; // an empty non-terminal
            std::size_t next = (i + 1) % names_.size();
            while (names_[next].second.empty()) next = (next + 1) % names_.size();
            text_ +=
                label + " NSEC " + names_[next].first + types + " RRSIG NSEC\n" + label + " RRSIG NSEC" + kSignature;
        }
    }

    void add_nsec3()
    {
        const wire::Name apex = *wire::Name::from_text("big.test");
        std::vector<std::pair<std::string, const std::string*>> chain;
        for (const auto& [label, types] : names_) {
            const wire::Name name = label == "@" ? apex : *wire::Name::from_text(label, &apex);
            chain.emplace_back(base32hex(nsec3_hash({}, name.wire())), &types);
        }
        std::sort(chain.begin(), chain.end());
        for (std::size_t i = 0; i < chain.size(); ++i) {
            const auto& [hash, types] = chain[i];
            text_ += hash + " NSEC3 1 0 0 - " + chain[(i + 1) % chain.size()].first + *types +
                     (types->empty() ? "\n" : " RRSIG\n") + hash + " RRSIG NSEC3" + kSignature;
        }
    }

    static std::string base32hex(const Nsec3Hash& hash)
    {
        std::string text;
        for (std::size_t bit = 0; bit < 160; bit += 5) {
            unsigned value = 0;
            for (std::size_t i = bit; i < bit + 5; ++i) value = value << 1U | (hash[i / 8] >> (7 - i % 8) & 1U);
            text += "0123456789abcdefghijklmnopqrstuv"[value];
        }
        return text;
    }

    Kind kind_;
    std::string text_ = "$TTL 3600\n";
    std::vector<std::pair<std::string, std::string>> names_;
};

/// About `records` records: hosts with addresses and, for every kind of answer, one name more.
std::string zone_text(Kind kind, std::uint32_t records)
{
    ZoneWriter zone{kind};
    std::vector<std::pair<std::string, std::string>> apex{{"SOA", "ns hostmaster 1 3600 600 604800 300"}, {"NS", "ns"}};
    if (kind == Kind::nsec3) apex.emplace_back("NSEC3PARAM", "1 0 0 -");
    zone.name("@", apex);
    for (int i = 0; i < 4; ++i) zone.name("c" + std::to_string(i), {{"CNAME", "c" + std::to_string(i + 1)}});
    zone.name("c4", {{"A", "192.0.2.4"}});
    const std::uint32_t hosts = kind == Kind::plain ? records / 2 : records / 4;
    for (std::uint32_t i = 0; i < hosts; ++i) {
        if (kind == Kind::plain) {
            zone.name(host(i), {{"A", address(i)}, {"AAAA", "2001:db8::" + std::to_string(i % 10'000U)}});
        } else {
            zone.name(host(i), {{"A", address(i)}});
        }
    }
    zone.name("ns", {{"A", "192.0.2.53"}});
    zone.name("sub", {{"NS", "ns1.sub"}}, false);
    zone.glue("ns1.sub A 192.0.2.54");
    if (kind != Kind::plain) zone.name("wild", {});
    zone.name("*.wild", {{"A", "192.0.2.99"}});
    return zone.finish();
}

std::shared_ptr<const Snapshot> load_text(const std::string& text)
{
    base::Problems problems;
    const Limits limits;
    ZoneBuilder builder{*wire::Name::from_text("big.test"), limits, problems};
    ZoneTextReader{builder, limits, TextOrigin::imported}.read_text(text, {"bench", 1, 1});
    SnapshotBuilder snapshot;
    auto zone = builder.finish({});
    if (zone == nullptr) {
        (void)std::fprintf(stderr, "%s\n", problems.front().to_string().c_str());
        std::abort();
    }
    snapshot.add(std::move(zone));
    return snapshot.finish();
}

/// Made once; a million-record zone is asked in many ways.
const Snapshot& snapshot_of(Kind kind, std::uint32_t records)
{
    static std::map<std::pair<Kind, std::uint32_t>, std::shared_ptr<const Snapshot>> made;
    auto& snapshot = made[{kind, records}];
    if (snapshot == nullptr) snapshot = load_text(zone_text(kind, records));
    return *snapshot;
}

void load_zone(benchmark::State& state, Kind kind)
{
    const std::string text = zone_text(kind, static_cast<std::uint32_t>(state.range(0)));
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
    state.counters["text_octets"] = static_cast<double>(text.size());
}
BENCHMARK_CAPTURE(load_zone, plain, Kind::plain)
    ->Arg(1'000)
    ->Arg(1'000'000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load_zone, nsec, Kind::nsec)->Arg(1'000'000)->UseManualTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load_zone, nsec3, Kind::nsec3)->Arg(1'000'000)->UseManualTime()->Unit(benchmark::kMillisecond);

/// Answers one question after the other; `#` in the name is a host's number, 4096 of them in turn, so that a large
/// zone does not stay in the processor's cache.
void answer_names(benchmark::State& state, Kind kind, const std::string& pattern)
{
    const auto records = static_cast<std::uint32_t>(state.range(0));
    const Snapshot& snapshot = snapshot_of(kind, records);
    const std::uint32_t hosts = kind == Kind::plain ? records / 2 : records / 4;
    std::vector<wire::Name> asked;
    for (std::uint32_t i = 0; i < 4096; ++i) {
        std::string name = pattern;
        if (const auto at = name.find('#'); at != std::string::npos) {
            name.replace(at, 1, host((i * 2'654'435'761U) % hosts));
        }
        asked.push_back(*wire::Name::from_text(name + ".big.test"));
    }
    std::array<std::uint8_t, 4096> buffer;
    const Limits limits;
    Stats stats;
    std::size_t at = 0;
    for (auto _ : state) {
        const wire::Name& name = asked[at++ & 4095U];
        wire::MessageWriter writer{buffer, buffer.size()};
        writer.begin(0, wire::flag::QR);
        benchmark::DoNotOptimize(writer.question(name, wire::RrType::A, wire::RrClass::IN));
        benchmark::DoNotOptimize(
            answer(snapshot, {&name, wire::RrType::A, kind != Kind::plain, true}, limits, writer, stats));
    }
    if (stats.truncated.get() != 0) state.SkipWithError("truncated");
}
#define ANSWERS(what, kind, pattern)                                                                                   \
    BENCHMARK_CAPTURE(answer_names, kind##_##what, Kind::kind, pattern)->Arg(1'000)->Arg(1'000'000)

ANSWERS(address, plain, "#");
ANSWERS(no_such_name, plain, "#x");
ANSWERS(no_such_name_deep, plain, "a.b.c.d.e.f.g.h.#.x.y.z");
ANSWERS(wildcard, plain, "#.wild");
ANSWERS(chain_of_four, plain, "c0");
ANSWERS(referral, plain, "#.sub");
ANSWERS(address, nsec, "#");
ANSWERS(no_such_name, nsec, "#x");
ANSWERS(wildcard, nsec, "#.wild");
ANSWERS(referral, nsec, "#.sub");
ANSWERS(address, nsec3, "#");
ANSWERS(no_such_name, nsec3, "#x");
ANSWERS(wildcard, nsec3, "#.wild");
ANSWERS(referral, nsec3, "#.sub");

} // namespace
