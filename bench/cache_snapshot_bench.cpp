// bench: links sallyport_cache
#include "cache/snapshot.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace sallyport;
using namespace sallyport::cache;

namespace {

constexpr std::size_t kMillion = 1'000'000;
const base::Instant kNow{std::chrono::hours{1}};
const base::WallTime kWall{std::chrono::hours{24 * 365 * 50}};
const Cancelled kGoOn{false};

Options options_of_a_million()
{
    Options options;
    options.bytes = 128U << 20U;
    return options;
}

wire::Name host(std::size_t number)
{
    std::string digits = std::to_string(number);
    digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
    return *wire::Name::from_text("h" + digits + ".example.net");
}

Key key_of(const wire::Name& name)
{
    Key key;
    key.qname = &name;
    key.qtype = wire::RrType::A;
    return key;
}

void keep(Cache& cache, const wire::Name& name)
{
    constexpr std::uint8_t kAddress[4] = {192, 0, 2, 1};
    std::array<std::uint8_t, 512> octets;
    wire::MessageWriter writer{octets, octets.size()};
    writer.begin(0, wire::flag::QR);
    static_cast<void>(writer.question(name, wire::RrType::A, wire::RrClass::IN));
    static_cast<void>(
        writer.record(wire::Section::answer, name, wire::RrType::A, wire::RrClass::IN, wire::Ttl{3600}, kAddress));
    Prepared prepared;
    prepared.message = writer.message();
    prepared.lifetime = std::chrono::hours{1};
    static_cast<void>(cache.store(key_of(name), prepared, {}, kNow));
}

Cache& million()
{
    static Cache cache{options_of_a_million()};
    static const bool filled = [] {
        for (std::size_t i = 0; i < kMillion; ++i) keep(cache, host(i));
        return true;
    }();
    static_cast<void>(filled);
    return cache;
}

constexpr std::size_t kSets = 200'000;

RrsetOptions options_of_sets()
{
    RrsetOptions options;
    options.bytes = 512U << 20U;
    return options;
}

/// Sets as recursion in a signed zone leaves them: an address with its signature; and a cut with two name servers for
/// every tenth.
RrsetStore& many_sets()
{
    static RrsetStore store{options_of_sets()};
    static const bool filled = [] {
        constexpr std::uint8_t kAddress[4] = {192, 0, 2, 1};
        std::vector<std::uint8_t> signature(18, 0); // up to the signer's name, ECDSA P-256
        signature[1] = 1;                           // covers A
        const wire::Name zone = *wire::Name::from_text("example.net");
        signature.insert(signature.end(), zone.wire().begin(), zone.wire().end());
        signature.resize(signature.size() + 64);
        for (std::size_t i = 0; i < kSets; ++i) {
            Rrset set;
            set.owner = host(i);
            set.type = wire::RrType::A;
            set.rank = Rank::answer_auth;
            set.ttl = wire::Ttl{3600};
            set.zone = zone;
            set.records.add(kAddress);
            set.signatures.add(signature);
            store.put(std::move(set), kNow);
            if (i % 10 != 0) continue;
            Cut cut;
            const base::IpAddress glue[] = {base::IpAddress::v4({192, 0, 2, 2})};
            cut.servers.add(host(i + 1), glue);
            cut.servers.add(host(i + 2), glue);
            cut.ttl = wire::Ttl{3600};
            cut.expires = kNow + std::chrono::hours{1};
            store.cuts().put(host(i), std::move(cut));
        }
        return true;
    }();
    static_cast<void>(filled);
    return store;
}

std::string file_name()
{
    return (std::filesystem::temp_directory_path() / ("sallyport-bench-snapshot." + std::to_string(::getpid())))
        .string();
}

/// A million answers to a file, fsync included.
void save(benchmark::State& state)
{
    Cache& cache = million();
    SnapshotSaved saved;
    for (auto _ : state) {
        const auto result = save_snapshot(cache, nullptr, file_name(), 7, {kNow, kWall}, kGoOn);
        if (!result) return state.SkipWithError(result.error().message.c_str());
        saved = *result;
    }
    state.counters["answers"] = static_cast<double>(saved.entries);
    state.counters["MB"] = static_cast<double>(saved.octets) / 1e6;
}
BENCHMARK(save)->Unit(benchmark::kMillisecond)->UseRealTime();

/// And back, into an empty cache.
void load(benchmark::State& state)
{
    if (!save_snapshot(million(), nullptr, file_name(), 7, {kNow, kWall}, kGoOn))
        return state.SkipWithError("not saved");
    SnapshotRead read;
    for (auto _ : state) {
        state.PauseTiming();
        auto cache = std::make_unique<Cache>(options_of_a_million());
        state.ResumeTiming();
        read = load_snapshot(*cache, nullptr, file_name(), 7, {kNow, kWall}, kGoOn);
        state.PauseTiming();
        cache.reset();
        state.ResumeTiming();
    }
    state.counters["answers"] = static_cast<double>(read.entries);
    std::filesystem::remove(file_name());
}
BENCHMARK(load)->Unit(benchmark::kMillisecond)->UseRealTime();

/// 200,000 record sets and 20,000 zone cuts to a file, fsync included, no answers.
void save_sets(benchmark::State& state)
{
    const RrsetStore& store = many_sets();
    const Cache none{Options{}};
    SnapshotSaved saved;
    for (auto _ : state) {
        const auto result = save_snapshot(none, &store, file_name(), 7, {kNow, kWall}, kGoOn);
        if (!result) return state.SkipWithError(result.error().message.c_str());
        saved = *result;
    }
    state.counters["sets"] = static_cast<double>(saved.sets);
    state.counters["cuts"] = static_cast<double>(saved.cuts);
    state.counters["MB"] = static_cast<double>(saved.octets) / 1e6;
}
BENCHMARK(save_sets)->Unit(benchmark::kMillisecond)->UseRealTime();

/// And back, into an empty store.
void load_sets(benchmark::State& state)
{
    Cache none{Options{}};
    if (!save_snapshot(none, &many_sets(), file_name(), 7, {kNow, kWall}, kGoOn))
        return state.SkipWithError("not saved");
    SnapshotRead read;
    for (auto _ : state) {
        state.PauseTiming();
        auto store = std::make_unique<RrsetStore>(options_of_sets());
        state.ResumeTiming();
        read = load_snapshot(none, store.get(), file_name(), 7, {kNow, kWall}, kGoOn);
        state.PauseTiming();
        store.reset();
        state.ResumeTiming();
    }
    state.counters["sets"] = static_cast<double>(read.sets);
    state.counters["cuts"] = static_cast<double>(read.cuts);
    std::filesystem::remove(file_name());
}
BENCHMARK(load_sets)->Unit(benchmark::kMillisecond)->UseRealTime();

/// The same for look-ups of record sets.
void find_beside(benchmark::State& state)
{
    const RrsetStore& store = many_sets();
    const Cache none{Options{}};
    std::atomic<bool> stop{false};
    std::thread writer;
    if (state.range(0) != 0) {
        writer = std::thread{[&] {
            const SnapshotSink nowhere = [](base::Bytes) { return base::Result<void>{}; };
            while (!stop) static_cast<void>(write_snapshot(none, &store, nowhere, 7, {kNow, kWall}, kGoOn));
        }};
    }
    std::vector<wire::Name> names;
    for (std::size_t i = 0; i < 4096; ++i) names.push_back(host(i * 48 % kSets));
    std::vector<std::int64_t> nanoseconds;
    std::size_t at = 0;
    for (auto _ : state) {
        const wire::Name& name = names[at++ % names.size()];
        const auto began = std::chrono::steady_clock::now();
        benchmark::DoNotOptimize(store.find(name, wire::RrType::A, wire::RrClass::IN, kNow));
        if (at % 8 == 0) nanoseconds.push_back((std::chrono::steady_clock::now() - began).count());
    }
    stop = true;
    if (writer.joinable()) writer.join();
    std::sort(nanoseconds.begin(), nanoseconds.end());
    if (nanoseconds.empty()) return;
    state.counters["p99_ns"] = static_cast<double>(nanoseconds[nanoseconds.size() * 99 / 100]);
    state.counters["p99.99_ns"] = static_cast<double>(nanoseconds[nanoseconds.size() * 9999 / 10'000]);
}
BENCHMARK(find_beside)->Arg(0)->Arg(1)->UseRealTime();

/// What a worker pays: hits while another thread writes snapshots all the time (1), and while none does (0).
void hit_beside(benchmark::State& state)
{
    Cache& cache = million();
    std::atomic<bool> stop{false};
    std::thread writer;
    if (state.range(0) != 0) {
        writer = std::thread{[&] {
            const SnapshotSink nowhere = [](base::Bytes) { return base::Result<void>{}; };
            while (!stop) static_cast<void>(write_snapshot(cache, nullptr, nowhere, 7, {kNow, kWall}, kGoOn));
        }};
    }
    std::array<std::uint8_t, 1232> answer;
    std::vector<wire::Name> names;
    for (std::size_t i = 0; i < 4096; ++i) names.push_back(host(i * 244 % kMillion));
    std::vector<std::uint8_t> question;
    std::vector<std::int64_t> nanoseconds;
    std::size_t at = 0;
    for (auto _ : state) {
        const wire::Name& name = names[at++ % names.size()];
        question.assign(name.wire().begin(), name.wire().end());
        question.insert(question.end(), {0, 1, 0, 1});
        wire::MessageWriter writing{answer, answer.size()};
        static_cast<void>(writing.begin_response(0x1234, wire::flag::RD, question, 1));
        const auto began = std::chrono::steady_clock::now();
        benchmark::DoNotOptimize(cache.find(key_of(name), kNow, writing));
        if (at % 8 == 0) nanoseconds.push_back((std::chrono::steady_clock::now() - began).count());
    }
    stop = true;
    if (writer.joinable()) writer.join();
    std::sort(nanoseconds.begin(), nanoseconds.end());
    if (nanoseconds.empty()) return;
    state.counters["p99_ns"] = static_cast<double>(nanoseconds[nanoseconds.size() * 99 / 100]);
    state.counters["p99.99_ns"] = static_cast<double>(nanoseconds[nanoseconds.size() * 9999 / 10'000]);
}
BENCHMARK(hit_beside)->Arg(0)->Arg(1)->UseRealTime();

} // namespace
