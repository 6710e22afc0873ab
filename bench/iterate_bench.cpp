// bench: links sallyport_resolver
#include "resolver/iterate/iterate.hpp"
#include "wire/message_writer.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <deque>
#include <string>
#include <utility>

/// The engine that recurses without sockets: a root server that refers to the one of example., which answers.
namespace {

using namespace sallyport;
using namespace sallyport::resolver;
using wire::RrType;

const base::IpAddress kRoot = *base::IpAddress::parse("192.0.2.1");
const base::IpAddress kExample = *base::IpAddress::parse("192.0.2.2");

wire::Name name(const std::string& text) { return *wire::Name::from_text(text); }

const wire::Name kEmpty = name("wild.example."); // has names below it and no records

struct Servers final : iterate::Upstream {
    void send(const iterate::Ask& ask) noexcept override
    {
        std::array<std::uint8_t, 512> room;
        wire::MessageWriter out{room, room.size()};
        out.begin(base::load_be16(ask.message, 0), wire::flag::QR | wire::flag::AA);
        static_cast<void>(out.question(*ask.qname, ask.qtype, wire::RrClass::IN));
        if (ask.server.address == kRoot) {
            out.begin(base::load_be16(ask.message, 0), wire::flag::QR);
            static_cast<void>(out.question(*ask.qname, ask.qtype, wire::RrClass::IN));
            add(out, wire::Section::authority, name("example."), RrType::NS, name("ns.example.").wire());
            add(out, wire::Section::additional, name("ns.example."), RrType::A, kExample.octets());
        } else if (!(*ask.qname == kEmpty)) {
            add(out, wire::Section::answer, *ask.qname, RrType::A, kRoot.octets());
        } else {
            add(out, wire::Section::authority, name("example."), RrType::SOA, soa_);
        }
        const base::Bytes message = out.message();
        replies.emplace_back(ask.token, std::vector<std::uint8_t>{message.begin(), message.end()});
    }
    void cancel(iterate::Token) noexcept override {}

    static void add(wire::MessageWriter& out, wire::Section section, const wire::Name& owner, RrType type,
                    base::Bytes rdata)
    {
        static_cast<void>(out.record(section, owner, type, wire::RrClass::IN, wire::Ttl{3600}, rdata));
    }

    std::deque<std::pair<iterate::Token, std::vector<std::uint8_t>>> replies;

private:
    const std::vector<std::uint8_t> soa_ = [] { // the root twice, then five numbers
        std::vector<std::uint8_t> rdata(22);
        rdata[20] = 0xE;
        return rdata;
    }();
};

iterate::Options options()
{
    iterate::Options made;
    iterate::FixedZone root;
    root.servers.push_back({kRoot, 53, 0});
    made.fixed.push_back(root);
    made.prime = false;
    return made;
}

/// Questions for names nobody asked for before, `below` example.
void ask_cold(benchmark::State& state, const std::string& below)
{
    const base::SystemClock clock;
    base::SystemRandom random;
    Servers servers;
    cache::RrsetStore store{cache::RrsetOptions{}};
    iterate::Engine engine{clock, random, servers, store, options()};
    std::uint64_t number = 0;
    std::uint64_t answered = 0;
    for (auto _ : state) {
        const iterate::Question question{name("n" + std::to_string(++number) + below), RrType::A};
        engine.resolve(question, [&](const iterate::Answer& answer) { answered += answer.answers.size(); });
        while (!servers.replies.empty()) {
            const auto reply = std::move(servers.replies.front());
            servers.replies.pop_front();
            engine.answer(reply.first, reply.second);
        }
    }
    if (answered != number) state.SkipWithError("not every question was answered");
    state.counters["queries"] =
        benchmark::Counter(static_cast<double>(engine.stats().packets.get()), benchmark::Counter::kAvgIterations);
}

void AskInAKnownZone(benchmark::State& state) { ask_cold(state, ".example."); }
BENCHMARK(AskInAKnownZone);

void AskBelowANameWithoutCut(benchmark::State& state) { ask_cold(state, ".wild.example."); }
BENCHMARK(AskBelowANameWithoutCut);

} // namespace
