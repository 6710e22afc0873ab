// bench: links sallyport_admin
#include "admin/log_event.hpp"
#include "base/histogram.hpp"
#include "wire/name.hpp"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace {

using namespace sallyport;
using namespace std::chrono_literals;

// www.gate.test A 192.0.2.80
const std::vector<std::uint8_t> kAnswer = {0,    0,   0x81, 0x80, 0,   1, 0,   1,   0,   0,   0, 0,   3, 'w', 'w', 'w',
                                           4,    'g', 'a',  't',  'e', 4, 't', 'e', 's', 't', 0, 0,   1, 0,   1,   0xC0,
                                           0x0C, 0,   1,    0,    1,   0, 0,   1,   44,  0,   4, 192, 0, 2,   80};

void fill(pipeline::Query& query)
{
    query.qname = *wire::Name::from_text("www.gate.test");
    query.qtype = wire::RrType::A;
    query.client.peer.address = *base::IpAddress::parse("198.51.100.77");
    query.upstream = "tls://dns.example";
}

void record_in_histogram(benchmark::State& state)
{
    base::Histogram histogram;
    std::int64_t nanoseconds = 1;
    for (auto _ : state) {
        histogram.record(std::chrono::nanoseconds{nanoseconds});
        nanoseconds = (nanoseconds * 7) & 0xFF'FFFF;
    }
}
BENCHMARK(record_in_histogram);

/// What a worker pays for a query that is logged.
void hand_event_over(benchmark::State& state)
{
    pipeline::Query query;
    fill(query);
    admin::LogObserver observer;
    observer.make_ring(1U << 20U);
    observer.set(true, true);
    std::vector<std::uint8_t> octets;
    std::uint32_t count = 0;
    for (auto _ : state) {
        observer.ended(query, kAnswer, wire::Rcode::NOERROR, 1us);
        if (++count % 2048 != 0) continue;
        state.PauseTiming();
        while (observer.ring().pop(octets)) {}
        state.ResumeTiming();
    }
}
BENCHMARK(hand_event_over);

/// What the writer pays for it.
void make_line(benchmark::State& state)
{
    pipeline::Query query;
    fill(query);
    admin::LogObserver observer;
    observer.make_ring(1U << 20U);
    observer.set(true, true);
    observer.ended(query, kAnswer, wire::Rcode::NOERROR, 1us);
    std::vector<std::uint8_t> octets;
    (void)observer.ring().pop(octets);
    std::string line;
    for (auto _ : state) {
        line.clear();
        admin::append_line(line, *admin::read_event(octets), base::WallTime{1'795'194'332'123ms}, {});
        benchmark::DoNotOptimize(line.data());
    }
}
BENCHMARK(make_line);

} // namespace
