// bench: links sallyport_pipeline
#include "cache/cache.hpp"
#include "pipeline/pipeline.hpp"
#include "wire/rdata.hpp"
#include "zones/zones.hpp"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

/// The walk of one query, from the octets a door found to the octets it sends: what all doors have in common.
namespace {

using namespace sallyport;

class Silent final : public pipeline::ReplySink {
public:
    void reply(const pipeline::Reply& given) noexcept override { octets += given.message.size(); }
    void dropped(std::uint64_t) noexcept override {}
    std::size_t octets = 0;
};

/// Nobody to ask: a miss is answered on the spot.
class Nobody final : public resolver::Backend {
public:
    resolver::Taken resolve(const resolver::Question&, resolver::Waiter&, base::Instant) noexcept override
    {
        return resolver::Taken::no_route;
    }
    void fetch(const resolver::Question&, base::Instant) noexcept override {}
    void explain(const resolver::Question&, const resolver::Tell&) const override {}
};

std::vector<std::uint8_t> message(const std::string& qname, bool response, bool edns)
{
    std::vector<std::uint8_t> buffer(4096);
    wire::MessageWriter writer{buffer, buffer.size()};
    const auto name = *wire::Name::from_text(qname);
    writer.begin(7, response ? wire::flag::QR | wire::flag::RD | wire::flag::RA : wire::flag::RD);
    (void)writer.question(name, wire::RrType::A, wire::RrClass::IN);
    if (response)
        (void)writer.record(wire::Section::answer, name, wire::RrType::A, wire::RrClass::IN, wire::Ttl{3600},
                            *wire::rdata_from_text(wire::RrType::A, "192.0.2.1", name));
    if (edns) {
        (void)writer.begin_opt(1232, false);
        writer.end_opt();
    }
    const auto bytes = writer.message();
    return {bytes.begin(), bytes.end()};
}

struct Walk {
    explicit Walk(bool with_cache)
    {
        pipeline::Options options;
        options.access.allow = {*base::Prefix::parse("0.0.0.0/0")};
        options.rate_limit.per_second = 0;
        way = std::make_unique<pipeline::Pipeline>(options, clock, random);
        client.peer = *base::Endpoint::parse("192.168.1.9:4000");
        client.local = *base::Endpoint::parse("192.168.1.1:53");
        pipeline::Services services;
        if (with_cache) services.cache = &cache;
        services.resolver = &nobody;
        way->set_services(services);
    }
    void keep(const std::string& qname)
    {
        const auto name = *wire::Name::from_text(qname);
        cache::Key key;
        key.qname = &name;
        key.qtype = wire::RrType::A;
        std::vector<std::uint8_t> room(65'535);
        const auto response = message(qname, true, false);
        const auto prepared = cache::prepare(*wire::MessageView::parse(response), key, cache::Options{}, room);
        (void)cache.store(key, *prepared, {}, clock.now());
    }

    base::SystemClock clock;
    base::SystemRandom random;
    cache::Cache cache{cache::Options{}};
    Nobody nobody;
    std::unique_ptr<pipeline::Pipeline> way;
    pipeline::Client client;
    Silent sink;
    pipeline::QueryList waiting;
};

void hit(benchmark::State& state)
{
    Walk walk{true};
    walk.keep("www.example.com.");
    const auto query = message("www.example.com.", false, state.range(0) != 0);
    const auto now = walk.clock.now();
    for (auto _ : state)
        benchmark::DoNotOptimize(walk.way->receive({query, walk.client, walk.sink, 1, walk.waiting, now}));
    if (walk.way->stats().from_cache.get() == 0) state.SkipWithError("no hit");
}
BENCHMARK(hit)->ArgName("edns")->Arg(0)->Arg(1);

/// With the zones that every gateway answers by itself (`resolve.local_only`), of which the name is in none: a name
/// whose end no zone has, and one whose end some have.
void hit_beside_local_only(benchmark::State& state)
{
    Walk walk{true};
    base::Problems problems;
    zones::Options options;
    options.local_only.enabled = true;
    walk.way->set_zones(zones::load(options, problems), zones::Limits{});
    const std::string name = state.range(0) == 0 ? "www.example.com." : "4.3.2.1.in-addr.arpa.";
    walk.keep(name);
    const auto query = message(name, false, false);
    const auto now = walk.clock.now();
    for (auto _ : state)
        benchmark::DoNotOptimize(walk.way->receive({query, walk.client, walk.sink, 1, walk.waiting, now}));
    if (walk.way->stats().from_cache.get() == 0) state.SkipWithError("no hit");
}
BENCHMARK(hit_beside_local_only)->ArgName("arpa")->Arg(0)->Arg(1);

/// The same walk that finds nothing and refuses: what is left is the cache's part.
void refusal(benchmark::State& state)
{
    Walk walk{false};
    const auto query = message("www.example.com.", false, state.range(0) != 0);
    const auto now = walk.clock.now();
    for (auto _ : state)
        benchmark::DoNotOptimize(walk.way->receive({query, walk.client, walk.sink, 1, walk.waiting, now}));
}
BENCHMARK(refusal)->ArgName("edns")->Arg(0)->Arg(1);

} // namespace
