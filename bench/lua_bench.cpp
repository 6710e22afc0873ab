// bench: links sallyport_lua
#include "lua/lua.hpp"
#include "policy/domain_set.hpp"
#include "wire/message_writer.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <iostream>

using namespace sallyport;

namespace {

struct Running {
    explicit Running(const char* text)
    {
        lua::Options options;
        options.script = "bench.lua";
        auto script = lua::Script::compile(options, text);
        if (!script) {
            std::cerr << script.error().to_string() << '\n';
            std::exit(1);
        }
        runtime = lua::Runtime::make(*script, clock, stats);
        name = *wire::Name::from_text("www.example.com");
        facts.qname = &name;
        facts.qtype = wire::RrType::A;
        facts.client.address = *base::IpAddress::parse("10.0.7.5");
        facts.wall = base::WallTime{std::chrono::hours{500'000}};
    }

    base::SystemClock clock;
    lua::Stats stats;
    std::unique_ptr<lua::Runtime> runtime;
    wire::Name name;
    policy::Facts facts;
    policy::Verdict verdict;
};

void ask(benchmark::State& state, const char* text)
{
    Running run{text};
    for (auto _ : state) {
        run.runtime->on_query(run.facts, run.verdict);
        benchmark::DoNotOptimize(run.verdict.action);
    }
    if (run.stats.errors.get() != 0) state.SkipWithError("the script fails");
}

BENCHMARK_CAPTURE(ask, nothing, "on.query(function(q) end)");
BENCHMARK_CAPTURE(ask, type, "on.query(function(q) if q.type == 'ANY' then return q:refuse() end end)");
BENCHMARK_CAPTURE(ask, under,
                  "on.query(function(q) if q.name:under('corp.example') then return q:forward('x') end end)");
// The rules of the design's example: a set, a client, a list, a route.
BENCHMARK_CAPTURE(ask, small, R"(
local ads = domains { 'ads.example', 'doubleclick.net' }
local kids = clients { '10.0.8.0/24', tls_name = 'kids.gate.test' }
on.query(function(q)
  if q.client:among(kids) and time.between('21:00', '07:00') then return q:refuse('bedtime') end
  if ads:covers(q.name) then return q:block() end
  if q.name:under('corp.example') then return q:forward('corp') end
end))");
BENCHMARK_CAPTURE(ask, schedule,
                  "on.query(function(q) if time.between('21:00', '07:00') and q.type == 'X' then return "
                  "q:refuse() end end)");
BENCHMARK_CAPTURE(ask, block, "on.query(function(q) return q:block('why') end)");
BENCHMARK_CAPTURE(ask, answer, "on.query(function(q) return q:answer { 'A', '192.0.2.1' } end)");
BENCHMARK_CAPTURE(ask, text,
                  "on.query(function(q) if tostring(q.name):find('^ads%d*%.') then return q:block() end end)");
BENCHMARK_CAPTURE(ask, loop_10000, "on.query(function(q) for i = 1, 10000 do end end)");

void on_answer(benchmark::State& state)
{
    Running run{"on.answer(function(q, a) if a:any_address_in('private') and not q.name:under('home.arpa') then return "
                "q:refuse() end end)"};
    std::array<std::uint8_t, 512> octets{};
    wire::MessageWriter writer{octets, octets.size()};
    writer.begin(1, wire::flag::QR);
    static_cast<void>(writer.question(run.name, wire::RrType::A, wire::RrClass::IN));
    const std::array<std::uint8_t, 4> address{192, 0, 2, 1};
    for (int i = 0; i < 4; ++i)
        static_cast<void>(
            writer.record(wire::Section::answer, run.name, wire::RrType::A, wire::RrClass::IN, wire::Ttl{60}, address));
    const auto view = *wire::MessageView::parse(writer.message());
    for (auto _ : state) run.runtime->on_answer(run.facts, view, run.verdict);
}
BENCHMARK(on_answer);

void domain_set(benchmark::State& state)
{
    policy::DomainSetBuilder builder{2'000'000};
    for (std::int64_t i = 0; i < state.range(0); ++i)
        builder.add(*wire::Name::from_text("n" + std::to_string(i) + ".tracker.example"), policy::Reach::both);
    const policy::DomainSet set = builder.take();
    std::vector<wire::Name> names;
    for (unsigned i = 0; i < 4096; ++i)
        names.push_back(*wire::Name::from_text("www.n" + std::to_string(i * 7919U) + ".other.example"));
    std::size_t at = 0;
    for (auto _ : state) benchmark::DoNotOptimize(set.covers(names[at++ & 4095U]));
    state.counters["octets_a_name"] = static_cast<double>(set.octets()) / static_cast<double>(set.size());
}
BENCHMARK(domain_set)->Arg(1000)->Arg(1'000'000);

} // namespace
