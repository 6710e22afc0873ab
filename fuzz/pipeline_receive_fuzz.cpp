// fuzz: links sallyport_pipeline
#include "pipeline/pipeline.hpp"

#include <cstdlib>
#include <memory>

namespace {

using namespace sallyport;

/// Every answer parses, is no larger than allowed, and carries the id of its query.
class Judge final : public pipeline::ReplySink {
public:
    void reply(const pipeline::Reply& reply) noexcept override
    {
        ++heard;
        const auto answer = wire::MessageView::parse(reply.message);
        if (!answer || !answer->header().has(wire::flag::QR)) std::abort();
        if (answer->id() != reply.query.request.id()) std::abort();
        const auto* const edns = reply.query.request.edns();
        const std::size_t limit = edns == nullptr ? 512 : 1232;
        if (reply.query.client.transport == base::Transport::udp && reply.message.size() > limit) std::abort();
        if (edns == nullptr && answer->edns() != nullptr) std::abort();
    }
    void dropped(std::uint64_t) noexcept override { ++heard; }
    unsigned heard = 0;
};

std::shared_ptr<const zones::Snapshot> example_zone()
{
    zones::Options options;
    zones::ZoneOptions zone;
    zone.name = "gate.test";
    zone.records = {"@ A 192.0.2.1",
                    "www CNAME @",
                    "*.wild TXT hello",
                    "sub NS ns.sub",
                    "ns.sub A 192.0.2.2",
                    "old DNAME new",
                    "big TXT \"" + std::string(255, 'x') + "\" \"" + std::string(255, 'y') + "\""};
    options.zones.push_back(zone);
    base::Problems problems;
    auto snapshot = zones::load(options, problems);
    if (!snapshot) std::abort();
    return snapshot;
}

struct Gate {
    Gate() : pipeline(pipeline::Options{}, clock, random)
    {
        clock.set_wall(base::WallTime{std::chrono::seconds{1'700'000'000}});
        pipeline.set_zones(example_zone(), {});
    }
    base::ManualClock clock;
    base::SystemRandom random;
    pipeline::Pipeline pipeline;
};

} // namespace

// The first octet chooses the door, the rest is the message.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static Gate gate;
    if (size < 1) return 0;
    gate.clock.advance(std::chrono::seconds{1});
    pipeline::Client client;
    client.peer = *base::Endpoint::parse("192.168.1.9:4000");
    client.transport = static_cast<base::Transport>(data[0] % base::kTransports);
    Judge judge;
    pipeline::QueryList waiting;
    const auto intake = gate.pipeline.receive({{data + 1, size - 1}, client, judge, 1, waiting, gate.clock.now()});
    if (intake == pipeline::Intake::taken ? judge.heard != 1 : judge.heard != 0) std::abort();
    if (!waiting.empty()) std::abort();
    return 0;
}
