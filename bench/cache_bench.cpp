// bench: links sallyport_cache
#include "cache/cache.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

using namespace sallyport;
using namespace sallyport::cache;

namespace {

constexpr std::size_t kMillion = 1'000'000;
const base::Instant kNow{std::chrono::hours{1}};

/// `host-000123.example.`: 20 octets of text, 21 on the wire.
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

/// What an upstream sends: one address, as `prepare` leaves it.
class Answer {
public:
    explicit Answer(const wire::Name& name, unsigned records = 1)
    {
        constexpr std::uint8_t kAddress[4] = {192, 0, 2, 1};
        wire::MessageWriter writer{octets_, octets_.size()};
        writer.begin(0, wire::flag::QR);
        static_cast<void>(writer.question(name, wire::RrType::A, wire::RrClass::IN));
        for (unsigned i = 0; i < records; ++i) {
            static_cast<void>(writer.record(wire::Section::answer, name, wire::RrType::A, wire::RrClass::IN,
                                            wire::Ttl{3600}, kAddress));
        }
        prepared_.message = writer.message();
        prepared_.lifetime = std::chrono::hours{1};
    }
    [[nodiscard]] const Prepared& prepared() const { return prepared_; }

private:
    std::array<std::uint8_t, 512> octets_;
    Prepared prepared_;
};

void keep(Cache& cache, const wire::Name& name, unsigned records = 1)
{
    const Answer answer{name, records};
    static_cast<void>(cache.store(key_of(name), answer.prepared(), {}, kNow));
}

/// A client's query, and the answer to it begun as the pipeline begins it.
class Asked {
public:
    explicit Asked(const wire::Name& name) : name_(name), writer_(answer_, answer_.size())
    {
        const base::Bytes wire = name_.wire();
        question_.assign(wire.begin(), wire.end());
        question_.insert(question_.end(), {0, 1, 0, 1});
    }
    [[nodiscard]] Found ask(Cache& cache)
    {
        static_cast<void>(writer_.begin_response(0x1234, wire::flag::RD, question_, 1));
        return cache.find(key_of(name_), kNow + std::chrono::seconds{100}, writer_);
    }
    [[nodiscard]] wire::MessageWriter& writer() { return writer_; }

private:
    wire::Name name_;
    std::vector<std::uint8_t> question_;
    std::array<std::uint8_t, 1232> answer_;
    wire::MessageWriter writer_;
};

double resident_bytes()
{
    std::ifstream statm{"/proc/self/statm"};
    double size = 0;
    double resident = 0;
    statm >> size >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

Options options_of(std::uint64_t mebibytes)
{
    Options options;
    options.bytes = mebibytes << 20U;
    return options;
}

/// What begins an answer without a cache: to be taken off the figures below.
void begin_only(benchmark::State& state)
{
    std::array<std::uint8_t, 1232> buffer;
    const wire::Name name = host(1);
    std::vector<std::uint8_t> question{name.wire().begin(), name.wire().end()};
    question.insert(question.end(), {0, 1, 0, 1});
    wire::MessageWriter writer{buffer, buffer.size()};
    for (auto _ : state) {
        benchmark::DoNotOptimize(writer.begin_response(0x1234, wire::flag::RD, question, 1));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(begin_only);

/// The same name over and over, with as many records as the argument says.
void hit_hot(benchmark::State& state)
{
    Cache cache{options_of(32)};
    keep(cache, host(1), static_cast<unsigned>(state.range(0)));
    Asked asked{host(1)};
    for (auto _ : state) benchmark::DoNotOptimize(asked.ask(cache));
}
BENCHMARK(hit_hot)->Arg(1)->Arg(8);

std::unique_ptr<Cache> million_cache;
double million_growth = 0;

/// Made once, shared by the benchmarks of a million entries.
Cache& million()
{
    if (million_cache) return *million_cache;
    const double before = resident_bytes();
    million_cache = std::make_unique<Cache>(options_of(96));
    for (std::size_t i = 0; i < kMillion; ++i) keep(*million_cache, host(i));
    million_growth = resident_bytes() - before;
    return *million_cache;
}

double counter_of(const Cache& cache, std::string_view wanted)
{
    double found = 0;
    cache.each_counter([&](const char* name, const char*, std::uint64_t value) {
        if (wanted == name) found = static_cast<double>(value);
    });
    return found;
}

/// Questions one behind the other, as a read buffer holds them: what a query brings with it is near the processor.
class Questions {
public:
    static constexpr std::size_t kSize = 32;
    void add(const wire::Name& name)
    {
        octets_.resize(octets_.size() + kSize);
        std::copy(name.wire().begin(), name.wire().end(), octets_.end() - kSize);
        name_size_ = name.size();
        octets_[octets_.size() - kSize + name_size_ + 1] = octets_[octets_.size() - kSize + name_size_ + 3] = 1;
    }
    [[nodiscard]] std::size_t size() const { return octets_.size() / kSize; }
    [[nodiscard]] base::Bytes operator[](std::size_t i) const { return {&octets_[i * kSize], name_size_ + 4}; }
    void read_name(std::size_t i, wire::Name& name) const
    {
        wire::NameBuilder builder{name};
        static_cast<void>(builder.append({&octets_[i * kSize], name_size_}));
    }

private:
    std::vector<std::uint8_t> octets_;
    std::size_t name_size_ = 0;
};

/// Over a million names in random order: what it costs when nothing of the cache is near the processor.
void hit_of_a_million(benchmark::State& state)
{
    Cache& cache = million();
    Questions questions;
    std::uint64_t random = 1;
    for (std::size_t i = 0; i < 1U << 18U; ++i) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        questions.add(host((random >> 33U) % kMillion));
    }
    std::array<std::uint8_t, 1232> buffer;
    wire::MessageWriter writer{buffer, buffer.size()};
    wire::Name name;
    std::size_t next = 0;
    std::uint64_t found = 0;
    for (auto _ : state) {
        const std::size_t i = next++ % questions.size();
        questions.read_name(i, name);
        static_cast<void>(writer.begin_response(0x1234, wire::flag::RD, questions[i], 1));
        found += cache.find(key_of(name), kNow + std::chrono::seconds{100}, writer) ? 1 : 0;
    }
    if (found != static_cast<std::uint64_t>(state.iterations())) state.SkipWithError("misses among the hits");
    state.counters["entries"] = counter_of(cache, "entries");
    state.counters["rss_growth_MB"] = million_growth / 1e6;
    state.counters["bytes_MB"] = counter_of(cache, "bytes") / 1e6;
}
BENCHMARK(hit_of_a_million);

void miss_of_a_million(benchmark::State& state)
{
    Cache& cache = million();
    std::vector<std::unique_ptr<Asked>> asked;
    for (std::size_t i = 0; i < 4096; ++i) asked.push_back(std::make_unique<Asked>(host(kMillion + i * 7919)));
    std::size_t next = 0;
    for (auto _ : state) benchmark::DoNotOptimize(asked[next++ % asked.size()]->ask(cache));
}
BENCHMARK(miss_of_a_million);

/// Two workers and the same thousand names.
std::unique_ptr<Cache> shared_cache;

void hit_by_two(benchmark::State& state)
{
    if (state.thread_index() == 0) {
        shared_cache = std::make_unique<Cache>(options_of(32));
        for (std::size_t i = 0; i < 1000; ++i) keep(*shared_cache, host(i));
    }
    std::vector<std::unique_ptr<Asked>> asked;
    for (std::size_t i = 0; i < 1000; ++i) asked.push_back(std::make_unique<Asked>(host(i)));
    std::size_t next = static_cast<std::size_t>(state.thread_index()) * 500;
    for (auto _ : state) benchmark::DoNotOptimize(asked[next++ % asked.size()]->ask(*shared_cache));
    if (state.thread_index() == 0) shared_cache.reset();
}
BENCHMARK(hit_by_two)->Threads(1)->Threads(2)->UseRealTime();

/// Ever new names in a full cache, one in sixteen of them asked for again.
void store_with_eviction(benchmark::State& state)
{
    Cache cache{options_of(16)};
    std::size_t next = 0;
    for (; next < 400'000; ++next) keep(cache, host(next));
    for (auto _ : state) {
        const wire::Name name = host(next);
        const Answer answer{name};
        benchmark::DoNotOptimize(cache.store(key_of(name), answer.prepared(), {}, kNow));
        if (next++ % 16 == 0) {
            Asked asked{name};
            benchmark::DoNotOptimize(asked.ask(cache));
        }
    }
    state.counters["evicted"] = counter_of(cache, "evicted_total");
    state.counters["bytes_MB"] = counter_of(cache, "bytes") / 1e6;
}
BENCHMARK(store_with_eviction);

/// What an upstream sent, checked and rebuilt.
void prepare_one_address(benchmark::State& state)
{
    const wire::Name name = host(1);
    const Answer answer{name};
    std::vector<std::uint8_t> room(65'535);
    for (auto _ : state) {
        const auto response = wire::MessageView::parse(answer.prepared().message);
        benchmark::DoNotOptimize(prepare(*response, key_of(name), Options{}, room));
    }
}
BENCHMARK(prepare_one_address);

} // namespace
